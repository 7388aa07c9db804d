"""What a run was made with: command line, seed, versions, plugins. Kept in its work dir, one entry a start."""

import json
import os
import platform
import shlex
import sys
from datetime import datetime, timezone
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path
from typing import Any

import torch
from packaging.requirements import Requirement

import copl_core
from copl_core.api import ConfigError
from copl_core.atomic import write_text
from copl_core.checkout import commit
from copl_core.engine.build import Session
from copl_core.engine.distributed import world_size
from copl_core.plugins import ComponentTable
from copl_core.plugins.table import FIRST_PARTY
from copl_core.results import RUN_FILE


def record_start(work_dir: Path, session: Session, table: ComponentTable, device: torch.device) -> None:
    """Add this start to ``run.json``; a resumed run keeps the entries of its earlier starts.

    Args:
        work_dir: Where the run is.
        session: What was built.
        table: The installed plugins.
        device: Where it trains.

    Raises:
        ConfigError: The file is there, but can't be read.
    """
    path = work_dir / RUN_FILE
    text = json.dumps({"starts": [*_earlier(path), describe_start(session, table, device)]}, indent=2) + "\n"
    write_text(path, text)


def describe_start(session: Session, table: ComponentTable, device: torch.device) -> dict[str, Any]:
    """What tells this start from another one; the config lies beside it as ``config.yaml``."""
    return {
        "started": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "command": shlex.join(sys.argv),
        "folder": os.getcwd(),
        "seed": session.experiment.seed,
        "protocol": session.experiment.protocol,
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else device.type,
        "processes": world_size(),
        "cuda": torch.version.cuda if device.type == "cuda" else None,
        "platform": platform.platform(),
        "python": platform.python_version(),
        "commit": commit(),
        "packages": package_versions(table),
        "plugins": [
            {
                "plugin": status.name,
                "distribution": status.distribution,
                "version": status.version,
                "state": status.state,
                **({"error": status.error} if status.error else {}),
            }
            for status in table.statuses
        ],
        "components": {
            path: {
                "kind": component.kind,
                "name": component.qualified,
                "distribution": component.distribution,
                "version": component.version,
                "target": component.target,
            }
            for path, component in session.components.items()
        },
    }


def package_versions(table: ComponentTable) -> dict[str, str]:
    """Versions of copl, of what it and the plugins' distributions require, and of those distributions."""
    ours = {FIRST_PARTY, *(status.distribution for status in table.statuses)}
    names = {*ours, *(name for distribution in ours for name in _required(distribution))}
    versions = {name: _version(name) for name in sorted(names, key=str.lower)}
    return {name: found for name, found in versions.items() if found} | {FIRST_PARTY: copl_core.__version__}


def _required(distribution: str) -> list[str]:
    """The distributions that one needs here, leaving out its extras."""
    try:
        found = [Requirement(line) for line in requires(distribution) or ()]
    except PackageNotFoundError:
        return []
    return [each.name for each in found if each.marker is None or each.marker.evaluate({"extra": ""})]


def _version(distribution: str) -> str | None:
    try:
        return version(distribution)
    except PackageNotFoundError:
        return None


def _earlier(path: Path) -> list[Any]:
    """The entries of earlier starts."""
    if not path.exists():
        return []
    try:
        starts = json.loads(path.read_text(encoding="utf-8"))["starts"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ConfigError(f"{path} can't be read ({error}); move it away to go on without its entries") from error
    if not isinstance(starts, list):
        raise ConfigError(f"{path}: 'starts' is no list; move the file away to go on without its entries")
    return starts
