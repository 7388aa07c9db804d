"""The eight voices. What tells them apart is how they move in time; pitch, pace and loudness are random.

The tonal voices share one range of base pitch and one family of spectra, so no single frequency gives a class away.
"""

from collections.abc import Callable, Iterable

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Voice = Callable[[np.random.Generator, Array], Array]
"""Maps a generator and time stamps (N,) in seconds to a waveform (N,) of any level."""

SAMPLE_RATE = 16_000
"""Samples a second."""

SECONDS = 5
"""Length of an AVS clip."""

_TURN = 2 * np.pi


def synthesize(sound: str, rng: np.random.Generator) -> NDArray[np.int16]:
    """Makes the sound track of a clip: one voice over background noise.

    Args:
        sound: Key of `VOICES`.
        rng: Source of pitch, pace, phase, loudness and noise.

    Returns:
        (80000,) samples at 16 kHz; the voice is to be heard in each of the five seconds.
    """
    return over_noise(voice_of(sound, rng, seconds=SECONDS), rng)


def voice_of(sound: str, rng: np.random.Generator, *, seconds: int) -> Array:
    """Makes one voice, without noise.

    Args:
        sound: Key of `VOICES`.
        rng: Source of pitch, pace and phase.
        seconds: Its length.

    Returns:
        (seconds * 16000,) waveform whose root mean square is 1.
    """
    times = np.arange(seconds * SAMPLE_RATE) / SAMPLE_RATE
    voice = VOICES[sound](rng, times)
    return voice / _rms(voice)


def over_noise(
    voices: Array, rng: np.random.Generator, *, below: tuple[float, float] = (6.0, 20.0)
) -> NDArray[np.int16]:
    """Lays voices over background noise and gives the whole a random level.

    Args:
        voices: (N,) waveform at 16 kHz; a voice of `voice_of` has level 1.
        rng: Source of noise and loudness.
        below: Range of how far the noise lies below level 1, in dB.

    Returns:
        (N,) samples at 16 kHz.
    """
    noise = _coloured_noise(rng, len(voices), slope=rng.uniform(0, 1))
    mixed = voices + noise / _rms(noise) * decibels(-rng.uniform(*below))
    # Quiet enough for ticks, whose peaks stand 20 dB above their mean level; the limit rarely acts.
    level = min(decibels(rng.uniform(-34, -20)) / _rms(mixed), 0.99 / np.abs(mixed).max())
    return np.round(mixed * level * 32767).astype(np.int16)


def heard_during(voice: Array, spans: Iterable[tuple[float, float]]) -> Array:
    """Lets a voice be heard in some spans of time only, with ramps of 20 ms at their ends.

    Args:
        voice: (N,) waveform at 16 kHz.
        spans: Start and end of each span in seconds, without overlap, touching or apart.

    Returns:
        (N,) the same waveform, 0 outside the spans.
    """
    gate = np.zeros(len(voice))
    for start, end in spans:
        gate[round(start * SAMPLE_RATE) : round(end * SAMPLE_RATE)] = 1
    # Mirrored at its ends: no ramp where the clip itself begins or ends.
    half = SAMPLE_RATE // 100
    sums = np.cumsum(np.pad(gate, (half + 1, half), mode="edge"))
    return voice * (sums[2 * half + 1 :] - sums[: -2 * half - 1]) / (2 * half + 1)


def _humming(rng: np.random.Generator, times: Array) -> Array:
    drift = _TURN * rng.uniform(0.1, 0.3) * times + rng.uniform(0, _TURN)
    return _tone(rng, _pitch(rng) * (1 + 0.01 * np.sin(drift)))


def _chirping(rng: np.random.Generator, times: Array) -> Array:
    return _sweeps(rng, times, rising=True)


def _whistling(rng: np.random.Generator, times: Array) -> Array:
    return _sweeps(rng, times, rising=False)


def _throbbing(rng: np.random.Generator, times: Array) -> Array:
    beat = np.sin(_TURN * rng.uniform(4, 9) * times + rng.uniform(0, _TURN))
    depth = rng.uniform(0.75, 0.95)
    return _tone(rng, np.full_like(times, _pitch(rng))) * (1 - depth * (0.5 + 0.5 * beat))


def _hissing(rng: np.random.Generator, times: Array) -> Array:
    cycle = np.mod(rng.uniform(2, 5) * times + rng.uniform(), 1)
    open_share = rng.uniform(0.3, 0.6)
    gate = np.clip(np.minimum(cycle, open_share - cycle) * 20, 0, 1)
    noise = _band_noise(rng, len(times), low=_pitch(rng), octaves=rng.uniform(1.5, 3))
    return noise * gate


def _warbling(rng: np.random.Generator, times: Array) -> Array:
    wobble = np.sin(_TURN * rng.uniform(3.5, 8) * times + rng.uniform(0, _TURN))
    return _tone(rng, _pitch(rng) * 2 ** (rng.uniform(0.15, 0.4) * wobble))


def _ticking(rng: np.random.Generator, times: Array) -> Array:
    since = np.mod(times + rng.uniform(), 1 / rng.uniform(5, 13))
    ringing = np.exp(-since / rng.uniform(0.004, 0.012))
    return np.sin(_TURN * 2 * _pitch(rng) * since) * ringing


def _wailing(rng: np.random.Generator, times: Array) -> Array:
    switch = np.sin(_TURN * rng.uniform(1.2, 2.8) * times + rng.uniform(0, _TURN))
    interval = rng.uniform(0.25, 0.5)
    return _tone(rng, _pitch(rng) * 2 ** (interval * np.clip(8 * switch, -1, 1)))


VOICES: dict[str, Voice] = {
    "humming": _humming,
    "chirping": _chirping,
    "whistling": _whistling,
    "throbbing": _throbbing,
    "hissing": _hissing,
    "warbling": _warbling,
    "ticking": _ticking,
    "wailing": _wailing,
}


def _pitch(rng: np.random.Generator) -> float:
    """Base pitch in Hz: half an octave to either side of 500 Hz."""
    return float(500 * 2 ** rng.uniform(-0.5, 0.5))


def _tone(rng: np.random.Generator, frequency: Array) -> Array:
    """A harmonic tone whose base frequency is given in Hz at each sample, (N,); partials fall off at a random rate."""
    phase = _TURN * np.cumsum(frequency) / SAMPLE_RATE + rng.uniform(0, _TURN)
    tilt = rng.uniform(0.8, 2)
    return sum(np.sin(k * phase + rng.uniform(0, _TURN)) / k**tilt for k in range(1, 7))


def _sweeps(rng: np.random.Generator, times: Array, *, rising: bool) -> Array:
    """Tones that glide about an octave, over and over, with a short breath between."""
    cycle = np.mod(rng.uniform(2.2, 5) * times + rng.uniform(), 1)
    share = rng.uniform(0.6, 0.9)
    progress = np.clip(cycle / share, 0, 1)
    glide = progress - 0.5 if rising else 0.5 - progress
    gate = np.clip(np.minimum(cycle, share - cycle) * 25, 0, 1)
    return _tone(rng, _pitch(rng) * 2 ** (rng.uniform(0.7, 1.3) * glide)) * gate


def _band_noise(rng: np.random.Generator, count: int, *, low: float, octaves: float) -> Array:
    """Noise between `low` Hz and so many octaves above, (count,)."""
    frequencies = np.fft.rfftfreq(count, 1 / SAMPLE_RATE)
    spectrum = np.fft.rfft(rng.standard_normal(count))
    return np.fft.irfft(spectrum * ((frequencies >= low) & (frequencies <= low * 2**octaves)), count)


def _coloured_noise(rng: np.random.Generator, count: int, *, slope: float) -> Array:
    """Noise whose power falls as frequency to the `slope`: 0 white, 1 pink; (count,)."""
    frequencies = np.maximum(np.fft.rfftfreq(count, 1 / SAMPLE_RATE), 20)
    return np.fft.irfft(np.fft.rfft(rng.standard_normal(count)) * frequencies ** (-slope / 2), count)


def _rms(wave: Array) -> float:
    return float(np.sqrt(np.mean(wave**2)))


def decibels(value: float) -> float:
    """Decibels as a factor of amplitude."""
    return float(10 ** (value / 20))
