"""copl bench: time and memory of a training step with several tuners, side by side on the same encoders."""

import argparse
import json
from dataclasses import asdict
from pathlib import Path


def add_options(parser: argparse.ArgumentParser) -> None:
    """The options of ``copl bench`` without an action."""
    # Not ``required``: argparse would ask an action for them, too.
    parser.add_argument("--encoder", help="visual encoder: a backbone or a model name one of them knows")
    parser.add_argument("--audio-encoder", default="shared", help="default: shared, the visual one serves both")
    parser.add_argument(
        "--tuners",
        metavar="NAME[:KEY=VALUE]...,...",
        help="presets or tuners, separated by commas, e.g. copl,copl:checkpointing=block,lavish,frozen",
    )
    parser.add_argument("--task", default="ave", help="which presets: NAME_<task>.yaml (default ave)")
    parser.add_argument(
        "--presets", type=Path, default=Path("configs/_base_/tuners"), help="folder of tuner YAML files"
    )
    parser.add_argument("--frames", type=int, default=10, help="frames of a clip (default 10)")
    parser.add_argument("--batch", type=int, default=1, help="clips a step (default 1)")
    parser.add_argument("--rounds", type=int, default=5, help="measured steps of each tuner (default 5)")
    parser.add_argument("--threads", type=int, default=0, help="torch's threads (default: torch's own choice)")
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Measure and print."""
    from rich.console import Console

    from copl_core.api import ConfigError
    from copl_core.bench import encoder_block, measure, tuner_setup
    from copl_core.config import SHARED
    from copl_core.engine.runner import pick_device
    from copl_core.plugins import get_table
    from copl_core.registry import Registry

    if options.encoder is None or options.tuners is None:
        raise ConfigError("--encoder and --tuners say what to measure; for a config's data: copl bench data CONFIG")
    for name in ("frames", "batch", "rounds"):
        if getattr(options, name) < 1:
            raise ConfigError(f"--{name} must be at least 1, got {getattr(options, name)}")
    registry = Registry(get_table())
    visual = encoder_block(options.encoder, registry)
    audio = SHARED if options.audio_encoder == SHARED else encoder_block(options.audio_encoder, registry)
    setups = [
        tuner_setup(
            text,
            presets=options.presets,
            task=options.task,
            registry=registry,
            visual=visual,
            audio=audio,
            frames=options.frames,
            batch=options.batch,
            device=pick_device(options.device).type,
            threads=options.threads,
        )
        for text in options.tuners.split(",")
    ]
    with Console(stderr=True).status("starting") as status:
        rows = measure(setups, rounds=options.rounds, progress=status.update)
    if options.json:
        print(json.dumps([asdict(row) for row in rows], indent=2))
        return 0
    from rich.table import Table

    table = Table(
        "tuner", "trained", "step s", "spread", "ratio", "forward s", "step/fwd", "saved MB", "ratio", "peak MB"
    )
    for row in rows:
        table.add_row(
            row.tuner,
            f"{row.trained:,}",
            f"{row.time_s:.3f}",
            f"{row.time_spread_s:.3f}",
            f"{row.time_ratio:.2f}",
            f"{row.forward_s:.3f}",
            f"{row.time_s / row.forward_s:.2f}",
            f"{row.saved_bytes / 1e6:,.1f}",
            "" if row.saved_ratio is None else f"{row.saved_ratio:.3f}",
            f"{row.peak_bytes / 1e6:,.0f}",
        )
    console = Console()
    # Piped output has no width of its own; the figures must not be cut.
    (console if console.is_terminal else Console(width=160)).print(table)
    return 0
