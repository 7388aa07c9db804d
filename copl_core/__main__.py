"""``python -m copl_core`` is ``copl``."""

import sys

from copl_core.cli.main import main

sys.exit(main())
