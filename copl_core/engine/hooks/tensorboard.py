"""Curves for TensorBoard."""

from collections.abc import Mapping
from pathlib import Path

from copl_core.config import Experiment, dump_config
from copl_core.config.loggers import TensorBoard
from copl_core.engine.hooks.scalars import ScalarsHook
from copl_core.engine.writing import Writer

TENSORBOARD_FOLDER = "tensorboard"


class TensorBoardHook(ScalarsHook):
    """Writes event files to ``tensorboard/`` in the work dir, and the config beside the curves.

    Args:
        settings: From the config.
        experiment: What runs.
        work_dir: Of the run.
        writer: Decides what a full disk means.
    """

    service = "TensorBoard"

    def __init__(self, settings: TensorBoard, experiment: Experiment, work_dir: Path, writer: Writer) -> None:
        super().__init__(settings.interval, experiment.protocol, writer)
        self.folder = work_dir / TENSORBOARD_FOLDER
        self.config = dump_config(experiment.source)

    def open(self, step: int) -> None:
        """A new event file; those of a run that is resumed are shown up to ``step``."""
        from torch.utils.tensorboard import SummaryWriter

        self.events = SummaryWriter(str(self.folder), purge_step=step + 1)
        if step == 0:
            self.events.add_text("config", f"```yaml\n{self.config}```")

    def send(self, step: int, values: Mapping[str, float]) -> None:
        """Write at once: a killed run has all of its points."""
        for name, value in values.items():
            self.events.add_scalar(name, value, step)
        self.events.flush()

    def close(self) -> None:
        """Close the file."""
        self.events.close()
