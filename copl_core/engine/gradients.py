"""The gradients of one step of the optimizer, added up over its batches and over all ranks."""

import math
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from copl_core.contracts import Batch
from copl_core.engine.batch_norm import standing_in
from copl_core.engine.distributed import stop_together, total, world_size
from copl_core.engine.faults import without_graph
from copl_core.engine.runner import CoplRunner


@dataclass(frozen=True)
class StepLosses:
    """What the batches of a step have come to.

    Attributes:
        means: Losses by name over the readable clips of all ranks, and their sum as ``loss``; empty without such clips.
        batches: Of each batch of this rank: names of its clips, and its losses.
    """

    means: dict[str, float]
    batches: list[tuple[list[Any], dict[str, Tensor]]]

    @property
    def names(self) -> list[Any]:
        """Names of this rank's clips."""
        return [name for names, _ in self.batches for name in names]

    def not_finite(self) -> list[Any]:
        """Names of the clips in this rank's batches with a loss that is no finite number."""
        return [
            name
            for names, losses in self.batches
            if not all(math.isfinite(loss.item()) for loss in losses.values())
            for name in names
        ]


def add_gradients(
    runner: CoplRunner, batches: Iterator[Batch], *, count: int, clips: int, stand_in: Callable[[], Batch]
) -> StepLosses:
    """Go forward and backward through the batches of a step; to be called by all ranks at the same point.

    Each batch weighs by its share of the clips that some rank could read, so that the sum is the gradient that one
    batch of all these clips would give. A rank without a clip in a batch of which others have some passes a stand-in of
    no weight, for all ranks must go through the model the same number of times.

    Args:
        runner: Whose model it is.
        batches: Of this rank.
        count: How many of them the step takes, the same on every rank.
        clips: The step's, over all ranks, whether they can be read or not.
        stand_in: Reads a batch with any clip.

    Raises:
        CoplError: The losses depend on nothing that trains.
        DataError: A clip can't be read and is not to be left out, or none of the whole split can.
    """
    readable = 0
    sums: dict[str, Tensor] = {}
    seen: list[tuple[list[Any], dict[str, Tensor]]] = []
    for number in range(count):
        runner.position.batch = {}
        last = number + 1 == count
        batch = next(batches)
        present = runner.check_batch("train", batch)
        # With the last batch the ranks exchange their gradients, also those of the batches before.
        if not present and not (last and readable and world_size() > 1):
            continue
        readable += present
        weight = len(batch.get("index", ())) / clips
        batch = batch if weight else stand_in()
        runner.position.batch = batch
        alone = nullcontext() if last or world_size() == 1 else runner.model.no_sync()
        with alone, nullcontext() if weight else standing_in(runner.two_stream, others=present > 0):
            losses = _backward(runner, runner.preprocess(batch), weight)
        for name, loss in losses.items():
            # Not 0 * loss, which need not be 0.
            sums[name] = sums.get(name, torch.zeros_like(loss)) + (weight * loss if weight else 0.0)
        if weight:
            seen.append((list(batch.get("name", [])), losses))
    if not readable:
        stand_in()
        return StepLosses({}, [])
    values = total(torch.stack([value.double() for value in sums.values()]).tolist())
    if readable < clips:
        values = [value * clips / readable for value in values]
        torch._foreach_mul_([p.grad for p in runner.trained.values() if p.grad is not None], clips / readable)
    return StepLosses({**dict(zip(sums, values, strict=True)), "loss": sum(values)}, seen)


def _backward(runner: CoplRunner, batch: Batch, weight: float) -> dict[str, Tensor]:
    """Add the batch's gradients; returns its losses."""
    losses: dict[str, Tensor] = runner.model(mode="loss", **batch)
    # The ranks' gradients are averaged.
    loss: Any = sum(losses.values()) * (weight * world_size())
    if not getattr(loss, "requires_grad", False):
        stop_together(without_graph(runner.position.where, list(losses)))
    runner.optim_wrapper.backward(loss)
    return {name: value.detach() for name, value in losses.items()}
