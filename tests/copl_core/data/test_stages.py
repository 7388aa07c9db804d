import pytest

from copl_core.data import stages
from copl_core.data.stages import STAGES, stage, stage_times


@pytest.fixture
def clock(monkeypatch):
    """Wall and processor time in seconds, both set by hand."""
    now = [0.0, 0.0]
    monkeypatch.setattr(stages, "_clocks", lambda: tuple(now))

    def spend(wall: float, cpu: float) -> None:
        now[0] += wall
        now[1] += cpu

    return spend


def test_each_second_counts_for_the_innermost_stage(clock) -> None:
    with stage_times() as times:
        clock(1, 1)
        with stage("pictures"):
            clock(2, 1)
            with stage("sound"):
                clock(4, 3)
            clock(8, 8)
        clock(16, 0)
        with stage("sound"):
            clock(32, 32)
    clock(64, 64)

    assert times.wall == {**dict.fromkeys(STAGES, 0), "other": 17, "pictures": 10, "sound": 36}
    assert times.cpu == {**dict.fromkeys(STAGES, 0), "other": 1, "pictures": 9, "sound": 35}


def test_a_failure_leaves_its_stage(clock) -> None:
    @stage("resize")
    def fail() -> None:
        clock(1, 1)
        raise ValueError("no")

    with stage_times() as times:
        with pytest.raises(ValueError, match="no"):
            fail()
        clock(2, 2)

    assert times.wall["resize"] == 1
    assert times.wall["other"] == 2


def test_nobody_listens_before_and_after(clock) -> None:
    with stage("pictures"):
        clock(1, 1)
    with stage_times() as first:
        pass
    with stage("pictures"), stage_times() as second:
        clock(1, 1)

    assert not any(first.wall.values())
    assert second.wall["other"] == 1


def test_one_listens_at_a_time() -> None:
    with stage_times(), pytest.raises(RuntimeError, match="already"), stage_times():
        pass
