"""Labels and class names, and their fit with a prediction. Shared by head, metric and renderer."""

from torch import Tensor

from copl_core.api import DataError
from copl_core.contracts import Names


def check_labels(labels: Tensor, classes: int) -> None:
    """Refuse labels that the head has no output for.

    Raises:
        DataError: A label is ``classes`` or more.
    """
    if (largest := int(labels.max())) >= classes:
        raise DataError(
            f"the data has a label {largest} but the head predicts {classes} classes: "
            f"set task.head.classes to at least {largest + 1}, background included"
        )


def class_name(number: int, names: Names | None) -> str:
    """Name of a class; its number where the data set gives no names."""
    classes = (names or {}).get("classes", ())
    return classes[number] if number < len(classes) else f"class {number}"
