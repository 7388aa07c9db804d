"""What a study file says, and the configs of its runs."""

from pathlib import Path

import pytest

from copl_core.api import ConfigError
from copl_core.plugins import get_table
from copl_core.registry import Registry
from copl_core.sweep import plan, read_study

DEMO = Path(__file__).parents[3] / "configs/demo/avs_swin_nano_shared.yaml"


def study_file(folder: Path, text: str) -> Path:
    path = folder / "study.yaml"
    path.write_text(f"config: {DEMO}\n{text}")
    return path


def runs(folder: Path, text: str) -> list:
    path = study_file(folder, text)
    return plan(read_study(path), path, folder / "out", Registry(get_table()))


def test_rows_with_their_options_over_the_common_ones(tmp_path):
    planned = runs(
        tmp_path,
        """
seeds: [3, 4]
options: {schedule.epochs: 2}
rows:
  - {name: whole}
  - {name: frozen, options: {tuner: {type: frozen}}, seeds: [5]}
  - {name: named bank, options: {tuner.prompts.interaction.bank.type: prompt_bank, schedule.epochs: 3}}
""",
    )

    assert [(run.row, run.seed) for run in planned] == [
        ("whole", 3),
        ("whole", 4),
        ("frozen", 5),
        ("named bank", 3),
        ("named bank", 4),
    ]
    assert [run.config["schedule"]["epochs"] for run in planned] == [2, 2, 2, 3, 3]
    assert [run.config["seed"] for run in planned] == [3, 4, 5, 3, 4]
    assert planned[2].config["tuner"] == {"type": "frozen"}
    assert planned[3].folder == tmp_path / "out" / "named-bank" / "seed-3"


def test_a_grid_spans_all_combinations(tmp_path):
    planned = runs(
        tmp_path,
        "seeds: [0]\ngrid: {tuner.prompts.global.length: [2, 5], tuner.losses.consistency.weight: [0.0, 1e-3]}\n",
    )

    assert [run.row for run in planned] == [
        "length=2, weight=0.0",
        "length=2, weight=0.001",
        "length=5, weight=0.0",
        "length=5, weight=0.001",
    ]
    found = [
        (run.config["tuner"]["prompts"]["global"]["length"], run.config["tuner"]["losses"]["consistency"]["weight"])
        for run in planned
    ]
    assert found == [(2, 0.0), (2, 0.001), (5, 0.0), (5, 0.001)]


def test_paths_with_commas_between_take_the_same_value(tmp_path):
    planned = runs(
        tmp_path, "seeds: [0]\ngrid: {'tuner.prompts.global.length, tuner.prompts.interaction.length': [3, 7]}\n"
    )

    assert [run.row for run in planned] == ["length=3", "length=7"]
    for run, length in zip(planned, (3, 7), strict=True):
        prompts = run.config["tuner"]["prompts"]
        assert prompts["global"]["length"] == prompts["interaction"]["length"] == length


def test_blocks_of_other_files_and_another_base(tmp_path):
    bases = DEMO.parents[1] / "_base_"
    planned = runs(
        tmp_path,
        f"""
seeds: [0]
rows:
  - {{name: vpt, replace: [{bases}/tuners/vpt.yaml], options: {{tuner.length: 7}}}}
  - {{name: ave, config: {DEMO.with_name("ave_swin_nano_shared.yaml")}}}
""",
    )

    assert planned[0].config["tuner"] == {"type": "vpt", "length": 7}
    assert [run.config["task"]["type"] for run in planned] == ["avs_s4", "ave"]


def test_a_block_that_contradicts_its_base_is_refused(tmp_path):
    (tmp_path / "base.yaml").write_text("tuner: copl\n")
    (tmp_path / "other.yaml").write_text("_base_: base.yaml\ntuner: {type: frozen}\n")

    with pytest.raises(ConfigError, match=r"row 'a': other\.yaml: 1 problem\n  tuner: a block of keys here, but str"):
        runs(tmp_path, "rows: [{name: a, replace: [other.yaml]}]\n")


def test_axes_with_the_same_last_key_are_named_whole(tmp_path):
    planned = runs(
        tmp_path, "seeds: [0]\ngrid: {tuner.prompts.global.length: [2], tuner.prompts.interaction.length: [4]}\n"
    )

    assert planned[0].row == "tuner.prompts.global.length=2, tuner.prompts.interaction.length=4"


def test_texts_and_lists_stay_what_they_are(tmp_path):
    planned = runs(
        tmp_path,
        "seeds: [0]\nrows: [{name: a, options: {task.dataset.root: 'a,b 1e-3', schedule.prompt_lr: 1e-4}}]\n",
    )

    assert planned[0].config["task"]["dataset"]["root"] == "a,b 1e-3"
    assert planned[0].config["schedule"]["prompt_lr"] == 1e-4


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("rows: []\n", "expected one of 'rows', a list of settings, 'grid', values by path, and 'search', ranges"),
        ("rows: [{name: a}]\ngrid: {seed: [1]}\n", "expected one of 'rows'"),
        ("grid: {schedule.epochs: []}\n", "grid.schedule.epochs has no values"),
        ("rows: [{name: a}, {name: a}]\n", "two rows are named 'a'"),
        ("rows: [{name: a}]\nseeds: [1, 1]\n", "expected different seeds"),
        ("rows: [{name: ' '}]\n", "rows.0: name is empty"),
        ("rows: [{name: a}]\nseed: [1]\n", "no argument 'seed'; did you mean 'seeds'?"),
        ("rows: [{options: {}}]\n", "rows.0.name: required"),
    ],
)
def test_a_wrong_study_is_refused_with_its_reason(tmp_path, text, message):
    path = study_file(tmp_path, text)

    with pytest.raises(ConfigError) as error:
        read_study(path)

    assert str(error.value).startswith(f"{path}: ")
    assert message in str(error.value)


def test_all_configs_are_checked_before_anything_starts(tmp_path):
    with pytest.raises(ConfigError, match=r"row 'b'.*\n.*schedule.epochs") as error:
        runs(tmp_path, "rows: [{name: a}, {name: b, options: {schedule.epochs: none}}]\n")

    assert "study.yaml" in str(error.value)
    assert not (tmp_path / "out").exists()


def test_rows_that_would_share_a_folder_are_refused(tmp_path):
    with pytest.raises(ConfigError, match="two would share"):
        runs(tmp_path, "rows: [{name: a b}, {name: a-b}]\n")


@pytest.mark.parametrize("path", sorted((DEMO.parents[1] / "studies").glob("*.yaml")), ids=lambda path: path.stem)
def test_shipped_studies_have_configs_that_hold(tmp_path, path):
    assert plan(read_study(path), path, tmp_path, Registry(get_table()))
