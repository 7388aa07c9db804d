"""The curves of one run, or of several over each other."""

from collections.abc import Mapping

from copl_core.report.charts import Chart, Series, line_chart
from copl_core.report.run import Run

_SPLITS = {"train": "training", "val": "validation"}


def draw_curves(runs: Mapping[str, Run], selecting: str) -> tuple[list[Chart], list[Chart]]:
    """Lay out a chart for each loss and score.

    Args:
        runs: By the name that they have on the page. Of a single one the selected epoch is marked.
        selecting: Name of the score by which checkpoints are selected.

    Returns:
        Charts of the training loss and of that score, and charts of everything else; all among the first if these
        two are missing.
    """
    first, others = list[Chart](), list[Chart]()
    mark = _selected(*runs.values()) if len(runs) == 1 else None
    for split, name in dict.fromkeys(quantity for run in runs.values() for quantity in run.quantities()):
        series = [
            Series(label, points, color)
            for color, (label, run) in enumerate(runs.items())
            if (points := run.curve(split, name))
        ]
        chart = line_chart(f"{name}, {_SPLITS.get(split, split)}", series, mark)
        if chart is not None:
            (first if name == ("loss" if split == "train" else selecting) else others).append(chart)
    return (first, others) if first else (others, [])


def _selected(run: Run) -> int | None:
    return run.results.epoch if run.results else None
