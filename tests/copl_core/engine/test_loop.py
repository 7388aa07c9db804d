"""Steps of the optimizer: accumulation, moving average, precision."""

from functools import partial

import pytest
import torch
from safetensors.torch import load_file

from copl_core.config import Compute
from copl_core.engine.loaders import StepSampler
from copl_core.engine.loop import TrainLoop
from engine_parts import ToyHead, train_toy

PLAIN = {"head": partial(ToyHead, dropout=0.0, norm=False)}


@pytest.fixture
def steps(monkeypatch):
    """Of each step: its rate, and what is trained after it."""
    seen, run_step = [], TrainLoop.run_step

    def wrapped(loop, batches):
        rate = loop.runner.optim_wrapper.param_groups[0]["lr"]
        run_step(loop, batches)
        seen.append((rate, {name: p.detach().clone() for name, p in loop.runner.trained.items()}))

    monkeypatch.setattr(TrainLoop, "run_step", wrapped)
    return seen


def tensors(folder):
    files = ("prompts.safetensors", "head.safetensors")
    return {name: tensor for file in files for name, tensor in load_file(folder / "export" / file).items()}


def test_accumulated_batches_equal_one_large_batch(steps, tmp_path):
    """11 clips: the last step has 3, in batches of 2 and 1, each weighted by its clips."""
    train_toy(tmp_path / "small", batch_size=2, accumulate=2, parts=PLAIN)
    small = steps[:]
    steps.clear()
    train_toy(tmp_path / "large", batch_size=4, parts=PLAIN)
    assert len(small) == len(steps) == 6
    for (rate, ours), (expected_rate, expected) in zip(small, steps, strict=True):
        assert rate == expected_rate
        for name in expected:
            assert torch.allclose(ours[name], expected[name], rtol=1e-5, atol=1e-6), name


def test_the_export_holds_the_moving_average(steps, tmp_path):
    """By the formula, over the parameters of each step; the training itself is the same as without."""
    train_toy(tmp_path / "with", ema=0.3)
    averaged, steps[:] = steps[:], []
    train_toy(tmp_path / "without")
    expected = None
    for number, ((_, ours), (_, plain)) in enumerate(zip(averaged, steps, strict=True), start=1):
        decay = min(0.3, (1 + number) / (10 + number))
        expected = expected or initial(ours)
        for name in plain:
            assert torch.equal(ours[name], plain[name])
            expected[name] = decay * expected[name] + (1 - decay) * ours[name]
    exported = tensors(tmp_path / "with")
    assert torch.allclose(exported["classify.weight"], expected["head.classify.weight"], rtol=1e-4, atol=1e-6)
    assert not torch.allclose(exported["classify.weight"], steps[-1][1]["head.classify.weight"], rtol=1e-4, atol=1e-6)


def initial(like):
    """The parameters before the first step."""
    from engine_parts import toy_experiment, toy_session

    start = dict(toy_session(toy_experiment()).model.trained())
    assert start.keys() == like.keys()
    return {name: parameter.detach().clone() for name, parameter in start.items()}


@pytest.mark.parametrize("ranks", [1, 2, 3])
@pytest.mark.parametrize("accumulate", [1, 2])
@pytest.mark.parametrize("size", [1, 5, 12, 13])
def test_every_clip_is_read_once_by_one_rank(size, accumulate, ranks):
    samplers = [
        StepSampler(size, batch_size=2, accumulate=accumulate, shuffle=True, seed=1, rank=rank, ranks=ranks)
        for rank in range(ranks)
    ]
    read = [list(sampler) for sampler in samplers]
    assert {len(batches) for batches in read} == {len(samplers[0])}
    assert sorted(index for batches in read for batch in batches for _, index in batch) == list(range(size))
    for step in range(samplers[0].steps):
        for sampler, whole in zip(samplers, read, strict=True):
            sampler.start_at(0, step)
            assert list(sampler) == whole[step * accumulate :]
            count = sampler.batches(step)
            taken = sum(len(batch) for batches in read for batch in batches[step * accumulate :][:count])
            assert taken == sampler.clips(step)


def test_bf16_trains_near_fp32_on_the_cpu(steps, tmp_path):
    train_toy(tmp_path / "full", parts=PLAIN, epochs=1)
    full, steps[:] = steps[-1][1], []
    train_toy(tmp_path / "lower", parts=PLAIN | {"compute": Compute(precision="bf16")}, epochs=1)
    difference = [(steps[-1][1][name] - full[name]).norm() / full[name].norm() for name in full]
    assert 0 < max(difference) < 0.3


@pytest.mark.cuda
@pytest.mark.parametrize("precision", ["fp32", "bf16", "fp16"])
def test_cuda_resumes_to_the_same_bits(precision, tmp_path):
    options = {"device": "cuda", "lr_schedule": "constant"}
    options["parts"] = {"compute": Compute(precision=precision, deterministic=True)}
    train_toy(tmp_path / "cut", epochs=1, **options)
    train_toy(tmp_path / "cut", epochs=2, resume=True, extend="stretch", **options)
    train_toy(tmp_path / "whole", epochs=2, **options)
    cut = tensors(tmp_path / "cut")
    for name, tensor in tensors(tmp_path / "whole").items():
        assert torch.equal(tensor, cut[name]), name
