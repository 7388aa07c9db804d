"""Tensors that follow from frozen parameters, computed once."""

from collections.abc import Callable, Hashable

import torch
from torch import Tensor, nn


class FrozenTable:
    """Remembers the last result of ``compute`` as long as its parameters are frozen and unchanged.

    For what an encoder computes from its weights alone, such as a position bias. Where a parameter trains, every call
    computes anew.

    Args:
        module: Its parameters are what the result depends on beside the arguments.
        compute: Takes the arguments of a call, which must be hashable.
    """

    def __init__(self, module: nn.Module, compute: Callable[..., Tensor]) -> None:
        self.module = module
        self.compute = compute
        self._key: tuple[object, ...] = ()
        self._result: Tensor | None = None

    @torch.compiler.disable  # type: ignore[untyped-decorator]
    def __call__(self, *arguments: Hashable) -> Tensor:
        """Return the result for these arguments."""
        # Asked for at every call: moving a module may put new parameters in the place of the old ones.
        parameters = tuple(self.module.parameters())
        if any(parameter.requires_grad for parameter in parameters):
            return self.compute(*arguments)
        # The version counts in-place changes, such as loading weights.
        key = (*arguments, *((p.device, p.data_ptr(), p._version) for p in parameters))
        if self._result is None or key != self._key:
            # A tensor of inference mode could not take part in training afterwards.
            with torch.inference_mode(False), torch.no_grad():
                self._key, self._result = key, self.compute(*arguments)
        return self._result
