import importlib
import subprocess
import sys

import copl_htsat
from copl_core.contracts import Backbone
from copl_core.plugins import get_table


def test_the_component_is_a_backbone_and_found_by_name() -> None:
    (spec,) = copl_htsat.copl_components()
    module, name = spec.target.split(":")

    assert (spec.kind, spec.name) == ("backbone", "htsat")
    assert spec.summary
    assert issubclass(getattr(importlib.import_module(module), name), Backbone)
    assert get_table().find("backbone", "htsat").plugin == "copl_htsat"


def test_declaring_components_imports_nothing_heavy() -> None:
    code = "import sys, copl_htsat; copl_htsat.copl_components(); print(sorted({'torch', 'numpy'} & set(sys.modules)))"

    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "[]\n"
