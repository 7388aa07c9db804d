"""``copl train --seeds``: one run a seed, kept when finished, and their mean and spread."""

import dataclasses
import io
import json

import numpy as np
import pytest
from rich.console import Console

from copl_core.api import ConfigError
from copl_core.checkpoint import HEAD_FILE, PROMPTS_FILE
from copl_core.cli.main import main
from copl_core.config import dump_config
from copl_core.engine.seeds import train_seeds
from copl_core.results import Results, Spread

QUIET = Console(quiet=True)


def test_spread_is_the_sample_standard_deviation():
    values = (0.5, 0.7, 0.65)
    spread = Spread(values)
    assert spread.mean == pytest.approx(np.mean(values))
    assert spread.std == pytest.approx(np.std(values, ddof=1))
    assert f"{spread:.3f}" == "0.617 +- 0.104"
    assert f"{Spread((0.25,)):.2f}" == "0.25"


class Trainer:
    """Takes the place of training: leaves what a run leaves, with the seed as its score."""

    def __init__(self) -> None:
        self.trained: list[int] = []
        self.fail_at: int | None = None

    def __call__(self, experiment, folder):
        assert experiment.source["seed"] == experiment.seed
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "resume.pt").touch()
        (folder / "config.yaml").write_text(dump_config(experiment.source))
        self.trained.append(experiment.seed)
        if experiment.seed == self.fail_at:
            raise KeyboardInterrupt
        scores = {"x": float(experiment.seed), "y": 1.0}
        results = Results(
            epoch=1, selected_on="val", selection={}, test=scores, protocol="standard", seed=experiment.seed
        )
        (folder / "results.json").write_text(json.dumps(dataclasses.asdict(results)))
        return scores


@pytest.fixture
def trainer():
    return Trainer()


@pytest.fixture
def train(experiment, trainer, tmp_path):
    def go(seeds, *options, resume=False, console=QUIET):
        checked, _ = experiment(*options)
        return train_seeds(checked, seeds, trainer, work_dir=tmp_path, resume=resume, console=console)

    return go


def test_each_seed_has_its_folder_and_the_results_their_file(train, tmp_path):
    console = Console(record=True, width=100, file=io.StringIO())
    scores = train([4, 0, 2], console=console)
    assert scores["x"] == Spread((4.0, 0.0, 2.0))
    assert json.loads((tmp_path / "seeds.json").read_text()) == {
        "protocol": "standard",
        "seeds": [4, 0, 2],
        "test": {
            "x": {"mean": 2.0, "std": 2.0, "values": [4.0, 0.0, 2.0]},
            "y": {"mean": 1.0, "std": 0.0, "values": [1.0, 1.0, 1.0]},
        },
    }
    assert {path.name for path in tmp_path.iterdir()} == {"seed-0", "seed-2", "seed-4", "seeds.json"}
    text = console.export_text()
    assert "2.0000 +- 2.0000" in text
    assert "seed 4" in text


def test_finished_runs_are_kept_and_interrupted_ones_go_on(train, trainer, tmp_path):
    trainer.fail_at = 1
    with pytest.raises(KeyboardInterrupt):
        train([0, 1, 2])
    assert not (tmp_path / "seeds.json").exists()
    trainer.fail_at = None
    with pytest.raises(ConfigError, match=r"seed-0 and .*seed-1 already hold a run; add --resume"):
        train([0, 1, 2])
    assert train([0, 1, 2], resume=True)["x"].values == (0.0, 1.0, 2.0)
    assert trainer.trained == [0, 1, 1, 2]
    assert train([0, 1, 2, 3], resume=True)["x"].values == (0.0, 1.0, 2.0, 3.0)
    assert trainer.trained[4:] == [3]


def test_results_of_another_config_are_not_taken(train, trainer, tmp_path):
    train([0])
    trainer.fail_at = 0
    with pytest.raises(KeyboardInterrupt):
        train([0], "schedule.epochs=7", resume=True)
    # Killed in the longer run: the old results are gone, and it goes on.
    trainer.fail_at = None
    train([0], "schedule.epochs=7", resume=True)
    assert trainer.trained == [0, 0, 0]


def test_mistakes(train, tmp_path, capsys):
    for seeds in ([], [1, 1], [-1], [2**32]):
        with pytest.raises(ConfigError, match="expected different seeds"):
            train(seeds)
    train([0])
    (tmp_path / "seed-0" / "results.json").write_text("{")
    with pytest.raises(ConfigError, match=r"results\.json.*; restore the file, or move it away"):
        train([0], resume=True)
    for options in (["--seeds", "0,x"], ["--seeds", "0", "--seed", "1"]):
        with pytest.raises(SystemExit):
            main(["train", "x.yaml", *options])
    assert "expected whole numbers with commas between" in capsys.readouterr().err


@pytest.mark.slow
def test_a_run_among_several_is_the_run_alone(demo_root, repository, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(repository)
    small = ["schedule.epochs=1", "schedule.batch_size=4", "schedule.workers=0", "task.head.channels=8"]

    def train(name: str, *options: str) -> None:
        config = "configs/demo/avs_swin_nano_shared.yaml"
        options = (*options, "--work-dir", str(tmp_path / name), "--device", "cpu")
        assert main(["train", config, *options, "--cfg-options", f"task.dataset.root={demo_root}", *small]) == 0

    train("alone", "--seed", "1")
    train("several", "--seeds", "0,1")
    assert "+-" in capsys.readouterr().out
    for name in (PROMPTS_FILE, HEAD_FILE):
        among = (tmp_path / "several" / "seed-1" / "export" / name).read_bytes()
        assert among == (tmp_path / "alone" / "export" / name).read_bytes()
        assert among != (tmp_path / "several" / "seed-0" / "export" / name).read_bytes()
