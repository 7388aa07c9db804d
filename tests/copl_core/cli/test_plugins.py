"""copl plugins, and the lightness of what it loads."""

import subprocess
import sys

from copl_core.cli.main import main


def test_lists_components_and_plugins(capsys):
    assert main(["plugins"]) == 0
    printed = capsys.readouterr().out
    for name in ("swin_nano", "interaction_prompts", "prompt_bank", "bottleneck", "consistency", "avs_decoder"):
        assert name in printed
    assert "loaded" in printed


def test_entry_modules_and_help_import_no_torch():
    code = (
        "import sys\n"
        "from copl_core.plugins import get_table\n"
        "table = get_table()\n"
        "assert {s.state for s in table.statuses if s.distribution == 'copl'} == {'loaded'}, table.statuses\n"
        "import copl_core.cli.main, copl_core.config, copl_core.registry\n"
        "print('torch' in sys.modules, 'mmengine.runner' in sys.modules)\n"
    )
    result = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert result.stdout.split() == ["False", "False"]
