"""The check of a task: its own promises, and its parts on the clips of its data set."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch

from copl_core.contracts import Dataset, Metric, Predictions, Sample, Task
from copl_core.data import collate
from copl_core.model import TwoStream, input_specs
from copl_core.testing.classes import check_class
from copl_core.testing.dataset import check_dataset
from copl_core.testing.head import check_head
from copl_core.testing.metric import check_metric
from copl_core.testing.renderer import check_renderer
from copl_core.testing.report import ConformanceError, Failure, Report, some
from copl_core.testing.stand_ins import CLIPS, tiny_encoders, tiny_model
from copl_core.testing.subject import Candidate, Subject, call


def check_task(
    component: Subject,
    /,
    *,
    splits: Sequence[str] = ("train",),
    unused: Sequence[str] = (),
    not_labels: Sequence[str] = (),
    **arguments: Any,
) -> None:
    """Check a task against its contract, ``copl_core.contracts.Task``, and all its parts on the clips of its data set.

    A small model with its head is trained for a step and tested, and a clip of the data set is drawn.

    Args:
        component: Its class, ``functools.partial`` of it, or the name of an installed one.
        splits: The splits of the data set to read; the parts are checked on clips of the first.
        unused: Patterns of the head's parameters that get no gradient on purpose.
        not_labels: What its prediction may read of a sample, see ``check_head``.
        arguments: The component's own: ``dataset``, ``head``, ``metric``, ``renderer``, each a class or a partial of
            one, or a block of a config if ``component`` is a name.

    Raises:
        ConformanceError: Lists the points that failed, of the task and of its parts.
    """
    candidate = Candidate("task", component, arguments)
    with Report(candidate.title) as report:
        check_class(report, candidate, Task)
        if not report.check("attributes", _check_attributes, candidate.cls):
            return
        task: Task | None = report.build(candidate.build)
        if task is None or not _conforms(report, "dataset", task.dataset, splits=splits):
            return
        run = _Run(task, splits[0])
        if not report.check("frames", run.check_frames):
            return
        _conforms(
            report,
            "head",
            task.head,
            samples=run.labels,
            names=run.names,
            frames=task.frames,
            unused=unused,
            not_labels=not_labels,
        )
        if not report.check("training", run.check_training) or not report.check("test", run.predict):
            return
        predictions = run.predict()
        _conforms(report, "metric", task.metric, predictions=predictions, samples=run.samples, names=run.names)
        _conforms(
            report,
            "renderer",
            task.renderer,
            sample=run.samples[0],
            prediction={name: each[0] for name, each in predictions.items()},
            pictures=run.dataset.pictures(0),
            names=run.names,
        )
        report.check("select_by", run.check_score)


_CHECKS: Mapping[str, Callable[..., None]] = {
    "dataset": check_dataset,
    "head": check_head,
    "metric": check_metric,
    "renderer": check_renderer,
}


def _conforms(report: Report, part: str, factory: Any, **arguments: Any) -> bool:
    """Check a part; its failures become those of the task. False if it has any."""
    try:
        _CHECKS[part](factory, **arguments)
    except ConformanceError as error:
        for problem in error.problems:
            report.fail(error.title, problem)
        return False
    return True


def _check_attributes(cls: Any) -> None:
    for name, kind in (("frames", int), ("select_by", str), ("higher_is_better", bool)):
        value = getattr(cls, name, None)
        if type(value) is not kind or (kind is not bool and not value):
            raise Failure(f"expected {name} as {kind.__name__}, got {value!r}; set it in the class")


class _Run:
    """The task on the first clips of its data set, in a small model that trains nothing but the head."""

    def __init__(self, task: Task, split: str) -> None:
        self.task = task
        self.dataset: Dataset = call(task.dataset, split=split)
        self.names = self.dataset.names
        visual, audio = tiny_encoders("one shared encoder")
        self.dataset.bind(*input_specs(visual, audio))
        # A data set of one clip gives it twice.
        self.samples: list[Sample] = [self.dataset[index % len(self.dataset)] for index in range(CLIPS)]
        # Without what the encoders eat, which the check of a head makes up.
        self.labels = [
            {key: sample[key] for key in sample if key not in ("visual", "audio")} for sample in self.samples
        ]

    def check_frames(self) -> None:
        """T of the task is that of its data set."""
        frames = len(self.samples[0]["visual"])
        if frames != self.task.frames:
            raise Failure(
                f"expected clips of {self.task.frames} frames, as the task says, the data set gives {frames}; set the "
                "one by the other"
            )

    def check_training(self) -> None:
        """A step of training leaves finite losses and parameters."""
        model, batch = self._model().train(), collate(self.samples)
        optimizer = torch.optim.SGD(model.head.parameters(), lr=1e-3)
        for _ in range(2):
            losses = model.losses(model(batch), batch)
            total = torch.stack(list(losses.values())).sum()
            if not total.isfinite():
                raise Failure(f"expected finite losses, got {losses}; check divisions and logarithms")
            optimizer.zero_grad()
            torch.autograd.backward(total)
            optimizer.step()

    @torch.no_grad()
    def predict(self) -> Predictions:
        """What the head predicts for the samples."""
        predictions: Predictions = self._model().eval()(collate(self.samples)).predictions
        return predictions

    def check_score(self) -> None:
        """The score that selects checkpoints is one of the metric's."""
        metric: Metric = call(self.task.metric, names=self.names)
        scores = metric.summarize(metric.measure(self.predict(), collate(self.samples)))
        if self.task.select_by not in scores:
            raise Failure(
                f"expected {self.task.select_by!r} among the metric's scores, got {some(scores)}; name one of them"
            )

    def _model(self) -> TwoStream:
        with torch.random.fork_rng():
            torch.manual_seed(0)
            return tiny_model(head=self.task.head, frames=self.task.frames, names=self.names)
