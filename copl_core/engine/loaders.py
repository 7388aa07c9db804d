"""Data loaders whose order depends on seed and epoch alone."""

from typing import Any

import torch
from mmengine.dataset import DefaultSampler
from torch.utils.data import DataLoader

from copl_core.contracts import Dataset, Sample
from copl_core.data import GuardedDataset, collate


class LoadedDataset(GuardedDataset):
    """A guarded data set with the (empty) metainfo MMEngine's loops look for."""

    @property
    def metainfo(self) -> dict[str, Any]:
        """Nothing: our renderers know their task."""
        return {}


def make_loader(dataset: Dataset, *, batch_size: int, workers: int, shuffle: bool, seed: int) -> DataLoader[Sample]:
    """A loader over a split; shuffled order is a function of (seed, epoch)."""
    guarded = LoadedDataset(dataset)
    return DataLoader(
        guarded,
        batch_size=batch_size,
        sampler=DefaultSampler(guarded, shuffle=shuffle, seed=seed),
        num_workers=workers,
        collate_fn=collate,
        persistent_workers=workers > 0,
        pin_memory=torch.cuda.is_available(),
    )
