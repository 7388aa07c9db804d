"""Train frozen encoders, CoPL and the rows of the paper's Table 4 between them on the demo; print mean and spread.

Finished runs are kept: a second call only prints the table. Runs are single-threaded, several at a time, so that every
row is measured under the same conditions.
"""

import argparse
import json
import os
import re
import statistics
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from rich.console import Console
from rich.table import Table

NO_FRAME = "tuner.prompts.frame=None"
NO_INTERACTION = "tuner.prompts.interaction=None"
NO_BANK = "tuner.prompts.interaction.bank=None"
NO_LOSS = "tuner.losses=None"

#: Row -> config options that take parts away. The last one is CoPL whole.
ROWS = {
    "frozen (head only)": ["tuner={type: frozen}"],
    "global prompts": [NO_FRAME, NO_INTERACTION, NO_LOSS],
    "+ frame prompts": [NO_INTERACTION, NO_LOSS],
    "+ interaction, no bank": [NO_BANK, NO_LOSS],
    "+ prompt bank": [NO_LOSS],
    "+ consistency (CoPL)": [],
}
BASELINE, COPL = "frozen (head only)", "+ consistency (CoPL)"


def run_dir(work_dir: Path, row: str, seed: int) -> Path:
    """Folder of one run."""
    return work_dir / "-".join(re.findall(r"\w+", row)) / f"seed{seed}"


def train(config: str, work_dir: Path, row: str, seed: int) -> tuple[str, int, float]:
    """Train one run unless it is finished; return its wall time in seconds (0 if it was)."""
    folder = run_dir(work_dir, row, seed)
    if (folder / "results.json").exists():
        return row, seed, 0.0
    folder.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, str(Path(__file__).with_name("train.py")), config]
    command += ["--work-dir", str(folder), "--seed", str(seed), "--resume"]
    command += ["--cfg-options", "schedule.workers=0", *ROWS[row]]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "PASSIVE"}
    start = time.monotonic()
    with (folder / "console.txt").open("w") as log:
        code = subprocess.run(command, stdout=log, stderr=subprocess.STDOUT, env=environment, check=False).returncode
    if code:
        raise SystemExit(f"{row}, seed {seed}: exit {code}; see {folder / 'console.txt'}")
    return row, seed, time.monotonic() - start


def scores(work_dir: Path, seeds: dict[str, list[int]], name: str) -> dict[str, list[float]]:
    """Test scores of every row, one a seed."""
    return {
        row: [json.loads((run_dir(work_dir, row, s) / "results.json").read_text())["test"][name] for s in seeds[row]]
        for row in ROWS
    }


def show(console: Console, work_dir: Path, seeds: dict[str, list[int]]) -> None:
    """Print the table and how far CoPL is ahead of the baseline."""
    miou, f_score = scores(work_dir, seeds, "mIoU"), scores(work_dir, seeds, "F")
    table = Table("row", "test mIoU %, mean +- std", "by seed", "F, mean")
    for row, values in miou.items():
        percent = [100 * value for value in values]
        spread = f" +- {statistics.stdev(percent):.1f}" if len(percent) > 1 else ""
        table.add_row(
            row,
            f"{statistics.mean(percent):.1f}{spread}",
            "  ".join(f"{seed}: {value:.1f}" for seed, value in zip(seeds[row], percent, strict=True)),
            f"{statistics.mean(f_score[row]):.3f}",
        )
    console.print(table)
    gaps = [100 * (copl - frozen) for copl, frozen in zip(miou[COPL], miou[BASELINE], strict=True)]
    console.print(
        f"CoPL ahead of frozen by {statistics.mean(gaps):.1f} points on the mean, "
        f"{', '.join(f'{gap:+.1f}' for gap in gaps)} by seed"
    )


def main() -> int:
    """Run what is missing, as many at a time as there are cores (four at most) by default, then print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("config")
    parser.add_argument("--work-dir", type=Path, default=Path("work_dirs/demo-compare"))
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2], help="seeds of the first and last row")
    parser.add_argument("--part-seeds", type=int, nargs="+", default=[0], help="seeds of the rows between")
    parser.add_argument("--jobs", type=int, default=min(4, os.cpu_count() or 1), help="runs at a time")
    options = parser.parse_args()

    console = Console(soft_wrap=True, highlight=False)
    seeds = {row: options.seeds if row in (BASELINE, COPL) else options.part_seeds for row in ROWS}
    # The two rows that matter most come first: an interrupted comparison has them.
    order = sorted(ROWS, key=lambda row: row not in (BASELINE, COPL))
    todo = [(row, seed) for row in order for seed in seeds[row]]
    with ThreadPoolExecutor(options.jobs) as pool:
        runs = [pool.submit(train, options.config, options.work_dir, row, seed) for row, seed in todo]
        for done, run in enumerate(runs, start=1):
            row, seed, seconds = run.result()
            console.print(f"{done}/{len(runs)}  {row}, seed {seed}: " + (f"{seconds:.0f} s" if seconds else "kept"))
    show(console, options.work_dir, seeds)
    return 0


if __name__ == "__main__":
    sys.exit(main())
