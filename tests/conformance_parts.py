"""What the tests of the conformance kit share."""

from collections.abc import Callable
from typing import Any

import pytest

from copl_core.testing import ConformanceError


def failures(check: Callable[..., None], component: Any, **arguments: Any) -> list[str]:
    """The lines with which a check fails; it has to fail."""
    with pytest.raises(ConformanceError) as caught:
        check(component, **arguments)
    assert all("\n" not in line for line in caught.value.problems)
    return caught.value.problems


def only_failure(check: Callable[..., None], component: Any, **arguments: Any) -> str:
    """The one line with which a check fails."""
    (line,) = failures(check, component, **arguments)
    return line
