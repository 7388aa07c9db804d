"""Swin-V2 without prompts equals timm; weights load strictly."""

import pytest
import timm
import torch
from safetensors.torch import save_file

from copl_core.api import ConfigError, WeightsError
from copl_swin.backbone import Swin
from helpers import randomize, tiny_swin


def walk(backbone, x):
    """The plain walk of a backbone alone: tokens through both branches of every block."""
    tokens, stages = backbone.embed(x), []
    for index, block in enumerate(backbone.blocks):
        tokens = tokens + block.attention(tokens)
        tokens = tokens + block.feedforward(tokens)
        if index in backbone.stage_ends():
            stages.append(tokens)
        if index + 1 < backbone.depth:
            tokens = backbone.advance(index, tokens)
    return backbone.features(stages, "visual")


@pytest.mark.parametrize("name", ["swinv2_tiny_window8_256", "swinv2_tiny_window16_256"])
def test_equals_timm_without_prompts(name):
    backbone = Swin(model=name, weights="none").eval()
    randomize(backbone.encoder, std=0.02)
    size = backbone.input_spec.image.height
    x = torch.randn(1, 3, size, size, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        ours, theirs = walk(backbone, x), backbone.encoder.forward_features(x)
        pooled = backbone.encoder.forward_head(theirs, pre_logits=True)
        maps = backbone.encoder.forward_intermediates(x, intermediates_only=True)
    assert torch.allclose(ours.tokens.unflatten(1, theirs.shape[1:3]), theirs, atol=1e-5)
    assert torch.allclose(ours.pooled, pooled, atol=1e-5)
    assert [tuple(m.shape[1:]) for m in ours.pyramid] == list(backbone.layout("visual").pyramid)
    for ours_map, theirs_map in zip(ours.pyramid[:-1], maps[:-1], strict=True):
        assert torch.allclose(ours_map, theirs_map, atol=1e-5)


def test_equals_timm_to_rounding_on_a_small_one():
    backbone = tiny_swin(size=40, window=4, depths=(2, 3)).double()
    x = torch.randn(2, 3, 40, 40, dtype=torch.float64)
    with torch.no_grad():
        ours, theirs = walk(backbone, x).tokens.unflatten(1, (5, 5)), backbone.encoder.forward_features(x)
    assert (ours - theirs).abs().max() < 1e-10


def test_spec_follows_timms_config():
    spec = Swin(model="swinv2_tiny_window8_256", weights="none").input_spec
    assert (spec.image.height, spec.image.width) == (256, 256)
    assert spec.image.mean == timm.models.get_pretrained_cfg("swinv2_tiny_window8_256").mean
    assert (spec.audio.frames, spec.audio.mel_bins, spec.audio.channels) == (256, 256, 3)


def test_another_architecture_is_refused():
    with pytest.raises(ConfigError, match="not a SwinTransformerV2"):
        Swin(model="swinv2_cr_tiny_224", weights="none")


def test_unknown_name_lists_what_timm_has():
    with pytest.raises(ConfigError, match="swinv2_tiny_window8_256"):
        Swin(model="swinv2_teeny", weights="none")


class TestLocalWeights:
    """A local file is loaded strictly; the classifier is left out."""

    NAME = "swinv2_tiny_window8_256"

    @pytest.fixture
    def published(self):
        model = timm.create_model(self.NAME, pretrained=False)
        randomize(model, seed=5, std=0.02)
        return model

    @pytest.mark.parametrize("suffix", [".safetensors", ".pth"])
    def test_loads_timms_own_file(self, published, tmp_path, suffix):
        path = tmp_path / f"weights{suffix}"
        if suffix == ".safetensors":
            save_file(published.state_dict(), path)
        else:
            torch.save({"model": published.state_dict()}, path)
        backbone = Swin(model=self.NAME, weights=str(path))
        backbone.load_pretrained()
        for name, tensor in backbone.encoder.state_dict().items():
            assert torch.equal(tensor, published.state_dict()[name]), name
        assert backbone.identity()["weights"] == f"file:weights{suffix}"

    def test_names_what_differs(self, published, tmp_path):
        state = dict(published.state_dict())
        del state["norm.weight"]
        state["norm.bias"] = torch.zeros(3)
        state["extra"] = torch.zeros(1)
        save_file(state, tmp_path / "w.safetensors")
        backbone = Swin(model=self.NAME, weights=str(tmp_path / "w.safetensors"))
        before = backbone.encoder.norm.bias.clone()
        with pytest.raises(WeightsError) as error:
            backbone.load_pretrained()
        for text in ("3 tensors differ", "missing norm.weight", "unexpected extra", "norm.bias is (3,)"):
            assert text in str(error.value)
        assert torch.equal(backbone.encoder.norm.bias, before)

    def test_missing_and_damaged_files(self, tmp_path):
        with pytest.raises(WeightsError, match="no encoder weights at"):
            Swin(model=self.NAME, weights=str(tmp_path / "absent.pth")).load_pretrained()
        for suffix in (".safetensors", ".pth"):
            path = tmp_path / f"damaged{suffix}"
            path.write_bytes(b"\x10\x00\x00\x00 not weights")
            with pytest.raises(WeightsError, match=path.name):
                Swin(model=self.NAME, weights=str(path)).load_pretrained()
