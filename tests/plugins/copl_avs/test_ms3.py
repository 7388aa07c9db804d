"""MS3: flat folders, ``<name>.mp4_<n>.png``, five masks in every split."""

import pytest
import torch

from copl_avs.dataset import AvsMs3
from copl_avs.index import MS3, load_index
from copl_core.api import DataError
from copl_core.contracts import ImageSpec, SpectrogramSpec
from copl_core.data import AudioRecipe
from ms3_parts import CLIPS, write_ms3

RECIPE = AudioRecipe(seconds=1.0, mean=0.0, std=0.5)


@pytest.fixture
def ms3(tmp_path):
    """A complete small data set."""
    return write_ms3(tmp_path / "avsbench_data" / "Multi-sources")


@pytest.mark.parametrize("split", ["train", "val", "test"])
def test_every_frame_of_every_split_has_its_mask(ms3, split):
    data = AvsMs3(root=str(ms3.parent.parent), split=split, audio=RECIPE)
    data.bind(ImageSpec(height=16, width=16), SpectrogramSpec(frames=98, mel_bins=32))
    sample = data[0]
    assert sample["name"] == {s: n for n, s in CLIPS}[split]
    assert sample["mask_valid"].all()
    assert sample["mask"].sum((1, 2, 3)).tolist() == [4.0 * n * 32 for n in range(1, 6)]
    assert sample["visual"].shape == (5, 3, 16, 16)
    assert torch.isfinite(sample["audio"]).all()


def test_missing_parts_name_the_subset(ms3, tmp_path):
    with pytest.raises(DataError) as caught:
        load_index(str(tmp_path / "nowhere"), "val", MS3)
    assert "AVSBench MS3" in str(caught.value)
    assert "ms3_meta_data.csv" in str(caught.value)
    (ms3 / "ms3_data/gt_masks/val/b.c_2/b.c_2_3.png").unlink()
    with pytest.raises(DataError, match=r"ms3_meta_data\.csv:3  1 of its 11 files are missing"):
        AvsMs3(root=str(ms3), split="val", audio=RECIPE)
