"""What a training says that it took."""

import json
import time

import pytest
import torch
from safetensors.torch import load_file

from copl_core.engine.hooks import CostHook
from copl_core.results import Cost, read_cost


def test_a_run_tells_its_cost_apart_from_its_results(run):
    result, folder = run("schedule.epochs=1")
    cost = read_cost(folder)
    trained = {name: load_file(result.export / f"{name}.safetensors").values() for name in ("prompts", "head")}
    assert cost.device == "cpu"
    assert cost.additional_parameters == sum(tensor.numel() for tensor in trained["prompts"])
    assert 0 < cost.head_parameters <= sum(tensor.numel() for tensor in trained["head"])
    # This process has torch in memory, which takes more than 100 MB, and not the memory of a cluster.
    assert 100 < cost.peak_memory_mb < 50_000
    assert 0 < cost.seconds_per_step < 60
    assert "cost" not in json.loads((folder / "results.json").read_text())


def test_the_time_of_a_step_is_the_median(monkeypatch):
    now = iter([0.0, 5.0, 10.0, 10.5, 20.0, 20.7])  # steps of 5, 0.5 and 0.7 s
    monkeypatch.setattr(time, "monotonic", lambda: next(now))
    hook = CostHook(torch.device("cpu"))
    for step in range(3):
        hook.before_train_iter(None, step)
        hook.after_train_iter(None, step)

    assert hook.measured(_Model())["seconds_per_step"] == pytest.approx(0.7)


def test_what_was_not_measured_is_left_out():
    measured = CostHook(torch.device("cpu")).measured(_Model())
    assert Cost(**measured).measures() == {"additional_parameters": 6, "head_parameters": 4}


class _Model:
    """Of a model its parameters."""

    head = torch.nn.Linear(3, 1)

    def additional_parameters(self):
        return [("prompts", torch.zeros(2, 3))]
