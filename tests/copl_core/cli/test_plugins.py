"""copl plugins: list, info, check, new; and that looking costs no torch and next to no time."""

import json
from importlib.metadata import version

import pytest
import yaml

from copl_core.api import KINDS
from copl_core.cli.main import main
from copl_core.cli.plugins.example import example
from copl_core.cli.plugins.info import describe
from copl_core.config.signature import SHAPE
from copl_core.config.strict_yaml import parse_mapping
from copl_core.plugins import Component, ComponentTable, PluginStatus, discovery, get_table
from copl_core.plugins.project import seen_as_installed
from copl_core.plugins.scaffold import write_plugin
from copl_core.registry import Registry
from plugin_packages import ROOT, copl, install, run_python

EXTRA = 20
CONFIG = ROOT / "configs" / "demo" / "avs_swin_nano_shared.yaml"


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """A folder in which twenty plugins are installed."""
    site, sources = tmp_path_factory.mktemp("site"), tmp_path_factory.mktemp("sources")
    for number in range(EXTRA):
        write_plugin(f"extra_{number}", "mapper", ComponentTable(), sources / str(number))
        install(sources / str(number), site)
    return site


LIGHT = {
    "help": ["--help"],
    "list": ["plugins", "list"],
    "info": ["plugins", "info", "extra_3"],
    "new": ["plugins", "new", "mine", "--kind", "bank"],
    "check a config": ["config", "check", str(CONFIG)],
}


@pytest.mark.parametrize("arguments", LIGHT.values(), ids=LIGHT)
def test_with_twenty_plugins_it_answers_in_under_0_7_s_and_without_torch(site, tmp_path, arguments):
    # Seconds of the processor: what else the machine does at the moment doesn't count.
    code = (
        "import sys, time\n"
        "from copl_core.cli.main import main\n"
        "try:\n    code = main()\nexcept SystemExit as end:\n    code = end.code\n"
        "heavy = {'torch', 'timm', 'cv2', 'numpy.random', 'mmengine.runner'} & set(sys.modules)\n"
        "print(f'\\n{code} {sorted(heavy)} {time.process_time()}')\n"
    )
    done = run_python("-c", code, *arguments, paths=[site], cwd=tmp_path)
    *_, last = done.stdout.splitlines()
    status, rest = last.split(" ", 1)
    heavy, seconds = rest.rsplit(" ", 1)
    assert (status, heavy) == ("0", "[]"), done.stderr
    assert float(seconds) < 0.7


def test_list_has_a_line_for_each_component_and_each_plugin(site):
    done = copl("plugins", "list", paths=[site])

    lines = [line.split() for line in done.stdout.splitlines()]
    assert ["mapper", "extra_7", "copl_extra_7", "0.1.0", "loaded", "Two", "layers", "with", "a", "GELU"] in lines
    assert ["mapper", "bottleneck", "copl_fusion", version("copl"), "loaded"] in [line[:5] for line in lines]
    assert ["copl_extra_7", "copl-extra-7", "0.1.0", "loaded"] in lines
    assert copl("plugins", paths=[site]).stdout == done.stdout


def test_list_of_a_kind_has_no_other(capsys):
    assert main(["plugins", "list", "--kind", "mapper", "--json"]) == 0

    listed = json.loads(capsys.readouterr().out)
    assert {component["kind"] for component in listed["components"]} == {"mapper"}
    assert {"bottleneck", "linear"} <= {component["name"] for component in listed["components"]}
    assert set(listed["components"][0]) == {
        "kind", "name", "target", "summary", "plugin", "distribution", "version", "state",
    }  # fmt: skip
    assert "copl_swin" in {plugin["name"] for plugin in listed["plugins"]}


@pytest.fixture
def use_table(monkeypatch):
    """Put a table in the place of the installed plugins."""

    def use(*components: Component, statuses: tuple[PluginStatus, ...] = ()) -> None:
        monkeypatch.setattr(discovery, "discover", lambda: ComponentTable(components, statuses=statuses))
        discovery.reset_table()

    yield use
    discovery.reset_table()


def test_list_tells_which_bare_names_mean_something_else(use_table, capsys):
    def bank(name, plugin, distribution):
        return Component("bank", name, "m:C", "", plugin, distribution, "1.0")

    use_table(bank("a", "ours", "copl"), bank("a", "x", "x"), bank("b", "x", "x"), bank("b", "y", "y"))

    assert main(["plugins", "list", "--json"]) == 0

    listed = json.loads(capsys.readouterr().out)["components"]
    assert [(each["name"], each["plugin"], each["state"]) for each in listed] == [
        ("a", "ours", "loaded"),
        ("a", "x", "shadowed"),
        ("b", "x", "ambiguous"),
        ("b", "y", "ambiguous"),
    ]


def test_info_tells_arguments_shapes_place_in_a_config_and_file(capsys):
    assert main(["plugins", "info", "interaction_prompts"]) == 0

    printed = capsys.readouterr().out
    for line in (
        "prompt interaction_prompts: Between modalities (I)",
        f"  plugin copl_prompts, copl {version('copl')}",
        "  copl_prompts.interaction:InteractionPrompts",
        f"  {ROOT / 'plugins' / 'copl_prompts' / 'interaction.py'}",
        "  mapper: block of a mapper, required",
        "      F of Eq. 8.",
        "  bank: block of a bank or null, default null",
        "  length: int, default 20",
        "  pool: 'frame' or 'clip', default \"frame\"",
        "  set by the framework: layout",
        "  forward: (BT, 2 L_I, d_v) and (BT, 2 L_I, d_a); leading dimension 1 without a bank.",
        "  type: interaction_prompts",
        "  mapper:  # required: block of a mapper: bottleneck, linear",
        "    type: linear",
        "  length: 20",
    ):
        assert f"{line}\n" in printed


def test_info_tells_the_shapes_that_bases_and_sections_of_docstrings_say(capsys):
    shapes = {
        "swin": "  embed: Patch embedding (BT, 3, H, W) -> (BT, N, d_0).",
        "htsat": "(BT, ",
        "avst": "      returns: ``logits`` (Q, answers); ",
        "avst_sentence": "      returns: ``logits`` (Q, answers); ",
        "avs_decoder": "      batch: ``mask`` (B, T, 1, S, S) of 0 and 1, and ``mask_valid`` (B, T).",
        "dgsct": "; plain walk of a step with one block.\n      visual: (BT, N_v, d_v).\n      audio: (BT, N_a, d_a).",
        "lavish": "      visual: (BT, N_v, d_v).",
    }
    for name, text in shapes.items():
        assert main(["plugins", "info", name]) == 0
        assert text in capsys.readouterr().out.partition("\nmethods\n")[2], name


def test_info_tells_shapes_of_every_component_with_tensors():
    registry = Registry(get_table())
    for component in registry.table.components():
        if component.kind not in ("task", "dataset", "metric", "renderer", "generator"):
            methods = describe(component, registry).methods
            # The tuner ``frozen`` defines none, and ``full`` none with tensors.
            assert SHAPE.search(str(methods)) or component.name in ("frozen", "full"), component


def test_info_reads_a_class_that_source_does_not_tell(use_table, tmp_path, monkeypatch, capsys):
    (tmp_path / "made_bank.py").write_text(
        "from copl_core.contracts import Bank\ndef make():\n"
        "    class Made(Bank):\n        'Made by a function.\\n\\n    Args:\\n        size: q.\\n    '\n"
        "        def __init__(self, *, width: int, size: int = 3): ...\n"
        "        def forward(self, queries):\n            '(BT, L, d) -> (BT, L, d).'\n    return Made\n"
        "Made = make()\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    use_table(Component("bank", "made", "made_bank:Made", "", "x", "x", "1.0"))

    assert main(["plugins", "info", "made"]) == 0

    printed = capsys.readouterr().out
    assert "\n  Made by a function.\n\narguments\n  size: int, default 3\n" in printed
    assert "methods\n  forward: (BT, L, d) -> (BT, L, d).\n" in printed


@pytest.mark.parametrize("kind", KINDS)
def test_the_example_of_every_component_can_be_pasted(kind):
    registry = Registry(get_table())
    for component in registry.table.components(kind):
        block = parse_mapping(example(component, registry), component.name)
        problems = [str(problem) for problem in registry.problems(kind, block, "block")]
        # What is left are values that only a person knows.
        assert all("got str '<" in problem for problem in problems), (component.qualified, problems)


def test_the_example_of_a_task_is_made_of_its_own_parts(capsys):
    assert main(["plugins", "info", "avqa", "--kind", "task"]) == 0

    shown = yaml.safe_load(capsys.readouterr().out.partition("in a config\n")[2])
    assert {part: shown[part]["type"] for part in ("dataset", "head", "metric", "renderer")} == {
        "dataset": "avqa", "head": "avst", "metric": "answer_accuracy", "renderer": "answer_card",
    }  # fmt: skip
    assert shown["dataset"]["root"] == "<Path>"


def test_info_opens_records_and_tells_all_components_of_a_name(capsys):
    assert main(["plugins", "info", "ave", "--json"]) == 0

    found = {each["component"]["kind"]: each for each in json.loads(capsys.readouterr().out)}
    assert {"dataset", "task"} <= set(found)
    dataset = found["dataset"]
    arguments = {argument["name"]: argument for argument in dataset["arguments"]}
    assert arguments["audio.sample_rate"]["default"] == 16000
    assert arguments["audio.mean"]["required"]
    assert dataset["set_by_framework"] == ["split"]
    assert main(["plugins", "info", "ave", "--kind", "task"]) == 0
    assert "dataset ave" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["info", "bottlenek"], "no component named 'bottlenek'. Did you mean 'bottleneck' (from copl_fusion)?"),
        (["info", "copl_fusion.bottlenek"], "Did you mean 'copl_fusion.bottleneck' (from copl_fusion)?"),
        (["info", "xyzzy"], "no component named 'xyzzy'. `copl plugins list` names them all."),
        (["info", "bottleneck", "--kind", "bank"], "no bank named 'bottleneck'. 'bottleneck' exists as a mapper."),
        (["check", "copl_fusoin"], "no plugin and no distribution with plugins named 'copl_fusoin'; did you mean"),
        (["new", "swin", "--kind", "bank"], "plugin 'copl_swin' is installed already"),
        (["new", "bottleneck", "--kind", "mapper"], "mapper 'bottleneck' exists already, in plugin 'copl_fusion'"),
    ],
)
def test_a_mistake_is_one_message(capsys, tmp_path, monkeypatch, arguments, message):
    monkeypatch.chdir(tmp_path)

    assert main(["plugins", *arguments]) == 2

    assert message in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_info_of_an_unknown_name_recalls_the_plugins_that_are_not_there(use_table, capsys):
    use_table(statuses=(PluginStatus("mine", "copl-mine", "1.0", "failed", "ImportError: no nope"),))

    assert main(["plugins", "info", "thing"]) == 2

    assert "no component named 'thing'. Known: none. Plugins not loaded: mine (ImportError: no nope)." in (
        capsys.readouterr().err
    )


def test_check_of_a_plugin_that_is_not_loaded_says_why(use_table, capsys):
    use_table(statuses=(PluginStatus("mine", "copl-mine", "1.0", "failed", "ImportError: no nope"),))

    assert main(["plugins", "check", "copl-mine"]) == 2

    assert "plugin 'mine' is not loaded: ImportError: no nope" in capsys.readouterr().err


def test_new_then_check(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["plugins", "new", "fresh", "--kind", "mapper"]) == 0
    printed = capsys.readouterr().out
    assert "copl-fresh/pyproject.toml\n" in printed
    assert 'Next: cd copl-fresh && pip install -e ".[dev]" && pytest' in printed

    assert main(["plugins", "check", "copl-fresh"]) == 0

    assert capsys.readouterr().out == ("ok         mapper copl_fresh.fresh\n\ncopl-fresh: 1 ok, 0 wrong, 0 unchecked\n")


def test_check_fails_a_component_that_breaks_its_contract(capsys, tmp_path):
    write_plugin("leaky", "mapper", ComponentTable(), tmp_path)
    module = tmp_path / "copl_leaky" / "mapper.py"
    module.write_text(module.read_text().replace("self.up(", "self.up.requires_grad_(False)("))

    assert main(["plugins", "check", str(tmp_path)]) == 1

    printed = capsys.readouterr().out
    assert printed.startswith("wrong      mapper copl_leaky.leaky\n  mapper Leaky: ")
    assert "copl-leaky: 0 ok, 1 wrong, 0 unchecked" in printed


def test_check_fails_a_component_that_cannot_be_imported(capsys, tmp_path):
    write_plugin("unmet", "mapper", ComponentTable(), tmp_path)
    module = tmp_path / "copl_unmet" / "mapper.py"
    module.write_text("import not_there\n" + module.read_text())

    assert main(["plugins", "check", str(tmp_path)]) == 1

    printed = capsys.readouterr().out
    assert printed.startswith("wrong      mapper copl_unmet.unmet\n  ")
    assert "could not be imported: ModuleNotFoundError: No module named 'not_there'" in printed


def test_check_of_what_needs_an_argument_or_data_says_so(capsys, tmp_path, monkeypatch):
    assert main(["plugins", "check", "copl_fusion"]) == 1
    printed = capsys.readouterr().out
    assert "unchecked  mapper copl_fusion.bottleneck\n  needs width: name an experiment that uses it" in printed
    assert "ok         mapper copl_fusion.linear" in printed

    monkeypatch.chdir(tmp_path)
    assert main(["plugins", "new", "nowhere", "--kind", "task"]) == 0
    assert main(["plugins", "check", "copl-nowhere"]) == 1
    printed = capsys.readouterr().out
    assert printed.count("cannot read data/nowhere/train.csv") == 1
    assert "0 ok, 0 wrong, 5 unchecked" in printed


def test_check_by_name_in_the_folder_of_the_project(capsys, tmp_path, monkeypatch):
    write_plugin("inside", "mapper", ComponentTable(), tmp_path)
    monkeypatch.chdir(tmp_path)
    with seen_as_installed(tmp_path):
        assert main(["plugins", "check", "copl_inside"]) == 0
    assert "copl_inside: 1 ok, 0 wrong, 0 unchecked" in capsys.readouterr().out

    assert main(["plugins", "check", "./copl_inside"]) == 2
    assert "copl_inside is no project folder: cannot read pyproject.toml" in capsys.readouterr().err


def test_check_takes_experiments_of_either_language_and_tells_wrong_ones(capsys, tmp_path):
    write_plugin("rough", "bank", ComponentTable(), tmp_path)
    bank = tmp_path / "copl_rough" / "bank.py"
    bank.write_text(bank.read_text().replace("size: int = 10", "size: int"))
    packaged = tmp_path / "copl_rough" / "configs"
    text = (packaged / "rough.yaml").read_text()
    (packaged / "rough.yaml").unlink()
    (packaged / "figures.yaml").write_text("rough: {total: 3}\n")
    (tmp_path / "configs").mkdir()
    (tmp_path / "configs" / "typo.yaml").write_text(text.replace("tuner:", "tunr:"))
    (tmp_path / "configs" / "broken.yaml").write_text("a: [1\n")
    (tmp_path / "configs" / "program.py").write_text(f"import yaml\nlocals().update(yaml.safe_load({text!r}))\n")

    assert main(["plugins", "check", str(tmp_path)]) == 1

    printed = capsys.readouterr().out
    assert "ok         bank copl_rough.rough\n" in printed
    assert f"wrong      config {tmp_path}/configs/broken.yaml\n  {tmp_path}/configs/broken.yaml:2: " in printed
    assert "tunr: unknown key; did you mean 'tuner'?" in printed
    assert "figures" not in printed
    assert "copl-rough: 1 ok, 2 wrong, 0 unchecked" in printed


@pytest.mark.parametrize("place", ["packaged", "project"])
def test_check_takes_arguments_from_the_experiments_that_the_package_brings(capsys, tmp_path, place):
    name = f"needy_{place}"
    write_plugin(name, "mapper", ComponentTable(), tmp_path)
    module, packaged = tmp_path / f"copl_{name}" / "mapper.py", tmp_path / f"copl_{name}" / "configs"
    module.write_text(module.read_text().replace("width: int = 32", "width: int"))
    config = packaged / f"{name}.yaml"
    config.write_text(config.read_text().replace(f"{{type: {name}}}", f"{{type: {name}, width: 5}}"))
    if place == "project":
        packaged.rename(tmp_path / "configs")

    assert main(["plugins", "check", str(tmp_path)]) == 0

    assert f"ok         mapper copl_{name}.{name}" in capsys.readouterr().out


def test_check_fails_an_entry_module_that_imports_torch(capsys, tmp_path):
    write_plugin("weighty", "mapper", ComponentTable(), tmp_path)
    module = tmp_path / "copl_weighty" / "__init__.py"
    module.write_text(module.read_text() + "\nimport torch\n")

    assert main(["plugins", "check", str(tmp_path)]) == 1

    assert capsys.readouterr().out == (
        "wrong      plugin copl_weighty\n  its entry module imports torch, which makes every command slow: "
        "name classes as strings there\nok         mapper copl_weighty.weighty\n\n"
        "copl-weighty: 1 ok, 1 wrong, 0 unchecked\n"
    )


def test_check_takes_arguments_from_an_experiment_and_data_from_its_data_set(capsys, demo_root, tmp_path):
    config = tmp_path / "demo.yaml"
    config.write_text(f"_base_: {CONFIG}\ntask: {{dataset: {{root: {demo_root}}}}}\n")

    assert main(["plugins", "check", "copl_fusion", "--config", str(config)]) == 0

    assert "2 ok, 0 wrong, 0 unchecked" in capsys.readouterr().out
