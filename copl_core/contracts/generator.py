"""Generator: makes a small data set in the form of a published one, to try things on."""

from abc import ABC, abstractmethod
from pathlib import Path
from typing import ClassVar


class Generator(ABC):
    """Writes what the data set of the same name reads."""

    kind: ClassVar[str] = "generator"
    context: ClassVar[tuple[str, ...]] = ()

    @abstractmethod
    def write(self, out: Path, *, videos: int | None, seed: int, workers: int) -> str:
        """Write the data set, or nothing if it is already there.

        Args:
            out: Folder to create; complete or absent afterwards.
            videos: Videos of all splits together; None for the generator's own number.
            seed: Seed of everything random: equal arguments give equal files.
            workers: Processes to share the work.

        Returns:
            One line for people: what is there now.

        Raises:
            ConfigError: No data set has so few videos.
            DataError: ``out`` holds something else.
        """
