import importlib
import subprocess
import sys

import copl_ave
from copl_core.contracts import Dataset, Head, Metric, Renderer, Task

BASES = {"task": Task, "dataset": Dataset, "head": Head, "metric": Metric, "renderer": Renderer}


def test_components_are_what_they_say() -> None:
    specs = copl_ave.copl_components()

    assert {(spec.kind, spec.name) for spec in specs} == {
        ("task", "ave"),
        ("dataset", "ave"),
        ("head", "ave_classifier"),
        ("metric", "segment_accuracy"),
        ("renderer", "event_timeline"),
    }
    for spec in specs:
        module, name = spec.target.split(":")
        assert issubclass(getattr(importlib.import_module(module), name), BASES[spec.kind])
        assert spec.summary


def test_task_selects_by_the_accuracy() -> None:
    from copl_ave.task import AveTask

    assert (AveTask.frames, AveTask.select_by, AveTask.higher_is_better) == (10, "accuracy", True)


def test_declaring_components_imports_nothing_heavy() -> None:
    code = (
        "import sys, copl_ave; copl_ave.copl_components(); print(sorted({'torch', 'numpy', 'PIL'} & set(sys.modules)))"
    )

    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "[]\n"
