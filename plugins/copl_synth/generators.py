"""The generated data sets as components: what `copl data synth` writes."""

from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

from copl_core.api import ConfigError, DataError
from copl_core.contracts import Generator
from copl_synth.folder import SPLITS, OutputConflictError
from copl_synth.writers import WRITERS


class _Scenes(Generator):
    """Generated scenes in the form of a published data set."""

    task: ClassVar[str]

    def write(self, out: Path, *, videos: int | None, seed: int, workers: int) -> str:
        """Write the data set; see `Generator`."""
        kind, write, _ = WRITERS[self.task]
        try:
            settings = kind(seed=seed)
            if videos is not None:
                settings = replace(settings, **share(videos, settings))
            written = write(out, settings, workers=workers)
        except OutputConflictError as error:
            raise DataError(str(error)) from error
        except OSError as error:
            raise DataError(f"cannot write to {out}: {error.strerror}") from error
        except ValueError as error:
            raise ConfigError(str(error)) from error
        counts = ", ".join(f"{split} {getattr(settings, split)}" for split in SPLITS)
        return f"{out}: {'written' if written else 'already complete'}: {counts}"


class SynthAve(_Scenes):
    """Scenes in the form of AVE."""

    task = "ave"


class SynthAvs(_Scenes):
    """Scenes in the form of AVSBench-S4."""

    task = "avs_s4"


class SynthAvqa(_Scenes):
    """Scenes in the form of MUSIC-AVQA."""

    task = "avqa"


def share(videos: int, settings: Any) -> dict[str, int]:
    """Divide a number of videos among the splits in the proportions of the settings, at least one each.

    Raises:
        ConfigError: There are fewer videos than splits.
    """
    if videos < len(SPLITS):
        raise ConfigError(f"{videos} videos: at least {len(SPLITS)} are needed, one of each split")
    usual = {split: getattr(settings, split) for split in SPLITS}
    whole = sum(usual.values())
    shares = {split: max(1, round(videos * usual[split] / whole)) for split in ("val", "test")}
    return {"train": videos - sum(shares.values()), **shares}
