"""Mean and standard deviation of the spectrograms of a data set, as LAVISH measures them."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Subset

from copl_core.api import DataError
from copl_core.contracts import Dataset
from copl_core.data.collate import DataFailure, GuardedDataset


@dataclass(frozen=True)
class Statistics:
    """Of log-mel values.

    Attributes:
        mean: Mean of the segments' means.
        std: Mean of the segments' standard deviations. That of all values together is larger, as segments differ.
        samples: Number of samples they come from.
    """

    mean: float
    std: float
    samples: int


def spectrogram_statistics(
    dataset: Dataset, *, samples: int | None, workers: int, progress: Callable[[int, int], object]
) -> Statistics:
    """Measure each spectrogram of a split, over time and mel bins, and average over spectrograms.

    The published constants were made so (LAVISH's ``compute_audio_mean.py``).

    Args:
        dataset: Bound to encoders that hear spectrograms, its recipe with mean 0 and std 0.5.
        samples: Number of samples to take, spread evenly over the split; None for all.
        workers: Processes beside this one; 0 for none.
        progress: Is told how many samples are done, and of how many.

    Raises:
        DataError: A clip can't be read.
    """
    chosen = Subset(GuardedDataset(dataset), _spread(len(dataset), samples))
    loader = DataLoader(
        chosen, batch_size=None, num_workers=workers, multiprocessing_context="spawn" if workers else None
    )
    means: list[float] = []
    deviations: list[float] = []
    for done, sample in enumerate(loader, start=1):
        if isinstance(sample, DataFailure):
            raise sample.error
        for segment in sample["audio"]:
            if len(values := sounding(segment)):
                means.append(float(values.mean()))
                deviations.append(float(values.std()))
        progress(done, len(chosen))
    if not means:
        raise DataError("the spectrograms hold nothing but padding")
    return Statistics(sum(means) / len(means), sum(deviations) / len(deviations), len(chosen))


def sounding(audio: Tensor) -> Tensor:
    """The rows that are no padding.

    Args:
        audio: (..., channels, frames, mel_bins), not normalised; padding is exactly 0 there, which the logarithm of
            a spectrum never is in all bins.

    Returns:
        (rows, mel_bins); of the channels, which are copies, the first.
    """
    rows = audio[..., 0, :, :].reshape(-1, audio.shape[-1])
    return rows[(rows != 0).any(dim=1)]


def _spread(length: int, samples: int | None) -> list[int]:
    wanted = length if samples is None else min(samples, length)
    return torch.linspace(0, length - 1, wanted, dtype=torch.float64).round().long().tolist()
