import importlib
import subprocess
import sys

import copl_avqa
from copl_core.contracts import Dataset, Head, Metric, Renderer, Task

BASES = {"task": Task, "dataset": Dataset, "head": Head, "metric": Metric, "renderer": Renderer}


def test_components_are_what_they_say() -> None:
    specs = copl_avqa.copl_components()

    assert {(spec.kind, spec.name) for spec in specs} == {
        ("task", "avqa"),
        ("dataset", "avqa"),
        ("head", "avst"),
        ("head", "avst_sentence"),
        ("metric", "answer_accuracy"),
        ("renderer", "answer_card"),
    }
    for spec in specs:
        module, name = spec.target.split(":")
        assert issubclass(getattr(importlib.import_module(module), name), BASES[spec.kind])
        assert spec.summary


def test_task_has_ten_frames_and_selects_by_accuracy() -> None:
    from copl_avqa.task import AvqaTask

    assert (AvqaTask.frames, AvqaTask.select_by, AvqaTask.higher_is_better) == (10, "accuracy", True)


def test_declaring_components_imports_nothing_heavy() -> None:
    code = (
        "import sys, copl_avqa; copl_avqa.copl_components();"
        "print(sorted({'torch', 'numpy', 'PIL', 'transformers'} & set(sys.modules)))"
    )

    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "[]\n"


def test_head_needs_no_sentence_model() -> None:
    code = "import sys, copl_avqa.head, copl_avqa.dataset; print('transformers' in sys.modules)"

    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "False\n"
