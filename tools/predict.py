"""Use exported prompts on videos: tools/predict.py PROMPTS INPUT... [--question "..."] [--out DIR]."""

import sys

from copl_core.cli.main import main

if __name__ == "__main__":
    sys.exit(main(["predict", *sys.argv[1:]]))
