"""copl serve: a web page on which exported prompts are used on videos."""

import argparse
from pathlib import Path
from typing import Any

from copl_core.cli.common import add_cfg_options


def add_parser(subparsers: "argparse._SubParsersAction[Any]") -> None:
    """Register the sub-command."""
    parser = subparsers.add_parser("serve", help="use exported prompts on a web page", description=__doc__)
    parser.add_argument(
        "prompts", metavar="PROMPTS", nargs="+", type=Path, help="export folders or their prompts.safetensors"
    )
    parser.add_argument("--host", default="127.0.0.1", help="default: 127.0.0.1, this machine only")
    parser.add_argument("--port", type=int, default=7860, help="default: 7860; 0 takes a free one")
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto")
    parser.add_argument(
        "--examples",
        type=Path,
        metavar="DIR",
        help="a folder of videos to offer (default: clips of the demo, if there)",
    )
    parser.add_argument("--max-upload", type=int, default=200, metavar="MB", help="of a video; default: 200")
    add_cfg_options(
        parser, "where files lie here that the exports name, e.g. encoders.audio.weights=weights/HTSAT.ckpt"
    )
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Serve until Ctrl-C.

    Returns:
        0.
    """
    from copl_core.api import ConfigError
    from copl_core.serve import Settings, serve

    if not 0 <= options.port < 2**16:
        raise ConfigError(f"--port {options.port}: must be 0 to 65535")
    if options.max_upload < 1:
        raise ConfigError(f"--max-upload {options.max_upload}: must be at least 1")
    settings = Settings(
        host=options.host,
        port=options.port,
        device=options.device,
        examples=options.examples,
        max_upload=options.max_upload,
        options=options.cfg_options,
    )
    serve(options.prompts, settings, lambda address: print(f"{address}  (Ctrl-C ends it)", flush=True))
    return 0
