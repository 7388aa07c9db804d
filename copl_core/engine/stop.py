"""Stopping on SIGTERM and SIGINT where nothing is lost."""

import signal
import threading
from types import FrameType, TracebackType
from typing import Any

from copl_core.api import CoplError
from copl_core.engine.distributed import largest

_SIGNALS = (signal.SIGTERM, signal.SIGINT)


class StoppedError(CoplError):
    """A signal has ended the run, which can be resumed.

    Attributes:
        signal: Its number.
    """

    def __init__(self, number: int) -> None:
        super().__init__(
            f"stopped by {signal.Signals(number).name}; the state is saved: "
            "the same command with --resume goes on from it"
        )
        self.signal = number


class StopSignal:
    """While entered, notes the first SIGTERM or SIGINT instead of dying of it; a second one acts at once."""

    def __init__(self) -> None:
        self._received = 0
        self._previous: dict[signal.Signals, Any] = {}

    def __enter__(self) -> "StopSignal":
        # Python allows only the main thread to handle signals.
        if threading.current_thread() is threading.main_thread():
            self._previous = {number: signal.signal(number, self._note) for number in _SIGNALS}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._restore()

    def agreed(self) -> int:
        """Number of the signal that some rank has received, 0 if none; to be asked by all ranks at the same point."""
        return largest([self._received])[0]

    def check(self) -> None:
        """Stop if some rank has received a signal; to be called by all ranks at the same point.

        Raises:
            StoppedError: One has.
        """
        number = self.agreed()
        if number:
            raise StoppedError(number)

    def _note(self, number: int, frame: FrameType | None) -> None:
        self._received = number
        self._restore()

    def _restore(self) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)
        self._previous = {}
