"""``copl bench data``: each form holds the same clips, and every stage is measured."""

import json

import pytest
import torch

from copl_core.bench import build_dataset, measure_data
from copl_core.bench import data as module
from copl_core.cli.main import main
from copl_core.config import check_config, load_config
from copl_core.contracts import Dataset, ImageSpec, SpectrogramSpec
from copl_core.data import AudioRecipe, MediaFolder, audio_segments, to_input
from copl_core.data.stages import STAGES
from copl_core.plugins import get_table
from copl_core.registry import Registry
from video_files import tone, write_video

NAMES = ["-a", "b", "c", "d"]
RECIPE = AudioRecipe(seconds=1.0, mean=-4.2, std=2.8)


class Videos(Dataset):
    """Each sample holds the frames of a clip, and one frame of another drawn by torch's generator."""

    def __init__(self, root) -> None:
        self.media = MediaFolder(root=root)
        self.bind(ImageSpec(height=32, width=32), SpectrogramSpec(frames=64, mel_bins=32))

    def __len__(self) -> int:
        return 2

    def __getitem__(self, index: int) -> dict:
        image, spec = self.specs
        clip = self.media.clip(NAMES[index])
        (other,) = self.media.clip(NAMES[2 + int(torch.randint(2, ()))]).frames(3, only=[1])
        return {
            "name": clip.name,
            "visual": to_input(clip.frames(3), image),
            "audio": audio_segments(*clip.sound(), RECIPE, spec, 3),
            "negative": to_input(other, image),
        }

    def pictures(self, index: int) -> list:
        return self.media.clip(NAMES[index]).frames(3)


@pytest.fixture
def videos(tmp_path):
    times, sound = [index / 10 for index in range(30)], tone(44100, 3.0, 2)
    for name in NAMES:
        path = tmp_path / "videos" / f"{name}.mp4"
        write_video(path, times, options={"g": "10"}, clock=10, sound=sound, rate=44100)
    return tmp_path


def measure(dataset: Dataset, **settings) -> list:
    return list(measure_data(dataset, frames=3, clips=8, batch_size=2, workers=0, **settings))


def test_raw_videos_are_compared_with_extracted_files_and_a_cache(videos) -> None:
    dataset = Videos(videos)
    media = dataset.media

    rows = measure(dataset)

    assert [(row.form, row.made) for row in rows] == [("videos", False), ("lavish", True), ("cache", True)]
    assert dataset.media is media
    for row in rows:
        assert set(row.wall_ms) == set(row.cpu_ms) == set(STAGES)
        assert all(spent > 0 for spent in row.wall_ms.values())
        assert row.clips_per_s > 0
    raw, extracted, cache = rows
    # Two clips and what was drawn of the others; a file's size is that of the file.
    assert raw.bytes_per_clip == pytest.approx((videos / "videos/b.mp4").stat().st_size, rel=0.05)
    assert extracted.bytes_per_clip is None
    assert 0 < cache.bytes_per_clip < 2 * raw.bytes_per_clip


def test_every_form_holds_the_same_clips(videos, monkeypatch) -> None:
    dataset, seen = Videos(videos), []

    def note(dataset: Dataset, positions: list, *_: object, **__: object) -> None:
        seen.append(module._read(dataset, positions, 0))

    monkeypatch.setattr(module, "_measure", note)

    measure(dataset)

    raw, *others = seen
    assert len(others) == 2
    for samples in others:
        for own, other in zip(raw, samples, strict=True):
            assert own["name"] == other["name"]
            for key in ("visual", "negative"):
                assert (own[key] - other[key]).abs().mean() < 0.1  # JPEG; another frame is off by 1
            assert (own["audio"] - other["audio"]).abs().mean() < 0.05


def test_extracted_files_and_caches_are_read_as_they_are(videos) -> None:
    media = Videos(videos).media
    module._prepare(media, NAMES, 3, videos / "made")
    module._extract(media, NAMES, videos / "extracted")

    for folder, forms in (("made", ["cache"]), ("extracted", ["lavish", "cache"])):
        assert [row.form for row in measure(Videos(videos / folder))] == forms


def test_data_sets_that_read_their_own_files_have_one_row(capsys, repository, demo_root, monkeypatch) -> None:
    monkeypatch.chdir(repository)
    arguments = ["bench", "data", "configs/demo/avs_swin_nano_shared.yaml", "--clips", "3", "--workers", "0"]

    assert main([*arguments, "--json", "--cfg-options", f"task.dataset.root={demo_root}"]) == 0

    (row,) = json.loads(capsys.readouterr().out)
    assert row["form"] == "files"
    assert row["wall_ms"]["pictures"] > 0
    assert row["cpu_ms"]["spectrograms"] > 0


def test_the_data_set_of_a_config_is_bound_to_its_encoders(repository, demo_root) -> None:
    path = repository / "configs/demo/avs_swin_nano_shared.yaml"
    registry = Registry(get_table())
    experiment = check_config(load_config(path, [f"task.dataset.root={demo_root}"]), registry, path)

    dataset, frames = build_dataset(experiment, registry, "val")

    assert (len(dataset), frames) == (4, 5)
    assert dataset[0]["visual"].shape == (5, 3, 96, 96)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["data", "configs/demo/avs_swin_nano_shared.yaml", "--clips", "0"], "--clips must be at least 1"),
        (["--encoder", "swin_nano"], "copl bench data CONFIG"),
        ([], "--encoder and --tuners say what to measure"),
    ],
)
def test_mistakes_are_told(capsys, repository, monkeypatch, words: list[str], message: str) -> None:
    monkeypatch.chdir(repository)

    assert main(["bench", *words]) == 2
    assert message in capsys.readouterr().err


def test_a_clip_that_cannot_be_read_is_named(videos, capsys) -> None:
    from copl_core.api import DataError

    path = videos / "videos" / "b.mp4"
    dataset = Videos(videos)
    path.write_bytes(path.read_bytes()[:200])

    with pytest.raises(DataError, match=r"b\.mp4"):
        measure(dataset)
