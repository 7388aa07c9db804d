"""The tasks: AVSBench S4 and MS3."""

from collections.abc import Mapping

from copl_avs.files import show_size
from copl_avs.masks import size_mismatch
from copl_avs.predictor import MaskPredictor
from copl_core.api import DataError
from copl_core.contracts import Dataset, Head, Task


class AvsS4Task(Task):
    """Five frames of a five-second clip; checkpoints are selected by the mean IoU."""

    frames = 5
    select_by = "mIoU"
    predictor = MaskPredictor

    @classmethod
    def check(cls, datasets: Mapping[str, Dataset], head: Head | None = None) -> None:
        """Refuse masks whose size differs between splits, or from that of the prediction."""
        sizes = {split: size for split, dataset in datasets.items() if (size := getattr(dataset, "mask_size", None))}
        if len(set(sizes.values())) > 1:
            found = ", ".join(f"{split} {show_size(size)}" for split, size in sizes.items())
            raise DataError(f"the masks of the splits differ in size: {found}; scale them all to one")
        predicted = getattr(head, "output_size", None)
        for size in sizes.values():
            if predicted is not None and size != (predicted, predicted):
                raise DataError(size_mismatch(size, predicted))


class AvsMs3Task(AvsS4Task):
    """The same with several sources and a mask for every frame."""
