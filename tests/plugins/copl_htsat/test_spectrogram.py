"""The front end against librosa's definitions, written out."""

import numpy as np
import pytest
import torch

from copl_htsat.spectrogram import LogMel, fold


def slaney_filters(bins: int) -> np.ndarray:
    """Triangles on Slaney's mel scale (linear below 1 kHz, logarithmic above), each of unit area: (513, bins)."""

    def to_hz(mel):
        return np.where(mel < 15, mel * 200 / 3, 1000 * np.exp((mel - 15) * np.log(6.4) / 27))

    highest = 15 + np.log(14_000 / 1000) / (np.log(6.4) / 27)
    edges = to_hz(np.linspace(50 * 3 / 200, highest, bins + 2))
    frequencies = np.arange(513) * 32_000 / 1024
    columns = []
    for left, center, right in zip(edges, edges[1:], edges[2:], strict=False):
        triangle = np.minimum((frequencies - left) / (center - left), (right - frequencies) / (right - center))
        columns.append(np.maximum(0, triangle) * 2 / (right - left))
    return np.stack(columns, axis=1)


def log_mel(waveform: np.ndarray, bins: int) -> np.ndarray:
    """Centred frames with reflected edges, periodic Hann window, power, mel filters, decibels: (bins, frames)."""
    hann = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(1024) / 1024)
    padded = np.concatenate([waveform[512:0:-1], waveform, waveform[-2:-514:-1]])
    frames = [padded[start : start + 1024] * hann for start in range(0, len(waveform) + 1, 320)]
    power = np.abs(np.fft.rfft(frames, axis=1)) ** 2
    return 10 * np.log10(np.maximum(power @ slaney_filters(bins), 1e-10)).T


@pytest.mark.parametrize("bins", [64, 16])
def test_log_mel_is_librosas(bins: int) -> None:
    waveform = 0.1 * torch.randn(2, 16_000, generator=torch.Generator().manual_seed(0))
    waveform[1] = 0.1 * waveform[1] + 0.5 * torch.sin(2 * torch.pi * 440 * torch.arange(16_000) / 32_000)

    result = LogMel(mel_bins=bins)(waveform)

    assert result.shape == (2, bins, 51)
    for ours, wave in zip(result, waveform, strict=True):
        np.testing.assert_allclose(ours.numpy(), log_mel(wave.double().numpy(), bins), atol=2e-3)


def test_filters_are_slaneys() -> None:
    np.testing.assert_allclose(LogMel(mel_bins=64).filters.numpy(), slaney_filters(64), atol=1e-7)


def test_silence_is_minus_a_hundred_decibels() -> None:
    torch.testing.assert_close(LogMel(mel_bins=16)(torch.zeros(1, 3200)), torch.full((1, 16, 11), -100.0))


def test_ten_seconds_are_1001_frames_and_nothing_is_saved() -> None:
    module = LogMel()

    assert module(torch.zeros(1, 320_000)).shape == (1, 64, 1001)
    assert not module.state_dict()


def test_fold_stacks_the_parts_from_top_to_bottom() -> None:
    # As many frames as the picture holds: nothing is stretched.
    spectrogram = torch.randn(2, 4, 4 * 16, generator=torch.Generator().manual_seed(0))

    picture = fold(spectrogram, 16)

    assert picture.shape == (2, 1, 16, 16)
    for row in range(16):
        for column in range(16):
            expected = spectrogram[:, row % 4, (row // 4) * 16 + column]
            torch.testing.assert_close(picture[:, 0, row, column], expected, atol=1e-6, rtol=0)


def cubic(values: np.ndarray, length: int) -> np.ndarray:
    """Cubic convolution (Keys, a = -0.75) of the last axis, first and last value kept in place."""

    def weight(distance):
        distance = abs(distance)
        if distance <= 1:
            return 1.25 * distance**3 - 2.25 * distance**2 + 1
        return -0.75 * distance**3 + 3.75 * distance**2 - 6 * distance + 3

    out = []
    last = values.shape[-1] - 1
    for index in range(length):
        position = index * last / (length - 1)
        base = int(np.floor(position))
        taps = range(base - 1, base + 3)
        out.append(sum(weight(position - tap) * values[..., min(max(tap, 0), last)] for tap in taps))
    return np.stack(out, axis=-1)


def test_fold_stretches_time_bicubically() -> None:
    spectrogram = torch.randn(1, 4, 50, generator=torch.Generator().manual_seed(1), dtype=torch.float64)

    picture = fold(spectrogram, 16)[0, 0].numpy()

    stretched = cubic(spectrogram[0].numpy(), 64)
    np.testing.assert_allclose(picture, np.concatenate(np.split(stretched, 4, axis=1), axis=0), atol=1e-10)
