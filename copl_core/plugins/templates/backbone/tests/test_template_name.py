import pytest
import torch
from copl_core.api import WeightsError
from copl_core.testing import check_backbone
from torch import Tensor

from template_plugin.backbone import TemplateName

SMALL = {"size": 32, "patch": 8, "width": 32, "depth": 3}


def original(backbone: TemplateName, x: Tensor) -> Tensor:
    """The encoder's own way through its layers, without blocks."""
    tokens = backbone.embed(x)
    for layer in backbone.layers:
        tokens = layer(tokens)
    return backbone.norm(tokens)


def test_it_keeps_the_contract_of_a_backbone_and_equals_the_original():
    check_backbone(TemplateName, reference=original, **SMALL)


def test_weights_come_from_a_file_and_only_from_one_that_fits(tmp_path):
    trained, path = TemplateName(**SMALL), tmp_path / "weights.pth"
    torch.save(trained.state_dict(), path)
    loaded = TemplateName(**SMALL, weights=str(path))
    loaded.load_pretrained()

    torch.testing.assert_close(loaded.position, trained.position)
    with pytest.raises(WeightsError, match="position"):
        TemplateName(**{**SMALL, "width": 64}, weights=str(path)).load_pretrained()
