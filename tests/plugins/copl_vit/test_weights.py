"""Local weights are loaded strictly; the classifier is left out."""

import pytest
import timm
import torch
from safetensors.torch import save_file

from copl_core.api import WeightsError
from copl_vit.backbone import ViT
from helpers import randomize

NAME = "test_vit"


def published(name=NAME, **options):
    model = timm.create_model(name, pretrained=False, **options)
    randomize(model, seed=5, std=0.02)
    return model.state_dict()


def load(path, name=NAME):
    backbone = ViT(model=name, weights=str(path))
    backbone.load_pretrained()
    return backbone


def assert_same(backbone, state):
    for name, tensor in backbone.encoder.state_dict().items():
        assert torch.equal(tensor, state[name]), name


@pytest.mark.parametrize("suffix", [".safetensors", ".pth"])
def test_loads_timms_own_file(tmp_path, suffix):
    state, path = published(), tmp_path / f"weights{suffix}"
    if suffix == ".safetensors":
        save_file(state, path)
    else:
        torch.save({"model": state}, path)
    backbone = load(path)
    assert "head.weight" in state
    assert "head.weight" not in backbone.encoder.state_dict()
    assert_same(backbone, state)
    assert backbone.identity()["weights"] == f"file:weights{suffix}"


def test_loads_layer_scales_under_deits_names(tmp_path):
    state = published("test_vit2")
    renamed = {name.replace("ls1.gamma", "gamma_1").replace("ls2.gamma", "gamma_2"): t for name, t in state.items()}
    assert renamed.keys() != state.keys()
    save_file(renamed, tmp_path / "w.safetensors")
    assert_same(load(tmp_path / "w.safetensors", "test_vit2"), state)


def test_names_what_differs(tmp_path):
    state = published()
    del state["norm.weight"]
    state["norm.bias"] = torch.zeros(3)
    state["extra"] = torch.zeros(1)
    save_file(state, tmp_path / "w.safetensors")
    backbone = ViT(model=NAME, weights=str(tmp_path / "w.safetensors"))
    before = backbone.encoder.norm.bias.clone()
    with pytest.raises(WeightsError) as error:
        backbone.load_pretrained()
    for text in ("3 tensors differ", "missing norm.weight", "unexpected extra", "norm.bias is (3,)"):
        assert text in str(error.value)
    assert torch.equal(backbone.encoder.norm.bias, before)


def test_a_variant_with_the_norm_after_pooling_is_refused(tmp_path):
    save_file(published(global_pool="avg"), tmp_path / "w.safetensors")
    with pytest.raises(WeightsError, match=r"missing norm.weight[\s\S]*unexpected fc_norm.weight"):
        load(tmp_path / "w.safetensors")


def test_another_size_is_refused(tmp_path):
    save_file(published("vit_tiny_patch16_224"), tmp_path / "w.safetensors")
    with pytest.raises(WeightsError, match="are not those of this Vision Transformer"):
        load(tmp_path / "w.safetensors")


def test_missing_and_damaged_files(tmp_path):
    with pytest.raises(WeightsError, match="no encoder weights at"):
        load(tmp_path / "absent.pth")
    (tmp_path / "damaged.pth").write_bytes(b"\x10\x00\x00\x00 not weights")
    with pytest.raises(WeightsError, match=r"damaged\.pth"):
        load(tmp_path / "damaged.pth")
