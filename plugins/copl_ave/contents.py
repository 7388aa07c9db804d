"""What the lists of AVE hold, beside what its authors released."""

from collections import Counter
from collections.abc import Mapping

from copl_ave.index import SECONDS, Index
from copl_core.contracts import Contents, Count, Row

#: Clips of each class in the released ``Annotations.txt``, by class number.
_CLASSES: Mapping[str, int] = {
    "Church bell": 188,
    "Male speech, man speaking": 176,
    "Bark": 171,
    "Fixed-wing aircraft, airplane": 184,
    "Race car, auto racing": 188,
    "Female speech, woman speaking": 175,
    "Helicopter": 178,
    "Violin, fiddle": 187,
    "Flute": 172,
    "Ukulele": 163,
    "Frying (food)": 182,
    "Truck": 138,
    "Shofar": 102,
    "Motorcycle": 99,
    "Acoustic guitar": 186,
    "Train horn": 176,
    "Clock": 160,
    "Banjo": 183,
    "Goat": 100,
    "Baby cry, infant cry": 83,
    "Bus": 69,
    "Chainsaw": 160,
    "Cat": 60,
    "Horse": 64,
    "Toilet flush": 180,
    "Rodents, rats, mice": 109,
    "Accordion": 154,
    "Mandolin": 156,
}
_ROWS, _VIDEOS, _FULL_LENGTH = 4143, 4097, 2750
#: Rows of each released list, and seconds in which their events take place.
_SPLITS = {"train": (3339, 27759), "val": (402, 3288), "test": (402, 3305)}
#: Videos that stand in two of the released lists.
_SHARED = {("train", "val"): 10, ("train", "test"): 8, ("val", "test"): 0}


def contents(index: Index, split: str) -> Contents:
    """Count what the lists hold.

    Args:
        index: The lists.
        split: Whose index it is.
    """
    rows, seconds = _SPLITS[split]
    background = len(index.classes) - 1
    classes = Counter(event.category for event in index.annotated)
    return Contents(
        rows=[Row(clip.where, clip.event.name, repr(clip.event)) for clip in index.clips],
        counts={
            "clips": Count(len(index.clips), rows),
            "seconds with an event": Count(
                sum(label != background for clip in index.clips for label in clip.labels), seconds
            ),
        },
        whole={
            "clips": Count(len(index.annotated), _ROWS),
            "videos": Count(len({event.name for event in index.annotated}), _VIDEOS),
            f"events of {SECONDS} s": Count(
                sum(event.end - event.start == SECONDS for event in index.annotated), _FULL_LENGTH
            ),
            "classes": Count(len(classes), len(_CLASSES)),
            **{f"clips of {name}": Count(count, _CLASSES.get(name)) for name, count in classes.items()},
        },
        shared={other: count for pair, count in _SHARED.items() if split in pair for other in pair if other != split},
    )
