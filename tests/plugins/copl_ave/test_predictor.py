"""The predictor's windows and events, with a made-up model."""

import numpy as np
import pytest
import torch
from PIL import Image

import copl_ave.predictor
from copl_ave.predictor import EventPredictor
from copl_ave.renderer import class_color
from copl_ave.timeline import Row, draw_timeline, timeline_frame
from copl_core.contracts import ImageSpec, SpectrogramSpec
from copl_core.data import AudioRecipe
from video_files import numbered, tone, write_video

NAMES = {"classes": ("bell", "bark", "background")}
IMAGE = ImageSpec(height=64, width=160, mean=(0.0,) * 3, std=(1.0,) * 3)


@pytest.fixture
def predictor():
    return EventPredictor(
        audio=AudioRecipe(mean=0.0, std=0.5, seconds=1.0),
        image_spec=IMAGE,
        audio_spec=SpectrogramSpec(frames=98, mel_bins=32),
        names=NAMES,
        sampling="seconds",
    )


def film(path, seconds: float):
    """A video whose picture tells its second, four pictures a second."""
    count = round(4 * seconds)
    pictures = [numbered(index // 4) for index in range(count)]
    return write_video(path, [index / 4 for index in range(count)], pictures=pictures, sound=tone(16000, seconds))


def second_shown(frame: torch.Tensor) -> int:
    """The number that an encoder's input (3, 64, 160) tells."""
    bits = frame.mean(dim=(0, 1)).reshape(10, 16)[:, 4:-4].mean(dim=1) > 0.5
    return int("".join(str(int(bit)) for bit in bits), 2)


def by_second(samples, count):
    """A model that hears a bell in seconds 3 to 5 and barks from 17 on, and is surer by the second."""
    for sample in samples:
        logits = torch.zeros(10, 3)
        for step, frame in enumerate(sample["visual"]):
            second = second_shown(frame)
            number = 0 if 3 <= second <= 5 else 1 if second >= 17 else 2
            logits[step, number] = 1 + second / 10
        yield {"logits": logits}


def test_each_second_of_a_long_video_is_told_once_and_from_its_own_picture(predictor, tmp_path) -> None:
    prediction = predictor.predict(film(tmp_path / "a.mp4", 23), by_second, None)

    assert [second.start for second in prediction.seconds] == list(range(23))
    assert [second.number for second in prediction.seconds] == [2] * 3 + [0] * 3 + [2] * 11 + [1] * 6
    for number, second in enumerate(prediction.seconds):
        assert second.confidence == pytest.approx(np.exp(1 + number / 10) / (np.exp(1 + number / 10) + 2), rel=1e-5)
    bell, bark = prediction.events()
    assert (bell["class"], bell["start"], bell["end"]) == ("bell", 3, 6)
    assert (bark["class"], bark["start"], bark["end"]) == ("bark", 17, pytest.approx(23, abs=0.3))
    assert bell["confidence"] == pytest.approx(sum(s.confidence for s in prediction.seconds[3:6]) / 3, abs=1e-4)


def test_a_short_video_is_told_up_to_its_end(predictor, tmp_path) -> None:
    samples = []

    def run(given, count):
        for sample in given:
            samples.append(sample)
            yield from by_second([sample], count)

    prediction = predictor.predict(film(tmp_path / "a.mp4", 4), run, None)

    assert [second.start for second in prediction.seconds] == [0, 1, 2, 3]
    assert [second_shown(frame) for frame in samples[0]["visual"]] == [0, 1, 2, 3] + [3] * 6
    sounds = samples[0]["audio"]
    assert torch.equal(sounds[5], sounds[9])  # silence
    assert not torch.equal(sounds[1], sounds[5])


def test_pages_hold_a_minute_each(predictor, tmp_path) -> None:
    prediction = predictor.predict(film(tmp_path / "a.mp4", 65), by_second, None)
    first, second, about = prediction.save(tmp_path / "out")

    assert (first.name, second.name, about.name) == ("timeline-01.png", "timeline-02.png", "prediction.json")
    heights = [Image.open(path).height for path in (first, second)]
    assert heights[0] > 5 * heights[1]
    assert prediction.summary().count("bark") == 1


def test_pages_hold_small_frames_of_any_shape(predictor, tmp_path, monkeypatch) -> None:
    held = []
    drawn = copl_ave.predictor.draw_timeline

    def draw(title, rows, names, *, background):
        held.extend(frame.size for row in rows for frame in row.frames)
        return drawn(title, rows, names, background=background)

    monkeypatch.setattr(copl_ave.predictor, "draw_timeline", draw)
    tall, times = [np.full((720, 60, 3), 200, np.uint8)] * 24, [index / 2 for index in range(24)]
    path = write_video(tmp_path / "a.mp4", times, pictures=tall, sound=tone(16000, 12))
    nothing = {"logits": torch.zeros(10, 3)}
    predictor.predict(path, lambda samples, count: (nothing for _ in samples), None).save(tmp_path / "out")

    assert held == [(126, 252)] * 12
    assert Image.open(tmp_path / "out" / "timeline.png").height < 1200


def test_bars_are_as_high_as_the_confidence() -> None:
    frame, sound = timeline_frame(Image.new("RGB", (64, 48))), Image.new("RGB", (128, 8))

    def bar(confidence: float) -> int:
        row = Row(start=0, frames=[frame, frame], sound=sound, classes=[0, 1], confidence=[confidence, 0.0])
        page = np.asarray(draw_timeline("", [row], {0: "a", 1: "background"}, background=1))
        dimmed = [channel * 2 // 3 for channel in class_color(0, 1)]
        return int((page[:, 96 + 8] == dimmed).all(axis=1).sum())  # left of the figures

    full, half = bar(1.0), bar(0.5)
    assert full > 40
    assert half == pytest.approx(full / 2, abs=2)
