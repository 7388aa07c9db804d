"""HTS-AT's front end: from a waveform to the square picture that its transformer reads."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchaudio.functional import melscale_fbanks

#: Hz.
SAMPLE_RATE = 32_000
#: Samples of one Hann window, which is also the FFT's length.
WINDOW = 1024
#: Samples from one window to the next.
HOP = 320
#: Lowest and highest frequency of the mel filters in Hz.
BAND = (50.0, 14_000.0)
#: Power below which everything counts as silence: -100 dB.
FLOOR = 1e-10


class LogMel(nn.Module):
    """Log-mel spectrogram in decibels, as librosa computes it: centred frames, Slaney's mel scale and area norm.

    Args:
        mel_bins: F.
    """

    window: Tensor
    filters: Tensor

    def __init__(self, *, mel_bins: int = 64) -> None:
        super().__init__()
        # torchaudio looks at the filters' values, so they can't be made on the meta device.
        with torch.device("cpu"):
            filters = melscale_fbanks(WINDOW // 2 + 1, *BAND, mel_bins, SAMPLE_RATE, norm="slaney", mel_scale="slaney")
            window = torch.hann_window(WINDOW)
        # Constants, not weights: they stay out of the state dict.
        self.register_buffer("window", window, persistent=False)
        self.register_buffer("filters", filters, persistent=False)

    def forward(self, waveform: Tensor) -> Tensor:
        """(BT, samples) -> (BT, F, frames) with ``samples // HOP + 1`` frames."""
        spectrum = torch.stft(
            waveform, WINDOW, HOP, window=self.window, center=True, pad_mode="reflect", return_complex=True
        )
        power = spectrum.real.square() + spectrum.imag.square()
        return 10 * (self.filters.T @ power).clamp(min=FLOOR).log10()


def fold(spectrogram: Tensor, size: int) -> Tensor:
    """Stretch a spectrogram in time, cut it into equally long parts and stack them, the first one on top.

    Section 2.1 of the HTS-AT paper. The picture is square: ``size // F`` parts of ``size`` frames each.

    Args:
        spectrogram: (BT, F, frames).
        size: Height and width of the picture.

    Returns:
        (BT, 1, size, size); row ``part * F + f`` is mel bin f.
    """
    parts = size // spectrogram.shape[1]
    # Bicubic in time only: with align_corners and equal heights, mel bins stay what they are.
    stretched = F.interpolate(
        spectrogram.unsqueeze(1), (spectrogram.shape[1], parts * size), mode="bicubic", align_corners=True
    )
    return stretched.unflatten(3, (parts, size)).transpose(2, 3).flatten(2, 3)
