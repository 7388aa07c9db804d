"""Building a session."""

import torch

from copl_core.engine.build import make_encoders


def test_random_encoders_are_those_of_the_seed():
    def built(seed: int) -> torch.Tensor:
        visual, _ = make_encoders({"encoders.visual": lambda: torch.nn.Linear(3, 3)}, seed)
        return visual.weight

    assert torch.equal(built(5), built(5))
    assert not torch.equal(built(5), built(6))
