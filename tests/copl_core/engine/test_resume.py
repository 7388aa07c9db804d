"""A run that ends early goes on as if nothing had happened; what would make it another run is refused."""

import io
import math
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from rich.console import Console

import engine_parts
from copl_core.api import ConfigError, DataError, WeightsError
from copl_core.cli.main import main
from copl_core.engine.hooks import BestExport
from copl_core.engine.loop import TrainLoop
from copl_core.engine.resume import PREVIOUS_FILE, RESUME_FILE, read_latest, read_state, write_state
from copl_core.engine.stop import StoppedError
from engine_parts import train_toy
from helpers import tiny_swin

FILES = ("export/prompts.safetensors", "export/head.safetensors", "metrics.jsonl", "results.json")


def same(first, second):
    return all((first / name).read_bytes() == (second / name).read_bytes() for name in FILES)


@pytest.fixture
def at_step(monkeypatch):
    """Have something done before a step of a run, once."""

    def install(number, action):
        run_step, left = TrainLoop.run_step, [action]

        def wrapped(loop, batches):
            if loop.iter == number and left:
                left.pop()()
            run_step(loop, batches)

        monkeypatch.setattr(TrainLoop, "run_step", wrapped)

    return install


@pytest.fixture
def stopped(at_step, tmp_path):
    """A run that SIGTERM ended in step 8 of 12, the second of epoch 2; returns its folder."""
    at_step(7, lambda: os.kill(os.getpid(), signal.SIGTERM))
    with pytest.raises(StoppedError):
        train_toy(tmp_path / "stopped", save_every=1)
    return tmp_path / "stopped"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("step", [0, 5, 7])
def test_a_signal_saves_at_the_next_step(number, step, at_step, tmp_path):
    before = signal.getsignal(number)
    at_step(step, lambda: os.kill(os.getpid(), number))
    with pytest.raises(StoppedError, match="--resume") as error:
        train_toy(tmp_path / "cut")
    assert error.value.signal == number
    assert signal.getsignal(number) is before
    state = read_state(tmp_path / "cut" / RESUME_FILE)
    assert 6 * state["epoch"] + state["step"] == step + 1
    train_toy(tmp_path / "whole")
    train_toy(tmp_path / "cut", resume=True)
    assert same(tmp_path / "cut", tmp_path / "whole")


def test_the_state_is_small_and_holds_plain_values(tmp_path):
    train_toy(tmp_path, ema=0.9)
    state = torch.load(tmp_path / RESUME_FILE, weights_only=True)
    assert set(state["raw"]) == {name for name in state["raw"] if name.startswith(("tuner.", "head."))}
    trained = sum(tensor.numel() for part in state["trained"].values() for tensor in part.values())
    # Parameters, their average, two moments; the encoder's 25,000 parameters would be 100 kB more.
    assert (tmp_path / RESUME_FILE).stat().st_size < 4 * 4 * trained + 40_000


def cut_short(path):
    path.write_bytes(path.read_bytes()[:-1000])


def flip_a_bit(path):
    content = bytearray(path.read_bytes())
    content[content.find(b"head") + 2000] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize("damage", [cut_short, lambda path: path.unlink()])
def test_a_damaged_state_is_replaced_by_the_one_before(damage, stopped, tmp_path):
    damage(stopped / RESUME_FILE)
    said = io.StringIO()
    train_toy(stopped, resume=True, save_every=1, console=Console(file=said, width=300))
    assert "resuming from the state before it, resume.previous.pt: epoch 2, after step 1" in said.getvalue()
    train_toy(tmp_path / "whole")
    assert same(stopped, tmp_path / "whole")


def test_a_flipped_bit_is_found(stopped):
    flip_a_bit(stopped / RESUME_FILE)
    with pytest.raises(WeightsError, match="cannot read the resume state"):
        read_state(stopped / RESUME_FILE)


def test_a_kill_in_the_first_save_after_that_still_leaves_a_good_state(stopped, tmp_path, monkeypatch):
    """The damaged file must not take the place of the good one when the next state is about to replace it."""
    cut_short(stopped / RESUME_FILE)
    replace = Path.replace

    def killed(path, target):
        if target.name == RESUME_FILE:
            raise KeyboardInterrupt
        return replace(path, target)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", killed)
        with pytest.raises(KeyboardInterrupt):
            train_toy(stopped, resume=True, save_every=1)
    state, told = read_latest(stopped)
    assert (state["epoch"], state["step"]) == (1, 1)
    assert "resume.pt is missing" in told
    assert (stopped / "resume.damaged.pt").exists()
    train_toy(stopped, resume=True, save_every=1)
    train_toy(tmp_path / "whole")
    assert same(stopped, tmp_path / "whole")


FOREIGN = {
    "a list": ([1, 2], "it is no resume state of copl"),
    "a dictionary": ({"state_dict": {}}, "it is no resume state of copl"),
    "another version": ({"format": "copl.resume", "format_version": 2}, "it has format version 2, this copl reads 1"),
    "a state without an epoch": ({"format": "copl.resume", "format_version": 1}, "epoch is missing"),
}


@pytest.mark.parametrize("case", FOREIGN)
def test_what_is_no_state_of_ours_is_told_as_such(case, stopped, tmp_path, capsys):
    content, told = FOREIGN[case]
    for name in (RESUME_FILE, PREVIOUS_FILE):
        torch.save(content, stopped / name)
    with pytest.raises(WeightsError, match=f"cannot read the resume state .*: {told}"):
        train_toy(stopped, resume=True)
    for path in (stopped, stopped / RESUME_FILE):
        assert main(["export", str(path), str(tmp_path / "out")]) == 2
        assert told in capsys.readouterr().err


def test_a_part_of_a_state_that_is_of_another_type_is_named(stopped):
    state = read_state(stopped / RESUME_FILE)
    state["extra"]["metrics"]["rows"] = 3
    torch.save(state, stopped / RESUME_FILE)
    with pytest.raises(WeightsError, match=r"extra\.metrics\.rows is of type int"):
        read_state(stopped / RESUME_FILE)


def test_an_optimizer_of_other_code_is_told(stopped):
    state = read_state(stopped / RESUME_FILE)
    for content in ({}, {**state["optimizer"], "param_groups": []}):
        write_state(stopped / RESUME_FILE, {**state, "optimizer": content})
        with pytest.raises(WeightsError, match="does not fit the model that its config builds now"):
            train_toy(stopped, resume=True, save_every=1)


def test_an_error_without_a_word_is_told_by_its_name(stopped, monkeypatch):
    def wordless(*arguments, **options):
        raise EOFError

    monkeypatch.setattr(torch, "load", wordless)
    with pytest.raises(WeightsError, match=r"cannot read the resume state .*: EOFError"):
        read_state(stopped / RESUME_FILE)


def test_two_damaged_states_are_an_error(stopped):
    for name in (RESUME_FILE, PREVIOUS_FILE):
        cut_short(stopped / name)
    with pytest.raises(WeightsError, match="cannot read the resume state"):
        train_toy(stopped, resume=True)


def test_a_state_with_code_is_refused(stopped):
    class Evil:
        def __reduce__(self):
            return os.system, ("touch owned",)

    for name in (RESUME_FILE, PREVIOUS_FILE):
        torch.save({"epoch": Evil()}, stopped / name)
    with pytest.raises(WeightsError, match="cannot read the resume state"):
        train_toy(stopped, resume=True)
    assert not (stopped / "owned").exists()


def test_leftovers_of_a_killed_run_are_removed(stopped):
    (stopped / ".resume.pt.123.tmp").write_bytes(b"half")
    (stopped / "export" / ".prompts.safetensors.123.tmp").write_bytes(b"half")
    train_toy(stopped, resume=True, save_every=1)
    assert not list(stopped.rglob(".*"))


def test_what_would_make_it_another_run_is_refused(stopped):
    with pytest.raises(ConfigError, match=r"differ: schedule\.head_lr \(0\.01, now 0\.001\), schedule\.val_int"):
        train_toy(stopped, resume=True, head_lr=1e-3, val_interval=2)


def test_other_data_is_refused_before_anything_is_written(stopped, monkeypatch):
    before = {path.name: path.read_bytes() for path in stopped.iterdir() if path.is_file()}
    monkeypatch.setitem(engine_parts.SIZES, "train", 9)
    with pytest.raises(DataError, match="11 clips then, now 9"):
        train_toy(stopped, resume=True, save_every=1)
    assert {path.name: path.read_bytes() for path in stopped.iterdir() if path.is_file()} == before


def test_a_default_that_is_written_is_no_difference(stopped, tmp_path):
    train_toy(stopped, resume=True, accumulate=1, optimizer="adam", ema=None)
    train_toy(tmp_path / "whole")
    assert same(stopped, tmp_path / "whole")


def test_a_default_that_has_changed_is_one(stopped):
    """As if the run had begun with a version whose default was AdamW."""
    state = read_state(stopped / RESUME_FILE)
    state["extra"]["settings"]["schedule.optimizer"] = "adamw"
    write_state(stopped / RESUME_FILE, state)
    with pytest.raises(ConfigError, match=r"these parts differ: schedule\.optimizer \('adamw', now 'adam'\)"):
        train_toy(stopped, resume=True)


def test_workers_and_saving_may_change(stopped, tmp_path):
    train_toy(stopped, resume=True, save_every=3, workers=1)
    train_toy(tmp_path / "whole")
    assert same(stopped, tmp_path / "whole")


def test_other_encoder_weights_are_refused(stopped, monkeypatch):
    monkeypatch.setattr(engine_parts, "tiny_swin", lambda **options: tiny_swin(seed=5, **options))
    with pytest.raises(WeightsError, match="other encoder weights"):
        train_toy(stopped, resume=True, save_every=1)


def end_in_epoch_2(hook, epoch, metrics, offer=BestExport.offer):
    if epoch == 2:
        raise KeyboardInterrupt
    offer(hook, epoch, metrics)


class TestMoreEpochs:
    """A run of 6 steps and a cosine to zero, resumed with 3 epochs: 12 steps more."""

    @pytest.fixture
    def rates(self, monkeypatch, tmp_path):
        train_toy(tmp_path, epochs=1)
        run_step, seen = TrainLoop.run_step, []

        def wrapped(loop, batches):
            seen.append(loop.runner.optim_wrapper.param_groups[0]["lr"])
            run_step(loop, batches)

        monkeypatch.setattr(TrainLoop, "run_step", wrapped)
        return seen

    def test_are_refused_unless_told_how(self, rates, tmp_path):
        with pytest.raises(ConfigError, match=r"planned for 1 epochs, now for 3; say how(.|\n)*--extend stretch"):
            train_toy(tmp_path, epochs=3, resume=True)

    def test_fewer_are_refused(self, tmp_path):
        train_toy(tmp_path, epochs=2)
        with pytest.raises(ConfigError, match="can't become shorter"):
            train_toy(tmp_path, epochs=1, resume=True)

    def test_stretch_follows_the_longer_plan(self, rates, tmp_path):
        train_toy(tmp_path, epochs=3, resume=True, extend="stretch")
        assert rates == pytest.approx([1e-2 * (1 + math.cos(math.pi * t / 18)) / 2 for t in range(6, 18)])

    def test_restart_begins_anew(self, rates, tmp_path):
        train_toy(tmp_path, epochs=3, resume=True, extend="restart")
        assert rates == pytest.approx([1e-2 * (1 + math.cos(math.pi * t / 12)) / 2 for t in range(12)])

    def test_restart_needs_more_steps_than_its_warm_up(self, tmp_path, monkeypatch):
        """Killed in the last validation: epoch 2 of 2 is trained, but not finished."""
        options = {"warmup_epochs": 1, "resume": True}
        with monkeypatch.context() as patch:
            patch.setattr(BestExport, "offer", end_in_epoch_2)
            with pytest.raises(KeyboardInterrupt):
                train_toy(tmp_path, **options)
        with pytest.raises(ConfigError, match=r"6 steps are left, no more than the 6 of schedule\.warmup_epochs"):
            train_toy(tmp_path, epochs=3, extend="restart", **options)
        assert train_toy(tmp_path, epochs=4, extend="restart", **options).scores["clips"] == 5

    def test_an_extended_run_resumes_too(self, rates, at_step, tmp_path):
        at_step(10, lambda: os.kill(os.getpid(), signal.SIGTERM))
        with pytest.raises(StoppedError):
            train_toy(tmp_path, epochs=3, resume=True, extend="restart")
        train_toy(tmp_path, epochs=3, resume=True, extend="restart")  # the same command
        assert rates == pytest.approx([1e-2 * (1 + math.cos(math.pi * t / 12)) / 2 for t in range(12)])


GROUP = """
import sys
from pathlib import Path
from copl_core.engine.loop import TrainLoop
from copl_core.engine.stop import StoppedError
from engine_parts import train_toy
run_step = TrainLoop.run_step
def wrapped(loop, batches):
    run_step(loop, batches)
    print("step", flush=True)
TrainLoop.run_step = wrapped
try:
    train_toy(Path(sys.argv[1]), workers=2, epochs=1000)
except StoppedError as stopped:
    sys.exit(128 + stopped.signal)
"""


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_workers_that_get_the_signal_too_do_not_spoil_it(number, repository, tmp_path):
    """Slurm signals every process of a step, a terminal every process of the foreground."""
    paths = f"{repository}{os.pathsep}{repository / 'tests'}"
    process = subprocess.Popen(
        [sys.executable, "-c", GROUP, str(tmp_path)],
        env=os.environ | {"PYTHONPATH": paths, "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    for _ in range(3):
        assert process.stdout.readline() == "step\n"
    os.killpg(process.pid, number)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 128 + number, errors
    assert "Traceback" not in errors
    assert read_state(tmp_path / RESUME_FILE)["epoch"] < 999
