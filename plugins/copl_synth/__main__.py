"""Command line of the demo: `python -m copl_synth avs OUT` writes its data; see `--help` for the rest."""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from copl_synth.avs import AvsSettings, write_avs
from copl_synth.preview import contact_sheet


def build_parser() -> argparse.ArgumentParser:
    """Describes the command line."""
    defaults = AvsSettings()
    parser = argparse.ArgumentParser(prog="python -m copl_synth", description="Generated audio-visual scenes.")
    commands = parser.add_subparsers(dest="command", required=True)

    avs = commands.add_parser("avs", help="write scenes in the layout of AVSBench-S4")
    avs.add_argument("out", type=Path, help="folder to create")
    for split in ("train", "val", "test"):
        avs.add_argument(f"--{split}", type=int, default=getattr(defaults, split), help="clips (%(default)s)")
    avs.add_argument("--seed", type=int, default=defaults.seed, help="seed of everything random (%(default)s)")
    avs.add_argument("--size", type=int, default=defaults.size, help="frame height and width in pixels (%(default)s)")
    avs.add_argument("--workers", type=int, default=os.cpu_count() or 1, help="processes (%(default)s)")

    preview = commands.add_parser("preview", help="write a contact sheet of scenes, the sounding object outlined")
    preview.add_argument("file", type=Path, help="PNG file to write")
    preview.add_argument("--seed", type=int, default=0, help="seed of the scenes (%(default)s)")

    probe = commands.add_parser("probe", help="measure what the frozen nano encoder tells of the sounds")
    probe.add_argument("data", type=Path, help="folder written by avs")
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
        return {"avs": _avs, "preview": _preview, "probe": _probe}[args.command](args)
    except (OSError, ValueError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2


def _avs(args: argparse.Namespace) -> int:
    settings = AvsSettings(train=args.train, val=args.val, test=args.test, seed=args.seed, size=args.size)
    written = write_avs(args.out, settings, workers=args.workers)
    clips = settings.train + settings.val + settings.test
    print(f"{args.out}: {clips} clips" if written else f"{args.out}: already complete")
    return 0


def _preview(args: argparse.Namespace) -> int:
    contact_sheet(seed=args.seed).quantize(256).save(args.file, optimize=True)
    return 0


def _probe(args: argparse.Namespace) -> int:
    from copl_synth.probe import probe  # torch is for this command alone

    for name, value in probe(args.data).items():
        print(f"{name}: {value:.3f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
