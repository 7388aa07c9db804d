"""Sound as a picture, for people."""

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor

from copl_core.contracts import SpectrogramSpec
from copl_core.data.audio import WINDOW, AudioRecipe, log_mel, resample

# Values as they are: mean 0, std 0.5.
_RECIPE = AudioRecipe(mean=0.0, std=0.5)
_MEL_BINS = 80
# Logarithm of power from the loudest value down to black: 45 dB.
_RANGE = 10.4
# Log power below which nothing counts as loud: of silence nothing is to be seen.
_QUIET = -2.0
_COLORS = ((12, 10, 28), (170, 60, 100), (255, 238, 190))


def draw_sound(waveform: Tensor, rate: int, size: tuple[int, int]) -> Image.Image:
    """Draw a log-mel spectrogram: time to the right, low tones below, 45 dB from black to the brightest.

    Args:
        waveform: (S,).
        rate: Its rate in Hz.
        size: Width and height in pixels.
    """
    samples = resample(waveform, rate, _RECIPE.sample_rate)
    hop = _RECIPE.frame_shift_ms / 1000
    frames = max(1, int((len(samples) / _RECIPE.sample_rate - WINDOW) / hop) + 1)
    if len(samples) < WINDOW * _RECIPE.sample_rate:
        return Image.new("RGB", size, _COLORS[0])
    mel = log_mel(samples - samples.mean(), _RECIPE, SpectrogramSpec(frames=frames, mel_bins=_MEL_BINS, channels=1))[0]
    top = max(float(mel.max()), _QUIET)
    grey = ((mel - top) / _RANGE + 1).clamp(0, 1).mul(255).to(torch.uint8)
    picture = Image.fromarray(np.asarray(grey.T.flip(0))).resize(size, Image.Resampling.BILINEAR)
    black, middle, white = _COLORS
    return ImageOps.colorize(picture, black=black, mid=middle, white=white)
