"""How many parameters a run trains, and what they take."""

from dataclasses import dataclass

from copl_core.api import CoplError
from copl_core.config import check_model
from copl_core.model.count import count_parameters
from copl_core.registry import Registry
from copl_core.report.run import Run

#: Bytes of a float32 parameter, and of one that trains: itself, its gradient, Adam's two moments.
STORED, TRAINED = 4, 16


@dataclass(frozen=True)
class Group:
    """Parameters of one part of the model.

    Attributes:
        name: Of the part.
        count: Parameters.
        share: Of those of the encoders.
        trains: Whether they train.
    """

    name: str
    count: int
    share: float
    trains: bool

    @property
    def stored(self) -> int:
        """Bytes of the parameters."""
        return STORED * self.count

    @property
    def training(self) -> int:
        """Bytes with gradient and optimizer state, where they train."""
        return (TRAINED if self.trains else STORED) * self.count


def parameter_groups(run: Run, registry: Registry) -> list[Group]:
    """Count the parameters of the model that a run's config describes.

    Raises:
        CoplError: A component is not installed, or refuses its arguments.
    """
    names = {kind: tuple(values) for kind, values in run.header.names.items()} if run.header else None
    blocks = check_model(run.config, registry, str(run.folder))
    counts = count_parameters(blocks, registry, frames=1, names=names)
    parts = [
        ("encoders", counts.frozen, False),
        ("tuner, additional to the encoders", counts.additional, True),
        ("tuner, of its losses", counts.other, True),
        ("task head", counts.head or 0, True),
    ]
    return [
        Group(name, count, count / max(1, counts.frozen), trains)
        for name, count, trains in parts
        if count or "losses" not in name
    ]


def try_count(run: Run, registry: Registry, notes: list[str]) -> list[Group]:
    """The groups; none, and a note, if they can't be counted."""
    try:
        return parameter_groups(run, registry)
    except CoplError as error:
        notes.append(f"The parameters of {run.name} can't be counted here: {error}")
    return []
