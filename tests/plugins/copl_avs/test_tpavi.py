import torch

from copl_avs.tpavi import Tpavi

B, T, C, INNER, D, H, W = 2, 3, 8, 4, 5, 4, 6


def quadratic(module: Tpavi, visual: torch.Tensor, audio: torch.Tensor) -> torch.Tensor:
    """The paper's form: an N x N matrix between all positions of a clip, the sound repeated at each pixel."""
    repeated = module.align(audio)[..., None, None].expand(B, T, C, H, W)

    def positions(x: torch.Tensor) -> torch.Tensor:  # (B, N, C)
        return x.permute(0, 1, 3, 4, 2).reshape(B, T * H * W, C)

    theta, g, phi = module.theta(positions(visual)), module.g(positions(visual)), module.phi(positions(repeated))
    f = theta @ phi.transpose(1, 2) / (T * H * W)
    z = module.out_norm(module.out(f @ g).reshape(-1, C)).reshape(B, -1, C) + positions(visual)
    return module.norm(z).reshape(B, T, H, W, C).permute(0, 1, 4, 2, 3)


def make(**settings: float) -> tuple[Tpavi, torch.Tensor, torch.Tensor]:
    torch.manual_seed(0)
    module = Tpavi(channels=C, inner=INNER, audio_width=D, **settings).double()
    return module, torch.randn(B, T, C, H, W).double(), torch.randn(B, T, D).double()


def test_linear_form_equals_the_quadratic_one() -> None:
    module, visual, audio = make()
    for parameter in module.parameters():
        torch.nn.init.normal_(parameter)

    for training in (True, False):
        module.train(training)
        torch.testing.assert_close(module(visual, audio), quadratic(module, visual, audio))


def test_starts_as_a_layer_norm_and_learns_from_there() -> None:
    module, visual, audio = make()

    result = module(visual, audio)

    expected = torch.nn.functional.layer_norm(visual.movedim(2, -1), (C,)).movedim(-1, 2)
    torch.testing.assert_close(result, expected)
    (result**3).sum().backward()
    assert bool(module.out_norm.weight.grad.abs().sum() > 0)


def test_gain_is_what_the_sound_begins_with() -> None:
    quiet, visual, audio = make()
    loud, _, _ = make(gain=1.0)
    assert not torch.allclose(loud(visual, audio), quiet(visual, audio))

    torch.nn.init.ones_(quiet.out_norm.weight)
    torch.testing.assert_close(loud(visual, audio), quiet(visual, audio))
