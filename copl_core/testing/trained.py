"""The check of anything that trains: prompts, banks, mappers, losses, tuners, heads."""

from collections.abc import Callable, Collection, Mapping
from functools import partial

import torch
from torch import nn

from copl_core.testing import points, portability
from copl_core.testing.report import Report
from copl_core.testing.trial import Trial, disturbed

#: In order: the last one moves the module to another device.
_POINTS: Mapping[str, Callable[[Trial, nn.Module], None]] = {
    "seed": points.check_seed,
    "inputs": points.check_inputs,
    "batch of one": points.check_batch_of_one,
    "gradient": points.check_gradient,
    "prompts.safetensors": portability.check_files,
    "bf16 autocast": portability.check_bf16,
    "meta device": portability.check_meta_build,
    "devices": portability.check_devices,
}
#: Where two runs differ anyway, comparing runs tells nothing.
_COMPARING = ("batch of one", "prompts.safetensors", "bf16 autocast")


def check_trained(report: Report, trial: Trial, *, leave_out: Collection[str] = ()) -> bool:
    """Check all points of a component that trains, in one setting.

    Args:
        report: Takes the failures.
        trial: The component.
        leave_out: Points that make no sense for its kind.

    Returns:
        True if it could be built and run; where it couldn't, every other point would fail as well.
    """
    with torch.random.fork_rng(), torch.enable_grad():
        module = report.build(partial(disturbed, trial))
        if module is None or not report.check("running", points.check_outputs, trial, module):
            return False
        steady = report.check("determinism", points.check_determinism, trial, module)
        for point, check in _POINTS.items():
            if point not in leave_out and (steady or point not in _COMPARING):
                report.check(point, check, trial, module)
    return True
