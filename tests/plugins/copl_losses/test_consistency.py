"""Equations 10 and 11."""

import pytest
import torch

from copl_core.contracts import Features
from copl_losses.consistency import Consistency
from helpers import layout


def features(pooled: torch.Tensor) -> Features:
    return Features(pooled=pooled, tokens=pooled[:, None], pyramid=())


@pytest.mark.parametrize("reduce", ["mean", "sum"])
def test_eq10_is_the_weighted_squared_distance(reduce):
    loss = Consistency(layout=layout(widths=((4, 4),)), weight=0.25, reduce=reduce)
    v, a = torch.randn(6, 4), torch.randn(6, 4)
    total = 0.0
    for i in range(6):
        squared = sum((float(v[i, j]) - float(a[i, j])) ** 2 for j in range(4))
        total += squared / 4 if reduce == "mean" else squared
    assert float(loss(features(v), features(a))) == pytest.approx(0.25 * total / 6, rel=1e-5)
    assert not list(loss.parameters())


def test_eq10_projects_the_audio_embedding_where_widths_differ():
    loss = Consistency(layout=layout(widths=((4, 6),)), weight=1.0)
    v, a = torch.randn(3, 4), torch.randn(3, 6)
    mapped = a @ loss.project.weight.T + loss.project.bias
    assert loss(features(v), features(a)).item() == pytest.approx(((v - mapped) ** 2).mean().item(), rel=1e-5)
