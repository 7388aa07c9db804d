"""Data loaders whose order and random draws depend on seed, epoch and index alone."""

import math
import signal
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

import numpy as np
import torch
from torch.utils.data import DataLoader, Sampler

from copl_core.contracts import Batch, Dataset, Sample
from copl_core.data import DataFailure, GuardedDataset, Problem, collate
from copl_core.engine.memory import keep_freed_memory

#: Seconds that a worker lives on after SIGTERM.
GRACE = 60


class StepSampler(Sampler[list[tuple[int, int]]]):
    """Says which clips a rank reads for each step of an epoch, from any step on.

    A step takes the next ``ranks * accumulate * batch_size`` clips of the epoch's order, the last one what is left, and
    never the same clip twice. They are dealt out in batches of ``ranks * batch_size``, of which each rank reads its
    share in one piece; where too few are left, shares differ by one clip and may be empty. All ranks so have the same
    number of batches.

    Args:
        size: Clips of the split.
        batch_size: Clips of a rank's batch.
        accumulate: Batches a step.
        shuffle: A new order each epoch, by seed and epoch.
        seed: The run's.
        rank: Whose share to yield.
        ranks: Number of ranks.
    """

    def __init__(
        self,
        size: int,
        *,
        batch_size: int,
        accumulate: int = 1,
        shuffle: bool,
        seed: int,
        rank: int = 0,
        ranks: int = 1,
    ) -> None:
        self.size = size
        self.batch = ranks * batch_size
        self.accumulate = accumulate
        self.shuffle = shuffle
        self.seed = seed
        self.rank = rank
        self.ranks = ranks
        self.epoch = self.first_step = 0

    @property
    def steps(self) -> int:
        """Steps an epoch."""
        return math.ceil(self.size / (self.batch * self.accumulate))

    def start_at(self, epoch: int, step: int) -> None:
        """Let the next pass be that epoch from that step on, both counted from 0."""
        self.epoch, self.first_step = epoch, step

    def clips(self, step: int) -> int:
        """Clips of a step, over all ranks."""
        return min(self.size - step * self.batch * self.accumulate, self.batch * self.accumulate)

    def batches(self, step: int) -> int:
        """Batches of a step, the same number on every rank."""
        return math.ceil(self.clips(step) / self.batch)

    def __len__(self) -> int:
        """Batches an epoch."""
        return math.ceil(self.size / self.batch)

    def __iter__(self) -> Iterator[list[tuple[int, int]]]:
        """Yield (epoch, index) of the clips of each batch: workers that live on learn of the epoch so."""
        order = self._order()
        for start in range(self.first_step * self.batch * self.accumulate, self.size, self.batch):
            clips = order[start : start + self.batch]
            share, extra = divmod(len(clips), self.ranks)
            begin = self.rank * share + min(self.rank, extra)
            yield [(self.epoch, index) for index in clips[begin : begin + share + (self.rank < extra)]]

    def _order(self) -> list[int]:
        if not self.shuffle:
            return list(range(self.size))
        generator = torch.Generator().manual_seed(_draw(self.seed, self.epoch))
        order: list[int] = torch.randperm(self.size, generator=generator).tolist()
        return order


def _draw(*numbers: int) -> int:
    """A seed made of the numbers that a draw depends on."""
    return int(np.random.SeedSequence(numbers).generate_state(1)[0])


class LoadedDataset(GuardedDataset):
    """A guarded data set that draws random numbers by (seed, epoch, index), whoever reads the clip and when.

    Args:
        dataset: Draws from torch's default generator, if at all.
        seed: The run's.
    """

    def __init__(self, dataset: Dataset, seed: int) -> None:
        super().__init__(dataset)
        self.seed = seed

    @property
    def metainfo(self) -> dict[str, Any]:
        """Nothing: MMEngine's loops look for it, our renderers know their task."""
        return {}

    def __getitem__(self, position: Any) -> Sample:
        """Read the clip at (epoch, index); ``index`` becomes part of the sample."""
        epoch, index = position
        with torch.random.fork_rng(devices=[]):
            # Not torch.manual_seed, which reseeds the training's generators on CUDA as well.
            torch.default_generator.manual_seed(_draw(self.seed, epoch, index))
            sample = super().__getitem__(index)
        sample["index"] = index
        if isinstance(sample, DataFailure):
            sample["where"] = self.dataset.where(index)  # type: ignore[attr-defined]  # it is one of ours
        return sample


def collate_readable(samples: Sequence[Sample], *, skip: bool) -> Batch:
    """Stack samples into a batch.

    Args:
        samples: Of a ``LoadedDataset``; none of them gives an empty batch.
        skip: Leave out clips that could not be read and list them as ``unreadable``; otherwise the first of them is the
            result.
    """
    failures = [sample for sample in samples if isinstance(sample, DataFailure)]
    readable = [sample for sample in samples if not isinstance(sample, DataFailure)]
    if failures and not skip:
        return failures[0]
    batch = collate(readable) if readable else {}
    if failures and not isinstance(batch, DataFailure):
        batch["unreadable"] = [Problem(failure["where"], str(failure.error)) for failure in failures]
    return batch


def make_loader(
    dataset: Dataset,
    *,
    batch_size: int,
    workers: int,
    shuffle: bool,
    seed: int,
    accumulate: int = 1,
    rank: int = 0,
    ranks: int = 1,
) -> DataLoader[Sample]:
    """A loader over a split, in the order of a ``StepSampler`` with these arguments."""
    sampler = StepSampler(
        len(dataset),
        batch_size=batch_size,
        accumulate=accumulate,
        shuffle=shuffle,
        seed=seed,
        rank=rank,
        ranks=ranks,
    )
    return DataLoader(
        LoadedDataset(dataset, seed),
        batch_sampler=sampler,
        num_workers=workers,
        collate_fn=partial(collate_readable, skip=dataset.on_error == "skip"),
        persistent_workers=workers > 0,
        pin_memory=torch.cuda.is_available(),
        worker_init_fn=start_worker,
    )


def end_workers(loader: DataLoader[Sample]) -> None:
    """End the processes that live on from epoch to epoch, as torch does when a loader is collected."""
    iterator: Any = getattr(loader, "_iterator", None)
    if iterator is not None:
        iterator._shutdown_workers()


def start_worker(_worker: int) -> None:
    """Set up a process that reads clips.

    Ctrl-C and Slurm's SIGTERM reach all processes; workers must live until the run has finished its step.
    """
    keep_freed_memory()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda *_: signal.alarm(GRACE))
