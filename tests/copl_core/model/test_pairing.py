"""Which blocks are walked together."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from copl_core.model import pair_blocks


def test_swin_large_with_htsat():
    steps = pair_blocks((2, 2, 18, 2), (2, 2, 6, 2))
    paired = [(v, a) for v, a in steps if a is not None]
    assert paired == [(0, 0), (1, 1), (2, 2), (3, 3)] + [(4 + 3 * j + 2, 4 + j) for j in range(6)] + [
        (22, 10),
        (23, 11),
    ]
    assert [v for v, _ in steps] == list(range(24))


def test_equal_depths_pair_one_to_one():
    assert pair_blocks((1, 2), (1, 2)) == [(0, 0), (1, 1), (2, 2)]


def test_the_audio_side_may_be_the_deeper_one():
    assert pair_blocks((1,), (3,)) == [(None, 0), (None, 1), (0, 2)]


stages = st.lists(st.integers(1, 9), min_size=1, max_size=4)


@given(stages, stages)
def test_every_block_is_walked_once_in_order(visual, audio):
    steps = pair_blocks(visual, audio)
    assert [v for v, _ in steps if v is not None] == list(range(sum(visual)))
    assert [a for _, a in steps if a is not None] == list(range(sum(audio)))


@given(stages, stages)
def test_the_last_blocks_meet(visual, audio):
    assert pair_blocks(visual, audio)[-1] == (sum(visual) - 1, sum(audio) - 1)


@pytest.mark.parametrize(("visual", "audio"), [((4, 4), (2, 2)), ((12,), (12,))])
def test_the_shallower_side_is_always_paired(visual, audio):
    steps = pair_blocks(visual, audio)
    assert sum(v is not None and a is not None for v, a in steps) == min(sum(visual), sum(audio))
