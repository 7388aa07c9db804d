"""Trained prompts whose components are not installed."""

import dataclasses
from pathlib import Path

import pytest

from copl_core.api import PluginError
from copl_core.checkpoint import Header, check_components, check_providers
from copl_core.plugins import Component, ComponentTable, PluginStatus

GATED = Component("mapper", "gated", "m:C", "", "copl_gated", "copl-gated", "0.1.0")
BANK = Component("bank", "prompt_bank", "m:C", "", "copl_prompts", "copl", "0.1.0")
METRIC = Component("metric", "theirs", "m:C", "", "copl_metric", "copl-metric", "2.0")
PATH = Path("run/export")


def header(components: dict[str, Component]) -> Header:
    described = {path: dataclasses.asdict(component) for path, component in components.items()}
    return Header(
        encoders={}, model={}, components=described, scores={}, seed=0, protocol="standard", copl_version="0.1.0"
    )


TRAINED = header({"tuner.mapper": GATED, "tuner.bank": BANK, "task.metric": METRIC})


def message(table: ComponentTable, trained: Header = TRAINED) -> str:
    with pytest.raises(PluginError) as caught:
        check_providers(PATH, trained, table)
    return str(caught.value)


def test_what_is_installed_is_accepted_and_parts_that_compute_nothing_are_not_asked_for() -> None:
    check_providers(PATH, TRAINED, ComponentTable([GATED, BANK]))


def test_the_missing_distribution_is_named() -> None:
    assert message(ComponentTable([BANK])) == (
        "run/export was trained with components that are not here:\n"
        "  mapper 'gated' (plugin copl_gated) of copl-gated 0.1.0: install copl-gated, at tuner.mapper"
    )


def test_a_run_is_asked_for_whole_and_may_record_qualified_names() -> None:
    places = {"tuner.mapper": GATED, "task.metric": METRIC}
    recorded = {
        place: {"kind": each.kind, "name": each.qualified, "distribution": each.distribution, "version": each.version}
        for place, each in places.items()
    }
    check_components(PATH, recorded, ComponentTable([GATED, METRIC]), whole=True)
    check_components(PATH, recorded, ComponentTable([GATED]))

    with pytest.raises(PluginError) as caught:
        check_components(PATH, recorded, ComponentTable(), whole=True)
    assert str(caught.value).splitlines()[1:] == [
        "  metric 'theirs' (plugin copl_metric) of copl-metric 2.0: install copl-metric, at task.metric",
        "  mapper 'gated' (plugin copl_gated) of copl-gated 0.1.0: install copl-gated, at tuner.mapper",
    ]


def test_the_same_name_in_another_plugin_is_another_component() -> None:
    other = dataclasses.replace(GATED, plugin="else", distribution="else")

    assert "install copl-gated" in message(ComponentTable([BANK, other]))


@pytest.mark.parametrize(
    ("status", "what"),
    [
        (
            PluginStatus("copl_gated", "copl-gated", "0.1.0", "failed", "ImportError: no nope"),
            "which is failed: ImportError: no nope, at tuner.mapper",
        ),
        (
            PluginStatus("copl_gated", "copl-gated", "0.2.0", "loaded"),
            "the installed copl-gated 0.2.0 has none: install that version, at tuner.mapper",
        ),
    ],
)
def test_a_plugin_that_is_there_but_does_not_provide_it(status: PluginStatus, what: str) -> None:
    assert what in message(ComponentTable([BANK], statuses=[status]))


def test_a_file_cannot_steer_the_terminal() -> None:
    evil = dataclasses.replace(GATED, distribution="x\x1b[2J")

    told = message(ComponentTable(), header({"tuner.mapper\x1b[2J": evil}))

    assert "\x1b" not in told
    assert "\\x1b[2J" in told
