"""Time CoPL's step against the literal reading of the paper: prompts concatenated, run through the block, dropped.

Both in one process, a step of each in turn. The literal form is that of the tests (tests/literal_swin.py).
"""

import argparse
import statistics
import sys
from pathlib import Path

import torch

from copl_core.bench import Probe, encoder_block, tuner_setup
from copl_core.plugins import get_table
from copl_core.registry import Registry

# After the imports above: the tests' folders bear the packages' names.
sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))
from literal_swin import LiteralCoPL


def main() -> int:
    """Measure and print the ratio of every round, and their median."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--encoder", default="swinv2_large_window12_192", help="a Swin-V2")
    parser.add_argument("--frames", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cuda" if torch.cuda.is_available() else "cpu")
    options = parser.parse_args()

    registry = Registry(get_table())
    setup = tuner_setup(
        "copl",
        presets=Path("configs/_base_/tuners"),
        task="ave",
        registry=registry,
        visual=encoder_block(options.encoder, registry),
        audio="shared",
        frames=options.frames,
        batch=1,
        device=options.device,
    )
    probe = Probe(setup)
    tuner = probe.model.tuner

    def step(literal: bool) -> float:
        # The same modules and tensors; only the walk through a block differs.
        tuner.walk = (LiteralCoPL if literal else type(tuner)).walk
        return probe.step()

    for literal in (False, True):
        step(literal)
    rounds = [(step(False), step(True)) for _ in range(options.rounds)]
    for fast, slow in rounds:
        print(f"CoPL {fast:.3f} s  literal {slow:.3f} s  ratio {fast / slow:.3f}")
    print(f"median ratio {statistics.median(fast / slow for fast, slow in rounds):.3f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
