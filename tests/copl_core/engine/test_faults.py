"""What goes wrong in mid-run is told in terms a person can act on, and costs nothing that was saved."""

import io
import json
import math
import os
import re
import resource
import signal
from functools import partial
from pathlib import Path

import pytest
import torch
from mmengine.optim import OptimWrapper
from rich.console import Console
from safetensors.torch import load_file
from torch import nn

import engine_parts
from copl_core.api import ConfigError, CoplError, DataError
from copl_core.engine.hooks import FirstStepHook, save
from copl_prompts.copl import CoPL
from copl_prompts.frozen import Frozen
from copl_prompts.modal import GlobalPrompts
from engine_parts import Detached, Idle, ToyClips, ToyHead, UnreadableClips, engine, train_toy
from helpers import tiny_swin

EXPORT = "export/prompts.safetensors"


class Breaks(ToyHead):
    """Does ``how`` to the loss of any batch with one of ``clips``."""

    def __init__(self, *, how, clips=("train-3",), **context):
        super().__init__(**context)
        self.how, self.clips = how, clips

    def losses(self, predictions, batch):
        losses = super().losses(predictions, batch)
        return self.how(self, losses) if set(self.clips) & set(batch["name"]) else losses


def nan_loss(head, losses):
    return {**losses, "loss_other": losses["loss_task"] * float("nan")}


def nan_gradient(head, losses):
    return {"loss_task": losses["loss_task"] + (head.classify.weight * 0).abs().sqrt().sum()}


def parts(how, **options):
    return {"head": partial(Breaks, how=how, **options)}


class TestNotFinite:
    def test_a_loss_stops_the_run_naming_term_and_clips(self, tmp_path):
        """Six batches of two clips at most make the step; one of them holds clip 3."""
        with pytest.raises(CoplError, match=r"epoch 1, step 1: the loss is not finite: .*") as error:
            train_toy(tmp_path, parts=parts(nan_loss), accumulate=6)
        told = re.search(r"not finite: (.*); clips: (.*)", str(error.value))
        assert told[1] == "loss_other=nan"
        assert "train-3" in told[2].split(", ")
        assert len(told[2].split(", ")) <= 2

    def test_a_gradient_stops_it_naming_the_parameter(self, tmp_path):
        with pytest.raises(CoplError, match=r"the gradient is not finite in head\.classify\.weight; clips: .*train-3"):
            train_toy(tmp_path, parts=parts(nan_gradient))

    @pytest.mark.parametrize("how", [nan_loss, nan_gradient])
    def test_skipped_steps_are_counted_and_leave_the_weights_finite(self, how, tmp_path):
        result = train_toy(tmp_path, parts=parts(how), on_nonfinite="skip")
        assert json.loads((tmp_path / "results.json").read_text())["skipped_steps"] == 2
        tensors = load_file(result.export / "head.safetensors").values()
        assert all(tensor.isfinite().all() for tensor in tensors)
        rows = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
        assert all(row["loss"] == row["loss"] for row in rows if row["split"] == "train")

    def test_a_skipped_step_leaves_no_trace_in_the_running_statistics(self, tmp_path):
        """Batch norm has seen the clip before the loss shows that it is no number."""
        result = train_toy(tmp_path, parts={"dataset": NotANumber}, on_nonfinite="skip")
        assert json.loads((tmp_path / "results.json").read_text())["skipped_steps"] == 2
        head = load_file(result.export / "head.safetensors")
        assert all(tensor.isfinite().all() for tensor in head.values())
        assert result.scores["right"] == result.scores["right"]
        state = torch.load(tmp_path / "resume.pt", weights_only=True)
        assert state["trained"]["head"]["norm.num_batches_tracked"] == 12 - 2

    def test_a_run_that_skips_nothing_else_is_given_up(self, tmp_path):
        every = [f"train-{index}" for index in range(11)]
        with pytest.raises(CoplError, match="20 steps in a row were skipped"):
            train_toy(tmp_path, parts=parts(nan_loss, clips=every), on_nonfinite="skip", epochs=4)


class NotANumber(ToyClips):
    def __getitem__(self, index):
        sample = super().__getitem__(index)
        if sample["name"] == "train-3":
            sample["visual"][0, 0, 0, 0] = float("nan")
        return sample


class ScaledWrapper(OptimWrapper):
    """What fp16 trains with on CUDA, on the CPU: MMEngine's own asks for a device."""

    def __init__(self, optimizer):
        super().__init__(optimizer)
        self.loss_scaler = torch.amp.GradScaler("cpu")

    def backward(self, loss):
        self.loss_scaler.scale(loss).backward()

    def step(self):
        self.loss_scaler.step(self.optimizer)
        self.loss_scaler.update()


class TestLossScale:
    """A scale of 65,536 at the beginning, halved after each step with a gradient that is not finite."""

    @pytest.fixture(autouse=True)
    def scaled(self, monkeypatch):
        made = engine.make_optim_wrapper
        monkeypatch.setattr(engine, "make_optim_wrapper", lambda *rest: ScaledWrapper(made(*rest).optimizer))

    def test_its_search_is_counted_and_held_against_nobody(self, tmp_path):
        def overflow(head, losses):
            """Beyond a scale of 1,024, which is 6 times half the first one, the gradient is infinite."""
            losses["loss_task"].register_hook(lambda grad: grad * math.inf if grad > 1024 else grad)
            return losses

        every = [f"train-{index}" for index in range(11)]
        train_toy(tmp_path, parts=parts(overflow, clips=every))
        assert json.loads((tmp_path / "results.json").read_text())["skipped_steps"] == 6

    @pytest.mark.parametrize(("on_nonfinite", "steps"), [("stop", 17), ("skip", 36)])
    def test_a_gradient_that_stays_infinite_ends_the_run(self, on_nonfinite, steps, tmp_path):
        every = [f"train-{index}" for index in range(11)]
        told = r"the gradient is not finite in head\.classify\.weight, with a loss scale of "
        with pytest.raises(CoplError, match=told) as error:
            train_toy(tmp_path, parts=parts(nan_gradient, clips=every), on_nonfinite=on_nonfinite, epochs=7)
        assert str(error.value).startswith(f"epoch {(steps - 1) // 6 + 1}, step {(steps - 1) % 6 + 1}: ")

    def test_a_step_without_a_readable_clip_is_none(self, tmp_path):
        train_toy(tmp_path, parts={"dataset": partial(UnreadableClips, clips=[3])}, batch_size=1)


def test_out_of_memory_says_batch_sizes_and_remedies(tmp_path):
    def too_large(head, losses):
        return {"loss_task": torch.empty(2**60).sum()}

    with pytest.raises(CoplError, match=r"out of memory at epoch 1, step \d") as error:
        train_toy(tmp_path, parts=parts(too_large))
    for text in ("a batch of 2 clips", "visual (2, 2, 3, 32, 32)", "audio (2, 2, 3, 32, 32)"):
        assert text in str(error.value)
    for setting in ("schedule.batch_size", "compute.checkpointing", "compute.precision"):
        assert setting in str(error.value)


def test_out_of_cuda_memory_is_told_the_same_way(tmp_path):
    def too_large(head, losses):
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")

    with pytest.raises(CoplError, match=r"out of memory.*\n.*schedule\.batch_size.*\ntorch: CUDA out of memory"):
        train_toy(tmp_path, parts=parts(too_large))


class KillsWorker(ToyClips):
    def __getitem__(self, index):
        if self.split == "train" and index == 3:
            os.kill(os.getpid(), signal.SIGKILL)
        return super().__getitem__(index)


def test_a_killed_worker_is_told(tmp_path):
    with pytest.raises(CoplError, match=r"a data worker died at epoch 1, step \d.*\n.*schedule\.workers"):
        train_toy(tmp_path, parts={"dataset": KillsWorker}, workers=1)


class Unreadable(ToyClips):
    def __getitem__(self, index):
        if index in (3, 4) and self.split in ("train", "val"):
            raise DataError(f"{self.split}-{index}.wav is cut short")
        return super().__getitem__(index)


class Lenient(Unreadable):
    on_error = "skip"


@pytest.mark.parametrize("workers", [0, 1])
class TestUnreadableClips:
    def test_refused(self, workers, tmp_path):
        with pytest.raises(DataError, match=r"train-\d.wav is cut short"):
            train_toy(tmp_path, parts={"dataset": Unreadable}, workers=workers)

    @pytest.mark.parametrize("batch_size", [1, 2])
    def test_left_out_counted_and_named(self, workers, batch_size, tmp_path):
        said = io.StringIO()
        console = Console(file=said, width=200)
        train_toy(tmp_path, parts={"dataset": Lenient}, workers=workers, batch_size=batch_size, console=console)
        assert json.loads((tmp_path / "results.json").read_text())["skipped"] == {"train": 2, "val": 2}
        assert "skipped in train: clip 3  train-3.wav is cut short" in said.getvalue()
        rows = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
        assert rows[1]["val/clips"] == 3


@pytest.mark.parametrize("accumulate", [1, 2])
def test_readable_clips_weigh_as_if_there_were_no_others(accumulate, monkeypatch, tmp_path):
    """The loss is the sum of a bias: its gradient is 1 in every step, however many of its clips are left out."""

    def bias(head, losses):
        return {"loss_task": losses["loss_task"] * 0 + head.classify.bias.sum()}

    gradients, after_backward = [], FirstStepHook.after_backward

    def spy(hook, runner):
        gradients.append(runner.trained["head.classify.bias"].grad)
        after_backward(hook, runner)

    monkeypatch.setattr(FirstStepHook, "after_backward", spy)
    every = [f"train-{index}" for index in range(11)]
    train_toy(
        tmp_path,
        parts=parts(bias, clips=every) | {"dataset": partial(UnreadableClips, clips=[0, 3, 4, 7])},
        accumulate=accumulate,
    )
    read = [gradient for gradient in gradients if gradient is not None]
    assert len(read) >= 4
    assert all(torch.allclose(gradient, torch.ones(2), rtol=1e-6) for gradient in read)


def test_a_split_without_a_readable_clip_is_an_error(tmp_path):
    with pytest.raises(DataError, match="no clip of the training split can be read"):
        train_toy(tmp_path, parts={"dataset": partial(UnreadableClips, clips=range(11))})


class UnreadableTest(Unreadable):
    on_error = "skip"

    def __getitem__(self, index):
        if self.split == "test" and index < 4:
            raise DataError(f"test-{index}.wav is cut short")
        return ToyClips.__getitem__(self, index)


def test_results_are_kept_where_an_example_cannot_be_drawn(tmp_path):
    result = train_toy(tmp_path, parts={"dataset": UnreadableTest})
    assert result.scores["clips"] == 1
    assert json.loads((tmp_path / "results.json").read_text())["test"] == result.scores


def test_a_work_dir_that_cannot_be_written_is_told(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match=r"cannot write to .*file.*--work-dir"):
        train_toy(tmp_path / "file" / "run")


def test_a_trained_parameter_without_gradient_is_an_error(tmp_path):
    with pytest.raises(CoplError, match=r"got no gradient: head\.unused\.weight, head\.unused\.bias"):
        train_toy(tmp_path, parts={"head": Idle})


class Lossless(ToyHead):
    def losses(self, predictions, batch):
        return {}


@pytest.mark.parametrize(
    ("head", "told"),
    [(Detached, "no loss depends on what trains: loss_task"), (Lossless, "neither head nor tuner has a loss")],
)
def test_a_loss_without_a_graph_is_told_with_what_to_do(head, told, tmp_path):
    with pytest.raises(CoplError, match=rf"^epoch 1, step 1: {told}\n.*task\.head or tuner"):
        train_toy(tmp_path, parts={"head": head})


class Untrained(ToyHead):
    """Has no parameter that trains."""

    def __init__(self, **context):
        super().__init__(**context)
        self.requires_grad_(False)


def test_a_model_in_which_nothing_trains_is_told_as_such(tmp_path):
    with pytest.raises(ConfigError, match=r"nothing trains: neither tuner nor task\.head"):
        train_toy(tmp_path, parts={"head": Untrained, "tuner": Frozen})


class Vandal(CoPL):
    def step(self, pair, visual, audio):
        pair.visual.block.mlp.fc2.bias.data[0] += 1e-6
        return super().step(pair, visual, audio)


def test_a_frozen_parameter_that_changes_is_an_error(tmp_path):
    tuner = partial(Vandal, prompts={"global": partial(GlobalPrompts, length=2)})
    with pytest.raises(CoplError, match=r"changed what is frozen: encoders\.visual\."):
        train_toy(tmp_path, parts={"tuner": tuner})


class Drifts(CoPL):
    """Changes a buffer of the encoder at every step."""

    def __init__(self, *, buffer: str, **settings):
        super().__init__(**settings)
        self.buffer = buffer

    def step(self, pair, visual, audio):
        pair.visual.block.get_buffer(self.buffer).add_(1e-3)
        return super().step(pair, visual, audio)


@pytest.mark.parametrize("buffer", ["norm.running_mean", "norm.running_var", "window"])
def test_a_buffer_of_a_frozen_encoder_that_changes_is_an_error(monkeypatch, tmp_path, buffer):
    """The fingerprint of an encoder covers statistics; the window is in no state dict, and part of it none the less."""

    def with_buffers(**settings):
        encoder = tiny_swin(**settings)
        for part in encoder.blocks:
            part.block.norm = nn.BatchNorm1d(4)
            part.block.register_buffer("window", torch.hann_window(8), persistent=False)
        return encoder

    monkeypatch.setattr(engine_parts, "tiny_swin", with_buffers)
    tuner = partial(Drifts, buffer=buffer, prompts={"global": partial(GlobalPrompts, length=2)})
    with pytest.raises(CoplError, match=rf"changed what is frozen: encoders\.visual\..*{re.escape(buffer)}"):
        train_toy(tmp_path, parts={"tuner": tuner})


class FullDisk:
    """Lets the kernel refuse files of more than ``limit`` bytes in some of the calls of what writes."""

    def __init__(self, monkeypatch, broken, *, where=save, name="write_state", limit=2000):
        self.calls, self.broken, self.limit, self.write = 0, broken, limit, getattr(where, name)
        self.before = {}
        monkeypatch.setattr(where, name, self)

    def __call__(self, path, *rest):
        self.calls += 1
        if self.calls not in self.broken:
            return self.write(path, *rest)
        if path.is_dir():
            self.before = contents(path)
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (self.limit, hard))
        try:
            return self.write(path, *rest)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


class LargeHead(ToyHead):
    """Its file is larger than that of the prompts."""

    def __init__(self, **context):
        super().__init__(**context)
        self.register_buffer("table", torch.zeros(4000))


class TestFullDisk:
    def test_stops_with_the_last_good_state_intact(self, monkeypatch, tmp_path):
        whole = train_toy(tmp_path / "whole")
        with monkeypatch.context() as patch:
            FullDisk(patch, broken={3})
            with pytest.raises(CoplError, match=r"cannot write the resume state: .*File too large.*is intact"):
                train_toy(tmp_path / "cut")
        assert not list((tmp_path / "cut").glob(".*.tmp"))
        resumed = train_toy(tmp_path / "cut", resume=True)
        assert (resumed.export / "head.safetensors").read_bytes() == (whole.export / "head.safetensors").read_bytes()

    def test_goes_on_if_told_so(self, monkeypatch, tmp_path):
        whole = train_toy(tmp_path / "whole")
        FullDisk(monkeypatch, broken={2, 3})
        said = io.StringIO()
        result = train_toy(tmp_path / "run", on_save_error="continue", console=Console(file=said, width=200))
        assert said.getvalue().count("cannot write the resume state") == 2
        assert result.scores == whole.scores

    @pytest.mark.parametrize("on_save_error", ["stop", "continue"])
    def test_between_the_two_files_of_an_export_keeps_the_last_good_pair(self, on_save_error, monkeypatch, tmp_path):
        """The prompts of epoch 2 fit on the disk, its head does not."""
        disk = FullDisk(monkeypatch, {2}, where=engine, name="export_session", limit=8000)
        options = {"parts": {"head": LargeHead}, "on_save_error": on_save_error}
        if on_save_error == "stop":
            with pytest.raises(CoplError, match=r"cannot write the export: .*is intact"):
                train_toy(tmp_path, **options)
        else:
            assert train_toy(tmp_path, **options).epoch == 1
        assert disk.calls == 2
        assert disk.before.keys() == {"prompts.safetensors", "head.safetensors"}
        assert contents(tmp_path / "export") == disk.before


def test_a_kill_between_the_two_files_of_an_export_loses_nothing(monkeypatch, tmp_path):
    replace, heads = Path.replace, []

    def killed(path, target):
        heads.append(target) if target.name == "head.safetensors" else None
        if len(heads) == 2:
            raise KeyboardInterrupt
        return replace(path, target)

    whole = train_toy(tmp_path / "whole")
    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", killed)
        with pytest.raises(KeyboardInterrupt):
            train_toy(tmp_path / "cut")
    assert len(contents(tmp_path / "cut" / "export")) == 3
    resumed = train_toy(tmp_path / "cut", resume=True)
    assert contents(resumed.export) == contents(whole.export)
