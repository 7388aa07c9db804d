import pickle
import subprocess
import sys

import pytest
import torch
from torch.utils.data import DataLoader, Dataset

from copl_core.api import DataError
from copl_core.data import DataFailure, GuardedDataset, collate, raise_failure


class Clips(Dataset):
    """Four clips; the one named by ``bad`` can't be read, the one named by ``odd`` has another size."""

    def __init__(self, bad: int = -1, odd: int = -1) -> None:
        self.bad, self.odd = bad, odd

    def __len__(self) -> int:
        return 4

    def __getitem__(self, index: int) -> dict:
        if index == self.bad:
            raise DataError(f"cannot read image {index}.png: no such file")
        return {"name": f"clip{index}", "x": torch.full((3 if index == self.odd else 2,), float(index))}


def test_tensors_are_stacked_and_the_rest_is_listed() -> None:
    batch = collate([Clips()[1], Clips()[2]])

    assert batch["name"] == ["clip1", "clip2"]
    assert torch.equal(batch["x"], torch.tensor([[1.0, 1.0], [2.0, 2.0]]))
    raise_failure(batch)


def test_shapes_that_differ_name_the_clips() -> None:
    with pytest.raises(DataError) as caught:
        collate([Clips(odd=2)[index] for index in range(4)])

    assert str(caught.value) == (
        "clips 'clip0' and 'clip2' can't share a batch: x is (2,) float32 in the first and (3,) float32 in the second"
    )


def test_keys_and_types_that_differ_name_the_clips() -> None:
    a = {"name": "a", "x": torch.zeros(1), "mask": torch.zeros(1)}

    with pytest.raises(DataError, match="clips 'a' and 'b' can't share a batch: only one has mask"):
        collate([a, {"name": "b", "x": torch.zeros(1)}])
    with pytest.raises(DataError, match=r"x is \(1,\) float32 in the first and \(1,\) int64 in the second"):
        collate([a, {**a, "name": "b", "x": torch.zeros(1, dtype=torch.int64)}])
    with pytest.raises(DataError, match="in the first and NoneType in the second"):
        collate([a, {**a, "name": "b", "x": None}])


@pytest.mark.parametrize("workers", [0, 2])
def test_unreadable_clip_is_told_without_a_traceback(workers: int) -> None:
    loader = DataLoader(GuardedDataset(Clips(bad=3)), batch_size=2, num_workers=workers, collate_fn=collate)

    batches = list(loader)

    raise_failure(batches[0])
    assert isinstance(batches[1], DataFailure)
    with pytest.raises(DataError) as caught:
        raise_failure(batches[1])
    assert str(caught.value) == "cannot read image 3.png: no such file"
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__


def test_misfit_in_a_worker_is_told_without_a_traceback() -> None:
    loader = DataLoader(GuardedDataset(Clips(odd=1)), batch_size=2, num_workers=1, collate_fn=collate)

    with pytest.raises(DataError) as caught:
        raise_failure(next(iter(loader)))
    assert str(caught.value).startswith("clips 'clip0' and 'clip1' can't share a batch")


def test_defects_are_not_swallowed() -> None:
    class Broken(Clips):
        def __getitem__(self, index: int) -> dict:
            raise KeyError(index)

    with pytest.raises(KeyError):
        GuardedDataset(Broken())[0]
    assert len(GuardedDataset(Clips())) == 4


def test_failure_survives_pickling() -> None:
    failure = pickle.loads(pickle.dumps(DataFailure(DataError("words"))))

    assert isinstance(failure, DataFailure)
    assert str(failure.error) == "words"


def test_images_do_not_pay_for_sound() -> None:
    code = "import sys, copl_core.data; print(sorted({'torchaudio', 'soundfile'} & set(sys.modules)))"

    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "[]\n"
