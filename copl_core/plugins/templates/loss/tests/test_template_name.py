import pytest
import torch
from copl_core.contracts import Features, Layout
from copl_core.testing import check_loss

from template_plugin.loss import TemplateName


def test_it_keeps_the_contract_of_a_loss():
    check_loss(TemplateName, weight=0.5)


def test_it_vanishes_where_both_modalities_agree():
    loss = TemplateName(layout=Layout(frames=2, pairs=(), visual_width=4, audio_width=4), weight=0.5)
    audio = torch.randn(6, 4)
    visual = 2 * loss.project(audio)

    value = loss(Features(visual, visual[:, None], ()), Features(audio, audio[:, None], ()))

    assert value.item() == pytest.approx(0, abs=1e-6)
