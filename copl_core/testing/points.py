"""The points of anything that trains: what it computes, and what is trained in it."""

from collections.abc import Mapping, Sequence
from fnmatch import fnmatch

import torch
from torch import Tensor, nn

from copl_core.testing.report import Failure, some
from copl_core.testing.stand_ins import CLIPS
from copl_core.testing.tensors import changed, map_tensors
from copl_core.testing.trial import Shape, Trial, build, disturbed, expect_equal, objective, run

#: Seeds tried until a gradient has reached every parameter: a rectifier may be silent for one of them.
_SEEDS = range(3)


def check_outputs(trial: Trial, module: nn.Module) -> None:
    """Outputs are tensors of the shapes they should have, in float32 like the inputs, and finite."""
    outputs = run(trial, module, trial.inputs(CLIPS))
    for name, output in outputs.items():
        if not isinstance(output, Tensor):
            raise Failure(f"expected {name} to be a tensor, got {type(output).__name__}")
        wanted = trial.shapes.get(name)
        if wanted is not None and not _fits(output, wanted):
            raise Failure(
                f"expected {name} of shape {_show_shape(wanted)}, got {_show_shape(output.shape)}; return what the "
                "contract of its kind says"
            )
        if not output.is_floating_point():
            continue
        if output.dtype != torch.float32:
            raise Failure(f"expected {name} in float32 as the inputs are, got {output.dtype}; keep the inputs' dtype")
        if not output.isfinite().all():
            raise Failure(f"expected finite numbers, {name} has NaN or infinity; check divisions and logarithms")


def _fits(output: Tensor, wanted: Shape) -> bool:
    return output.ndim == len(wanted) and all(
        size is None or (here in size if isinstance(size, tuple) else here == size)
        for here, size in zip(output.shape, wanted, strict=True)
    )


def _show_shape(shape: Sequence[int | tuple[int, ...] | None]) -> str:
    sizes = ["any" if n is None else " or ".join(map(str, n)) if isinstance(n, tuple) else str(n) for n in shape]
    return f"({', '.join(sizes)})"


def check_seed(trial: Trial, _: nn.Module) -> None:
    """Equal seeds of torch's generator give equal initial values."""
    first, second = (build(trial, seed=3).state_dict() for _ in range(2))
    unequal = [name for name in first if name not in second or not torch.equal(first[name], second[name])]
    if unequal:
        raise Failure(
            f"expected equal tensors from equal seeds, two builds differ in {some(unequal)}; draw initial values "
            "from torch's generator only"
        )


def check_determinism(trial: Trial, module: nn.Module) -> None:
    """Two runs in evaluation mode give the same."""
    inputs = trial.inputs(CLIPS)
    expect_equal(
        run(trial, module, inputs),
        run(trial, module, inputs),
        "expected equal outputs of two runs in evaluation mode",
        "draw random numbers, and update buffers, in training mode only",
    )


def check_inputs(trial: Trial, module: nn.Module) -> None:
    """The inputs are as they were before."""
    inputs = trial.inputs(CLIPS)
    before = map_tensors(inputs, torch.clone)
    run(trial, module, inputs)
    if changed(before, inputs):
        raise Failure("expected the inputs as they were, they have been changed; don't compute in place on them")


def check_batch_of_one(trial: Trial, module: nn.Module) -> None:
    """A clip alone gives what it gives among others; scalars over the batch are left out."""
    both, one = run(trial, module, trial.inputs(CLIPS)), run(trial, module, trial.inputs(1))
    alone = {name: output for name, output in one.items() if output.ndim}
    expect_equal(
        {name: both[name][: len(output)] for name, output in alone.items()},
        alone,
        "expected a clip alone to give what it gives among others (evaluation mode)",
        "let clips not see each other, and keep the batch dimension when B is 1",
    )


def check_gradient(trial: Trial, _: nn.Module) -> None:
    """Every trained parameter gets a gradient, from one seed or another; nothing frozen gets one or changes."""
    missing: set[str] = set()
    for seed in _SEEDS:
        module = disturbed(trial, seed).train()
        trained = {name: parameter for name, parameter in module.named_parameters() if parameter.requires_grad}
        frozen = {name: p.detach().clone() for name, p in module.named_parameters() if not p.requires_grad}
        loss = objective(trial, module, trial.inputs(CLIPS))
        if trained and not loss.requires_grad:
            raise Failure("expected an output that depends on the parameters, it has no gradient; don't detach it")
        if loss.requires_grad:
            torch.autograd.backward(loss)
        _expect_frozen(module, frozen)
        reached = {name for name, p in trained.items() if p.grad is not None and bool((p.grad != 0).any())}
        silent = {name for name in trained if name not in reached and not _matches(name, trial.unused)}
        missing = silent if seed == _SEEDS[0] else missing & silent
        if not missing:
            return
    raise Failure(
        f"expected a gradient in every trained parameter, none reaches {some(sorted(missing))}; use it in the "
        "outputs, freeze it with requires_grad_(False), or leave it out"
    )


def _expect_frozen(module: nn.Module, frozen: Mapping[str, Tensor]) -> None:
    now = dict(module.named_parameters())
    thawed = [name for name in frozen if now[name].requires_grad or now[name].grad is not None]
    moved = [name for name, before in frozen.items() if not torch.equal(now[name], before)]
    if thawed or moved:
        raise Failure(
            f"expected frozen parameters to stay frozen, {some(sorted({*thawed, *moved}))} "
            f"{'have been unfrozen' if thawed else 'have changed'}; leave them alone while running"
        )


def _matches(name: str, patterns: Sequence[str]) -> bool:
    return any(fnmatch(name, pattern) for pattern in patterns)
