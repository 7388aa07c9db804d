import json
import logging
import subprocess
import sys
from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import pytest

import copl_core
from copl_core.api import PluginError
from copl_core.plugins import discover, get_table, reset_table
from plugin_packages import copl

Code = Callable[[str], str]


def states(table: Any) -> dict[str, str]:
    return {status.name: status.state for status in table.statuses}


def test_a_plugin_is_found_with_its_distribution_and_version(site: Any, backbone: Code) -> None:
    site.add("copl_ext", backbone("swin"), distribution="copl-ext", version="0.3")

    table = discover(site.points())

    (status,) = table.statuses
    assert (status.name, status.distribution, status.version, status.state) == ("copl_ext", "copl-ext", "0.3", "loaded")
    component = table.find("backbone", "swin")
    assert component.qualified == "copl_ext.swin"
    assert component.target == "swin_model:Model"
    assert (component.distribution, component.version) == ("copl-ext", "0.3")
    assert table.warnings == ()


def test_first_party_plugins_come_first_then_by_distribution_and_name(site: Any, backbone: Code) -> None:
    site.add("zeta", backbone("a"), distribution="alpha")
    site.add("beta", backbone("b"), distribution="alpha")
    site.add("zz", backbone("c"), distribution="copl")
    site.add("aa", backbone("d"), distribution="omega")

    assert [status.name for status in discover(site.points()).statuses] == ["zz", "beta", "zeta", "aa"]


BROKEN = {
    "missing_module": (None, "ModuleNotFoundError: No module named"),
    "raises_on_import": ("import not_there", "ModuleNotFoundError: No module named 'not_there'"),
    "exits_on_import": ("raise SystemExit('go away')", "SystemExit: go away"),
    "no_hook": ("", "it has no copl_components hook"),
    "misspelt_hook": (
        "@hookimpl\ndef copl_component():\n    return []",
        "is not loaded: unknown hook 'copl_component'; did you mean 'copl_components'?",
    ),
    "hook_of_nothing": (
        "@hookimpl\ndef register():\n    return []",
        "is not loaded: unknown hook 'register'; hooks: copl_api_version, copl_components, copl_configs",
    ),
    "unmarked_hook": (
        "def copl_components():\n    return []",
        "it has no copl_components hook that returns components; mark it with @hookimpl",
    ),
    "extra_argument": ("@hookimpl\ndef copl_components(extra):\n    return []", "Argument(s) {'extra'} are declared"),
    "hook_raises": ("@hookimpl\ndef copl_components():\n    return 1 / 0", "ZeroDivisionError: division by zero"),
    "generator_raises": (
        "@hookimpl\ndef copl_components():\n    yield ComponentSpec('loss', 'a', 'a:A')\n    raise OSError('late')",
        "OSError: late",
    ),
    "not_a_list": ("@hookimpl\ndef copl_components():\n    return 5", "must return a list of ComponentSpec, got int"),
    "not_specs": ("@hookimpl\ndef copl_components():\n    return ['swin']", "one item is 'swin'"),
    "bad_version": (
        "@hookimpl\ndef copl_api_version():\n    return 1\n@hookimpl\ndef copl_components():\n    return []",
        "must return (oldest, newest) as two integers, got 1",
    ),
    "Bad-Id": ("@hookimpl\ndef copl_components():\n    return []", "plugin id must be snake_case"),
    "bad_folder": (
        "@hookimpl\ndef copl_components():\n    return []\n"
        "@hookimpl\ndef copl_configs():\n    return [ConfigRoot('x', 'pkg', '../etc')]",
        "folder must be a relative path",
    ),
}


@pytest.mark.parametrize("plugin", BROKEN)
def test_a_broken_plugin_is_told_in_one_line_and_takes_nothing_with_it(
    site: Any, backbone: Code, caplog: pytest.LogCaptureFixture, plugin: str
) -> None:
    code, message = BROKEN[plugin]
    site.add(plugin, code, distribution="aaa-broken", version="2.1")
    site.add("good", backbone("swin"))

    with caplog.at_level(logging.WARNING, logger="copl"):
        table = discover(site.points())

    assert states(table) == {plugin: "failed", "good": "loaded"}
    assert table.find("backbone", "swin").plugin == "good"
    (warning,) = table.warnings
    assert warning.startswith(f"plugin '{plugin}' (aaa-broken 2.1) is not loaded: ")
    assert message in warning
    assert "\n" not in warning
    assert caplog.messages == [warning]


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("'backbnoe', 'swin', 'm:C'", "component 'swin': unknown kind 'backbnoe'; did you mean 'backbone'?"),
        ("None, 'swin', 'm:C'", "component 'swin': unknown kind None; kinds: backbone, tuner, "),
        ("['bank'], 'swin', 'm:C'", "component 'swin': unknown kind ['bank']"),
        ("'bank', None, 'm:C'", "name of a bank must be snake_case ([a-z][a-z0-9_]*), got None"),
        ("'bank', 'swin', None", "bank 'swin': target must be 'package.module:Class', got None"),
        ("'backbone', 'Swin', 'm:C'", "name of a backbone must be snake_case ([a-z][a-z0-9_]*), got 'Swin'"),
        ("'backbone', 'swin', 'm.C'", "backbone 'swin': target must be 'package.module:Class', got 'm.C'"),
        ("'backbone', 'swin', 'os:system()'", "target must be 'package.module:Class'"),
        ("'backbone', 'ok', 'm:C'", "declared twice: backbone 'ok'"),
    ],
)
def test_one_wrong_component_refuses_the_whole_plugin(site: Any, spec: str, message: str) -> None:
    site.add(
        "bad",
        f"@hookimpl\ndef copl_components():\n"
        f"    return [ComponentSpec('backbone', 'ok', 'm:C'), ComponentSpec({spec})]",
    )

    table = discover(site.points())

    assert states(table) == {"bad": "failed"}
    assert message in table.statuses[0].error
    assert table.components() == ()


def test_an_entry_point_must_name_a_module(site: Any, backbone: Code) -> None:
    module = site.add("good", backbone("swin"))
    entry = next(site.folder.glob("good-*.dist-info")) / "entry_points.txt"
    entry.write_text(f"[copl.plugins]\ngood = {module}:copl_components\n")

    (status,) = discover(site.points()).statuses

    assert status.state == "failed"
    assert "must name a module" in status.error


def test_a_plugin_for_another_api_is_incompatible_even_with_hooks_this_api_lacks(site: Any) -> None:
    site.add(
        "later",
        "@hookimpl\ndef copl_api_version():\n    return (2, 3)\n"
        "@hookimpl\ndef copl_components(new):\n    return []\n@hookimpl\ndef copl_future():\n    pass\n",
    )

    (status,) = discover(site.points()).statuses

    assert status.state == "incompatible"
    assert status.error == "made for plugin API 2 to 3, this copl has 1"


def test_a_plugin_that_requires_another_copl_is_incompatible(site: Any, backbone: Code) -> None:
    site.add("later", backbone("swin"), requires="copl>=99")
    site.add("fits", backbone("swin"), requires="copl>=0.0.1")
    site.add("extra_only", backbone("vit"), requires='copl>=99; extra == "dev"')

    table = discover(site.points())

    assert states(table) == {"extra_only": "loaded", "fits": "loaded", "later": "incompatible"}
    assert "needs copl>=99" in next(status.error for status in table.statuses if status.name == "later")


@pytest.mark.parametrize("name", ["CoPL", "COPL", "copl"])
def test_a_distribution_may_be_written_in_any_case(site: Any, backbone: Code, name: str) -> None:
    site.add("later", backbone("swin"), requires=f"{name}>=99")

    (status,) = discover(site.points()).statuses

    assert (status.state, status.error) == ("incompatible", f"needs copl>=99, this is {copl_core.__version__}")


def test_two_third_parties_with_one_plugin_id_are_both_refused(site: Any, backbone: Code) -> None:
    site.add("ext", backbone("swin"), distribution="one")
    site.add("ext", backbone("vit"), distribution="two", version="3.0")

    table = discover(site.points())

    assert [status.state for status in table.statuses] == ["failed", "failed"]
    assert table.statuses[0].error == "plugin id 'ext' is also that of two 3.0; uninstall one"


def test_a_first_party_plugin_id_is_reserved(site: Any, backbone: Code) -> None:
    site.add("copl_swin", backbone("swin"), distribution="copl")
    site.add("copl_swin", backbone("swin"), distribution="aaa")

    table = discover(site.points())

    assert [(status.distribution, status.state) for status in table.statuses] == [("copl", "loaded"), ("aaa", "failed")]


def test_a_disabled_plugin_is_not_even_imported(site: Any, backbone: Code, monkeypatch: pytest.MonkeyPatch) -> None:
    module = site.add("ext", backbone("swin"))
    monkeypatch.setenv("COPL_DISABLE_PLUGINS", "other, ext")

    table = discover(site.points())

    assert states(table) == {"ext": "disabled"}
    assert module not in sys.modules
    assert table.warnings == ("COPL_DISABLE_PLUGINS: no plugin 'other'",)
    with pytest.raises(PluginError, match=r"Plugins not loaded: ext \(disabled by COPL_DISABLE_PLUGINS\)"):
        table.find("backbone", "swin")


@pytest.mark.parametrize(("allowed", "expected"), [("", []), ("one", ["one"]), ("one,two", ["one", "two"])])
def test_the_allow_list_names_the_third_party_plugins_to_load(
    site: Any, backbone: Code, monkeypatch: pytest.MonkeyPatch, allowed: str, expected: list[str]
) -> None:
    site.add("ours", backbone("swin"), distribution="copl")
    site.add("one", backbone("a"))
    site.add("two", backbone("b"))
    monkeypatch.setenv("COPL_LOAD_PLUGINS", allowed)

    loaded = [status.name for status in discover(site.points()).statuses if status.state == "loaded"]

    assert loaded == ["ours", *expected]


def test_strict_mode_raises_what_the_plugin_raised(site: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    site.add("bad", "import not_there")
    monkeypatch.setenv("COPL_STRICT_PLUGINS", "1")

    with pytest.raises(ModuleNotFoundError, match="not_there"):
        discover(site.points())


@pytest.mark.parametrize("code", ["0", "3", "'bye'", ""])
def test_strict_mode_fails_where_a_plugin_ends_the_program(site: Any, code: str) -> None:
    site.add("quits", f"import sys\nsys.exit({code})\n")

    done = copl("plugins", paths=[site.folder], variables={"COPL_STRICT_PLUGINS": "1"})

    assert done.returncode == 1
    assert "Traceback" in done.stderr
    assert f"sys.exit({code})" in done.stderr
    assert "RuntimeError: plugin 'quits' (quits 1.0) ends the program: SystemExit" in done.stderr


@pytest.mark.parametrize(("value", "strict"), [("0", False), ("false", False), ("No", False), ("", False),
                                               ("1", True), ("true", True), ("YES", True)])  # fmt: skip
def test_how_strict_mode_is_switched(site: Any, monkeypatch: pytest.MonkeyPatch, value: str, strict: bool) -> None:
    site.add("bad", "import not_there")
    monkeypatch.setenv("COPL_STRICT_PLUGINS", value)

    with pytest.raises(ModuleNotFoundError) if strict else nullcontext():
        assert states(discover(site.points())) == {"bad": "failed"}


def test_a_switch_that_is_neither_on_nor_off_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COPL_STRICT_PLUGINS", "maybe")

    with pytest.raises(PluginError, match="COPL_STRICT_PLUGINS is 'maybe': expected 1 or 0"):
        discover([])


def test_what_a_plugin_prints_is_no_part_of_an_answer(site: Any) -> None:
    hook = "@hookimpl\ndef copl_components():\n    print('asked')\n    yield ComponentSpec('bank', 'a', 'm:C')\n"
    site.add("chatty", "print('hello from a plugin')\n" + hook + "    print('late')\n")

    done = copl("plugins", "list", "--json", paths=[site.folder])

    assert "chatty" in {plugin["name"] for plugin in json.loads(done.stdout)["plugins"]}
    assert done.stderr.split("\n") == ["hello from a plugin", "asked", "late", ""]


@pytest.mark.parametrize("where", ["module", "hook"])
def test_a_plugin_that_imports_torch_to_say_what_it_provides_is_told(site: Any, backbone: Code, where: str) -> None:
    code = backbone("mine")
    line = "import torch\n"
    site.add("heavy", line + code if where == "module" else code.replace("    return", f"    {line}    return"))
    site.add("light", backbone("yours"))
    (site.folder / "torch.py").write_text("")

    done = copl("plugins", "list", "--json", paths=[site.folder])

    assert done.stderr == (
        "WARNING: plugin 'heavy' (heavy 1.0) imports torch in its entry module, which makes every command slow: "
        "name classes as strings there, and import it where they are\n"
    )
    assert {each["state"] for each in json.loads(done.stdout)["plugins"]} == {"loaded"}


@pytest.mark.parametrize("content", [b"[copl.plugins]\nno equals sign\n", b"\xff\xfe[copl.plugins]\n"])
def test_damaged_metadata_of_one_distribution_costs_only_its_plugins(site: Any, backbone: Code, content: bytes) -> None:
    site.add("good", backbone("swin"))
    site.add("damaged", backbone("vit"))
    (site.folder / "damaged-1.0.dist-info" / "entry_points.txt").write_bytes(content)

    variables = {"COPL_LOAD_PLUGINS": "good,damaged", "PYTHONPATH": str(site.folder)}
    done = copl("plugins", "list", "--json", variables=variables)

    assert done.returncode == 0
    plugins = {each["name"]: each["state"] for each in json.loads(done.stdout)["plugins"]}
    assert plugins["good"] == plugins["copl_swin"] == "loaded"
    assert "damaged" not in plugins
    assert "WARNING: distribution 'damaged' has a damaged entry_points.txt (" in done.stderr


def test_a_distribution_without_metadata_is_listed_as_unknown(site: Any, backbone: Code) -> None:
    site.add("half", backbone("swin"))
    site.add("whole", backbone("vit"))
    (next(site.folder.glob("half-*.dist-info")) / "METADATA").unlink()

    table = discover(site.points())

    assert states(table) == {"half": "loaded", "whole": "loaded"}
    assert table.find("backbone", "swin").version == "unknown"


def test_unreadable_metadata_cost_one_plugin(site: Any, backbone: Code) -> None:
    site.add("garbled", backbone("swin"))
    site.add("whole", backbone("vit"))
    (site.folder / "garbled-1.0.dist-info" / "METADATA").write_bytes(b"Name: \xff\xfe\n")

    assert states(discover(site.points())) == {"garbled": "failed", "whole": "loaded"}


def test_config_folders_are_part_of_the_table(site: Any, backbone: Code) -> None:
    site.add("ext", backbone("swin") + "@hookimpl\ndef copl_configs():\n    return [ConfigRoot('ext', 'ext_pkg')]\n")

    folder = discover(site.points()).find_configs("ext")

    assert (folder.package, folder.folder, folder.plugin) == ("ext_pkg", "configs", "ext")


def test_the_table_is_discovered_once_through_installed_distributions(site: Any, backbone: Code) -> None:
    site.add("seen_by_the_process", backbone("swin"))
    reset_table()
    try:
        table = get_table()
        assert get_table() is table
        assert states(table)["seen_by_the_process"] == "loaded"
        reset_table()
        assert get_table() is not table
    finally:
        reset_table()


def test_discovery_imports_no_torch(site: Any, backbone: Code) -> None:
    site.add("ext", backbone("swin"))
    code = (
        f"import sys; sys.path.insert(0, {str(site.folder)!r})\n"
        "import copl_core.registry, copl_core.config\n"
        "from copl_core.plugins import discover\n"
        "assert discover().find('backbone', 'ext.swin')\n"
        "heavy = {'torch', 'timm', 'cv2'} & set(sys.modules)\n"
        "sys.exit(f'imported: {heavy}' if heavy else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
