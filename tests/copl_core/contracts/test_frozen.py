"""A table of frozen parameters is computed once, and again only when something it depends on changes."""

import pytest
import torch
from torch import nn

from copl_core.contracts import FrozenTable


@pytest.fixture
def counted():
    module = nn.Module()
    module.weight = nn.Parameter(torch.tensor([2.0]), requires_grad=False)
    calls = []

    def compute(prompts, dtype):
        calls.append((prompts, dtype))
        return (module.weight * prompts).to(dtype)

    return module, FrozenTable(module, compute), calls


def test_computes_once_per_arguments(counted):
    _, table, calls = counted
    assert [table(3, torch.float32).item() for _ in range(3)] == [6.0] * 3
    assert len(calls) == 1
    assert table(4, torch.float32).item() == 8.0
    assert table(4, torch.bfloat16).dtype == torch.bfloat16
    assert len(calls) == 3


def test_sees_weights_loaded_afterwards(counted):
    module, table, _ = counted
    table(3, torch.float32)
    with torch.no_grad():
        module.weight.copy_(torch.tensor([5.0]))
    assert table(3, torch.float32).item() == 15.0


def test_sees_parameters_put_in_the_place_of_others(counted):
    module, table, _ = counted
    table(3, torch.float32)
    module.load_state_dict({"weight": torch.tensor([7.0])}, assign=True)
    assert table(3, torch.float32).item() == 21.0
    module.to("meta")
    assert table(3, torch.float32).is_meta


def test_a_training_parameter_gets_its_gradient_at_every_call(counted):
    module, table, calls = counted
    module.requires_grad_(True)
    for _ in range(2):
        table(3, torch.float32).sum().backward()
    assert module.weight.grad.item() == 6.0
    assert len(calls) == 2


def test_what_inference_mode_computed_serves_training(counted):
    _, table, _ = counted
    with torch.inference_mode():
        table(3, torch.float32)
    x = torch.ones(1, requires_grad=True)
    (x * table(3, torch.float32)).sum().backward()
    assert x.grad.item() == 6.0
