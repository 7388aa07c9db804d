"""Command line of the demo: `python -m copl_synth avs_s4|ave|avqa OUT` writes its data; see `--help` for the rest."""

import argparse
import os
import sys
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path

from copl_synth.preview import PREVIEWS
from copl_synth.writers import ALIASES, WRITERS

HELP = {
    "train": "clips of split train",
    "val": "clips of split val",
    "test": "clips of split test",
    "questions": "questions a video, on the average",
    "seed": "seed of everything random",
    "size": "frame height and width in pixels",
}
"""What can be set; a data set has those that its settings have."""


def build_parser() -> argparse.ArgumentParser:
    """Describes the command line."""
    parser = argparse.ArgumentParser(prog="python -m copl_synth", description="Generated audio-visual scenes.")
    commands = parser.add_subparsers(dest="command", required=True)

    for task, (settings, _, summary) in WRITERS.items():
        short = [alias for alias, name in ALIASES.items() if name == task]
        command = commands.add_parser(task, aliases=short, help=summary)
        command.add_argument("out", type=Path, help="folder to create")
        for field in fields(settings):
            if field.name in HELP:
                text = f"{HELP[field.name]} (%(default)s)"
                command.add_argument(f"--{field.name}", type=int, default=field.default, help=text)
        command.add_argument("--workers", type=int, default=os.cpu_count() or 1, help="processes (%(default)s)")

    preview = commands.add_parser("preview", help="write a picture of scenes and what is to be told about them")
    preview.add_argument("file", type=Path, help="PNG file to write")
    names = [*PREVIEWS, *ALIASES]
    preview.add_argument("--task", choices=names, default="avs_s4", help="whose scenes (%(default)s)")
    preview.add_argument("--seed", type=int, default=0, help="seed of the scenes (%(default)s)")

    probe = commands.add_parser("probe", help="measure what the frozen nano encoder tells of the sounds")
    probe.add_argument("data", type=Path, help="folder written by avs_s4")
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command line.

    Args:
        arguments: Words after the program's name; those of the process if None.

    Returns:
        Exit code: 0, or 2 after a one-line message on standard error.
    """
    args = build_parser().parse_args(arguments)
    try:
        return {"preview": _preview, "probe": _probe}.get(args.command, _write)(args)
    except (OSError, ValueError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2


def _write(args: argparse.Namespace) -> int:
    kind, write, _ = WRITERS[ALIASES.get(args.command, args.command)]
    settings = kind(**{field.name: getattr(args, field.name) for field in fields(kind) if field.name in HELP})
    written = write(args.out, settings, workers=args.workers)
    clips = settings.train + settings.val + settings.test
    print(f"{args.out}: {clips} clips" if written else f"{args.out}: already complete")
    return 0


def _preview(args: argparse.Namespace) -> int:
    PREVIEWS[ALIASES.get(args.task, args.task)](seed=args.seed).quantize(256).save(args.file, optimize=True)
    return 0


def _probe(args: argparse.Namespace) -> int:
    from copl_synth.probe import probe  # torch is for this command alone

    for name, value in probe(args.data).items():
        print(f"{name}: {value:.3f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
