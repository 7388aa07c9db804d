import torch
from copl_core.contracts import FeatureLayout
from copl_core.testing import check_head

from template_plugin.head import TemplateName

FRAMES = 2
NAMES = {"classes": ("dog", "violin", "background")}
SAMPLES = [{"name": "a", "label": torch.tensor([0, 2])}, {"name": "b", "label": torch.tensor([1, 1])}]


def test_it_keeps_the_contract_of_a_head():
    check_head(TemplateName, samples=SAMPLES, names=NAMES, frames=FRAMES, width=8)


def test_the_data_set_says_how_many_classes_there_are():
    layout = FeatureLayout(width=4, pyramid=((4, 2, 2),))

    assert TemplateName(visual=layout, audio=layout, frames=FRAMES, names=NAMES).classify.out_features == 3
    assert TemplateName(visual=layout, audio=layout, frames=FRAMES, classes=5).classify.out_features == 5
