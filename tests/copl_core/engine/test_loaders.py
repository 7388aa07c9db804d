"""What a loader yields depends on seed, epoch and index, not on workers or on who reads when."""

import pytest
import torch

from copl_core.engine.loaders import LoadedDataset, StepSampler, make_loader


class Noisy:
    """Six clips with a random number each."""

    on_error = "refuse"

    def __len__(self):
        return 6

    def __getitem__(self, index):
        return {"name": str(index), "draw": torch.rand(1)}


def draws(workers, epoch, *, seed=3, batch_size=2):
    loader = make_loader(Noisy(), batch_size=batch_size, workers=workers, shuffle=True, seed=seed)
    loader.batch_sampler.start_at(epoch, 0)
    return [(name, float(x)) for batch in loader for name, x in zip(batch["name"], batch["draw"], strict=True)]


@pytest.mark.parametrize("epoch", [0, 1])
def test_workers_change_nothing(epoch):
    assert draws(0, epoch) == draws(2, epoch)


def test_batch_size_changes_no_draw():
    assert sorted(draws(0, 1, batch_size=2)) == sorted(draws(0, 1, batch_size=3))


def test_epoch_seed_and_index_change_the_draw():
    first, second, other = (dict(draws(0, epoch, seed=seed)) for epoch, seed in ((0, 3), (1, 3), (0, 4)))
    assert len(set(first.values())) == 6
    assert all(first[name] != second[name] != other[name] for name in first)


def test_persistent_workers_see_the_epoch():
    loader = make_loader(Noisy(), batch_size=2, workers=1, shuffle=False, seed=3)
    seen = []
    for epoch in (0, 1):
        loader.batch_sampler.start_at(epoch, 0)
        seen.append([float(x) for batch in loader for x in batch["draw"]])
    assert seen[0] != seen[1]


def test_reading_leaves_the_trainings_generators_alone(monkeypatch):
    """Those of CUDA devices, too, which nothing would restore."""
    seeded = []
    monkeypatch.setattr(torch.cuda, "manual_seed_all", seeded.append)
    torch.manual_seed(0)
    expected = torch.rand(1)
    torch.manual_seed(0)
    seeded.clear()
    LoadedDataset(Noisy(), seed=3)[(0, 1)]
    assert torch.equal(torch.rand(1), expected)
    assert seeded == []


def order(seed, epoch):
    sampler = StepSampler(50, batch_size=50, shuffle=True, seed=seed)
    sampler.start_at(epoch, 0)
    return [index for batch in sampler for _, index in batch]


def test_no_two_seeds_share_an_order():
    """Epoch 1 of seed 0 has another one than epoch 0 of seed 1."""
    orders = {tuple(order(seed, epoch)) for seed in range(3) for epoch in range(3)}
    assert len(orders) == 9
    assert order(2, 1) == order(2, 1)
