"""Voices: length, level, audibility, and that time structure, not pitch, makes the class."""

from functools import cache

import numpy as np
import pytest

from copl_synth.classes import CLASSES
from copl_synth.sounds import SAMPLE_RATE, VOICES, heard_during, over_noise, synthesize, voice_of

TONAL = ("humming", "chirping", "whistling", "throbbing", "warbling", "wailing")


@cache
def sound_of(sound: str, seed: int) -> np.ndarray:
    return synthesize(sound, np.random.default_rng(seed))


def spectrum(samples: np.ndarray) -> np.ndarray:
    """Magnitudes in 20 ms windows, (250, 161): 50 Hz a bin."""
    frames = samples.astype(float).reshape(-1, SAMPLE_RATE // 50)
    return np.abs(np.fft.rfft(frames * np.hanning(frames.shape[1]), axis=1))


def test_every_class_has_a_voice() -> None:
    assert {item.sound for item in CLASSES} == set(VOICES)


@pytest.mark.parametrize("sound", VOICES)
def test_five_seconds_each_audible_and_none_clipped(sound: str) -> None:
    for seed in range(6):
        samples = sound_of(sound, seed)
        assert samples.dtype == np.int16
        assert samples.shape == (5 * SAMPLE_RATE,)
        assert np.abs(samples.astype(int)).max() < 32767
        levels = np.sqrt((samples.reshape(5, -1).astype(float) ** 2).mean(1)) / 32768
        assert levels.min() > 0.01
        # The voice, not only the noise: the loudest 20 ms of each second stand out of its spectrum's floor.
        for second in np.split(spectrum(samples), 5):
            assert second.max() > 8 * np.median(second)


@pytest.mark.parametrize("sound", VOICES)
def test_equal_seeds_give_equal_sounds_and_others_others(sound: str) -> None:
    first, again, other = (synthesize(sound, np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert (first == again).all()
    assert (first != other).mean() > 0.9


def test_loudness_varies_over_more_than_ten_decibels_in_every_class() -> None:
    for sound in VOICES:
        levels = [np.std(sound_of(sound, seed).astype(float)) for seed in range(24)]
        assert max(levels) / min(levels) > 10 ** (10 / 20)


def test_pitch_ranges_of_the_tonal_voices_overlap() -> None:
    ranges = {}
    for sound in TONAL:
        pitches = [50 * spectrum(sound_of(sound, seed))[:, 5:20].mean(0).argmax() + 250 for seed in range(24)]
        ranges[sound] = (min(pitches), max(pitches))
    lowest_top, highest_bottom = min(top for _, top in ranges.values()), max(bottom for bottom, _ in ranges.values())
    assert lowest_top - highest_bottom > 100, ranges


def test_chirps_rise_and_whistles_fall() -> None:
    for sound, sign in (("chirping", 1), ("whistling", -1)):
        for seed in range(8):
            peak = spectrum(sound_of(sound, seed))[:, 5:25].argmax(1)
            steps = np.diff(peak)
            gliding = steps[np.abs(steps) <= 3]  # jumps are new chirps and breaths
            assert sign * gliding.sum() > 0


def test_only_the_pulsed_voices_fall_silent_within_a_second() -> None:
    for sound in VOICES:
        dips = []
        for seed in range(8):
            samples = sound_of(sound, seed).astype(float)
            levels = np.sqrt((samples.reshape(-1, SAMPLE_RATE // 50) ** 2).mean(1))
            dips.append(np.percentile(levels, 5) / np.percentile(levels, 95))
        steady = sound in ("humming", "warbling", "wailing")
        assert (np.median(dips) > 0.6) == steady, (sound, np.median(dips))


def test_a_voice_is_heard_in_its_spans_only_and_spans_that_touch_leave_no_mark() -> None:
    voice = voice_of("humming", np.random.default_rng(0), seconds=4)
    assert voice.shape == (4 * SAMPLE_RATE,)
    assert np.sqrt((voice**2).mean()) == pytest.approx(1)
    heard = heard_during(voice, [(0, 1), (1, 2), (3, 4)])
    inside, outside, half = np.r_[0:31_840, 48_160:64_000], np.r_[32_160:47_840], SAMPLE_RATE // 100
    np.testing.assert_allclose(heard[inside], voice[inside], rtol=1e-12)
    np.testing.assert_allclose(heard[outside], 0, atol=1e-12)
    # The ramp is half way up where the span begins.
    ramp = heard_during(np.ones_like(voice), [(3, 4)])[3 * SAMPLE_RATE - half : 3 * SAMPLE_RATE + half]
    np.testing.assert_allclose(ramp, np.linspace(0, 1, 2 * half), atol=0.01)


def test_noise_lies_as_far_below_as_asked() -> None:
    for below in (6.0, 30.0):
        tone = 2**0.5 * np.sin(2 * np.pi * 1000 * np.arange(SAMPLE_RATE) / SAMPLE_RATE)
        spectrum_of = np.abs(np.fft.rfft(over_noise(tone, np.random.default_rng(0), below=(below, below)))) ** 2
        assert 10 * np.log10(spectrum_of[1000] / (spectrum_of.sum() - spectrum_of[1000])) == pytest.approx(
            below, abs=0.3
        )
