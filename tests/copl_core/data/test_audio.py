import numpy as np
import pytest
import soundfile
import torch

from copl_core.api import ConfigError, DataError
from copl_core.contracts import SpectrogramSpec, WaveformSpec
from copl_core.data import AudioRecipe, audio_segments, log_mel, read_wav, segment_starts

S4 = {"mean": -5.210531711578369, "std": 3.5918314456939697}


def noise(samples: int, seed: int = 0) -> torch.Tensor:
    return 0.1 * torch.randn(samples, generator=torch.Generator().manual_seed(seed))


def kaldi_fbank(wave: np.ndarray, rate: int, bins: int, shift_ms: float) -> np.ndarray:
    """Kaldi's filter bank written out: 25 ms Hann windows, DC removed, pre-emphasis 0.97, power, mel, log."""
    size, hop, fft = int(rate * 0.025), int(rate * shift_ms * 0.001), 512
    hann = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(size) / (size - 1))

    def mel(frequency):
        return 1127 * np.log(1 + frequency / 700)

    edges = mel(20) + (mel(rate / 2) - mel(20)) / (bins + 1) * np.arange(bins + 2)
    at = mel(np.arange(fft // 2) * rate / fft)
    rows = []
    for start in range(0, len(wave) - size + 1, hop):
        frame = wave[start : start + size].astype(np.float64)
        frame = frame - frame.mean()
        frame = frame - 0.97 * np.concatenate([frame[:1], frame[:-1]])
        power = np.abs(np.fft.rfft(frame * hann, fft)[: fft // 2]) ** 2
        row = []
        for left, center, right in zip(edges, edges[1:], edges[2:], strict=False):
            weight = np.maximum(0, np.minimum((at - left) / (center - left), (right - at) / (right - center)))
            row.append(np.log(max((weight * power).sum(), np.finfo(np.float32).eps)))
        rows.append(row)
    return np.array(rows)


@pytest.mark.parametrize(("bins", "shift", "rows"), [(192, 10.0, 193), (128, 10.0, 193), (192, 5.2, 372)])
def test_log_mel_is_kaldis(bins: int, shift: float, rows: int) -> None:
    wave = noise(31200)
    recipe = AudioRecipe(frame_shift_ms=shift, **S4)

    result = log_mel(wave, recipe, SpectrogramSpec(frames=rows, mel_bins=bins))

    expected = (kaldi_fbank(wave.numpy(), 16000, bins, shift) - S4["mean"]) / (2 * S4["std"])
    assert expected.shape == (rows, bins)
    assert result.shape == (3, rows, bins)
    np.testing.assert_allclose(result[0].numpy(), expected, atol=1e-3)
    assert torch.equal(result[0], result[1])
    assert torch.equal(result[0], result[2])


def test_eight_lowest_of_192_filters_are_empty() -> None:
    recipe = AudioRecipe(mean=0.0, std=0.5)

    mel = log_mel(noise(16000), recipe, SpectrogramSpec(frames=98, mel_bins=192, channels=1))[0]

    constant = (mel - np.log(np.finfo(np.float32).eps)).abs().amax(0) < 1e-4
    assert int(constant.sum()) == 8


def test_padding_is_zero_after_normalisation_and_long_ones_are_cut() -> None:
    recipe = AudioRecipe(seconds=1.0, **S4)

    padded = log_mel(noise(16000), recipe, SpectrogramSpec(frames=192, mel_bins=192))
    cut = log_mel(noise(16000), recipe, SpectrogramSpec(frames=50, mel_bins=192))

    assert padded.shape == (3, 192, 192)
    assert bool((padded[:, 98:] == 0).all())
    assert not bool((padded[:, 97] == 0).all())
    assert torch.equal(cut, padded[:, :50])


def test_log_mel_refuses_less_than_a_window() -> None:
    with pytest.raises(ValueError, match="399 samples at 16000 Hz"):
        log_mel(noise(399), AudioRecipe(**S4), SpectrogramSpec(frames=8, mel_bins=32))


def test_segment_starts() -> None:
    assert segment_starts(80000, 16000, 1.0, 5) == [0, 15600, 31200, 46800, 62400]
    assert segment_starts(80000, 16000, 1.95, 5) == [0, 11800, 23600, 35400, 47200]
    ten = [0, 15822, 31644, 47466, 63288, 79111, 94933, 110755, 126577, 142400]
    assert segment_starts(160000, 16000, 1.0, 10) == ten
    assert segment_starts(1000, 16000, 1.0, 3) == [0, 0, 0]


def test_segments_are_cut_after_the_files_mean_is_removed() -> None:
    wave = noise(80000) + 0.3
    recipe, spec = AudioRecipe(**S4), SpectrogramSpec(frames=192, mel_bins=64)

    result = audio_segments(wave, 16000, recipe, spec, 5)

    assert result.shape == (5, 3, 192, 64)
    centred = wave - wave.mean()
    for segment, start in zip(result, [0, 11800, 23600, 35400, 47200], strict=True):
        torch.testing.assert_close(segment, log_mel(centred[start : start + 31200], recipe, spec))


def test_short_file_is_padded_with_silence() -> None:
    recipe = AudioRecipe(seconds=1.0, **S4)
    spec = SpectrogramSpec(frames=98, mel_bins=64)

    result = audio_segments(noise(8000), 16000, recipe, spec, 5)

    assert torch.equal(result[0], result[4])
    silence = (np.log(np.finfo(np.float32).eps) - S4["mean"]) / (2 * S4["std"])
    assert torch.allclose(result[0, :, 60:], torch.tensor(silence, dtype=torch.float32))
    assert audio_segments(noise(1), 16000, recipe, spec, 2).isfinite().all()


def test_segments_may_begin_at_given_times() -> None:
    wave = noise(80000) + 0.3
    recipe, spec = AudioRecipe(seconds=1.0, **S4), SpectrogramSpec(frames=98, mel_bins=64)

    result = audio_segments(wave, 16000, recipe, spec, 3, starts=[0.5, 3.25, 4.75])

    centred = wave - wave.mean()
    for segment, start in zip(result, [8000, 52000, 64000], strict=True):  # the last one ends with the file
        torch.testing.assert_close(segment, log_mel(centred[start : start + 16000], recipe, spec))
    heard = audio_segments(wave, 16000, recipe, WaveformSpec(sample_rate=16000, samples=16000), 2, starts=[1, 2])
    assert torch.equal(heard, wave[16000:48000].view(2, -1))
    assert audio_segments(noise(100), 16000, recipe, spec, 2, starts=[0, 50]).isfinite().all()


def test_another_rate_is_resampled() -> None:
    def tone(rate: int) -> torch.Tensor:
        return 0.3 * torch.sin(2 * torch.pi * 440 * torch.arange(5 * rate) / rate)

    recipe, spec = AudioRecipe(**S4), SpectrogramSpec(frames=192, mel_bins=64)

    a, b = (audio_segments(tone(rate), rate, recipe, spec, 5) for rate in (16000, 44100))

    assert (a - b)[..., 10:20].abs().max() < 0.05  # around 440 Hz
    assert torch.equal(a[0, 0, 5].argmax(), b[0, 0, 5].argmax())


@pytest.mark.parametrize("samples", [8000, 16000, 40000])
def test_waveform_encoder_gets_the_same_segments_repeated_to_its_length(samples: int) -> None:
    wave = noise(80000) + 0.1
    recipe, spec = AudioRecipe(seconds=1.0, **S4), WaveformSpec(sample_rate=16000, samples=samples)

    result = audio_segments(wave, 16000, recipe, spec, 5)

    assert result.shape == (5, samples)
    for segment, start in zip(result, [0, 15600, 31200, 46800, 62400], strict=True):
        second = wave[start : start + 16000]
        assert torch.equal(segment, torch.cat([second, second, second])[:samples])


def test_waveform_encoder_has_its_own_rate() -> None:
    recipe, spec = AudioRecipe(seconds=1.0, **S4), WaveformSpec(sample_rate=32000, samples=32000)

    result = audio_segments(torch.sin(torch.arange(80000) * 0.1), 16000, recipe, spec, 5)

    assert result.shape == (5, 32000)
    torch.testing.assert_close(result[0, 1000:2000:2], torch.sin(torch.arange(500, 1000) * 0.1), atol=1e-2, rtol=0)


def test_downmix(tmp_path) -> None:
    stereo = np.stack([np.full(100, 0.5), np.linspace(-0.5, 0.5, 100)], 1)
    soundfile.write(tmp_path / "a.wav", stereo, 8000, subtype="FLOAT")

    mean, rate = read_wav(tmp_path / "a.wav")
    first, _ = read_wav(tmp_path / "a.wav", "channel0")

    assert rate == 8000
    assert mean.dtype == torch.float32
    assert mean.shape == (100,)
    np.testing.assert_allclose(mean.numpy(), stereo.mean(1), atol=1e-6)
    np.testing.assert_allclose(first.numpy(), stereo[:, 0], atol=1e-6)


def write(path, samples: np.ndarray) -> bytes:
    soundfile.write(path, samples, 16000, subtype="FLOAT" if not np.isfinite(samples).all() else "PCM_16")
    return path.read_bytes()


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        ("missing", "no such file"),
        ("text", "Format not recogni[sz]ed"),
        ("truncated", "the file is cut short by 1000 bytes"),
        ("no samples", "it holds no samples"),
        ("nan", "it holds samples that are no numbers"),
        ("zero bytes", "cannot read audio"),
    ],
)
def test_damaged_wav_is_named(tmp_path, damage: str, reason: str) -> None:
    path = tmp_path / "bad.wav"
    if damage == "text":
        path.write_bytes(b"<html>" * 20)
    elif damage == "truncated":
        path.write_bytes(write(path, noise(16000).numpy())[:-1000])
    elif damage == "no samples":
        write(path, np.zeros(0))
    elif damage == "nan":
        write(path, np.array([0.0, np.nan]))
    elif damage == "zero bytes":
        path.touch()

    with pytest.raises(DataError, match=reason) as caught:
        read_wav(path)
    assert str(caught.value).startswith(f"cannot read audio {path}: ")
    assert str(caught.value).endswith("; re-extract or re-download this file")
    assert str(caught.value).count(str(path)) == 1


def test_streamed_wav_without_a_length_is_read(tmp_path) -> None:
    path = tmp_path / "pipe.wav"
    content = bytearray(write(path, noise(1000).numpy()))
    at = content.index(b"data") + 4
    content[at : at + 4] = b"\xff\xff\xff\xff"
    path.write_bytes(content)

    assert read_wav(path)[0].shape == (1000,)


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("sample_rate", 0),
        ("sample_rate", 16000.5),
        ("seconds", -1.0),
        ("seconds", 0.01),
        ("frame_shift_ms", 0.0),
        ("frame_shift_ms", 0.01),
        ("mean", float("nan")),
        ("std", 0.0),
        ("downmix", "left"),
    ],
)
def test_recipe_refuses(setting: str, value: object) -> None:
    with pytest.raises(ConfigError, match=rf"audio\.{setting} is"):
        AudioRecipe(**{**S4, setting: value})
