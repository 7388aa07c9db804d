"""What the actions share: options, and the way from the name of a task to its data set."""

import argparse
import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from copl_core.cli.common import add_cfg_options

if TYPE_CHECKING:
    from rich.progress import Progress

    from copl_core.contracts import Dataset, Factory
    from copl_core.registry import Registry

#: Data sets want to know how sound becomes spectrograms. Nothing here makes any, so these values have no effect.
_RECIPE = {"mean": 0.0, "std": 0.5}


def add_dataset_options(parser: argparse.ArgumentParser) -> None:
    """TASK, ROOT and --cfg-options."""
    parser.add_argument("task", metavar="TASK", help="name of a task and its data set, such as ave, avs_s4 or avqa")
    parser.add_argument("root", metavar="ROOT", help="what a config calls task.dataset.root")
    add_cfg_options(parser, "further settings below task.dataset, e.g. edition=json media=/data/AVE_cache")


def add_workers_option(parser: argparse.ArgumentParser) -> None:
    """--workers."""
    default = os.cpu_count() or 1
    parser.add_argument(
        "--workers", type=_count, default=default, metavar="N", help="processes beside this one (%(default)s)"
    )


def dataset_factory(
    task: str, root: str, settings: Sequence[str], registry: "Registry", *, on_error: str | None = None
) -> "Factory[Dataset]":
    """Find the data set of a task.

    Args:
        task: Name of a data set.
        root: Where it lies.
        settings: ``key=value`` each, as in a config.
        registry: The components.
        on_error: Set unless the settings do; data sets without this setting are left alone.

    Raises:
        PluginError: There is no data set of that name.
        ConfigError: A setting is wrong.
    """
    from copl_core.config.options import apply_options

    known = registry.signature(registry.table.find("dataset", task)).settable
    block: dict[str, Any] = {"type": task, "root": root}
    if "audio" in known:
        block["audio"] = dict(_RECIPE)
    if on_error is not None and "on_error" in known:
        block["on_error"] = on_error
    return registry.factory("dataset", apply_options(block, settings), path="task.dataset")


def progress_bar() -> "Progress":
    """A bar with the time that is left, on standard error."""
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
        console=Console(stderr=True),
    )


def _count(text: str) -> int:
    number = int(text)
    if number < 0:
        raise argparse.ArgumentTypeError("must be at least 0")
    return number
