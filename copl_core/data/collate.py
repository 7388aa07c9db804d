"""Samples to a batch, and errors of the data across the border of a worker process."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import default_collate, get_worker_info

from copl_core.api import DataError
from copl_core.contracts import Batch, Sample
from copl_core.data.stages import stage


class DataFailure(dict[str, Any]):
    """An error that travels in place of a sample or a batch.

    A DataLoader turns an exception of a worker into one whose message is the worker's traceback. A person who has to
    re-download a file wants the message only, so a ``DataError`` crosses the border as a value.
    """

    def __init__(self, error: DataError) -> None:
        super().__init__(error=error)

    @property
    def error(self) -> DataError:
        """The error as it was raised."""
        error: DataError = self["error"]
        return error


class GuardedDataset(torch.utils.data.Dataset[Sample]):
    """A data set whose ``DataError`` comes back as a ``DataFailure``; any other exception is a defect and passes."""

    def __init__(self, dataset: torch.utils.data.Dataset[Sample]) -> None:
        self.dataset = dataset

    def __len__(self) -> int:
        """Number of clips."""
        return len(self.dataset)  # type: ignore[arg-type]  # torch leaves __len__ to the subclasses

    def __getitem__(self, index: int) -> Sample:
        """Read one clip, or say as a ``DataFailure`` why that can't be done."""
        try:
            return self.dataset[index]
        except DataError as error:
            return DataFailure(error)


@stage("collate")
def collate(samples: Sequence[Sample]) -> Batch:
    """Stack samples into a batch.

    Args:
        samples: B samples with the same keys. Where one is a ``DataFailure``, the first of them is the result.

    Returns:
        Tensors gain a leading B; other values become lists of length B.

    Raises:
        DataError: The samples don't fit together. In a worker this too comes back as a ``DataFailure``.
    """
    for sample in samples:
        if isinstance(sample, DataFailure):
            return sample
    try:
        _check_keys(samples)
        return {key: _join(key, [sample[key] for sample in samples], samples) for key in samples[0]}
    except DataError as error:
        if get_worker_info() is None:
            raise
        return DataFailure(error)


def raise_failure(batch: Batch) -> None:
    """Raise the error that travelled in place of a batch, if it is one.

    Raises:
        DataError: As raised where the clip was read.
    """
    if isinstance(batch, DataFailure):
        # Without a chain: what was going on in the worker is no news to a person.
        raise batch.error from None


def _check_keys(samples: Sequence[Sample]) -> None:
    for sample in samples[1:]:
        if sample.keys() != samples[0].keys():
            odd = ", ".join(sorted(sample.keys() ^ samples[0].keys()))
            raise DataError(f"clips {_name(samples[0])} and {_name(sample)} can't share a batch: only one has {odd}")


def _join(key: str, values: list[Any], samples: Sequence[Sample]) -> Any:
    if not isinstance(values[0], Tensor):
        return values
    for value, sample in zip(values, samples, strict=True):
        if not isinstance(value, Tensor) or (value.shape, value.dtype) != (values[0].shape, values[0].dtype):
            raise DataError(
                f"clips {_name(samples[0])} and {_name(sample)} can't share a batch: {key} is "
                f"{_kind(values[0])} in the first and {_kind(value)} in the second"
            )
    # Stacks; in a worker right into the memory that it shares with the training process.
    stacked: Tensor = default_collate(values)
    return stacked


def _kind(value: Any) -> str:
    if not isinstance(value, Tensor):
        return type(value).__name__
    return f"{tuple(value.shape)} {str(value.dtype).removeprefix('torch.')}"


def _name(sample: Sample) -> str:
    return repr(sample.get("name", "without a name"))
