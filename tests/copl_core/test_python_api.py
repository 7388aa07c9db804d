"""The Python API does what its page says, from the page's own text."""

import re
import subprocess
import sys

import pytest

import copl_core
from copl_synth.ave import AveSettings, write_ave


def test_importing_the_package_imports_nothing_heavy() -> None:
    heavy = "{'torch', 'mmengine', 'numpy', 'rich', 'pluggy'}"
    code = f"import sys, copl_core; sys.exit(bool({heavy} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_names_of_the_api_are_there_and_no_others() -> None:
    for name in copl_core.__all__:
        assert getattr(copl_core, name) is not None
    assert set(copl_core.__all__) <= set(dir(copl_core))
    with pytest.raises(AttributeError, match="has no attribute 'lod'"):
        copl_core.lod  # noqa: B018


@pytest.fixture
def page(repository, tmp_path, monkeypatch):
    """The page's text, in a folder like the repository's root with a small data set."""
    write_ave(tmp_path / "data" / "demo" / "ave", AveSettings(train=4, val=2, test=2))
    (tmp_path / "configs").symlink_to(repository / "configs")
    monkeypatch.chdir(tmp_path)
    return (repository / "docs" / "python-api.md").read_text(encoding="utf-8")


def test_every_example_of_the_page_runs(page, tmp_path, capsys) -> None:
    examples = re.findall(r"^```python\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    assert len(examples) == 4
    names: dict[str, object] = {}
    for example in examples[:-1]:
        exec(example, names)
    out = capsys.readouterr().out
    assert re.search(r"^[01]\.\d+ after epoch 1$", out, re.MULTILINE)
    assert "'loss_event'" in out
    assert (tmp_path / "predictions" / "clip" / "timeline.png").exists()
    assert names["scores"].keys() >= {"accuracy"}

    exec(examples[-1], names)
    (shown,) = re.findall(r"^prints\n\n```\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    assert capsys.readouterr().out == shown


def test_a_finished_run_is_extended(page, tmp_path) -> None:
    """With rates that stay as they are, stretched is as if planned so from the start: the same bytes."""

    def train(work_dir: str, epochs: int, **options: object) -> list[bytes]:
        settings = ["batch_size=2", "workers=0", "lr_schedule=constant", "warmup_epochs=0", f"epochs={epochs}"]
        experiment = copl_core.load_config(
            "configs/demo/ave_swin_nano_shared.yaml", [f"schedule.{setting}" for setting in settings]
        )
        result = copl_core.train(experiment, tmp_path / work_dir, device="cpu", quiet=True, **options)
        return [path.read_bytes() for path in sorted(result.export.iterdir())]

    train("cut", 1)
    with pytest.raises(copl_core.CoplError, match="planned for 1 epochs, now for 2"):
        train("cut", 2, resume=True)
    with pytest.raises(copl_core.CoplError, match="extend: expected 'stretch' or 'restart', got 'strech'"):
        train("cut", 2, resume=True, extend="strech")
    assert train("cut", 2, resume=True, extend="stretch") == train("whole", 2)
