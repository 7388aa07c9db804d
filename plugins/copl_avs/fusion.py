"""Convolutional parts of the AVSBench decoder."""

import torch
from torch import Tensor, nn
from torch.nn import functional

DILATIONS = (3, 6, 12, 18)


class DilatedSum(nn.Module):
    """Sum of four dilated 3x3 convolutions (AVSBench's ``Classifier_Module``), without norm or activation.

    Args:
        width: Channels of the input.
        channels: Channels of the output.
    """

    def __init__(self, *, width: int, channels: int) -> None:
        super().__init__()
        convs = [nn.Conv2d(width, channels, 3, padding=rate, dilation=rate) for rate in DILATIONS]
        for conv in convs:
            nn.init.normal_(conv.weight, std=0.01)
        self.convs = nn.ModuleList(convs)

    def forward(self, x: Tensor) -> Tensor:
        """(BT, width, H, W) -> (BT, channels, H, W)."""
        # Where the outer taps of a kernel lie beyond the map from every position, only its centre reads anything:
        # such kernels are one matrix.
        within = [conv for conv in self.convs if conv.dilation[0] < max(x.shape[2:])]
        beyond = [conv for conv in self.convs if conv not in within]
        parts: list[Tensor] = [conv(x) for conv in within]
        if beyond:
            centre = torch.stack([conv.weight[:, :, 1:2, 1:2] for conv in beyond]).sum(0)
            parts.append(functional.conv2d(x, centre, torch.stack([conv.bias for conv in beyond]).sum(0)))
        total, *others = parts
        for part in others:
            total = total + part
        return total


class ResidualConvUnit(nn.Module):
    """Two pre-activated 3x3 convolutions and a skip."""

    def __init__(self, *, channels: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=1)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """(BT, channels, H, W), same shape back."""
        # The skip carries relu(x), not x: AVSBench's first ReLU works in place, and its results were obtained so.
        x = functional.relu(x)
        out: Tensor = self.conv2(functional.relu(self.conv1(x)))
        return out + x


class FeatureFusionBlock(nn.Module):
    """One step from coarse to fine: add the lateral map, refine, double the size.

    The coarsest step has no map from below; its lateral unit exists in AVSBench's decoder all the same, and counts in
    its parameters. It is kept, so that decoders compare by size, but it can't learn and is frozen: distributed
    training refuses parameters that never get a gradient.

    Args:
        channels: C of all maps.
        lateral: Whether there is a map from below.
    """

    def __init__(self, *, channels: int, lateral: bool = True) -> None:
        super().__init__()
        self.lateral_unit = ResidualConvUnit(channels=channels)
        self.output_unit = ResidualConvUnit(channels=channels)
        if not lateral:
            self.lateral_unit.requires_grad_(False)

    def forward(self, x: Tensor, lateral: Tensor | None = None) -> Tensor:
        """(BT, C, H, W), with the lateral map of the same shape, -> (BT, C, 2H, 2W)."""
        if lateral is not None:
            x = x + self.lateral_unit(lateral)
        return functional.interpolate(self.output_unit(x), scale_factor=2, mode="bilinear", align_corners=True)
