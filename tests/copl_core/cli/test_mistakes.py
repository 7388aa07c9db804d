"""What a user sees after a mistake: one message, exit code 2, no traceback."""

import shutil

import pytest

from copl_avs.decoder import AvsDecoder
from copl_core.cli.main import main

CONFIG = "configs/demo/avs_swin_nano_shared.yaml"


@pytest.fixture
def train(repository, tmp_path, capsys, monkeypatch):
    """Run ``copl train`` and return its exit code and what it wrote to stderr."""
    monkeypatch.chdir(repository)

    def go(*options: str, config: str = CONFIG, workers: int = 0):
        schedule = ["schedule.epochs=1", "schedule.batch_size=2", f"schedule.workers={workers}"]
        options = (*schedule, "task.head.channels=8", *options) if config == CONFIG else options
        work_dir = str(tmp_path / "run")
        code = main(["train", config, "--device", "cpu", "--work-dir", work_dir, "--cfg-options", *options])
        message = capsys.readouterr().err
        assert "Traceback" not in message
        return code, message

    return go


@pytest.fixture
def data(demo_root, tmp_path):
    """A copy of the small data set to damage."""
    return shutil.copytree(demo_root, tmp_path / "avs")


def first(data, pattern):
    return sorted(data.glob(pattern))[0]


def test_paper_config_without_the_data_set(train, tmp_path):
    code, message = train(f"task.dataset.root={tmp_path / 'absent'}", config="configs/avs_swin_shared.py")
    assert code == 2
    for part in ("s4_meta_data.csv", "visual_frames", "audio_wav", "gt_masks", str(tmp_path / "absent")):
        assert part in message
    assert "https://github.com/OpenNLPLab/AVSBench" in message
    assert "configs/demo/avs_swin_nano_shared.yaml" in message


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize(("pattern", "what"), [("s4_data/visual_frames/train/*/*/*_3.png", "image"),
                                               ("s4_data/audio_wav/train/*/*.wav", "audio")])  # fmt: skip
def test_a_damaged_file_is_named(train, data, pattern, what, workers):
    victim = first(data, pattern)
    victim.write_bytes(victim.read_bytes()[:200])
    code, message = train(f"task.dataset.root={data}", workers=workers)
    assert code == 2
    assert f"cannot read {what} {victim}" in message


@pytest.mark.parametrize(("line", "content"), [(4, ""), (6, "only_a_name")])
def test_an_empty_or_malformed_csv_line_is_named_by_file_and_line(train, data, line, content):
    table = data / "s4_meta_data.csv"
    lines = table.read_text().splitlines()
    lines[line - 1] = content
    table.write_text("\n".join(lines) + "\n")
    code, message = train(f"task.dataset.root={data}")
    assert code == 2
    assert f"{table}:{line}  " in message


def test_a_missing_mask_is_named(train, data):
    victim = first(data, "s4_data/gt_masks/val/*/*/*_4.png")
    victim.unlink()
    code, message = train(f"task.dataset.root={data}")
    assert code == 2
    assert str(victim.relative_to(data)) in message


def test_all_problems_of_a_config_are_told_at_once(train):
    code, message = train(
        "schedule.prompt_lr=fast", "tuner.prompts.interaction.bank.sise=3", "task.metric.type=segmentatoin"
    )
    assert code == 2
    assert "3 problems" in message
    assert "schedule.prompt_lr: expected float" in message
    assert "did you mean 'size'" in message
    assert "Did you mean 'segmentation'" in message


def test_cuda_is_asked_for_and_absent(repository, tmp_path, capsys, monkeypatch, demo_root):
    monkeypatch.chdir(repository)
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    options = ["--cfg-options", f"task.dataset.root={demo_root}"]
    assert main(["train", CONFIG, "--device", "cuda", "--work-dir", str(tmp_path / "run"), *options]) == 2
    assert "no CUDA device" in capsys.readouterr().err


def test_the_export_of_another_tuner_is_refused(train, demo_root, tmp_path, capsys):
    root = f"task.dataset.root={demo_root}"
    assert train(root, "tuner={type: frozen}")[0] == 0
    arguments = ["test", CONFIG, str(tmp_path / "run" / "export"), "--device", "cpu"]
    assert main([*arguments, "--cfg-options", root, "schedule.workers=0", "task.head.channels=8"]) == 2
    assert "prompts.global.audio.0 is missing" in capsys.readouterr().err


def test_fp16_without_cuda(train, data):
    code, message = train(f"task.dataset.root={data}", "compute.precision=fp16")
    assert code == 2
    assert "fp16 needs a CUDA device" in message
    assert "bf16" in message


def test_a_value_that_a_component_refuses_is_told_with_its_place(train, demo_root):
    code, message = train(f"task.dataset.root={demo_root}", "tuner.prompts.global.length=0")
    assert code == 2
    assert message.endswith(" (--cfg-options tuner.prompts.global.length=0)\n")
    assert "copl train: tuner.prompts.global: global_prompts: length must be at least 1, got 0" in message


def test_a_loss_without_a_graph_is_told_and_not_raised(train, demo_root, monkeypatch):
    """As a head of one's own makes it that computes its loss from detached predictions."""
    losses = AvsDecoder.losses

    def detached(head, predictions, batch):
        return losses(head, {name: value.detach() for name, value in predictions.items()}, batch)

    monkeypatch.setattr(AvsDecoder, "losses", detached)
    code, message = train(f"task.dataset.root={demo_root}", "tuner={type: frozen}")
    assert code == 2
    assert "epoch 1, step 1: no loss depends on what trains: loss" in message
    assert "neither detach it nor compute it under no_grad" in message
