"""The devices that runs are handed."""

import os

from copl_core.api import ConfigError

VISIBLE = "CUDA_VISIBLE_DEVICES"


def find_devices(wanted: str) -> list[str]:
    """The CUDA devices to hand out, as ``CUDA_VISIBLE_DEVICES`` names them; none for the CPU.

    Args:
        wanted: ``auto``, ``cpu`` or ``cuda``.

    Raises:
        ConfigError: CUDA is wanted and there is none.
    """
    if wanted == "cpu":
        return []
    import torch

    count = torch.cuda.device_count()
    if wanted == "cuda" and not count:
        raise ConfigError("--device cuda: no CUDA device is available; use --device cpu")
    return visible_names(count, os.environ.get(VISIBLE))


def visible_names(count: int, inherited: str | None) -> list[str]:
    """Names of the devices that this process sees.

    Args:
        count: Devices it sees.
        inherited: ``CUDA_VISIBLE_DEVICES`` of this process: numbers or names such as ``GPU-<uuid>``. What CUDA calls
            device 0 here is the first of them; None where all devices are seen.
    """
    if inherited is None:
        return [str(number) for number in range(count)]
    return [name.strip() for name in inherited.split(",")][:count]
