"""The ``loggers`` block of a config: where a run's numbers go besides its work dir."""

from dataclasses import dataclass, fields
from importlib.util import find_spec
from typing import Literal

from copl_core.api import ConfigError


@dataclass(frozen=True)
class TensorBoard:
    """Writes event files to ``tensorboard/`` in the work dir; ``tensorboard --logdir <work dir>`` shows them.

    Attributes:
        interval: Steps between two points of the training curves.
    """

    interval: int = 10

    def __post_init__(self) -> None:
        _check_interval(self.interval)


@dataclass(frozen=True)
class Wandb:
    """Sends the run to Weights & Biases.

    Attributes:
        project: The project there.
        entity: The user or team it belongs to; your default one if None.
        name: Of the run; the end of the work dir's path if None.
        mode: ``offline`` keeps the run in ``wandb/`` in the work dir, for ``wandb sync``.
        interval: Steps between two points of the training curves.
    """

    project: str = "copl"
    entity: str | None = None
    name: str | None = None
    mode: Literal["online", "offline"] = "online"
    interval: int = 10

    def __post_init__(self) -> None:
        _check_interval(self.interval)


@dataclass(frozen=True)
class Loggers:
    """Which of them a run has.

    Attributes:
        tensorboard: TensorBoard, if wanted.
        wandb: Weights & Biases, if wanted.
    """

    tensorboard: TensorBoard | None = None
    wandb: Wandb | None = None

    def check_installed(self) -> None:
        """Refuse what lacks its package; each has the name of its key here, and an extra of that name.

        Raises:
            ConfigError: Says what to install.
        """
        wanted = [field.name for field in fields(self) if getattr(self, field.name) is not None]
        missing = [name for name in wanted if find_spec(name) is None]
        if missing:
            raise ConfigError(
                f"loggers: {' and '.join(missing)} not installed: pip install 'copl[{','.join(missing)}]', "
                "or leave it out of the config"
            )


def _check_interval(interval: int) -> None:
    if interval < 1:
        raise ValueError(f"interval must be at least 1, got {interval}")
