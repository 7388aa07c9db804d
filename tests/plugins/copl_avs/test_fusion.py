import pytest
import torch
from torch.nn import functional

from copl_avs.fusion import DilatedSum, FeatureFusionBlock, ResidualConvUnit


def test_skip_carries_the_rectified_input() -> None:
    unit = ResidualConvUnit(channels=4)
    for parameter in unit.parameters():
        torch.nn.init.zeros_(parameter)
    x = torch.randn(2, 4, 6, 6)
    before = x.clone()

    assert torch.equal(unit(x), x.clamp(min=0))
    assert torch.equal(x, before)


def test_unit_equals_the_in_place_original() -> None:
    torch.manual_seed(0)
    unit, x = ResidualConvUnit(channels=4), torch.randn(2, 4, 6, 6)

    y = x.clone()
    out = functional.relu(y, inplace=True)
    out = functional.conv2d(out, unit.conv1.weight, unit.conv1.bias, padding=1)
    out = functional.conv2d(functional.relu(out), unit.conv2.weight, unit.conv2.bias, padding=1)

    torch.testing.assert_close(unit(x), out + y)


@pytest.mark.parametrize("size", [(20, 20), (19, 18), (4, 19), (12, 12), (6, 6), (3, 3), (1, 1)])
def test_dilated_sum_is_four_convolutions(size: tuple[int, int]) -> None:
    torch.manual_seed(0)
    block, x = DilatedSum(width=3, channels=4).double(), torch.randn(2, 3, *size, dtype=torch.float64)
    grad = torch.randn(2, 4, *size, dtype=torch.float64)

    expected = sum(
        functional.conv2d(x, conv.weight, conv.bias, padding=rate, dilation=rate)
        for conv, rate in zip(block.convs, (3, 6, 12, 18), strict=True)
    )

    torch.testing.assert_close(block(x), expected)
    torch.testing.assert_close(
        torch.autograd.grad(block(x), list(block.parameters()), grad),
        torch.autograd.grad(expected, list(block.parameters()), grad),
    )


def test_dilated_sum_starts_small() -> None:
    block = DilatedSum(width=3, channels=64)
    weights = torch.cat([conv.weight.flatten() for conv in block.convs]).detach()
    assert abs(float(weights.std()) - 0.01) < 5e-4
    assert abs(float(weights.mean())) < 5e-4


def test_fusion_step_adds_refines_and_doubles() -> None:
    torch.manual_seed(0)
    block, x, lateral = FeatureFusionBlock(channels=4), torch.randn(1, 4, 5, 5), torch.randn(1, 4, 5, 5)

    result = block(x, lateral)

    inside = block.output_unit(x + block.lateral_unit(lateral))
    assert result.shape == (1, 4, 10, 10)
    # With aligned corners the four corner pixels stay what they are.
    torch.testing.assert_close(result[..., ::9, ::9], inside[..., ::4, ::4])
    torch.testing.assert_close(block(x)[..., 0, 0], block.output_unit(x)[..., 0, 0])
