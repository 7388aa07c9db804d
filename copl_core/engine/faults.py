"""What goes wrong in mid-run, told so that a person can act on it."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn

from copl_core.api import CoplError

#: Of a long list of names, so many are told.
SHOWN = 5
#: Steps skipped in a row after which a run counts as lost.
SKIPPED_IN_A_ROW = 20


@dataclass(frozen=True)
class Fault:
    """Why a step of the optimizer is no use.

    Attributes:
        problem: What is wrong.
        expected: Whether it may be the search for the loss scale of fp16, which begins too large and is halved, in
            training that goes well.
    """

    problem: str
    expected: bool = False


class Position:
    """Where a run is, for messages.

    Attributes:
        where: ``epoch 3, step 5``, or the split that is evaluated.
        batch: The batch last read, on this rank.
    """

    def __init__(self) -> None:
        self.where = "the start"
        self.batch: Mapping[str, Any] = {}


def explain(error: Exception, position: Position) -> CoplError | None:
    """Turn an exception of torch into what it means for the user; None if it is none of those known.

    Args:
        error: What the run died of.
        position: Where.
    """
    text = str(error)
    if isinstance(error, (torch.OutOfMemoryError, MemoryError)) or "can't allocate memory" in text:
        return _out_of_memory(text, position)
    if isinstance(error, RuntimeError) and "DataLoader worker" in text:
        return CoplError(
            f"a data worker died at {position.where}: {text.splitlines()[0]}\n"
            "Most often the system ran out of memory, or of shared memory (df -h /dev/shm): lower schedule.workers, "
            "then use --resume."
        )
    if isinstance(error, dist.DistError) or (isinstance(error, RuntimeError) and "by peer" in text):
        return CoplError(
            f"another process of the run ended at {position.where}; what it has to say stands elsewhere\n"
            f"torch: {text.splitlines()[0]}"
        )
    return None


def _out_of_memory(text: str, position: Position) -> CoplError:
    clips = len(position.batch.get("name", []))
    media = {name: value for name, value in position.batch.items() if isinstance(value, Tensor) and value.dim() > 2}
    sizes = ", ".join(f"{name} {tuple(value.shape)}" for name, value in media.items())
    return CoplError(
        f"out of memory at {position.where}, with a batch of {clips} clips: {sizes}\n"
        "Lower schedule.batch_size (schedule.accumulate makes up for it; schedule.eval_batch_size for validation), set "
        "compute.checkpointing to mlp or block, or compute.precision to bf16; then use --resume.\n"
        f"torch: {text.splitlines()[0] if text else 'MemoryError'}"
    )


def not_finite(losses: Mapping[str, float], parameters: Mapping[str, nn.Parameter]) -> str | None:
    """Say which losses and gradients are no finite numbers; None if all are.

    Args:
        losses: By name, their sum as ``loss``.
        parameters: Whose gradients to look at, by name.
    """
    wrong = [name for name, value in losses.items() if not math.isfinite(value)]
    terms = [name for name in wrong if name != "loss"] or wrong
    if terms:
        return "the loss is not finite: " + ", ".join(f"{name}={losses[name]:.4g}" for name in terms)
    gradients = {name: p.grad for name, p in parameters.items() if p.grad is not None}
    if math.isfinite(nn.utils.get_total_norm(list(gradients.values())).item()):
        return None
    return f"the gradient is not finite in {some([name for name, g in gradients.items() if not g.isfinite().all()])}"


def without_gradient(where: str, names: Sequence[str]) -> CoplError:
    """The error for parameters that are to train and can't."""
    return CoplError(
        f"{where}: these trained parameters got no gradient: {some(names)}\n"
        "No loss depends on them. Remove the part from the config, or let its plugin use or freeze it."
    )


def without_graph(where: str, losses: Sequence[str]) -> CoplError:
    """The error for losses that nothing can be learned from, for they have no gradient at all.

    Args:
        where: Where the run is.
        losses: Their names.
    """
    told = f"no loss depends on what trains: {some(losses)}" if losses else "neither head nor tuner has a loss"
    return CoplError(
        f"{where}: {told}\n"
        "Training needs one that is computed, with gradients, from the head's predictions or the features: let the "
        "plugin of task.head or tuner neither detach it nor compute it under no_grad, or choose another."
    )


def some(names: Sequence[str]) -> str:
    """The first names of a list, and how many more there are."""
    rest = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + rest
