"""Curves for Weights & Biases."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from copl_core.api import CoplError
from copl_core.atomic import write_text
from copl_core.config import Experiment
from copl_core.config.loggers import Wandb
from copl_core.engine.hooks.scalars import ScalarsHook
from copl_core.engine.writing import Writer

#: Name of the run there, by which it goes on when training is resumed.
RUN_ID_FILE = "wandb.id"


class WandbHook(ScalarsHook):
    """Sends the run to Weights & Biases, with its config.

    Args:
        settings: From the config.
        experiment: What runs.
        work_dir: Of the run.
        writer: Decides what a full disk means.
    """

    service = "Weights & Biases"

    def __init__(self, settings: Wandb, experiment: Experiment, work_dir: Path, writer: Writer) -> None:
        super().__init__(settings.interval, experiment.protocol, writer)
        self.settings = settings
        self.config = experiment.source
        self.work_dir = work_dir

    def open(self, step: int) -> None:
        """Begin a run, or go on with the one of this work dir.

        Raises:
            CoplError: The service can't be reached, or doesn't know the user.
        """
        import wandb

        path = self.work_dir / RUN_ID_FILE
        known = path.read_text(encoding="utf-8").strip() if path.exists() and step > 0 else None
        try:
            self.run: Any = wandb.init(
                project=self.settings.project,
                entity=self.settings.entity,
                name=self.settings.name or "/".join(self.work_dir.resolve().parts[-2:]),
                mode=self.settings.mode,
                dir=str(self.work_dir),
                id=known,
                resume="allow" if known else None,
                config=self.config,
            )
        except wandb.Error as error:
            raise CoplError(
                f"loggers.wandb: {error}\n"
                "Use `wandb login`, check the connection, or set loggers.wandb.mode to offline; --resume goes on."
            ) from error
        write_text(path, self.run.id + "\n")

    def send(self, step: int, values: Mapping[str, float]) -> None:
        """Send what it has not got yet: a resumed run repeats some steps, to the same values."""
        if step >= self.run.step:
            self.run.log(dict(values), step=step)

    def close(self) -> None:
        """End the run there."""
        self.run.finish()
