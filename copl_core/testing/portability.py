"""The points of anything that trains: the way through a file, other precision, other devices."""

import re
import tempfile
from functools import partial
from pathlib import Path

import torch
from torch import Tensor, nn

from copl_core.checkpoint import Header, load_trained, save_trained
from copl_core.contracts import Layout, Tuner
from copl_core.testing.report import Failure, some
from copl_core.testing.stand_ins import CLIPS, tiny_model
from copl_core.testing.tensors import far_apart, map_tensors
from copl_core.testing.trial import Outputs, Trial, disturbed, expect_equal, expect_near, objective, run

#: How torch says that tensors lie on two devices.
_TWO_DEVICES = re.compile(r"(same|expected|different) device")


class _Holder(Tuner):
    """A tuner that is nothing but the component, so that its tensors go into prompts.safetensors."""

    def __init__(self, *, layout: Layout, part: nn.Module) -> None:
        super().__init__(layout=layout)
        self.part = part


def check_files(trial: Trial, module: nn.Module) -> None:
    """After a step of training, files written and loaded into another build give the same outputs."""
    in_model = trial.in_model or (lambda part: tiny_model(tuner=lambda **context: _Holder(part=part, **context)))
    other = disturbed(trial, seed=2)
    inputs = trial.inputs(CLIPS)
    with torch.no_grad():
        objective(trial, module.train(), inputs)
    expected = run(trial, module, inputs)
    header = Header(encoders={}, model={}, components={}, scores={}, seed=0, protocol="", copl_version="")
    with tempfile.TemporaryDirectory() as folder:
        save_trained(Path(folder), in_model(module), header)
        load_trained(Path(folder), in_model(other), encoders={})
    expect_equal(
        expected,
        run(trial, other, inputs),
        "expected the same outputs after saving and loading into a new build",
        "keep every tensor that matters in a parameter or a registered buffer",
    )


def check_bf16(trial: Trial, module: nn.Module) -> None:
    """Under bf16 autocast, where the tokens of an encoder come in float32 or in bfloat16."""
    inputs = trial.inputs(CLIPS)
    exact = run(trial, module, inputs)
    for dtype in (torch.float32, torch.bfloat16):
        with torch.autocast("cpu", dtype=torch.bfloat16):
            lower = run(trial, module, map_tensors(inputs, partial(_cast, dtype=dtype)))
        expect_near(exact, lower, f"under bf16 autocast with inputs in {str(dtype).removeprefix('torch.')}")


def _cast(tensor: Tensor, dtype: torch.dtype) -> Tensor:
    return tensor.to(dtype) if tensor.is_floating_point() else tensor


def check_meta_build(trial: Trial, _: nn.Module) -> None:
    """Built on the meta device it takes no memory: that is how parameters are counted."""
    with torch.device("meta"):
        module = trial.build()
    odd = [name for name, tensor in module.state_dict().items() if not tensor.is_meta]
    if odd:
        raise Failure(
            f"expected no memory for parameters when built under torch.device('meta'), {some(odd)} has some; make "
            "tensors with torch's factory functions, without device"
        )


def check_devices(trial: Trial, module: nn.Module) -> None:
    """Follow the component on the meta device, and compare with the CPU on CUDA where there is one."""
    inputs = trial.inputs(CLIPS)
    expected = run(trial, module, inputs)
    if torch.cuda.is_available():
        on_gpu = run(trial, module.cuda(), map_tensors(inputs, Tensor.cuda))
        _expect_close(expected, {name: output.cpu() for name, output in on_gpu.items()})
    try:
        outputs = run(trial, module.to("meta"), map_tensors(inputs, lambda x: x.to("meta")))
    except Exception as error:
        text = " ".join(str(error).split())
        # What looks at values (item, nonzero) can't be followed without them; on CUDA it has been.
        if not _TWO_DEVICES.search(text):
            return
        raise Failure(
            f"expected it to run where its inputs lie, on another device than the CPU it raises: {text}; make tensors "
            "with device=x.device, and register buffers"
        ) from error
    odd = [name for name, output in outputs.items() if not output.is_meta]
    if odd:
        raise Failure(
            f"expected outputs on the device of the inputs, {some(odd)} lies on the CPU; make tensors with "
            "device=x.device"
        )


def _expect_close(expected: Outputs, outputs: Outputs) -> None:
    for name, output in outputs.items():
        if far_apart(expected[name], output, tolerance=1e-2):
            raise Failure(f"expected on CUDA nearly what the CPU gives, {name} differs; look for what depends on it")
