"""copl export: write prompts.safetensors and head.safetensors from the resume state of a run."""

import argparse
from pathlib import Path
from typing import Any

from copl_core.cli.common import add_cfg_options


def add_parser(subparsers: "argparse._SubParsersAction[Any]") -> None:
    """Register the sub-command."""
    parser = subparsers.add_parser("export", help="export prompts from a resume state", description=__doc__)
    parser.add_argument("state", metavar="RESUME_OR_WORKDIR", type=Path, help="a work dir of copl train, or its state")
    parser.add_argument("out", metavar="OUT", type=Path, help="folder for the two files; must not hold any yet")
    add_cfg_options(parser, "say where things are now, e.g. task.dataset.root=DIR encoders.audio.weights=FILE")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Export and print the paths."""
    from copl_core.api import ConfigError
    from copl_core.checkpoint import HEAD_FILE, PROMPTS_FILE
    from copl_core.plugins import get_table
    from copl_core.registry import Registry

    # The export of a run's best epoch is not replaced by whatever the run came to last.
    for name in (PROMPTS_FILE, HEAD_FILE):
        if (options.out / name).exists():
            raise ConfigError(f"{options.out} already holds {name}; choose another folder or delete it")

    from copl_core.engine.export import export_state

    result = export_state(options.state, options.out, Registry(get_table()), options.cfg_options)
    if result.told:
        print(result.told)
    at = f"epoch {result.epoch + 1}, step {result.step}" if result.step else f"the end of epoch {result.epoch}"
    print(f"the state at {at}, which need not be the best one:")
    for path in (result.prompts, result.head):
        print(f"{path}  {path.stat().st_size / 1e6:.2f} MB")
    return 0
