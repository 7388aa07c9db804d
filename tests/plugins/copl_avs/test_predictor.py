"""Masks of a video, with a made-up model."""

import numpy as np
import pytest
import torch
from PIL import Image

from copl_avs.predictor import Mask, MaskPredictor
from copl_core.contracts import ImageSpec, SpectrogramSpec
from copl_core.data import AudioRecipe, read_frames
from video_files import tone, write_video

SIZE = 32


@pytest.fixture
def predictor():
    return MaskPredictor(
        audio=AudioRecipe(mean=0.0, std=0.5, seconds=1.0),
        image_spec=ImageSpec(height=8, width=8, mean=(0.0,) * 3, std=(1.0,) * 3),
        audio_spec=SpectrogramSpec(frames=98, mel_bins=32),
    )


def film(path, seconds: int):
    """A grey video that grows brighter by 8 levels a second, two pictures a second."""
    levels = [8 * (index // 2) + 60 for index in range(2 * seconds)]
    pictures = [np.full((SIZE, SIZE, 3), level, np.uint8) for level in levels]
    times = [index / 2 for index in range(2 * seconds)]
    return write_video(path, times, pictures=pictures, sound=tone(16000, seconds))


def left_part(samples, count):
    """A model that marks as many columns at the left as the picture tells seconds."""
    for sample in samples:
        seconds = ((sample["visual"].mean(dim=(1, 2, 3)) * 255 - 60) / 8).round()
        columns = torch.arange(SIZE).expand(5, 1, SIZE, SIZE)
        yield {"logits": torch.where(columns < seconds[:, None, None, None], 5.0, -5.0)}


nothing = {"logits": torch.full((5, 1, SIZE, SIZE), -5.0)}


@pytest.mark.parametrize("seconds", [3, 5, 12])
def test_each_second_has_one_mask_from_its_own_picture(predictor, tmp_path, seconds: int) -> None:
    prediction = predictor.predict(film(tmp_path / "a.mp4", seconds), left_part, None)

    assert [mask.time for mask in prediction.masks] == [second + 15 / 16 for second in range(seconds)]
    assert [mask.share * SIZE for mask in prediction.masks] == list(range(seconds))


def test_overlay_shows_the_mask_next_in_time(predictor, tmp_path) -> None:
    prediction = predictor.predict(film(tmp_path / "a.mp4", 12), left_part, None)
    files = prediction.save(tmp_path / "out")

    assert [path.name for path in files[:2]] == ["overlay.mp4", "masks.png"]
    for time, second in ((0.2, 0), (9.6, 9), (11.4, 10), (11.9, 11)):
        picture = np.asarray(read_frames(files[0], [time])[0]).astype(int)
        orange = (picture[..., 0] - picture[..., 2] > 25).mean()
        assert orange == pytest.approx(second / SIZE, abs=0.02)
    mask = Image.open(tmp_path / "out" / "masks" / "00010.png")
    assert (mask.mode, mask.size) == ("1", (SIZE, SIZE))
    assert np.asarray(mask).mean() == 9 / SIZE


def test_the_pictures_of_a_second_share_its_mask(predictor, tmp_path, monkeypatch) -> None:
    times = [index / 20 for index in range(80)]
    path = write_video(tmp_path / "a.mp4", times, sound=tone(16000, 4))
    prediction = predictor.predict(path, left_part, None)
    sizes = []
    drawn = Mask.picture
    monkeypatch.setattr(Mask, "picture", lambda self, size: (sizes.append(size), drawn(self, size))[1])
    prediction.save(tmp_path / "out")
    overlay = read_frames(tmp_path / "out" / "overlay.mp4", [0.0])[0].size
    assert sizes.count(overlay) == 4


@pytest.mark.parametrize(("width", "height"), [(60, 1200), (1200, 60), (180, 320)])
def test_pictures_of_any_shape_are_whole_on_a_sheet_of_some_size(predictor, tmp_path, width: int, height: int) -> None:
    blue = np.full((height, width, 3), (20, 40, 220), np.uint8)
    times = [index / 4 for index in range(12)]
    path = write_video(tmp_path / "a.mp4", times, pictures=[blue] * 12, sound=tone(16000, 3))
    prediction = predictor.predict(path, lambda samples, count: (nothing for _ in samples), None)
    assert len(prediction.masks) == 3
    prediction.save(tmp_path / "out")

    sheet = np.asarray(Image.open(tmp_path / "out" / "masks.png")).astype(int)
    assert sheet.shape[0] < 800
    assert 3 * 88 < sheet.shape[1] < 3 * 440
    seen = (np.abs(sheet - (20, 40, 220)).max(axis=2) < 40).sum() / 3
    box = (min(176 * 2.4, max(88, 176 * width / height)), 176)
    scale = min(box[0] / width, box[1] / height)
    assert seen == pytest.approx(width * height * scale**2, rel=0.2)
    assert Image.open(tmp_path / "out" / "masks" / "00001.png").size == (width, height)


def test_a_mask_fits_pictures_of_any_size() -> None:
    values = torch.zeros(SIZE, SIZE)
    values[:16] = 1
    picture = Mask.of(0.9, values).picture((100, 60))
    assert picture.size == (100, 60)
    assert np.asarray(picture).mean() == pytest.approx(0.5, abs=0.02)
