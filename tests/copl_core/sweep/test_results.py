"""Tables of finished runs against statistics worked out by hand."""

import csv
import json
import re
import struct

import pytest

from copl_core.api import ConfigError
from copl_core.config import dump_config
from copl_core.sweep import Row, Run, Study, make_table, read_records, write_records, write_table
from copl_core.sweep.results import Table


def finished(folder, row: str, seed: int, accuracy: float, **scores: float) -> Run:
    run = Run(row, seed, {"row": row, "seed": seed}, folder / row / f"seed-{seed}")
    run.folder.mkdir(parents=True)
    (run.folder / "config.yaml").write_text(dump_config(run.config))
    results = {
        "epoch": 2,
        "selected_on": "val",
        "selection": {"val/accuracy": 0.5},
        "test": {"accuracy": accuracy, "audio": 0.1, **scores},
        "protocol": "standard",
        "seed": seed,
    }
    (run.folder / "results.json").write_text(json.dumps(results))
    return run


def unfinished(folder, row: str, seed: int) -> Run:
    return Run(row, seed, {"row": row, "seed": seed}, folder / row / f"seed-{seed}")


def table_of(study: Study, runs: list[Run]) -> Table:
    records, problems = read_records(runs)
    assert not problems
    return make_table(study, runs, records)


def test_mean_and_sample_deviation_of_the_seeds(tmp_path):
    runs = [finished(tmp_path, "a", seed, value) for seed, value in enumerate((0.2, 0.3, 0.7))]
    runs += [finished(tmp_path, "b", 0, 0.5), unfinished(tmp_path, "b", 1), unfinished(tmp_path, "c", 0)]

    records, problems = read_records(runs)
    table = make_table(Study(config="x", rows=[Row("a"), Row("b"), Row("c")]), runs, records)

    assert table.markdown().splitlines() == [
        "| | test accuracy, mean ± std | by seed |",
        "|---|---|---|",
        # (0.2 + 0.3 + 0.7) / 3; the squares of -0.2, -0.1, 0.3 add up to 0.14, over 2 = 0.07
        "| a | 0.4000 ± 0.2646 | 0: 0.2000, 1: 0.3000, 2: 0.7000 |",
        "| b | 0.5000 (1 of 2 runs missing) | 0: 0.5000 |",
        "| c | none finished | - |",
    ]
    assert records[3] == {
        "row": "b",
        "seed": 0,
        "epoch": 2,
        "val accuracy": 0.5,
        "test accuracy": 0.5,
        "test audio": 0.1,
    }
    assert not problems


def test_the_score_can_be_chosen(tmp_path):
    table = table_of(Study(config="x", rows=[Row("a")], score="audio"), [finished(tmp_path, "a", 0, 0.2)])

    assert table.rows == {"a": {0: 0.1}}
    assert table.score == "test audio"


def test_columns_beside_the_score_and_what_training_cost(tmp_path):
    runs = [finished(tmp_path, "a", seed, 0.2) for seed in (0, 1)] + [unfinished(tmp_path, "b", 0)]
    for run, memory in zip(runs, (2000.0, 2100.0), strict=False):
        cost = {"device": "cpu", "additional_parameters": 1234, "head_parameters": 5, "peak_memory_mb": memory}
        (run.folder / "cost.json").write_text(json.dumps(cost))
    columns = ["additional_parameters", "head_parameters", "accuracy"]
    study = Study(config="x", rows=[Row("a")], score="peak_memory_mb", columns=columns)

    assert table_of(study, runs).markdown().splitlines() == [
        "| | peak_memory_mb, mean ± std | additional_parameters | head_parameters | test accuracy | by seed |",
        "|---|---|---|---|---|---|",
        # 50 and 50 from the mean: sqrt(5000)
        "| a | 2,050 ± 71 | 1,234 | 5 | 0.2000 ± 0.0000 | 0: 2,000, 1: 2,100 |",
        "| b | none finished | - | - | - | - |",
    ]


def test_a_row_without_the_score_says_so_and_a_score_nobody_has_is_refused(tmp_path):
    runs = [finished(tmp_path, "a", 0, 0.2, mIoU=0.4), finished(tmp_path, "b", 0, 0.2)]
    records, _ = read_records(runs)

    assert (
        "| b | has no such score | - |"
        in make_table(Study(config="x", rows=[Row("a")], score="mIoU"), runs, records).markdown()
    )
    wrong = re.escape("score: no finished run has 'acuracy'; did you mean 'accuracy'? (they have epoch, val accuracy, ")
    with pytest.raises(ConfigError, match=wrong):
        make_table(Study(config="x", rows=[Row("a")], score="acuracy"), runs, records)


def test_results_of_another_config_are_told_and_left_as_they_are(tmp_path):
    run = finished(tmp_path, "a", 0, 0.2)
    changed = Run(run.row, run.seed, {**run.config, "more": 1}, run.folder)

    assert run.results() is not None
    records, (problem,) = read_records([changed])
    assert not records
    assert problem == (
        f"a, seed 0: {run.folder} holds a run of another config, which was left as it is; these parts differ: more. "
        "Choose another --work-dir, or move the folder away"
    )
    assert (run.folder / "results.json").exists()


def test_damaged_results_leave_the_others_in_the_table(tmp_path):
    runs = [finished(tmp_path, "a", seed, 0.2) for seed in (0, 1)]
    (runs[0].folder / "results.json").write_text('{"epoch": ')

    records, (problem,) = read_records(runs)

    assert [record["seed"] for record in records] == [1]
    assert problem.startswith(f"a, seed 0: {runs[0].folder / 'results.json'}")
    assert (
        "a | 0.2000 (1 of 2 runs missing)" in make_table(Study(config="x", rows=[Row("a")]), runs, records).markdown()
    )


def test_the_commits_that_trained_are_told(tmp_path):
    runs = [finished(tmp_path, "a", seed, 0.2) for seed in range(4)]
    first, last = "0123456789" * 4, "abcdef1234" * 4 + "+changes"
    for run, commits in zip(runs, ([first], [first, last], [None]), strict=False):
        (run.folder / "run.json").write_text(json.dumps({"starts": [{"commit": commit} for commit in commits]}))
    study = Study(config="x", rows=[Row("a")])
    records, _ = read_records(runs)
    assert [record.get("commit") for record in records] == [first, last, None, None]
    assert list(records[0])[:4] == ["row", "seed", "commit", "epoch"]

    write_table(study, make_table(study, runs, records), tmp_path, "Lengths")

    note = (tmp_path / "results.md").read_text().splitlines()[-1]
    assert re.fullmatch(r"4 runs, copl \S+ at 0123456, abcdef1\+changes, \d{4}-\d\d-\d\d\.", note)
    with pytest.raises(ConfigError, match="no finished run has 'commit'"):
        make_table(Study(config="x", rows=[Row("a")], score="commit"), runs, records)


def test_files(tmp_path):
    study = Study(config="x", grid={"tuner.length": [2, 8]}, seeds=[0])
    runs = [finished(tmp_path, "length=2", 0, 0.2), finished(tmp_path, "length=8", 0, 0.4)]
    records, _ = read_records(runs)
    table = make_table(study, runs, records)

    written = [write_records(records, tmp_path), *write_table(study, table, tmp_path, "Lengths")]

    with (tmp_path / "results.csv").open() as file:
        lines = list(csv.DictReader(file))
    assert [(line["row"], line["seed"], line["test accuracy"]) for line in lines] == [
        ("length=2", "0", "0.2"),
        ("length=8", "0", "0.4"),
    ]
    assert (tmp_path / "results.md").read_text().startswith("# Lengths\n\n| | test accuracy")
    assert written[2] == tmp_path / "results.png"
    header = written[2].read_bytes()[:24]
    assert header[1:4] == b"PNG"
    assert struct.unpack(">2I", header[16:]) == (960, 540)
