"""Two ranks on the CPU: the same training as one rank with twice the batch, exactly measured, and resumable."""

import json
import signal
from functools import partial

import pytest
import torch
from safetensors.torch import load_file

from copl_core.engine.loaders import StepSampler
from dist_parts import TOLD, run_ranks
from engine_parts import Detached, Idle, NotFinite, ToyHead, UnreadableClips, train_toy

pytestmark = pytest.mark.dist

FILES = ("prompts.safetensors", "head.safetensors")
#: Dropout differs between ranks; without it, two ranks and one compute the same.
PLAIN = {"parts": {"head": partial(ToyHead, dropout=0.0)}}
#: Adam divides by a gradient however small it is, rounding included, so a hundredth of a step may differ: steps are small.
SMALL_STEPS = {"prompt_lr": 1e-3, "head_lr": 1e-3}
#: The clips in the order of the first epoch.
EPOCH = [index for batch in StepSampler(11, batch_size=11, shuffle=True, seed=0) for _, index in batch]


def tensors(folder):
    return {name: t for file in FILES for name, t in load_file(folder / "export" / file).items()}


def rows(folder):
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


def moments(folder):
    """Adam's: sums over the gradients of all steps, and over their squares."""
    state = torch.load(folder / "resume.pt", weights_only=True)["optimizer"]["state"]
    return {(number, name): of[name] for number, of in state.items() for name in ("exp_avg", "exp_avg_sq")}


def assert_same_training(first, second):
    """Two trainings took the same steps, but for the order of their additions."""
    ours, theirs = moments(first), moments(second)
    assert ours.keys() == theirs.keys()
    for key, moment in theirs.items():
        assert (ours[key] - moment).abs().max() <= 2e-4 * moment.abs().max(), key
    ours, theirs = tensors(first), tensors(second)
    assert ours.keys() == theirs.keys()
    for name, tensor in theirs.items():
        assert torch.allclose(ours[name].double(), tensor.double(), rtol=1e-5, atol=1e-5), name
    for row, other in zip(rows(first), rows(second), strict=True):
        assert row.pop("split") == other.pop("split")
        assert row == pytest.approx(other, rel=1e-5, abs=1e-5)


@pytest.mark.parametrize("accumulate", [1, 2])
def test_two_ranks_equal_one_with_twice_the_batch(accumulate, tmp_path):
    """11 clips, 4 (or 8) a step: the last step has 3, of which the ranks read 2 and 1; batch norm sees all of them."""
    codes = run_ranks(2, tmp_path / "two", batch_size=2, accumulate=accumulate, **PLAIN, **SMALL_STEPS)
    assert codes == [0, 0]
    train_toy(tmp_path / "one", batch_size=4, accumulate=accumulate, **PLAIN, **SMALL_STEPS)
    assert_same_training(tmp_path / "two", tmp_path / "one")


def test_scores_count_every_clip_once(tmp_path):
    """5 clips over 2 ranks in batches of 2: shares of 2 and 1, and none padded."""
    assert run_ranks(2, tmp_path, epochs=1) == [0, 0]
    assert rows(tmp_path)[-1]["val/clips"] == 5


@pytest.mark.parametrize(
    ("unreadable", "accumulate", "batch_size"),
    [
        ([], 1, 5),  # 10 clips a step: the last one has a single clip, and rank 1 none
        (EPOCH[0:4], 2, 2),  # nobody can read a clip of the first batch
        (EPOCH[4:8], 2, 2),  # nor of the last batch of a step, in which the ranks exchange their gradients
        ([*EPOCH[2:4], EPOCH[8]], 1, 2),  # rank 1 can read nothing of the first batch, rank 0 half of the last one
        (EPOCH[0:8], 2, 2),  # nor of a whole step
    ],
)
def test_a_rank_without_a_clip_changes_nothing(unreadable, accumulate, batch_size, tmp_path):
    """Batch norm, its running statistics and the weight of each clip are those of one rank with all the clips."""
    parts = PLAIN["parts"] | {"dataset": partial(UnreadableClips, clips=unreadable)}
    options = {"epochs": 1, "accumulate": accumulate, "parts": parts, **SMALL_STEPS}
    assert run_ranks(2, tmp_path / "two", batch_size=batch_size, **options) == [0, 0]
    train_toy(tmp_path / "one", batch_size=2 * batch_size, **options)
    assert_same_training(tmp_path / "two", tmp_path / "one")


@pytest.mark.parametrize(
    ("parts", "told"),
    [
        ({"dataset": partial(UnreadableClips, clips=range(11))}, "no clip of the training split can be read"),
        ({"head": NotFinite}, "epoch 1, step 1: the loss is not finite: loss_task=nan; clips: train-"),
        ({"head": Detached}, "epoch 1, step 1: no loss depends on what trains: loss_task"),
        ({"head": Idle}, "epoch 1, step 1: these trained parameters got no gradient: head.unused.weight"),
    ],
)
def test_what_all_ranks_find_is_told_by_one(parts, told, tmp_path):
    assert run_ranks(2, tmp_path, parts=parts) == [1, 2]
    assert (tmp_path / "told-0.txt").read_text().startswith(told)
    assert not (tmp_path / "told-1.txt").exists()


def test_ranks_draw_different_dropout_masks(tmp_path):
    """With the same masks, two ranks with the same clip would do what one rank does; here they must not."""
    assert run_ranks(2, tmp_path / "two", epochs=1, batch_size=2) == [0, 0]
    train_toy(tmp_path / "one", epochs=1, batch_size=4)
    two, one = (tensors(tmp_path / name)["classify.weight"] for name in ("two", "one"))
    assert not torch.allclose(two, one)


@pytest.mark.parametrize(("number", "codes"), [(signal.SIGKILL, [TOLD, -9]), (signal.SIGTERM, [143, 143])])
def test_a_run_ended_on_one_rank_resumes_to_the_same_bytes(number, codes, tmp_path):
    options = {"ema": 0.9, "save_every": 2}
    assert run_ranks(2, tmp_path / "whole", **options) == [0, 0]
    assert run_ranks(2, tmp_path / "cut", ended_by=number, after_step=3, **options) == codes
    assert not (tmp_path / "cut" / "results.json").exists()
    assert run_ranks(2, tmp_path / "cut", resume=True, **options) == [0, 0]
    for name in (*(f"export/{file}" for file in FILES), "metrics.jsonl", "results.json"):
        assert (tmp_path / "cut" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes(), name


def test_a_run_of_two_ranks_is_not_resumed_by_one(tmp_path):
    from copl_core.api import ConfigError

    assert run_ranks(2, tmp_path, epochs=1) == [0, 0]
    with pytest.raises(ConfigError, match=r"trained by 2 processes, this start has 1"):
        train_toy(tmp_path, epochs=1, resume=True)
