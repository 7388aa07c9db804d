"""Work dirs as a training leaves them, without the training."""

import json

import pytest

from copl_core.config import dump_config
from exports import export_untrained

CONFIG = "avs_swin_nano_shared.yaml"
SCORES = {"mIoU": 0.125, "F": 0.25, "F_compat": 0.375}
ROWS = [
    {"epoch": 1, "split": "train", "loss": 0.75, "loss_mask": 0.5},
    {"epoch": 1, "split": "val", "val/mIoU": 0.0625},
    {"epoch": 2, "split": "train", "loss": 0.5, "loss_mask": float("nan")},
    {"epoch": 2, "split": "val", "val/mIoU": 0.1875},
]


def write_results(folder, test, **changes):
    selection = {"val/mIoU": 0.1875}
    results = {
        "protocol": "standard",
        "selected_on": "val",
        "epoch": 2,
        "selection": selection,
        "test": test,
        "seed": 0,
    }
    (folder / "results.json").write_text(json.dumps({**results, **changes}))


def write_rows(folder, rows):
    (folder / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))


@pytest.fixture
def work_dir(tmp_path, demo_root):
    """A finished run of the demo."""
    folder = tmp_path / "run"
    options = (f"task.dataset.root={demo_root}", "schedule.workers=0", "task.head.channels=8", "schedule.epochs=2")
    session = export_untrained(folder / "export", CONFIG, *options)
    (folder / "config.yaml").write_text(dump_config(session.experiment.source))
    write_rows(folder, ROWS)
    write_results(folder, SCORES)
    return folder
