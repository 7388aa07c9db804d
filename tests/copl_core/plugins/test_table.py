import pytest

from copl_core.api import PluginError
from copl_core.plugins import Component, ComponentTable, PackagedConfigs, PluginStatus


def component(name: str, plugin: str, *, kind: str = "backbone", distribution: str | None = None) -> Component:
    return Component(kind, name, f"{plugin}.model:Model", "", plugin, distribution or plugin, "1.0")


def table(*components: Component, broken: str = "") -> ComponentTable:
    plugins = {(each.plugin, each.distribution) for each in components}
    statuses = [PluginStatus(plugin, distribution, "1.0", "loaded") for plugin, distribution in sorted(plugins)]
    if broken:
        statuses.append(PluginStatus(broken, broken, "1.0", "failed", "ModuleNotFoundError: No module named 'nope'"))
    return ComponentTable(components, (), statuses)


def error(table: ComponentTable, kind: str, name: str) -> str:
    with pytest.raises(PluginError) as caught:
        table.find(kind, name)
    return str(caught.value)


def test_bare_and_qualified_names() -> None:
    swin = component("swin", "ext")
    assert table(swin).find("backbone", "swin") is swin
    assert table(swin).find("backbone", "ext.swin") is swin


def test_first_party_wins_a_bare_name_and_the_other_stays_reachable() -> None:
    ours, theirs = component("swin", "copl_swin", distribution="copl"), component("swin", "aaa")
    both = table(theirs, ours)
    assert both.find("backbone", "swin") is ours
    assert both.find("backbone", "aaa.swin") is theirs
    assert both.warnings == ("backbone 'swin' means the one of plugin 'copl_swin'; that of 'aaa' is 'aaa.swin'",)


def test_two_third_parties_make_a_bare_name_an_error_and_only_that() -> None:
    one, two = component("vit", "one"), component("vit", "two")
    both = table(one, two)
    assert error(both, "backbone", "vit") == (
        "backbone 'vit' is provided by more than one plugin: write 'one.vit' or 'two.vit'"
    )
    assert both.find("backbone", "two.vit") is two
    assert both.warnings == ()


def test_the_same_name_in_two_kinds_is_no_collision() -> None:
    both = table(component("x", "one"), component("x", "two", kind="head"))
    assert both.find("head", "x").plugin == "two"


def test_a_misspelt_name_gets_a_suggestion_and_the_plugins_that_failed() -> None:
    assert error(table(component("swin", "copl_swin"), broken="foo"), "backbone", "swim") == (
        "no backbone named 'swim'. Did you mean 'swin' (from copl_swin)? "
        "Plugins not loaded: foo (ModuleNotFoundError: No module named 'nope')."
    )


def test_a_name_of_another_kind_is_told() -> None:
    message = error(table(component("swin", "a"), component("sum", "b", kind="mapper")), "backbone", "sum")
    assert message == "no backbone named 'sum'. 'sum' exists as a mapper."


def test_a_name_that_resembles_nothing_lists_what_there_is() -> None:
    assert error(table(component("swin", "a"), component("vit", "a")), "backbone", "resnet") == (
        "no backbone named 'resnet'. Known: swin, vit."
    )


def test_a_name_that_resembles_none_of_many_is_not_answered_by_all_of_them() -> None:
    many = table(*(component(f"encoder_{number}", "a") for number in range(30)))
    assert error(many, "backbone", "xyz") == "no backbone named 'xyz'. `copl plugins list` names them all."


def test_the_components_of_a_name_whatever_their_kind() -> None:
    ours, head, theirs = component("x", "one"), component("x", "one", kind="head"), component("x", "two")
    all_three = table(ours, head, theirs, broken="foo")
    assert all_three.named("x") == (ours, theirs, head)
    assert all_three.named("one.x") == (ours, head)
    with pytest.raises(PluginError) as caught:
        all_three.named("y")
    assert str(caught.value).endswith("Plugins not loaded: foo (ModuleNotFoundError: No module named 'nope').")
    with pytest.raises(PluginError, match=r"no component 'foo\.x': plugin 'foo' is not loaded \(ModuleNotFound"):
        all_three.named("foo.x")


def test_an_unknown_prefix() -> None:
    swin = table(component("swin", "copl_swin"))
    assert error(swin, "backbone", "nopkg.swin") == (
        "no backbone 'nopkg.swin': unknown plugin 'nopkg'; installed: copl_swin."
    )
    assert "unknown plugin 'copl_swim'; did you mean 'copl_swin'?" in error(swin, "backbone", "copl_swim.swin")
    assert "unknown plugin 'os'" in error(swin, "backbone", "os.system")


def test_the_prefix_of_a_plugin_that_failed() -> None:
    message = error(table(component("swin", "a"), broken="foo"), "backbone", "foo.bar")
    assert message == "no backbone 'foo.bar': plugin 'foo' is not loaded (ModuleNotFoundError: No module named 'nope')."


def test_a_misspelt_name_with_a_right_prefix() -> None:
    assert "Did you mean 'a.swin'" in error(table(component("swin", "a")), "backbone", "a.swim")


def test_an_unknown_kind() -> None:
    assert "unknown kind 'backbnoe'; did you mean 'backbone'?" in error(table(), "backbnoe", "swin")


def test_components_are_sorted_by_kind_name_and_plugin() -> None:
    found = table(component("b", "z"), component("m", "z", kind="head"), component("b", "a"), component("a", "z"))
    assert [(each.kind, each.qualified) for each in found.components()] == [
        ("backbone", "z.a"),
        ("backbone", "a.b"),
        ("backbone", "z.b"),
        ("head", "z.m"),
    ]
    assert [each.name for each in found.components("head")] == ["m"]


def test_config_folders_follow_the_same_naming_rules() -> None:
    ours, theirs = (
        PackagedConfigs("avs", "pkg", "configs", plugin, dist) for plugin, dist in [("a", "copl"), ("b", "b")]
    )
    both = ComponentTable(configs=[theirs, ours])
    assert both.find_configs("avs") is ours
    assert both.find_configs("b.avs") is theirs
    assert len(both.warnings) == 1
    with pytest.raises(PluginError, match=r"no packaged configs named 'avz'\. Did you mean 'avs'"):
        both.find_configs("avz")
