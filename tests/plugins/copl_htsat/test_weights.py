"""Official checkpoints load strictly; what an encoder has no place for is left out and told."""

import logging

import pytest
import torch
from safetensors.torch import save_file

from copl_core.api import WeightsError
from copl_htsat.backbone import HTSAT
from copl_htsat.weights import load_from_file

CLASSIFIERS = {"tscam_conv.weight": (5, 64, 2, 3), "tscam_conv.bias": (5,), "head.weight": (5, 5), "head.bias": (5,)}


class ModelCheckpoint:
    """Stands for a callback of a training framework that is not installed where the weights are read."""


@pytest.fixture
def published(nano):
    """The state dict of the published training code, of a small network."""
    network = nano(seed=5)
    state = dict(network.state_dict())
    state["spectrogram_extractor.stft.conv_real.weight"] = torch.zeros(513, 1, 8)
    state["spectrogram_extractor.stft.conv_imag.weight"] = torch.zeros(513, 1, 8)
    state["logmel_extractor.melW"] = network.spectrogram.filters.clone()
    state |= {name: torch.zeros(shape) for name, shape in CLASSIFIERS.items()}
    for name, buffer in network.named_buffers():
        if name.endswith(("relative_position_index", "attn_mask")):
            state[name] = buffer.clone()
    return state


def same_as(network, state) -> bool:
    return all(torch.equal(tensor, state[name]) for name, tensor in network.state_dict().items())


@pytest.mark.parametrize("prefix", ["sed_model.", ""])
@pytest.mark.parametrize("suffix", [".ckpt", ".safetensors"])
def test_both_namings_load(nano, published, tmp_path, prefix, suffix):
    path = tmp_path / f"HTSAT{suffix}"
    state = {prefix + name: tensor for name, tensor in published.items()}
    if suffix == ".safetensors":
        save_file(state, path)
    else:
        torch.save({"epoch": 3, "state_dict": state, "hyper_parameters": {"lr": 1e-3}}, path)
    network = nano(seed=6)

    left_out = load_from_file(network, path)

    assert same_as(network, published)
    assert set(left_out) == published.keys() - network.state_dict().keys()
    assert {*CLASSIFIERS, "logmel_extractor.melW", "layers.0.blocks.1.attn_mask"} <= set(left_out)


def test_a_checkpoint_without_classifiers_loads(nano, tmp_path):
    state = dict(nano(seed=5).state_dict())
    save_file(state, tmp_path / "w.safetensors")
    network = nano(seed=6)

    assert load_from_file(network, tmp_path / "w.safetensors") == ()
    assert same_as(network, state)


def test_objects_of_the_training_framework_are_not_read(nano, published, tmp_path, monkeypatch):
    path = tmp_path / "lightning.ckpt"
    callback = ModelCheckpoint()
    callback.best = torch.zeros(2)
    torch.save({"state_dict": published, "callbacks": {ModelCheckpoint: {"best": 0.4}}, "settings": callback}, path)
    monkeypatch.delattr(f"{__name__}.ModelCheckpoint")
    network = nano(seed=6)

    load_from_file(network, path)

    assert same_as(network, published)


class Evil:
    """Pickles as a call."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return exec, (f"open({str(self.path)!r}, 'w')",)


def test_nothing_in_a_checkpoint_is_executed(nano, published, tmp_path):
    torch.save({"state_dict": published, "settings": Evil(tmp_path / "executed")}, tmp_path / "w.ckpt")
    network = nano(seed=6)

    load_from_file(network, tmp_path / "w.ckpt")

    assert same_as(network, published)
    assert not (tmp_path / "executed").exists()


def test_what_does_not_fit_is_named_and_changes_nothing(nano, published, tmp_path):
    del published["norm.weight"]
    published["layers.0.blocks.0.attn.relative_position_bias_table"] = torch.zeros(225, 4)
    published["extra"] = torch.zeros(1)
    torch.save({"state_dict": published}, tmp_path / "w.ckpt")
    network = nano(seed=6)
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}

    with pytest.raises(WeightsError) as error:
        load_from_file(network, tmp_path / "w.ckpt")

    for text in ("not those of this HTS-AT", "3 tensors differ", "missing norm.weight", "unexpected extra", "(225, 4)"):
        assert text in str(error.value)
    assert same_as(network, before)


@pytest.mark.parametrize("filters", [torch.zeros(257, 16), torch.full((513, 16), 0.01)])
def test_another_front_end_is_refused(nano, published, tmp_path, filters):
    published["logmel_extractor.melW"] = filters
    torch.save({"state_dict": published}, tmp_path / "w.ckpt")
    network = nano(seed=6)
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}

    with pytest.raises(WeightsError, match="belong to another front end: their mel filters"):
        load_from_file(network, tmp_path / "w.ckpt")

    assert same_as(network, before)


def test_missing_and_damaged_files(nano, tmp_path):
    (tmp_path / "damaged.ckpt").write_bytes(b"\x10\x00\x00\x00 not weights")
    for name, reason in (("absent.ckpt", "no encoder weights at"), ("damaged.ckpt", "damaged.ckpt")):
        with pytest.raises(WeightsError, match=reason):
            load_from_file(nano(), tmp_path / name)


class TestHTSAT:
    """The backbone's own part, with a small network in place of the published size."""

    @pytest.fixture(autouse=True)
    def _small(self, nano, monkeypatch):
        monkeypatch.setattr("copl_htsat.backbone.HTSATNetwork", nano)

    def test_reports_what_is_left_out(self, published, tmp_path, caplog):
        torch.save({"state_dict": published}, tmp_path / "HTSAT.ckpt")
        backbone = HTSAT(weights=str(tmp_path / "HTSAT.ckpt"), samples=16_000)

        with caplog.at_level(logging.INFO, logger="copl_htsat"):
            backbone.load_pretrained()

        assert same_as(backbone.encoder, published)
        assert set(CLASSIFIERS) <= set(backbone.left_out)
        (record,) = caplog.records
        message = record.getMessage()
        assert message.startswith("left out of HTSAT.ckpt: ")
        assert "tscam_conv.weight" in message
        assert str(tmp_path) not in message

    def test_identity_holds_no_path(self, tmp_path):
        backbone = HTSAT(weights=str(tmp_path / "HTSAT.ckpt"), samples=16_000)
        assert backbone.identity() == {"architecture": "htsat", "weights": "file:HTSAT.ckpt"}

    def test_none_stays_random(self):
        backbone = HTSAT(weights="none", samples=16_000)
        before = {name: tensor.clone() for name, tensor in backbone.encoder.state_dict().items()}
        backbone.load_pretrained()
        assert same_as(backbone.encoder, before)
        assert backbone.identity() == {"architecture": "htsat", "weights": "none"}
