import importlib
import subprocess
import sys

import copl_avs
from copl_core.contracts import Dataset, Head, Metric, Renderer, Task

BASES = {"task": Task, "dataset": Dataset, "head": Head, "metric": Metric, "renderer": Renderer}


def test_components_are_what_they_say() -> None:
    specs = copl_avs.copl_components()

    assert {(spec.kind, spec.name) for spec in specs} == {
        ("task", "avs_s4"),
        ("dataset", "avs_s4"),
        ("task", "avs_ms3"),
        ("dataset", "avs_ms3"),
        ("head", "avs_decoder"),
        ("metric", "segmentation"),
        ("renderer", "mask_overlay"),
    }
    for spec in specs:
        module, name = spec.target.split(":")
        assert issubclass(getattr(importlib.import_module(module), name), BASES[spec.kind])
        assert spec.summary


def test_task_selects_by_the_mean_iou() -> None:
    from copl_avs.task import AvsS4Task

    assert (AvsS4Task.frames, AvsS4Task.select_by, AvsS4Task.higher_is_better) == (5, "mIoU", True)


def test_declaring_components_imports_nothing_heavy() -> None:
    code = (
        "import sys, copl_avs; copl_avs.copl_components(); print(sorted({'torch', 'numpy', 'PIL'} & set(sys.modules)))"
    )

    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "[]\n"
