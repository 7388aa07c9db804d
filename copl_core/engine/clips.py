"""Which clips a run trains on: with others, the same step of the same epoch would be another one."""

import hashlib
from collections.abc import Mapping
from typing import Any

from copl_core.api import DataError
from copl_core.contracts import Dataset


def describe_clips(dataset: Dataset) -> dict[str, Any]:
    """The clips of a split: ``count``, and a ``digest`` of what they are and their order, wherever the data lies.

    A data set whose ``contents`` tell nothing is known by the number of its clips alone.
    """
    contents = dataset.contents
    skipped = {problem.where for problem in dataset.skipped}
    digest = hashlib.sha256()
    for row in contents.rows if contents is not None else ():
        if row.where not in skipped:
            digest.update(f"{row.video}\0{row.key}\n".encode())
    return {"count": len(dataset), "digest": digest.hexdigest()}


def check_clips(saved: Mapping[str, Any], dataset: Dataset) -> None:
    """Refuse another training split than that of the run which is resumed.

    Args:
        saved: Description of the run's.
        dataset: The one at hand.

    Raises:
        DataError: Saying how they differ.
    """
    present = describe_clips(dataset)
    if present == saved:
        return
    now = "others, or in another order" if present["count"] == saved["count"] else f"{present['count']}"
    raise DataError(
        f"the training split is not the one that the run was trained on: {saved['count']} clips then, now {now}\n"
        "Its steps would hold other clips. Bring the data back to what it was, or train into another --work-dir."
    )
