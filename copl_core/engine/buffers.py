"""What a forward pass changes while training: the running statistics of norms."""

from torch import Tensor

from copl_core.model import TwoStream

#: Buffers, each with what it was.
Copies = list[tuple[Tensor, Tensor]]


def copy_buffers(model: TwoStream) -> Copies:
    """Copy the buffers of tuner and head; frozen encoders, in evaluation mode, change none."""
    return [(buffer, buffer.clone()) for part in (model.tuner, model.head) for buffer in part.buffers()]


def restore_buffers(copies: Copies) -> None:
    """Let the buffers be what they were."""
    for buffer, before in copies:
        buffer.copy_(before)
