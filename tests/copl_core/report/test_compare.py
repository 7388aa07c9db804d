import re
from itertools import pairwise

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from copl_core.api import ConfigError
from copl_core.config import check_config, dump_config, load_config
from copl_core.engine.test import test as score_export
from copl_core.plugins import get_table
from copl_core.registry import Registry
from copl_core.report import compare_runs
from copl_core.report.charts import BOTTOM, HEIGHT, TOP, Series, line_chart, ticks
from copl_core.report.compare import short_names
from exports import export_untrained

from .conftest import CONFIG, write_results, write_rows
from .pages import Page

CPU = torch.device("cpu")


@pytest.fixture
def second(work_dir, tmp_path):
    """The same run with another tuner, further trained."""
    folder = tmp_path / "other"
    folder.mkdir()
    text = (work_dir / "config.yaml").read_text()
    start, end = text.index("tuner:"), text.index("task:")
    (folder / "config.yaml").write_text(f"{text[:start]}tuner:\n  type: frozen\n{text[end:]}")
    write_rows(folder, [{"epoch": 1, "split": "train", "loss": 0.625}])
    write_results(folder, {"mIoU": 0.5, "F": 0.125})
    return folder


def test_two_runs_side_by_side(work_dir, second, tmp_path):
    path, notes = compare_runs([work_dir, second], Registry(get_table()), out=tmp_path / "compare.html")
    page = Page(path)

    assert notes == []
    page.check_self_contained()
    assert page.row("mIoU") == ["0.1250", "0.5000"]
    assert page.row("F_compat") == ["0.3750", "-"]
    best = [attributes for tag, attributes in page.tags if tag == "td" and "best" in attributes.get("class", "")]
    assert len(best) == 2
    assert page.row("tuner.type") == ["copl", "frozen"]
    assert "schedule.epochs" not in [row[0] for row in page.rows if row]
    stored = load_file(work_dir / "export" / "prompts.safetensors")
    additional = page.row("tuner, additional to the encoders")
    assert additional[0].startswith(f"{sum(each.numel() for each in stored.values()):,}")
    assert additional[1].startswith("0")
    assert "run, epoch 1: 0.75" in page.text
    assert "other, epoch 1: 0.625" in page.text


@pytest.fixture
def tested(work_dir, second, demo_root):
    """The second run with an export of its own, whose prompts and head are others."""
    options = (f"task.dataset.root={demo_root}", "schedule.workers=0", "task.head.channels=8", "schedule.epochs=2")
    session = export_untrained(second / "export", CONFIG, *options, "tuner={type: frozen}", "seed=3")
    (second / "config.yaml").write_text(dump_config(session.experiment.source))
    return [work_dir, second]


def test_tested_runs_have_parts_and_clips_side_by_side(tested, tmp_path):
    registry = Registry(get_table())
    path, notes = compare_runs(tested, registry, out=tmp_path / "compare.html", examples=2, device=CPU)
    page = Page(path)

    assert notes == []
    page.check_self_contained()
    expected, measured = [], []
    for folder in tested:
        experiment = check_config(load_config(folder / "config.yaml"), registry, "")
        result = score_export(experiment, registry, prompts=folder / "export", split="test", device=CPU)
        expected.append(result.metric.breakdown(list(result.measured.values()))["category"])
        measured.append({index: float(each["iou"].mean()) for index, each in result.measured.items()})
        names = [result.session.datasets["test"][index]["name"] for index in sorted(result.measured)]
    for category in expected[0]:
        assert page.row(category) == [f"{each[category]['mIoU']:.4f}" for each in expected]
    gaps = {index: abs(measured[0][index] - measured[1][index]) for index in measured[0]}
    most = sorted(gaps, key=lambda index: (-gaps[index], index))[:2]
    pictures = page.attributes("img", "alt")
    runs = ("run", "other")
    assert pictures == [f"Prediction of {run} for {names[index]}" for index in most for run in runs]
    for index in most:
        for each in measured:
            assert f"score {each[index]:.4f}" in page.text


def test_baselines_stand_beside_the_runs(tested, tmp_path, monkeypatch):
    monkeypatch.setattr(
        "copl_core.report.compare.find_baselines", lambda result: ({"most frequent": {"mIoU": 0.0625}}, "")
    )
    path, _ = compare_runs(tested, Registry(get_table()), out=tmp_path / "compare.html", examples=0, device=CPU)
    page = Page(path)
    assert page.row("score") == ["run", "other", "most frequentbaseline"]
    assert page.row("mIoU") == ["0.1250", "0.5000", "0.0625"]
    assert page.row("F")[-1] == "-"


def test_runs_of_other_data_have_no_clips_side_by_side(tested, tmp_path):
    path = tested[1] / "config.yaml"
    text = path.read_text()
    assert text.count("root:") == 1
    (tmp_path / "moved").symlink_to(re.search(r"root: (\S+)", text)[1])
    path.write_text(re.sub(r"root: \S+", f"root: {tmp_path / 'moved'}", text))

    page, (note,) = compare_runs(tested, Registry(get_table()), out=tmp_path / "compare.html", device=CPU)

    assert "task.dataset is not the same" in note
    assert not Page(page).attributes("img", "src")


def test_a_run_that_cannot_be_tested_costs_its_column_only(tested, demo_root, tmp_path):
    (tested[1] / "export" / "head.safetensors").unlink()
    page, (note,) = compare_runs(tested, Registry(get_table()), out=tmp_path / "compare.html", device=CPU)
    assert note.startswith("The export of other can't be tested here")
    page = Page(page)
    assert page.row("category") == ["run"]
    masks = [np.asarray(Image.open(path)) > 0 for path in demo_root.glob("s4_data/gt_masks/test/*/*/*.png")]
    assert len(masks) == 20
    assert page.row("score") == ["run", "other", "everything paintedbaseline"]
    assert page.row("mIoU") == ["0.1250", "0.5000", f"{np.mean(masks):.4f}"]


def test_mistakes(work_dir, tmp_path):
    registry = Registry(get_table())
    with pytest.raises(ConfigError, match="at least two"):
        compare_runs([work_dir], registry, out=tmp_path / "page.html")
    with pytest.raises(ConfigError, match="named twice"):
        compare_runs([work_dir, work_dir / "."], registry, out=tmp_path / "page.html")


def test_names_are_as_long_as_they_must_be(tmp_path):
    folders = [tmp_path / "a" / "seed-0", tmp_path / "b" / "seed-0"]
    assert short_names(folders) == ["a/seed-0", "b/seed-0"]
    assert short_names([tmp_path / "a", tmp_path / "b"]) == ["a", "b"]


@pytest.mark.parametrize(
    ("low", "high"),
    [
        (0.1, 0.9),
        (-3.0, 4000.0),
        (1e-9, 2e-9),
        (1e-15, 2e-15),
        (5.0, 5.0),
        (-5.0, -5.0),
        (0.0, 0.0),
        (-1e300, 1e300),
        (1e-320, 2e-320),
    ],
)
def test_ticks_enclose_the_values_evenly(low, high):
    found = ticks(low, high)

    assert found[0] <= low
    assert high <= found[-1]
    assert 2 <= len(found) <= 7
    steps = [after - before for before, after in pairwise(found)]
    assert steps == pytest.approx([steps[0]] * len(steps), rel=1e-3)


def test_a_score_that_stays_0_lies_at_the_bottom():
    assert (ticks(0.0, 0.0)[0], ticks(0.0, 0.0)[-1]) == (0, 1)
    (line,) = line_chart("mIoU", [Series("a", [(1, 0.0), (2, 0.0)])]).lines
    assert {dot.y for dot in line.dots} == {HEIGHT - BOTTOM}


@pytest.mark.parametrize("values", [(1e308, -1e308), (1e-320, 2e-320), (1e17, 1e17 + 16), (float("inf"), 0.0)])
def test_extreme_values_cost_no_chart(values):
    chart = line_chart("loss", [Series("a", [(1, values[0]), (2, values[1]), (3, 1.0)])])
    assert all(TOP <= dot.y <= HEIGHT - BOTTOM for line in chart.lines for dot in line.dots)
    line_chart("loss", [Series("a", list(enumerate(values, start=1)))])


def test_lines_break_at_values_that_are_not_finite():
    chart = line_chart("loss", [Series("a", [(1, 1.0), (2, 2.0), (3, float("nan")), (4, 1.0), (5, 3.0)])], mark=4)

    (line,) = chart.lines
    assert len(line.paths) == 2
    assert [dot.text for dot in line.dots] == ["a, epoch 1: 1", "a, epoch 2: 2", "a, epoch 4: 1", "a, epoch 5: 3"]
    assert line.dots[-1].y == TOP  # the largest value is a tick
    assert all(TOP <= dot.y <= HEIGHT for dot in line.dots)
    assert chart.mark == line.dots[2].x
    assert line_chart("loss", [Series("a", [(1, float("nan"))])]) is None
