"""Where the time goes between a file and a batch: what reads a clip says which stage it is in.

That costs a microsecond while nobody listens.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal, get_args

#: Opening files and decoding pictures; decoding sound; to the encoder's picture size; resampling and spectrograms;
#: stacking a batch; everything else a data set does.
Stage = Literal["pictures", "sound", "resize", "spectrograms", "collate", "other"]
STAGES: tuple[Stage, ...] = get_args(Stage)


class StageTimes:
    """Seconds by stage. A stage within another counts for itself only.

    Attributes:
        wall: As a clock shows them.
        cpu: As this process used the processor, its threads together. On a busy machine wall time holds waiting as
            well.
    """

    def __init__(self) -> None:
        self.wall = dict.fromkeys(STAGES, 0.0)
        self.cpu = dict.fromkeys(STAGES, 0.0)
        self._stage: Stage = "other"
        self._since = _clocks()

    def switch(self, stage: Stage) -> Stage:
        """Charge the time since the last switch, go to another stage, and return the one that was left."""
        now, left = _clocks(), self._stage
        self.wall[left] += now[0] - self._since[0]
        self.cpu[left] += now[1] - self._since[1]
        self._stage, self._since = stage, now
        return left


_listener: StageTimes | None = None


@contextmanager
def stage(name: Stage) -> Iterator[None]:
    """What runs inside belongs to a stage; also a decorator."""
    if _listener is None:
        yield
        return
    times = _listener
    left = times.switch(name)
    try:
        yield
    finally:
        times.switch(left)


@contextmanager
def stage_times() -> Iterator[StageTimes]:
    """Listen to the stages of this process while inside; complete afterwards.

    Raises:
        RuntimeError: Somebody listens already.
    """
    global _listener
    if _listener is not None:
        raise RuntimeError("stage_times() is running already")
    _listener = times = StageTimes()
    try:
        yield times
    finally:
        times.switch("other")
        _listener = None


def _clocks() -> tuple[float, float]:
    return time.perf_counter(), time.process_time()
