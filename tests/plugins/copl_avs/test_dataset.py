from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image

from copl_avs.dataset import AvsS4
from copl_avs.task import AvsS4Task
from copl_core.api import ConfigError, DataError
from copl_core.contracts import ImageSpec, SpectrogramSpec, WaveformSpec
from copl_core.data import AudioRecipe, audio_segments, read_wav, to_input

RECIPE = AudioRecipe(mean=-5.2, std=3.6)
IMAGE, AUDIO = ImageSpec(height=24, width=24), SpectrogramSpec(frames=192, mel_bins=32)
VAL = "s4_data/{}/val/race_car/ghi_1"


def load(root, split: str = "val") -> AvsS4:
    dataset = AvsS4(root=str(root), split=split, audio=RECIPE)
    dataset.bind(IMAGE, AUDIO)
    return dataset


def test_evaluation_clip(s4) -> None:
    dataset = load(s4)

    sample = dataset[0]

    assert len(dataset) == 1
    assert (sample["name"], sample["category"]) == ("ghi_1", "race_car")
    frames = [Image.open(s4 / VAL.format("visual_frames") / f"ghi_1_{n}.png") for n in range(1, 6)]
    assert torch.equal(sample["visual"], to_input(frames, IMAGE))
    waveform, rate = read_wav(s4 / (VAL.format("audio_wav") + ".wav"))
    assert torch.equal(sample["audio"], audio_segments(waveform, rate, RECIPE, AUDIO, 5))
    assert sample["mask"].shape == (5, 1, 32, 32)
    assert sample["mask"].dtype == torch.float32
    assert sample["mask"].unique().tolist() == [0, 1]
    for n in range(1, 6):  # the object of frame n is 12 x 10 pixels from column 2n
        assert int(sample["mask"][n - 1].sum()) == 120
        assert bool(sample["mask"][n - 1, 0, 8, 2 * n])
    assert sample["mask_valid"].tolist() == [True] * 5


def test_labels_are_the_painted_share_of_each_mask(s4) -> None:
    assert load(s4).labels(0)["painted"].tolist() == [120 / 32**2] * 5
    assert load(s4, "train").labels(0)["painted"].shape == (1,)


def test_training_clip_has_one_mask(s4) -> None:
    dataset = load(s4, "train")

    samples = [dataset[index] for index in range(len(dataset))]

    assert [sample["name"] for sample in samples] == ["-abc_10000_15000", "d.e.f_0_5000"]
    assert samples[0]["mask_valid"].tolist() == [True, False, False, False, False]
    assert samples[0]["mask"].flatten(1).any(1).tolist() == [True, False, False, False, False]


def test_pictures_are_the_files(s4) -> None:
    pictures = load(s4).pictures(0)

    assert [picture.size for picture in pictures] == [(32, 32)] * 5
    file = Image.open(s4 / VAL.format("visual_frames") / "ghi_1_3.png")
    assert np.array_equal(np.asarray(pictures[2]), np.asarray(file))


def test_sound_of_another_category_takes_the_place_of_the_own(s4) -> None:
    swapped = AvsS4(root=str(s4), split="train", audio=RECIPE, sound="other")
    swapped.bind(IMAGE, AUDIO)
    own = load(s4, "train")

    assert torch.equal(swapped[0]["audio"], own[1]["audio"])  # race_car hears horse_clip-clop
    assert torch.equal(swapped[1]["audio"], own[0]["audio"])
    assert torch.equal(swapped[0]["visual"], own[0]["visual"])
    with pytest.raises(DataError, match="two categories, all 1 are 'race_car'"):
        AvsS4(root=str(s4), split="val", audio=RECIPE, sound="other")


def test_waveform_encoders_hear_second_by_second(s4) -> None:
    recipe = AudioRecipe(seconds=1.0, mean=0.0, std=0.5)
    dataset = AvsS4(root=str(s4), split="val", audio=recipe)
    dataset.bind(IMAGE, WaveformSpec(sample_rate=16000, samples=16000))

    waveform, _ = read_wav(s4 / (VAL.format("audio_wav") + ".wav"))
    assert torch.equal(dataset[0]["audio"], waveform.view(5, 16000))


def test_what_was_found_is_told(s4) -> None:
    dataset = load(s4)

    assert dataset.describe() == f"AVSBench S4 in {s4}"
    assert dataset.where(0) == f"{s4}/s4_meta_data.csv:4 (ghi_1)"
    assert dataset.mask_size == (32, 32)


class Sized:
    def __init__(self, width: int, height: int) -> None:
        self.mask_size = width, height


@pytest.mark.parametrize(
    ("sizes", "output", "told"),
    [
        ([(96, 96), (96, 96)], 96, None),
        ([(96, 96), (64, 64)], None, "masks of the splits differ in size: train 96x96, val 64x64; scale them all to"),
        ([(224, 224)], 96, "masks are 224x224 but the head predicts 96x96: set task.head.output_size to 224"),
        ([(50, 50)], 224, r"scale them to 64x64, .* multiple of 32 pixels, and set task\.head\.output_size to 64"),
        ([(90, 70)], 96, "masks are 90x70 but the head predicts 96x96: scale them to 96x96, .* of 32 pixels$"),
    ],
)
def test_masks_must_fit_each_other_and_the_head(sizes: list, output: int | None, told: str | None) -> None:
    datasets = dict(zip(("train", "val"), (Sized(*size) for size in sizes), strict=False))
    head = None if output is None else SimpleNamespace(output_size=output)

    if told is None:
        AvsS4Task.check(datasets, head)
        return
    with pytest.raises(DataError, match=told):
        AvsS4Task.check(datasets, head)


def test_reading_before_bind_is_a_defect(s4) -> None:
    with pytest.raises(RuntimeError, match="bind"):
        AvsS4(root=str(s4), split="val", audio=RECIPE)[0]


@pytest.mark.parametrize("above", ["", "avsbench_data"])
def test_root_may_be_a_parent(s4, tmp_path, above: str) -> None:
    if above:
        (tmp_path / above).mkdir()
        s4.rename(tmp_path / above / s4.name)

    assert len(load(tmp_path, "train")) == 2


@pytest.mark.parametrize(
    ("kind", "file"),
    [("visual_frames", "/ghi_1_4.png"), ("gt_masks", "/ghi_1_4.png"), ("audio_wav", ".wav")],
)
def test_damaged_file_is_named(s4, kind: str, file: str) -> None:
    path = s4 / (VAL.format(kind) + file)
    path.write_bytes(path.read_bytes()[:60])

    with pytest.raises(DataError, match="re-extract or re-download this file") as caught:
        load(s4)[0]
    assert str(path) in str(caught.value)


def test_unknown_split_is_a_config_error(s4) -> None:
    with pytest.raises(ConfigError, match="split is 'dev': must be one of train, val, test"):
        load(s4, "dev")
