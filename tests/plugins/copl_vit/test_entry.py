import importlib
import subprocess
import sys

import copl_vit
from copl_core.contracts import Backbone


def test_components_are_what_they_say() -> None:
    (spec,) = copl_vit.copl_components()

    module, name = spec.target.split(":")
    assert (spec.kind, spec.name) == ("backbone", "vit")
    assert issubclass(getattr(importlib.import_module(module), name), Backbone)
    assert spec.summary


def test_declaring_components_imports_nothing_heavy() -> None:
    code = "import sys, copl_vit; copl_vit.copl_components(); print(sorted({'torch', 'timm'} & set(sys.modules)))"

    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "[]\n"
