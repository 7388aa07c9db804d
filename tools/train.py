"""Train a config: tools/train.py CONFIG [--work-dir D] [--seed N] [--resume] [--cfg-options k=v ...]."""

import sys

from copl_core.cli.main import main

if __name__ == "__main__":
    sys.exit(main(["train", *sys.argv[1:]]))
