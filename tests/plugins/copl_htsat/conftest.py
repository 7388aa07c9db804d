import pytest
import torch

from copl_htsat.network import HTSATNetwork
from helpers import randomize


@pytest.fixture
def nano():
    """A function that builds a small random network: grids of 16, 8 and 4 tokens a side, windows of 4."""

    def build(seed: int = 0, **arguments) -> HTSATNetwork:
        sizes = {"spec_size": 64, "mel_bins": 16, "embed_dim": 16, "depths": (2, 2, 2), "heads": (2, 4, 8), "window": 4}
        network = HTSATNetwork(**{**sizes, **arguments})
        randomize(network, seed)
        generator = torch.Generator().manual_seed(seed)
        network.bn0.running_mean.normal_(-40, 5, generator=generator)
        network.bn0.running_var.uniform_(50, 150, generator=generator)
        return network.requires_grad_(False).eval()

    return build
