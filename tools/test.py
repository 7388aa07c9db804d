"""Score exported prompts: tools/test.py CONFIG PROMPTS [--split test] [--out results.json]."""

import sys

from copl_core.cli.main import main

if __name__ == "__main__":
    sys.exit(main(["test", *sys.argv[1:]]))
