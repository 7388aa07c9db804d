"""From the words of the command line to setups."""

from pathlib import Path
from typing import Any

import torch

from copl_core.api import ConfigError, PluginError
from copl_core.bench.probe import Setup
from copl_core.config import Compute, load_config, usable
from copl_core.config.options import apply_options
from copl_core.config.values import ValueReader
from copl_core.registry import Registry

_COMPUTE = ("precision", "checkpointing", "compile")


def encoder_block(name: str, registry: Registry) -> dict[str, Any]:
    """Find the backbone that ``name`` means, with random weights.

    Args:
        name: A registered backbone, or a model name that one of them knows (its argument ``model``).
        registry: Where to look.

    Raises:
        ConfigError: None or several know it.
    """
    names = {component.name for component in registry.table.components("backbone")}
    if name in names:
        return {"type": name, "weights": "none"}
    found, refusals = [], []
    for backbone in sorted(names):
        block = {"type": backbone, "model": name, "weights": "none"}
        try:
            if registry.problems("backbone", block, "encoder"):
                continue  # takes no model name
            # The meta device costs no memory: this only asks whether the name is known.
            with torch.device("meta"):
                registry.build("backbone", block, path="encoder")
        except (ConfigError, PluginError) as error:
            refusals.append(f"{backbone}: {str(error).splitlines()[0][:120]}")
        else:
            found.append(block)
    if len(found) == 1:
        return found[0]
    if found:
        raise ConfigError(f"{name!r} is known to several backbones: {', '.join(block['type'] for block in found)}")
    raise ConfigError(
        f"no backbone named {name!r}, and none knows a model of that name\n  backbones: {', '.join(sorted(names))}\n  "
        + "\n  ".join(refusals)
    )


def tuner_setup(
    text: str,
    *,
    presets: Path,
    task: str,
    visual: dict[str, Any],
    audio: dict[str, Any] | str,
    registry: Registry,
    **shape: Any,
) -> Setup:
    """Read ``NAME[:KEY=VALUE]...``.

    ``NAME`` is a file ``NAME.yaml`` or ``NAME_<task>.yaml`` among the presets, or a registered tuner with its default
    arguments. The keys ``precision``, ``checkpointing`` and ``compile`` are those of ``compute``; others go to the
    tuner, e.g. ``copl:first_block=12:checkpointing=block``.

    Raises:
        ConfigError: Unknown tuner or key.
    """
    name, *options = text.split(":")
    block = _tuner_block(name, presets, task, registry)
    compute: dict[str, Any] = {}
    document = apply_options({"tuner": block, "compute": compute}, [_route(option) for option in options])
    reader = ValueReader()
    values = reader.read(document["compute"], Compute, "compute")
    problems = [*reader.problems, *registry.problems("tuner", document["tuner"], "tuner")]
    if problems:
        raise ConfigError(f"--tuners {text}:\n  " + "\n  ".join(map(str, problems)))
    return Setup(label=text, visual=visual, audio=audio, tuner=document["tuner"], compute=values, **shape)


def _route(option: str) -> str:
    key = option.partition("=")[0]
    return f"compute.{option}" if key in _COMPUTE else f"tuner.{option}"


def _tuner_block(name: str, presets: Path, task: str, registry: Registry) -> dict[str, Any]:
    for path in (presets / f"{name}.yaml", presets / f"{name}_{task}.yaml"):
        if path.is_file():
            block: dict[str, Any] = usable(load_config(path), str(path))["tuner"]
            return block
    known = [component.name for component in registry.table.components("tuner")]
    if name in known:
        return {"type": name}
    found = sorted(path.stem for path in presets.glob("*.yaml"))
    raise ConfigError(
        f"no tuner {name!r}; installed: {', '.join(sorted(known))}; presets in {presets}: {', '.join(found) or 'none'}"
    )
