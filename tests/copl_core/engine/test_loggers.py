"""TensorBoard and Weights & Biases: what they receive is what metrics.jsonl says."""

import json
import math
import struct
import sys
from types import SimpleNamespace

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from copl_core.api import ConfigError, CoplError
from copl_core.config import check_config, load_config
from copl_core.config.loggers import Loggers, TensorBoard, Wandb
from copl_core.engine.hooks import TensorBoardHook, WandbHook
from copl_core.engine.writing import Writer
from copl_core.plugins import get_table
from copl_core.registry import Registry

BOTH = "loggers={tensorboard: {interval: 1}, wandb: {mode: offline, interval: 2}}"
EXPERIMENT = SimpleNamespace(protocol="standard", source={"seed": 3})
WRITER = Writer("stop", print)


def curves(folder) -> dict[str, dict[int, float]]:
    """What TensorBoard shows: by name and step."""
    events = EventAccumulator(str(folder)).Reload()
    return {tag: {event.step: event.value for event in events.Scalars(tag)} for tag in events.Tags()["scalars"]}


def history(folder) -> dict[str, dict[int, float]]:
    """What an offline run of Weights & Biases holds, read from its log: LevelDB's format, after a header of 7 bytes."""
    from wandb.proto.wandb_internal_pb2 import Record

    (path,) = (folder / "wandb").glob("offline-run-*/run-*.wandb")
    content, position, found = path.read_bytes(), 7, {}
    while position + 7 <= len(content):
        assert position // 32768 == (position + 7) // 32768, "small runs fit one block"
        _, length, kind = struct.unpack("<IHB", content[position : position + 7])
        assert kind == 1, "each record is whole"
        record = Record.FromString(content[position + 7 : position + 7 + length])
        position += 7 + length
        for item in record.history.item:
            name = item.key or "/".join(item.nested_key)
            found.setdefault(name, {})[record.history.step.num] = json.loads(item.value_json)
    return found


@pytest.fixture
def quiet_wandb(monkeypatch, tmp_path):
    """No lines on the console, nothing in the home folder."""
    monkeypatch.setenv("WANDB_SILENT", "true")
    for kind in ("CONFIG", "CACHE", "DATA"):
        monkeypatch.setenv(f"WANDB_{kind}_DIR", str(tmp_path / "wandb-home"))


def test_both_receive_losses_rates_and_scores(run, quiet_wandb):
    result, folder = run(BOTH)
    rows = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    losses = [row["loss"] for row in rows if row["split"] == "train"]
    scores = [row["val/mIoU"] for row in rows if row["split"] == "val"]

    shown = curves(folder / "tensorboard")
    per_epoch = len(shown["train/loss"]) // 2
    means = [sum(shown["train/loss"][epoch * per_epoch + step + 1] for step in range(per_epoch)) / per_epoch
             for epoch in range(2)]  # fmt: skip
    assert means == pytest.approx(losses, rel=1e-5)
    assert shown["val/mIoU"] == pytest.approx({per_epoch: scores[0], 2 * per_epoch: scores[1]})
    assert shown["final/test/mIoU"] == pytest.approx({2 * per_epoch: result.scores["mIoU"]})
    assert {"lr/prompts", "lr/head", "train/loss_mask", "train/loss_consistency"} <= set(shown)

    sent = history(folder)
    assert sent["train/loss"] == pytest.approx({step: shown["train/loss"][step] for step in (2, 4)}, rel=1e-6)
    assert sent["val/mIoU"] == pytest.approx(shown["val/mIoU"])
    assert sent["final/test/mIoU"] == pytest.approx(shown["final/test/mIoU"])
    assert (folder / "wandb.id").read_text().strip() in str(*(folder / "wandb").glob("offline-run-*"))

    # A resumed run may leave them out: they are no part of what is learned.
    again, _ = run(work_dir=folder, resume=True)
    assert again.scores == result.scores


def test_rates_are_those_that_the_step_was_taken_with(run, experiment):
    options = ("schedule.epochs=2", "schedule.lr_schedule=cosine")
    _, folder = run("loggers={tensorboard: {interval: 1}}", *options)
    rate = experiment(*options)[0].schedule.head_lr
    shown = curves(folder / "tensorboard")["lr/head"]
    steps = len(shown)
    expected = {step: rate * (1 + math.cos(math.pi * (step - 1) / steps)) / 2 for step in range(1, steps + 1)}
    assert shown == pytest.approx(expected, rel=1e-5)


def test_a_resumed_run_draws_no_point_twice(tmp_path):
    for start, end in ((0, 7), (4, 6)):
        hook = TensorBoardHook(TensorBoard(interval=1), EXPERIMENT, tmp_path, WRITER)
        hook.before_train(SimpleNamespace(iter=start))
        for step in range(start, end):
            hook.after_val_epoch(SimpleNamespace(iter=step + 1), {"val/x": float(step + start)})
        if start:
            hook.after_test(SimpleNamespace())
    # Steps 5 and 6 are those of the second start; step 7, which it has not come to, is gone.
    assert curves(tmp_path / "tensorboard") == {"val/x": {1: 0, 2: 1, 3: 2, 4: 3, 5: 8, 6: 9}}


def test_another_protocol_marks_every_curve(tmp_path):
    marked = SimpleNamespace(protocol="paper_compat", source={})
    hook = TensorBoardHook(TensorBoard(), marked, tmp_path, WRITER)
    runner = SimpleNamespace(iter=5)
    hook.before_train(runner)
    hook.after_val_epoch(runner, {"test/mIoU": 0.5})
    hook.after_test_epoch(runner, {"test/mIoU": 0.25})
    hook.after_test(runner)
    assert curves(tmp_path / "tensorboard") == {
        "paper_compat/test/mIoU": {5: 0.5},
        "paper_compat/final/test/mIoU": {5: 0.25},
    }


class FakeWandb:
    """The part of the service's interface that is used, with a run that already has seven steps."""

    class Error(Exception):
        pass

    def __init__(self, error: str = "") -> None:
        self.error = error
        self.started: list[dict] = []
        self.logged: list[tuple] = []
        self.id, self.step, self.finished = "abc", 7, 0

    def init(self, **settings):
        if self.error:
            raise self.Error(self.error)
        self.started.append(settings)
        return self

    def log(self, values, step):
        self.logged.append((step, values))

    def finish(self):
        self.finished += 1


def test_a_resumed_run_goes_on_there_and_sends_nothing_twice(tmp_path, monkeypatch):
    service = FakeWandb()
    monkeypatch.setitem(sys.modules, "wandb", service)
    (tmp_path / "wandb.id").write_text("abc\n")
    hook = WandbHook(Wandb(project="p", entity="team"), EXPERIMENT, tmp_path, WRITER)
    hook.before_train(SimpleNamespace(iter=4))
    for step in (5, 7, 8):
        hook.after_val_epoch(SimpleNamespace(iter=step), {"val/x": float(step)})
    hook.after_test(SimpleNamespace())
    (settings,) = service.started
    assert (settings["id"], settings["resume"], settings["project"], settings["entity"]) == (
        "abc",
        "allow",
        "p",
        "team",
    )
    assert settings["config"] == EXPERIMENT.source
    assert service.logged == [(7, {"val/x": 7.0}), (8, {"val/x": 8.0})]
    assert service.finished == 1


def test_a_new_run_in_an_old_folder_is_a_new_run_there(tmp_path, monkeypatch):
    service = FakeWandb()
    monkeypatch.setitem(sys.modules, "wandb", service)
    (tmp_path / "wandb.id").write_text("old\n")
    WandbHook(Wandb(), EXPERIMENT, tmp_path, WRITER).before_train(SimpleNamespace(iter=0))
    assert service.started[0]["id"] is None
    assert (tmp_path / "wandb.id").read_text() == "abc\n"


def test_a_service_that_refuses_is_one_message(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "wandb", FakeWandb("no API key"))
    with pytest.raises(CoplError, match=r"loggers.wandb: no API key\n.*offline"):
        WandbHook(Wandb(), EXPERIMENT, tmp_path, WRITER).before_train(SimpleNamespace(iter=0))


def test_other_ranks_send_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr("copl_core.engine.hooks.scalars.rank", lambda: 1)
    monkeypatch.setattr("copl_core.engine.writing.rank", lambda: 1)
    hook = TensorBoardHook(TensorBoard(interval=1), EXPERIMENT, tmp_path, WRITER)
    hook.before_train(SimpleNamespace(iter=0))
    hook.after_val_epoch(SimpleNamespace(iter=1), {"val/x": 1.0})
    hook.after_test(SimpleNamespace())
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("on_error", ["stop", "continue"])
def test_a_full_disk_stops_or_not_as_configured(tmp_path, monkeypatch, on_error):
    told: list[str] = []
    hook = TensorBoardHook(TensorBoard(), EXPERIMENT, tmp_path, Writer(on_error, told.append))
    hook.before_train(SimpleNamespace(iter=0))
    full = OSError(28, "No space left on device")
    monkeypatch.setattr(hook.events, "flush", lambda: (_ for _ in ()).throw(full))
    if on_error == "stop":
        with pytest.raises(CoplError, match=r"cannot write the curves for TensorBoard: .*No space left"):
            hook.after_val_epoch(SimpleNamespace(iter=1), {"val/x": 1.0})
    else:
        hook.after_val_epoch(SimpleNamespace(iter=1), {"val/x": 1.0})
        assert "training goes on" in told[0]


def test_a_missing_package_is_told_before_anything_is_built(run, monkeypatch, tmp_path):
    monkeypatch.setattr("copl_core.config.loggers.find_spec", lambda name: None)
    with pytest.raises(
        ConfigError, match=r"tensorboard and wandb not installed: pip install 'copl\[tensorboard,wandb\]'"
    ):
        run(BOTH, "task.dataset.root=/nowhere")
    assert list(tmp_path.iterdir()) == []
    Loggers().check_installed()


def test_the_block_is_checked(repository):
    def problems(block: str) -> str:
        config = load_config(repository / "configs/demo/avs_swin_nano_shared.yaml", [f"loggers={block}"])
        with pytest.raises(ConfigError) as error:
            check_config(config, Registry(get_table()), "x")
        return str(error.value)

    assert "did you mean 'tensorboard'" in problems("{tensorbord: {}}")
    assert "loggers.tensorboard: interval must be at least 1, got 0" in problems("{tensorboard: {interval: 0}}")
    assert "loggers.wandb.mode: expected one of 'online', 'offline'" in problems("{wandb: {mode: disabled}}")
