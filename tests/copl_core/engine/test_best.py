"""Which epoch is exported."""

import math

import pytest

from copl_core.engine.hooks import BestExport
from copl_core.engine.writing import Writer

NAN = math.nan


@pytest.mark.parametrize(
    ("higher", "values", "exported"),
    [
        (True, [0.1, 0.3, 0.3, 0.2, 0.4], [1, 2, 5]),
        (False, [0.3, 0.1, 0.1, 0.2], [1, 2]),
        (True, [NAN, -5.0, NAN, -4.0], [1, 2, 4]),
        (False, [NAN, NAN, 5.0, NAN], [1, 3]),
        (True, [0.5, NAN], [1]),
    ],
)
def test_the_best_epoch_wins_the_earlier_of_two_equal_ones_and_no_number_loses(higher, values, exported):
    said, written = [], []
    hook = BestExport(
        score="x", higher_is_better=higher, split="val", export=written.append, writer=Writer("stop", said.append)
    )
    epochs = []
    for epoch, value in enumerate(values, start=1):
        count = len(written)
        hook.offer(epoch, {"val/x": value})
        epochs += [epoch] if len(written) > count else []
    assert epochs == exported
    assert hook.best["epoch"] == exported[-1]
    assert len(said) == sum(map(math.isnan, values))
    assert all("val/x is no number" in text for text in said)
