"""Searches whose trainings are a formula: what is proposed, resumed, ranked and refused."""

import json
from pathlib import Path

import pytest

from copl_core.api import ConfigError
from copl_core.config import dump_config
from copl_core.plugins import get_table
from copl_core.registry import Registry
from copl_core.sweep import Outcome, Run, Searcher, read_study

DEMO = Path(__file__).parents[3] / "configs/demo/avs_swin_nano_shared.yaml"
WEIGHT = "tuner.losses.consistency.weight"
SPACE = f"""
  space:
    {WEIGHT}: {{low: 1e-4, high: 1.0, log: true}}
    tuner.prompts.global.length: {{low: 2, high: 12}}
"""


class FormulaWorkers:
    """Stands in for workers: a training's score falls with the distance of its weight from 0.01 and its seed."""

    def __init__(self, fail_after: int | None = None) -> None:
        self.trained: list[Run] = []
        self.fail_after = fail_after

    def map(self, work, items):
        return [work(item) for item in items]

    def train(self, run: Run) -> Outcome:
        if run.results() is not None:
            return Outcome(run, "kept")
        if self.fail_after is not None and len(self.trained) >= self.fail_after:
            return Outcome(run, "failed")
        losses = run.config["tuner"].get("losses", {"consistency": {"weight": 0.5}})
        weight = losses["consistency"]["weight"]
        score = 1 - abs(weight - 0.01) - 0.001 * run.seed
        results = {
            "epoch": 1,
            "selected_on": "val",
            "selection": {"val/mIoU": score, "val/F-score": 0.1},
            "test": {"mIoU": score},
            "protocol": "standard",
            "seed": run.seed,
        }
        run.folder.mkdir(parents=True)
        (run.folder / "config.yaml").write_text(dump_config(run.config))
        (run.folder / "results.json").write_text(json.dumps(results))
        self.trained.append(run)
        return Outcome(run, "finished")


def searcher(folder: Path, search: str = SPACE, seeds: str = "[0, 1]", trials: int = 12) -> Searcher:
    file = folder / "study.yaml"
    file.write_text(f"config: {DEMO}\nseeds: {seeds}\nsearch:\n  trials: {trials}{search}")
    return Searcher(read_study(file), file, folder / "out", Registry(get_table()))


def params(search: Searcher) -> list[tuple[float, int]]:
    found = []
    for number in sorted(search.runs):
        tuner = search.runs[number][0].config["tuner"]
        found.append((tuner["losses"]["consistency"]["weight"], tuner["prompts"]["global"]["length"]))
    return found


def test_trials_lie_in_the_ranges_and_come_nearer_to_the_best(tmp_path):
    search, workers = searcher(tmp_path, trials=40), FormulaWorkers()
    assert search.remaining() == 40

    search.go(workers)

    found = params(search)
    assert len(found) == 40
    assert all(1e-4 <= weight <= 1 and length in range(2, 13) for weight, length in found)
    distance = [abs(weight - 0.01) for weight, _ in found]
    assert sum(distance[20:]) < sum(distance[:20])
    assert [run.seed for run in search.runs[0]] == [0, 1]
    assert search.runs[0][0].folder == tmp_path / "out" / "trial-000" / "seed-0"
    assert search.remaining() == 0


def test_a_trial_is_worth_the_mean_of_its_seeds_and_the_best_is_first(tmp_path):
    search = searcher(tmp_path, trials=5)
    search.go(FormulaWorkers())

    weight = params(search)[0][0]
    assert search.value(0) == pytest.approx(1 - abs(weight - 0.01) - 0.0005)
    ranked = [search.value(int(run.folder.parent.name[-3:])) for run in search.ranked()[::2]]
    assert ranked == sorted(ranked, reverse=True)


def test_an_interrupted_search_goes_the_way_of_an_uninterrupted_one(tmp_path):
    for name in ("whole", "halves"):
        (tmp_path / name).mkdir()
    whole = searcher(tmp_path / "whole")
    whole.go(FormulaWorkers())

    searcher(tmp_path / "halves", trials=7).go(FormulaWorkers())
    rest, workers = searcher(tmp_path / "halves"), FormulaWorkers()
    rest.go(workers)

    assert len(workers.trained) == 5 * 2
    assert params(rest) == params(whole)


def test_failed_trials_have_no_value_and_are_tried_again_before_new_ones(tmp_path):
    first = searcher(tmp_path, trials=4)
    first.go(FormulaWorkers(fail_after=3))  # two runs a trial: the second trial has one seed of two
    assert [first.value(number) is None for number in range(4)] == [False, True, True, True]

    again, workers = searcher(tmp_path, trials=4), FormulaWorkers()
    assert again.remaining() == 3
    again.go(workers)

    assert params(again) == params(first)
    assert [run.folder.parent.name for run in workers.trained] == ["trial-001", *["trial-002"] * 2, *["trial-003"] * 2]


def test_choices_may_be_blocks(tmp_path):
    search = searcher(
        tmp_path,
        "\n  space: {tuner: {choices: [{type: frozen}, {type: vpt, length: 7}]}}\n",
        seeds="[0]",
        trials=6,
    )

    search.go(FormulaWorkers())

    tuners = [runs[0].config["tuner"] for runs in search.runs.values()]
    assert {tuner["type"] for tuner in tuners} == {"frozen", "vpt"}
    assert all(tuner in ({"type": "frozen"}, {"type": "vpt", "length": 7}) for tuner in tuners)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("\n  space: {}\n", "search: space is empty"),
        ("\n  space: {seed: {low: 3, high: 1}}\n", "expected 'choices', or 'low' below 'high'; got low 3, high 1"),
        ("\n  space: {seed: {low: 0, high: 1, log: true}}\n", "log needs a low above 0 and no step"),
        ("\n  space: {seed: {choices: [1], low: 0}}\n", "expected either 'choices', or 'low' and 'high'"),
        ("\n  space: {seed: {low: 0, high: 9, step: 0}}\n", "step is 0: must be above 0"),
        ("\n  space: {seed: {low: 0, high: 9}}\n  trails: 3\n", "did you mean 'trials'?"),
        # The ends of ranges are checked as configs before anything is trained.
        ("\n  space: {schedule.epochs: {low: 0, high: 9}}\n", "schedule.epochs"),
        ("\n  space: {tuner.nothing: {choices: [1]}}\n", "tuner.nothing"),
    ],
)
def test_a_wrong_search_is_refused_before_anything_is_trained(tmp_path, text, message):
    with pytest.raises(ConfigError) as error:
        searcher(tmp_path, text)

    assert message in str(error.value)
    assert not (tmp_path / "out").exists()


def test_a_score_that_no_run_has_is_refused(tmp_path):
    search = searcher(tmp_path, SPACE + "  score: miou\n", trials=2)

    with pytest.raises(ConfigError, match=r"search\.score: .*has no 'miou'; did you mean 'mIoU'\? \(it has mIoU, F-"):
        search.go(FormulaWorkers())


def test_trials_of_another_search_are_not_taken_over(tmp_path):
    searcher(tmp_path, trials=1).go(FormulaWorkers())

    with pytest.raises(ConfigError, match=r"trial-000.*is of another search: it has no tuner\.prompts\.interaction"):
        searcher(tmp_path, "\n  space: {tuner.prompts.interaction.length: {low: 1, high: 4}}\n")


def test_a_search_with_a_test_score_is_refused(tmp_path):
    file = tmp_path / "study.yaml"
    file.write_text(f"config: {DEMO}\nscore: mIoU\nsearch:{SPACE}")

    with pytest.raises(ConfigError, match=r"a search has search\.score, of the validation split, instead of score"):
        read_study(file)
