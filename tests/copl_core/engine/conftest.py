"""A demo run small enough for tests."""

import pytest
import torch
from rich.console import Console

from copl_core.config import check_config, load_config
from copl_core.engine import train
from copl_core.plugins import get_table
from copl_core.registry import Registry

CONFIG = "configs/demo/avs_swin_nano_shared.yaml"
SMALL = ("schedule.epochs=2", "schedule.batch_size=4", "schedule.workers=0", "task.head.channels=8")


@pytest.fixture
def experiment(demo_root, repository):
    """Load the demo config on the small data set, with further options."""

    def load(*options: str):
        registry = Registry(get_table())
        config = load_config(repository / CONFIG, [f"task.dataset.root={demo_root}", *SMALL, *options])
        return check_config(config, registry, CONFIG), registry

    return load


@pytest.fixture
def run(experiment, tmp_path):
    """Train with further options; returns the result and the work dir."""

    def go(*options: str, work_dir=None, **settings):
        checked, registry = experiment(*options)
        folder = work_dir or tmp_path / "run"
        quiet = Console(quiet=True)
        device = torch.device("cpu")
        return train(checked, registry, work_dir=folder, device=device, console=quiet, **settings), folder

    return go
