"""copl test: score exported prompts on a split."""

import argparse
import json
from pathlib import Path
from typing import Any

from copl_core.cli.common import add_config_options, load_experiment


def add_parser(subparsers: "argparse._SubParsersAction[Any]") -> None:
    """Register the sub-command."""
    parser = subparsers.add_parser("test", help="score exported prompts", description=__doc__)
    add_config_options(parser)
    parser.add_argument("prompts", metavar="PROMPTS", type=Path, help="an export folder or its prompts.safetensors")
    parser.add_argument("--split", choices=("train", "val", "test"), default="test")
    parser.add_argument("--out", type=Path, help="write the scores to this JSON file")
    parser.add_argument("--picture", type=Path, help="draw predictions into this PNG")
    parser.add_argument("--clips", type=int, default=4, help="clips in the picture (default 4)")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Score, print, write."""
    from copl_core.checkpoint import check_providers, read_header
    from copl_core.plugins import get_table

    # Before the config: of a component that is not installed it knows no more than the name.
    check_providers(options.prompts, read_header(options.prompts), get_table())
    experiment, registry = load_experiment(options)

    from copl_core.engine import test
    from copl_core.engine.render import render
    from copl_core.engine.runner import pick_device

    device = pick_device(options.device)
    result = test(experiment, registry, prompts=options.prompts, split=options.split, device=device)
    for note in result.notes:
        print(note)
    if result.skipped:
        print(f"{options.split}: {result.skipped} samples skipped, the scores are over the others")
    for name, value in result.scores.items():
        print(f"{options.split} {name} {value:.6f}")
    if options.out is not None:
        options.out.parent.mkdir(parents=True, exist_ok=True)
        row = {"split": options.split, "protocol": result.header.protocol, "scores": result.scores}
        if result.skipped:
            row["skipped"] = result.skipped
        options.out.write_text(json.dumps(row, indent=2) + "\n", encoding="utf-8")
        print(options.out)
    if options.picture is not None:
        options.picture.parent.mkdir(parents=True, exist_ok=True)
        render(result.session, options.split, options.clips, device).save(options.picture)
        print(options.picture)
    return 0
