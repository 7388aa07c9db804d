"""What a check may be given, the one for all kinds, and what a failure looks like."""

import os
import subprocess
import sys
from functools import partial

import pytest
from torch import nn

from conformance_parts import failures
from copl_core import testing
from copl_core.api import KINDS, ConfigError, PluginError
from copl_core.contracts import Mapper
from copl_core.testing import ConformanceError, check_component, check_mapper
from copl_core.testing.report import Failure, Report


class Narrow(Mapper):
    """Wrong where the target is wider.

    Args:
        source: Width of the incoming prompts.
        target: Width of the outgoing prompts.
        width: Of the output.
    """

    def __init__(self, *, source, target, width):
        super().__init__()
        self.map = nn.Linear(source, width)

    def forward(self, prompts):
        """(BT, P, source) -> (BT, P, target)."""
        return self.map(prompts)


def test_every_kind_has_its_check():
    assert {name.removeprefix("check_") for name in testing.__all__ if name.startswith("check_")} == {
        *KINDS,
        "component",
    }
    with pytest.raises(PluginError, match="unknown kind 'maper'; did you mean 'mapper'"):
        check_component("maper", Narrow)


def test_names_classes_and_partials():
    check_component("mapper", "bottleneck", width=3)
    check_component("mapper", "copl_fusion.linear")
    expected = failures(check_mapper, Narrow, width=48)
    assert failures(check_mapper, partial(Narrow, width=48)) == expected
    assert expected == [
        "running (source 48, target 32): expected output for 5 prompts of shape (6, 5, 32), got (6, 5, 48); return "
        "what the contract of its kind says"
    ]


@pytest.mark.parametrize(
    ("component", "arguments", "error", "message"),
    [
        ("bottleneck", {}, ConfigError, "bottleneck.width: required"),
        ("bottleneck", {"widht": 3, "width": 3}, ConfigError, "did you mean 'width'"),
        ("bottelneck", {}, (ConfigError, PluginError), "Did you mean 'bottleneck'"),
        (lambda **_: None, {}, TypeError, "expected a class, functools.partial of one, or the name of a mapper"),
    ],
)
def test_what_is_no_component_is_said_so(component, arguments, error, message):
    with pytest.raises(error, match=message):
        check_mapper(component, **arguments)


class Abstract(Mapper):
    """Leaves the work to others."""


def test_an_incomplete_class():
    lines = failures(check_mapper, Abstract)
    assert "class: expected the whole contract, forward is not defined; define it" in lines


def report_three_points():
    with Report("mapper Odd") as report:
        for setting in ("wide", "narrow"):
            with report.setting(setting):
                assert not report.check("shape", fail, f"expected {setting}")
        assert not report.check("gradient", fail, "expected\n  one")
        assert report.check("seed", int)


def test_report_tells_each_point_once_and_all_of_them():
    with pytest.raises(ConformanceError) as caught:
        report_three_points()
    assert str(caught.value) == ("mapper Odd: 2 problems\n  shape (wide): expected wide\n  gradient: expected one")
    assert isinstance(caught.value, AssertionError)


def fail(message):
    raise Failure(message)


def break_the_check():
    with Report("mapper Odd") as report:
        report.fail("shape", "expected something")
        raise ZeroDivisionError


def test_an_error_of_the_check_itself_is_not_hidden():
    with pytest.raises(ZeroDivisionError):
        break_the_check()


def test_works_without_pytest():
    code = (
        "import sys; sys.modules['pytest'] = None\n"
        "from copl_core.testing import check_component\n"
        "check_component('mapper', 'linear')\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, env={**os.environ, "OMP_NUM_THREADS": "1"})
