"""copl report: one run as a web page that needs nothing but itself."""

import argparse
import sys
from pathlib import Path
from typing import Any

from copl_core.cli.common import add_cfg_options


def add_parser(subparsers: "argparse._SubParsersAction[Any]") -> None:
    """Register the sub-command."""
    parser = subparsers.add_parser("report", help="write a run as a web page", description=__doc__)
    parser.add_argument("work_dir", metavar="WORK_DIR", type=Path, help="the work dir of a training")
    parser.add_argument("--baseline", type=Path, metavar="DIR", help="work dir to compare the scores with")
    parser.add_argument("--examples", type=int, default=3, metavar="N", help="best and worst test clips (default 3)")
    parser.add_argument("--no-test", action="store_true", help="don't test the export again: files of the run only")
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto", help="where to test the export")
    parser.add_argument("--out", type=Path, metavar="FILE", help="default: report.html in the work dir")
    add_cfg_options(parser, "change values of the run's config, e.g. task.dataset.root=DIR where the data has moved")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Write the page and say where it is."""
    from copl_core.api import ConfigError
    from copl_core.plugins import get_table
    from copl_core.registry import Registry

    if options.examples < 0:
        raise ConfigError(f"--examples {options.examples}: must be at least 0")

    from copl_core.engine.runner import pick_device
    from copl_core.report import report_run

    path, notes = report_run(
        options.work_dir,
        Registry(get_table()),
        baseline=options.baseline,
        out=options.out,
        examples=options.examples,
        device=None if options.no_test else pick_device(options.device),
        options=options.cfg_options,
    )
    for note in notes:
        print(f"copl report: {note}", file=sys.stderr)
    print(path)
    return 0
