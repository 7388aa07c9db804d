"""The check of a metric."""

import math
import pickle
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from copl_core.contracts import Batch, Metric, Names, Predictions, Sample
from copl_core.data import collate
from copl_core.testing.classes import check_class
from copl_core.testing.report import Failure, Report
from copl_core.testing.subject import Candidate, Subject
from copl_core.testing.tensors import changed, map_tensors, same, tensors_of


def check_metric(
    component: Subject,
    /,
    *,
    predictions: Predictions,
    samples: Sequence[Sample],
    names: Names | None = None,
    **arguments: Any,
) -> None:
    """Check a metric against its contract, ``copl_core.contracts.Metric``.

    Args:
        component: Its class, ``functools.partial`` of it, or the name of an installed one.
        predictions: What a head predicts for the samples, tensors with a leading B.
        samples: B clips, at least two, as the task's data set yields them; ``visual`` and ``audio`` may be left out.
        names: What their numbers stand for.
        arguments: The component's own.

    Raises:
        ConformanceError: Lists the points that failed.
        ValueError: There are fewer than two samples, or the predictions are of another number of clips.
    """
    count = len(samples)
    odd = [name for name, each in predictions.items() if not each.ndim or each.shape[0] != count]
    if count < 2 or odd:
        raise ValueError(f"expected at least 2 samples and predictions with a leading B, got {count} and {odd}")
    candidate = Candidate("metric", component, arguments)
    with Report(candidate.title) as report:
        check_class(report, candidate, Metric, methods=("measure",))
        metric: Metric | None = report.build(lambda: candidate.build(names=names or {}))
        if metric is None:
            return
        batch = collate(samples)
        if report.check("measure", _check_measure, metric, predictions, batch):
            report.check("batch of one", _check_batch_of_one, metric, predictions, samples)
            report.check("summarize", _check_summary, metric, predictions, batch)


def _check_measure(metric: Metric, predictions: Predictions, batch: Batch) -> None:
    count = len(next(iter(predictions.values())))
    device = "cuda" if torch.cuda.is_available() else "cpu"
    fed = {name: _with_gradient(each.to(device)) for name, each in predictions.items()}
    fed_batch = map_tensors(batch, lambda x: x.to(device))
    before = map_tensors((fed, fed_batch), lambda x: x.detach().clone())
    results = metric.measure(fed, fed_batch)
    if changed(before, (fed, fed_batch)):
        raise Failure("expected predictions and batch as they were, they have been changed; don't compute in place")
    if not isinstance(results, list) or len(results) != count:
        length = f"{len(results)} results" if isinstance(results, list) else type(results).__name__
        raise Failure(f"expected a list of one result a clip, {count} in all, got {length}; split them by clip")
    if any(x.requires_grad or x.device.type != "cpu" for x in tensors_of(results)):
        raise Failure("expected results detached and on the CPU, some are not; call .detach().cpu()")
    try:
        copies = pickle.loads(pickle.dumps(results))
    except Exception as error:
        raise Failure(f"expected results that can go to another process, pickling fails: {error}") from error
    if not same(copies, results):
        raise Failure("expected results that can go to another process, pickling changes them; use plain values")
    if not same(metric.measure(predictions, batch), results):
        raise Failure("expected the same results of the same predictions, they differ; keep no state, draw nothing")


def _with_gradient(tensor: Tensor) -> Tensor:
    tensor = tensor.detach().clone()
    return tensor.requires_grad_() if tensor.is_floating_point() else tensor


def _check_batch_of_one(metric: Metric, predictions: Predictions, samples: Sequence[Sample]) -> None:
    """Clips measured alone give the same results: batches are cut differently on many ranks."""
    together = metric.measure(predictions, collate(samples))
    for index, sample in enumerate(samples):
        alone = metric.measure({name: each[index : index + 1] for name, each in predictions.items()}, collate([sample]))
        if not same(alone, together[index : index + 1]):
            raise Failure(
                f"expected clip {index} alone to give what it gives among others, got {alone} instead of "
                f"{together[index : index + 1]}; let clips not see each other in measure"
            )


def _check_summary(metric: Metric, predictions: Predictions, batch: Batch) -> None:
    results = metric.measure(predictions, batch)
    scores, again = metric.summarize(results), metric.summarize(pickle.loads(pickle.dumps(results)))
    if not isinstance(scores, dict) or not scores:
        raise Failure(f"expected scores by name, got {scores!r}; return a dict with at least the one that selects")
    odd = [name for name, each in scores.items() if type(each) is not float or not math.isfinite(each)]
    if odd:
        raise Failure(
            f"expected finite floats, {odd[0]} is {scores[odd[0]]!r}; convert with float(), and leave out a score over "
            "nothing"
        )
    if scores != again:
        raise Failure(f"expected the same scores of the same results, got {scores}, then {again}; keep no state")
