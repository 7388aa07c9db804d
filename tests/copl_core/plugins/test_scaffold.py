"""copl plugins new: what it writes works at once, and what it refuses."""

import re
import shutil
from pathlib import Path

import pytest

import copl_core
from copl_core.api import PluginError
from copl_core.config import check_config, load_config
from copl_core.plugins import Component, ComponentTable, PluginStatus, get_table
from copl_core.plugins.project import seen_as_installed
from copl_core.plugins.scaffold import TEMPLATE_KINDS, Names, write_plugin
from copl_core.registry import Registry
from plugin_packages import copl, pip_install, run_python

EMPTY = ComponentTable()


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A new package of each kind."""
    folder = tmp_path_factory.mktemp("new")
    for kind in TEMPLATE_KINDS:
        write_plugin(f"my_{kind}", kind, EMPTY, folder / kind)
    return {kind: folder / kind for kind in TEMPLATE_KINDS}


@pytest.mark.parametrize("kind", TEMPLATE_KINDS)
def test_a_new_package_has_its_own_names_everywhere(kind: str, packages: dict[str, Path]) -> None:
    files = {path.relative_to(packages[kind]): path for path in packages[kind].rglob("*") if path.is_file()}

    assert Path("README.md") in files
    assert Path(f"copl_my_{kind}/{kind}.py") in files
    assert Path(f"copl_my_{kind}/configs/my_{kind}.yaml") in files
    for name, path in files.items():
        assert not re.search("template", f"{name} {path.read_text()}", re.IGNORECASE), name
    assert f'name = "copl-my-{kind}"' in (packages[kind] / "pyproject.toml").read_text()


@pytest.mark.parametrize("kind", TEMPLATE_KINDS)
def test_its_plugin_loads_and_its_experiment_is_right(kind: str, packages: dict[str, Path]) -> None:
    with seen_as_installed(packages[kind]) as distribution:
        table = get_table()
        component = table.find(kind, f"my_{kind}")
        config = f"copl_my_{kind}::my_{kind}.yaml"
        check_config(load_config(config, table=table), Registry(table), config)

    assert (component.distribution, component.version) == (distribution, "0.1.0")
    assert component.summary


def test_a_second_part_can_be_added_by_hand(packages: dict[str, Path], tmp_path: Path) -> None:
    both = shutil.copytree(packages["mapper"], tmp_path / "both")
    bank = (packages["bank"] / "copl_my_bank" / "bank.py").read_text()
    (both / "copl_my_mapper" / "bank.py").write_text(bank)
    entry = both / "copl_my_mapper" / "__init__.py"
    spec = 'ComponentSpec("bank", "my_bank", "copl_my_mapper.bank:MyBank", "Entries drawn by cosine"),'
    entry.write_text(entry.read_text().replace("    return [\n", f"    return [\n        {spec}\n", 1))

    done = copl("plugins", "check", str(both))

    assert done.stdout.endswith("copl-my-mapper: 2 ok, 0 wrong, 0 unchecked\n"), done.stderr


def test_it_is_clean(packages: dict[str, Path]) -> None:
    folder = str(packages["bank"].parent)
    for action in (["check"], ["format", "--check"]):
        done = run_python("-m", "ruff", *action, "--no-cache", folder)
        assert done.returncode == 0, done.stdout


@pytest.mark.slow
def test_its_tests_pass(packages: dict[str, Path]) -> None:
    done = run_python(
        "-m", "pytest", "-q", "--import-mode=importlib", "-p", "no:cacheprovider", "--rootdir", "/",
        *(str(package / "tests") for package in packages.values()),
        paths=list(packages.values()), cwd=packages["bank"].parent,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout
    (passed,) = re.findall(r"(\d+) passed", done.stdout)
    assert int(passed) >= 2 * len(TEMPLATE_KINDS)


@pytest.mark.slow
def test_installed_by_pip_it_is_found_with_its_experiment(packages: dict[str, Path], tmp_path: Path) -> None:
    site = pip_install(*packages.values(), site=tmp_path / "site")
    (tmp_path / "a.yaml").write_text("_base_: copl_my_bank::my_bank.yaml\nseed: 3\n")
    names = [f"copl_my_{kind}::my_{kind}.yaml" for kind in packages]

    done = copl("config", "check", "a.yaml", *names, paths=[site], cwd=tmp_path)

    assert (done.stderr, done.returncode) == ("", 0)
    assert done.stdout.splitlines() == [f"{name}: no problems" for name in ["a.yaml", *names]]


@pytest.mark.parametrize("kind", TEMPLATE_KINDS)
def test_its_readme_says_how_to_make_the_data_of_its_experiment(kind: str, packages: dict[str, Path]) -> None:
    commands = re.findall("```\n(.*?)```", (packages[kind] / "README.md").read_text(), re.DOTALL)[0].splitlines()
    data, then = commands[-3], commands[-2:]

    assert then == ["copl plugins check .", f"copl train copl_my_{kind}::my_{kind}.yaml"]
    config = (packages[kind] / f"copl_my_{kind}" / "configs" / f"my_{kind}.yaml").read_text()
    assert config.startswith(f"# {data} && {then[1]}\n")
    assert f"root: {data.split()[-1]}\n" in config


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["head", "task"])
def test_what_needs_data_passes_its_check_after_the_commands_of_its_readme(
    kind: str, packages: dict[str, Path], tmp_path: Path
) -> None:
    package = shutil.copytree(packages[kind], tmp_path / kind)
    commands = [line.split() for line in (package / "README.md").read_text().splitlines()]
    (data,) = [words[1:] for words in commands if words[:2] == ["python", "-m"]]
    few = ["--train", "8", "--val", "4", "--test", "4"] if kind == "head" else []
    assert run_python(*data, *few, paths=[package], cwd=package).returncode == 0

    checked = copl("plugins", "check", ".", paths=[package], cwd=package)

    assert checked.returncode == 0, checked.stdout
    assert "0 wrong, 0 unchecked" in checked.stdout


@pytest.mark.parametrize("name", ["gated", "copl_gated", "copl-gated"])
def test_a_name_may_be_that_of_the_component_the_package_or_the_distribution(name: str) -> None:
    names = Names.of(name, "mapper")

    assert (names.component, names.plugin, names.distribution, names.class_name) == (
        "gated", "copl_gated", "copl-gated", "Gated",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("Gated", "name of a new component must be snake_case ([a-z][a-z0-9_]*), got 'Gated'"),
        ("copl_", "name of a new component must be snake_case ([a-z][a-z0-9_]*), got ''"),
        ("../gated", "must be snake_case"),
        ("none", "'none' would make a class 'None', a name with a meaning; choose another"),
        ("tensor", "'tensor' would make a class 'Tensor', a name with a meaning; choose another"),
        ("core", f"package 'copl_core' exists already, {copl_core.__file__}; choose another name"),
        ("copl-core", "package 'copl_core' exists already"),
        ("taken", "mapper 'taken' exists already, in plugin 'other' (dist 1.0); choose another name"),
        ("loaded", "plugin 'copl_loaded' is installed already (dist 1.0); choose another name"),
    ],
)
def test_a_name_that_cannot_be_is_refused_and_nothing_is_written(tmp_path: Path, name: str, message: str) -> None:
    table = ComponentTable(
        [Component("mapper", "taken", "m:C", "", "other", "dist", "1.0")],
        statuses=[PluginStatus("copl_loaded", "dist", "1.0", "loaded")],
    )

    with pytest.raises(PluginError) as caught:
        write_plugin(name, "mapper", table, tmp_path / "new")

    assert message in str(caught.value)
    assert not (tmp_path / "new").exists()


def test_what_is_in_the_folder_is_kept(tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text("mine")

    with pytest.raises(PluginError, match="is not empty; give another --folder"):
        write_plugin("kept", "mapper", EMPTY, tmp_path)

    assert [path.name for path in tmp_path.iterdir()] == ["README.md"]
    assert (tmp_path / "README.md").read_text() == "mine"


def test_a_folder_that_cannot_be_written_is_one_message(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    with pytest.raises(PluginError, match="cannot write the package to"):
        write_plugin("kept", "mapper", EMPTY, tmp_path / "file" / "below")
