"""From odd files to what an encoder eats."""

import numpy as np
import pytest
import torch

from copl_core.contracts import ImageSpec, SpectrogramSpec
from copl_core.data import AudioRecipe, MediaFolder, audio_segments, to_input
from video_files import tone, write_video

RECIPE = AudioRecipe(seconds=1.0, mean=0.0, std=0.5)
IMAGE, SOUND = ImageSpec(height=48, width=48), SpectrogramSpec(frames=98, mel_bins=64, channels=1)
UNEVEN = [0.0, *np.cumsum(np.random.default_rng(0).uniform(0.02, 0.4, 40)).round(2)]


def even(seconds: float) -> list[float]:
    return [index / 10 for index in range(round(10 * seconds))]


def read(root) -> tuple[torch.Tensor, torch.Tensor]:
    clip = MediaFolder(root=root, missing_audio="silence").clip("-x")
    return to_input(clip.frames(10), IMAGE), audio_segments(*clip.sound(), RECIPE, SOUND, 10)


@pytest.mark.parametrize(
    ("name", "times", "seconds", "rate", "channels", "video"),
    [
        ("-x.mp4", even(10.0), 10.0, 44100, 2, {"sound_codec": "aac"}),
        ("-x.mkv", even(3.0), 3.0, 8000, 1, {}),
        ("-x.mkv", even(3.0), 3.0, 96000, 2, {}),
        ("-x.AVI", even(3.0), 3.0, 48000, 6, {"codec": "mpeg4"}),
        ("-x.mkv", UNEVEN, UNEVEN[-1], 22050, 1, {"clock": 100}),
        ("-x.mp4", even(3.0), 3.0, 44100, 2, {"sound_codec": "aac", "rotation": (90, True)}),
        ("-x.mkv", even(3.0), 3.0, 16000, 1, {"container_options": {"live": "1"}}),
        ("-x.mkv", even(60.0), 60.0, 16000, 1, {}),
        ("-x.mkv", even(0.3), 0.3, 16000, 1, {}),
    ],
    ids=["usual", "8 kHz", "96 kHz", "5.1", "uneven", "turned", "no duration", "60 s", "0.3 s"],
)
def test_any_video_gives_the_same_tone_in_the_same_form(tmp_path, name, times, seconds, rate, channels, video) -> None:
    samples = tone(rate, seconds, channels)
    write_video(tmp_path / name, times, sound=samples, rate=rate, **{"sound_codec": "pcm_s16le", **video})

    visual, audio = read(tmp_path)

    assert visual.shape == (10, 3, 48, 48)
    assert audio.shape == (10, 1, 98, 64)
    assert torch.isfinite(visual).all()
    assert torch.isfinite(audio).all()
    made = audio_segments(torch.from_numpy(tone(16000, seconds, channels).mean(0)), 16000, RECIPE, SOUND, 10)
    middle = (slice(None), 0, slice(5, 25))  # where a clip of 0.3 s isn't padding yet
    assert torch.equal(audio[middle].argmax(-1), made[middle].argmax(-1))
    assert (audio[middle].amax(-1) - made[middle].amax(-1)).abs().max() < 0.3
    again = read(tmp_path)
    assert torch.equal(visual, again[0])
    assert torch.equal(audio, again[1])


def test_silence_stands_for_a_track_that_is_not_there(tmp_path) -> None:
    write_video(tmp_path / "-x.mp4", even(3.0))

    _, audio = read(tmp_path)

    assert audio.shape == (10, 1, 98, 64)
    assert audio.unique().numel() == 1
