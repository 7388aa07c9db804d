"""The official checkpoints of HTS-AT."""

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from copl_core.api import WeightsError
from copl_core.contracts import load_exactly, read_weights
from copl_htsat.network import HTSATNetwork
from copl_htsat.spectrogram import BAND, SAMPLE_RATE

#: The network's name within the published training code's module.
PREFIX = "sed_model."
#: Constants of the front end, which we compute, and the classifiers, which an encoder has no place for.
LEFT_OUT = ("spectrogram_extractor.", "logmel_extractor.", "tscam_conv.", "head.")
#: Buffers that follow from the architecture.
DERIVED = (".attn.relative_position_index", ".attn_mask")
#: The mel filters (n_fft / 2 + 1, F) the checkpoint was trained with.
MEL_FILTERS = "logmel_extractor.melW"


def load_from_file(network: HTSATNetwork, path: Path) -> tuple[str, ...]:
    """Load a local checkpoint, as published (Lightning's, names with ``sed_model.``) or in the bare naming.

    Args:
        network: Left as it was if the checkpoint doesn't fit.
        path: .ckpt, .pth or .safetensors.

    Returns:
        Names of the tensors left out, without prefix.

    Raises:
        WeightsError: No such file, another architecture or another front end.
    """
    state = {name.removeprefix(PREFIX): tensor for name, tensor in read_weights(path).items()}
    _check_front_end(state, network.spectrogram.filters, path)
    left_out = tuple(name for name in state if name.startswith(LEFT_OUT) or name.endswith(DERIVED))
    kept = {name: tensor for name, tensor in state.items() if name not in left_out}
    load_exactly(network, kept, source=path, what="HTS-AT")
    return left_out


def _check_front_end(state: Mapping[str, Tensor], filters: Tensor, path: Path) -> None:
    """Refuse a checkpoint that was trained on other spectrograms."""
    theirs = state.get(MEL_FILTERS)
    if theirs is None:
        return
    if theirs.shape != filters.shape or not torch.allclose(theirs.to(filters), filters, atol=1e-5):
        low, high = BAND
        raise WeightsError(
            f"the weights in {path} belong to another front end: their mel filters ({MEL_FILTERS}, "
            f"{tuple(theirs.shape)}) are not the {filters.shape[1]} from {low:g} to {high:g} Hz at {SAMPLE_RATE} Hz "
            "that this encoder computes. Use a checkpoint trained at that rate, such as the one of AudioSet."
        )
