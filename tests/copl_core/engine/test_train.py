"""Training end to end on a handful of generated scenes."""

import json
import os
import re
import signal
import subprocess
import sys

import pytest
import torch
from safetensors.torch import load_file

from copl_core.api import ConfigError
from copl_core.checkpoint import read_header
from copl_core.cli.main import main
from copl_core.config import load_config
from copl_core.engine.build import build_session
from copl_core.engine.hooks import BestExport, ReseedHook
from copl_core.engine.optim import make_optimizer, scheduler_configs


def test_a_run_leaves_what_it_promises(run, experiment):
    result, folder = run()
    assert {p.name for p in folder.iterdir()} == {
        "config.yaml", "run.json", "train.log", "metrics.jsonl", "resume.pt", "resume.previous.pt", "export",
        "results.json", "cost.json", "examples.png",
    }  # fmt: skip
    assert load_config(folder / "config.yaml") == experiment()[0].source
    rows = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    assert [(row["epoch"], row["split"]) for row in rows] == [(1, "train"), (1, "val"), (2, "train"), (2, "val")]
    assert rows[0]["loss"] == pytest.approx(rows[0]["loss_mask"] + rows[0]["loss_consistency"], rel=1e-5)
    results = json.loads((folder / "results.json").read_text())
    assert results["selected_on"] == "val"
    assert results["test"] == result.scores
    assert set(result.scores) == {"mIoU", "F", "F_compat"}


def test_the_export_holds_the_trained_tensors_only_and_no_path(run, demo_root):
    result, _ = run()
    prompts = load_file(result.export / "prompts.safetensors")
    assert {name.split(".")[0] for name in prompts} == {"prompts"}
    assert (result.export / "prompts.safetensors").stat().st_size < 2e6
    header = read_header(result.export)
    assert header.components["tuner.prompts.interaction.bank"]["plugin"] == "copl_prompts"
    assert header.encoders["visual"]["identity"]["architecture"] == "swin_nano"
    assert str(demo_root.parent).encode() not in (result.export / "prompts.safetensors").read_bytes()


def test_the_same_seed_gives_the_same_bytes_and_another_one_does_not(run, tmp_path):
    files = []
    for name, options in (("a", ()), ("b", ()), ("c", ("seed=1",))):
        result, _ = run("schedule.epochs=1", *options, work_dir=tmp_path / name)
        files.append((result.export / "prompts.safetensors").read_bytes())
    assert files[0] == files[1]
    assert files[0] != files[2]


def test_an_interrupted_run_resumes_to_the_same_tensors(run, tmp_path, monkeypatch):
    whole, _ = run(work_dir=tmp_path / "whole")
    with monkeypatch.context() as patch:
        offer = BestExport.offer

        def die_in_epoch_2(self, epoch, metrics):
            if epoch == 2:
                raise KeyboardInterrupt
            offer(self, epoch, metrics)

        patch.setattr(BestExport, "offer", die_in_epoch_2)
        with pytest.raises(KeyboardInterrupt):
            run(work_dir=tmp_path / "cut")
    assert not (tmp_path / "cut" / "results.json").exists()
    resumed, folder = run(work_dir=tmp_path / "cut", resume=True)
    assert resumed.scores == whole.scores
    rows = [(folder / "metrics.jsonl").read_text(), (tmp_path / "whole" / "metrics.jsonl").read_text()]
    assert rows[0] == rows[1]
    for name in ("prompts.safetensors", "head.safetensors"):
        assert (resumed.export / name).read_bytes() == (whole.export / name).read_bytes()


def test_a_finished_run_resumes_to_its_results(run):
    first, folder = run()
    again, _ = run(work_dir=folder, resume=True)
    assert again.scores == first.scores


def test_a_work_dir_is_not_overwritten_or_mixed(run):
    _, folder = run()
    with pytest.raises(ConfigError, match="already holds a run; add --resume"):
        run(work_dir=folder)
    with pytest.raises(ConfigError, match="these parts differ: schedule"):
        run("schedule.prompt_lr=5e-4", work_dir=folder, resume=True)


SWAPS = {
    "another bank": (["tuner.prompts.interaction.bank.type=set_bank"], "interaction", (10, 10, 256)),
    "another mapper": (["tuner.prompts.interaction.mapper={type: linear}"], "interaction", None),
    "no interaction": (["tuner.prompts.interaction=None"], "interaction", None),
    "no frame prompts": (["tuner.prompts.frame=None"], "frame", None),
    "no losses": (["tuner.losses=None"], None, None),
    "frozen": (["tuner={type: frozen}"], None, None),
}


@pytest.mark.parametrize("case", SWAPS)
def test_parts_are_swapped_and_removed_by_config_alone(case, run):
    options, family, bank_shape = SWAPS[case]
    result, folder = run("schedule.epochs=1", *options)
    names = load_file(result.export / "prompts.safetensors")
    families = {name.split(".")[1] for name in names}
    if case == "frozen":
        assert names == {}
    elif case.startswith("no ") and family:
        assert families == {"global", "frame", "interaction"} - {family}
    else:
        assert families == {"global", "frame", "interaction"}
    if bank_shape:
        (bank,) = (t for name, t in names.items() if name.endswith("couplings.5.banks.0.entries"))
        assert bank.shape == bank_shape
    if case == "another mapper":
        assert any(name.endswith("mappers.0.map.weight") for name in names)
    first = json.loads((folder / "metrics.jsonl").read_text().splitlines()[0])
    assert ("loss_consistency" in first) is not (case in ("no losses", "frozen"))


def test_paper_compat_selects_on_test_and_says_so(run):
    result, folder = run("schedule.epochs=1", "protocol=paper_compat")
    results = json.loads((folder / "results.json").read_text())
    assert results["protocol"] == "paper_compat"
    assert results["selected_on"] == "test"
    assert results["selection"]["test/mIoU"] == results["test"]["mIoU"]
    assert read_header(result.export).protocol == "paper_compat"
    rows = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    assert all(row["protocol"] == "paper_compat" for row in rows)
    assert "protocol paper_compat" in (folder / "train.log").read_text()


def test_two_learning_rates_and_no_frozen_tensor_in_the_optimizer(experiment):
    checked, registry = experiment("schedule.prompt_lr=2e-3", "schedule.head_lr=3e-4")
    model = build_session(checked, registry, ("train",)).model
    groups = {group["name"]: group for group in make_optimizer(model, checked.schedule).param_groups}
    assert groups["prompts"]["lr"] == 2e-3
    assert groups["head"]["lr"] == 3e-4
    count = {name: sum(p.numel() for p in group["params"]) for name, group in groups.items()}
    assert count["prompts"] == sum(p.numel() for p in model.tuner.parameters())
    assert count["head"] == sum(p.numel() for p in model.head.parameters() if p.requires_grad)


def test_cosine_schedule_covers_the_run_after_the_warm_up(experiment):
    options = ("schedule.lr_schedule=cosine", "schedule.warmup_epochs=1", "schedule.epochs=4")
    warmup, cosine = scheduler_configs(experiment(*options)[0].schedule, steps_per_epoch=10)
    assert (warmup["begin"], warmup["end"]) == (0, 10)
    assert (cosine["begin"], cosine["end"], cosine["T_max"]) == (10, 40, 30)


@pytest.mark.slow
def test_a_new_process_reproduces_the_scores_from_the_export_alone(run, demo_root, repository, tmp_path):
    result, folder = run()
    export = tmp_path / "elsewhere"
    result.export.rename(export)
    out = tmp_path / "results.json"
    command = [sys.executable, "tools/test.py", str(folder / "config.yaml"), str(export), "--out", str(out)]
    printed = subprocess.run(command, cwd=repository, check=True, capture_output=True, text=True).stdout
    assert json.loads(out.read_text())["scores"] == result.scores
    assert f"test mIoU {result.scores['mIoU']:.6f}" in printed


def test_bf16_and_checkpointing_train_to_nearly_the_same_loss(run, tmp_path):
    losses = []
    for name, options in (("plain", ()), ("lower", ("compute.precision=bf16", "compute.checkpointing=block"))):
        _, folder = run("schedule.epochs=1", *options, work_dir=tmp_path / name)
        losses.append(json.loads((folder / "metrics.jsonl").read_text().splitlines()[0])["loss"])
    assert losses[0] != losses[1]
    assert losses[1] == pytest.approx(losses[0], rel=0.05)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_ends_the_command_with_one_line_on_how_to_go_on(
    number, code, demo_root, repository, tmp_path, monkeypatch, capsys
):
    reseed = ReseedHook.before_train_iter

    def signalled(hook, runner, **settings):
        reseed(hook, runner, **settings)
        os.kill(os.getpid(), number)

    monkeypatch.setattr(ReseedHook, "before_train_iter", signalled)
    command = ["train", str(repository / "configs/demo/avs_swin_nano_shared.yaml"), "--work-dir", str(tmp_path)]
    command += ["--device", "cpu", "--cfg-options", f"task.dataset.root={demo_root}"]
    assert main([*command, "task.head.channels=8", "schedule.workers=0"]) == code
    assert re.fullmatch(r"copl train: stopped by SIG\w+; the state is saved: .*--resume.*\n", capsys.readouterr().err)
    assert (tmp_path / "resume.pt").exists()


@pytest.mark.cuda
def test_fp16_trains_on_cuda(experiment, tmp_path):
    from rich.console import Console

    from copl_core.engine import train

    checked, registry = experiment("compute.precision=fp16")
    result = train(checked, registry, work_dir=tmp_path, device=torch.device("cuda"), console=Console(quiet=True))
    assert 0 <= result.scores["mIoU"] <= 1
