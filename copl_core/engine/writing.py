"""Writing into the work dir, and what happens when that fails."""

from collections.abc import Callable
from typing import Literal

from safetensors import SafetensorError

from copl_core.api import CoplError
from copl_core.engine.distributed import rank, together


class Writer:
    """Writes on rank 0; a failure stops all ranks, or is told and training goes on.

    Args:
        on_error: ``stop`` or ``continue``.
        say: Tells the user.
    """

    def __init__(self, on_error: Literal["stop", "continue"], say: Callable[[str], object]) -> None:
        self.on_error = on_error
        self.say = say

    def write(self, what: str, write: Callable[[], object], *, required: bool = False) -> bool:
        """Call ``write`` on rank 0; to be called by all ranks at the same point.

        Args:
            what: Is written, for the message.
            write: Leaves the previous file as it was if it fails.
            required: Stop on failure, whatever is configured.

        Returns:
            Whether it was written; True on the other ranks.

        Raises:
            CoplError: It was not, and that stops the run.
        """
        return together(lambda: rank() > 0 or self._attempt(what, write, required))

    def _attempt(self, what: str, write: Callable[[], object], required: bool) -> bool:
        try:
            write()
        except (OSError, SafetensorError) as error:
            text = f"cannot write {what}: {error}; what was written before is intact"
            if required or self.on_error == "stop":
                raise CoplError(f"{text}\nFree space on the disk, then use --resume.") from error
            self.say(f"{text}; training goes on")
            return False
        return True
