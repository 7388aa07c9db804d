"""TPAVI: temporal pixel-wise audio-visual interaction (Zhou et al. 2022, section 3.2), in linear time."""

from torch import Tensor, nn


class Tpavi(nn.Module):
    """Lets every pixel of a clip look at the sound of all its frames: non-local attention without softmax.

    With theta and g of the pixels and phi of the sound, the paper computes ``(theta^T phi / N) g^T`` over all
    N = T * H * W positions: an N x N matrix, 1 GB for a 56x56 map of five frames. As there is no softmax,
    ``theta^T (phi g^T / N)`` is the same, and the matrix is inner x inner. The sound of a frame is the same at all its
    pixels, so phi is taken once a frame, and g, being linear, of the frame's mean.

    Args:
        channels: C of the map.
        inner: Width of theta, phi and g.
        audio_width: Width of the sound of a frame.
        gain: Weight that the sound begins with.
    """

    def __init__(self, *, channels: int, inner: int, audio_width: int, gain: float = 0.0) -> None:
        super().__init__()
        self.align = nn.Linear(audio_width, channels)
        self.g = nn.Linear(channels, inner)
        self.theta = nn.Linear(channels, inner)
        self.phi = nn.Linear(channels, inner)
        self.out = nn.Linear(inner, channels)
        self.out_norm = nn.BatchNorm1d(channels)
        self.norm = nn.LayerNorm(channels)
        # With 0, as in the paper's code, the module starts as a plain layer norm of its input: the sound fades in.
        nn.init.constant_(self.out_norm.weight, gain)
        nn.init.zeros_(self.out_norm.bias)

    def forward(self, visual: Tensor, audio: Tensor) -> Tensor:
        """Mix the sound into the map.

        Args:
            visual: (B, T, C, H, W).
            audio: (B, T, audio_width).

        Returns:
            (B, T, C, H, W).
        """
        clips, frames, channels, height, width = visual.shape
        pixels = visual.flatten(3).transpose(2, 3)  # (B, T, HW, C)
        phi: Tensor = self.phi(self.align(audio))  # (B, T, inner)
        context = phi.transpose(1, 2) @ self.g(pixels.mean(2)) / frames  # (B, inner of phi, inner of g)
        mixed: Tensor = self.theta(pixels).flatten(1, 2) @ context  # (B, THW, inner)
        mixed = self.out_norm(self.out(mixed).flatten(0, 1)).view_as(pixels)
        result: Tensor = self.norm(mixed + pixels).transpose(2, 3)
        return result.reshape(clips, frames, channels, height, width)
