import logging

import pytest
import torch

from copl_avqa.dataset import FRAMES, MusicAVQA
from copl_core.api import ConfigError, DataError
from copl_core.contracts import ImageSpec, SpectrogramSpec, WaveformSpec
from copl_core.data import AudioRecipe, Durations, audio_segments, collate, to_input

from .conftest import TRAIN, VAL, FakeClip, FakeMedia, record, video_grey, write_questions

RECIPE = AudioRecipe(mean=-5.4, std=3.6)
# Values 0..1 as they are, so that a grey can be read off a tensor.
IMAGE = ImageSpec(height=6, width=6, mean=(0, 0, 0), std=(1, 1, 1))
AUDIO = SpectrogramSpec(frames=192, mel_bins=16)


def load(root, split: str = "val", **settings) -> MusicAVQA:
    dataset = MusicAVQA(root=str(root), split=split, audio=RECIPE, **settings)
    dataset.bind(IMAGE, AUDIO)
    return dataset


def test_sample(root) -> None:
    dataset = load(root)

    sample = dataset[0]

    assert len(dataset) == 2
    assert sample["name"] == "00000009_20"
    assert sample["type"] == "Audio-Visual Temporal"
    assert (sample["question_text"], sample["answer_text"]) == ("Is the erhu left?", "no")
    names = dataset.names
    assert sample["question"].dtype == torch.int64
    assert sample["question"].shape == (14,)
    # "Is the erhu left" by the words of the training questions.
    assert [names["words"][index] for index in sample["question"]] == ["Is", "the", "erhu", "left"] + ["<pad>"] * 10
    assert names["answers"][sample["answer"]] == "no"
    clip = FakeClip("00000009")
    assert torch.equal(sample["visual"], to_input(clip.frames(10), IMAGE))
    assert torch.equal(sample["audio"], audio_segments(*clip.sound(), RECIPE, AUDIO, 10))
    assert "negative" not in sample
    assert [picture.getpixel((0, 0)) for picture in dataset.pictures(0)] == [(160, 10 * t, 0) for t in range(10)]


def test_samples_make_a_batch(root) -> None:
    dataset = load(root, "train")

    batch = collate([dataset[index] for index in range(3)])

    assert batch["question"].shape == (3, 14)
    assert batch["answer"].tolist() == [0, 1, 2]
    assert batch["negative"].shape == batch["visual"].shape == (3, 10, 3, 6, 6)
    assert batch["type"] == ["Audio Counting", "Audio-Visual Existential", "Visual Location"]


def test_all_splits_count_by_the_training_questions(root) -> None:
    assert load(root, "train").names == load(root, "val").names == load(root, "test").names


def origins(sample) -> list[tuple[int, int]]:
    """Grey of the video and position of each negative frame."""
    pixels = sample["negative"][:, :2, 0, 0] * 255
    return [(round(float(grey)), round(float(green) / 10)) for grey, green in pixels]


def test_negatives_come_from_any_frame_of_any_other_video(root) -> None:
    dataset = load(root, "train")
    torch.manual_seed(0)

    drawn = [origins(dataset[0]) for _ in range(40)]

    greys, positions = zip(*[origin for row in drawn for origin in row], strict=True)
    assert set(greys) == {video_grey("-va2"), video_grey("00000003")}  # the other videos of the split, not 00000009
    assert 140 < greys.count(video_grey("-va2")) < 260
    assert set(positions) == set(range(FRAMES))


def test_of_other_videos_only_the_frames_drawn_are_decoded(root) -> None:
    dataset = load(root, "train")
    FakeMedia.decoded = 0

    dataset[0]

    assert FakeMedia.decoded == 2 * FRAMES


def test_negatives_follow_torch_s_generator(root) -> None:
    dataset = load(root, "train")

    def draw(seed: int) -> list[tuple[int, int]]:
        torch.manual_seed(seed)
        return origins(dataset[1])

    assert draw(3) == draw(3)
    assert draw(3) != draw(4)


def test_negatives_are_for_training_only_and_can_be_left_out(root) -> None:
    assert "negative" in load(root, "train")[0]
    assert "negative" not in load(root, "train", negatives=False)[0]
    assert "negative" not in load(root, "test")[0]


def test_negatives_need_two_videos(root, rewrite) -> None:
    rewrite("train", [TRAIN[0], TRAIN[3]])

    with pytest.raises(DataError, match=r"there is one video only; set task\.dataset\.negatives to false"):
        load(root, "train")
    assert len(load(root, "train", negatives=False)) == 2


def test_settings_reach_the_media_folder(root) -> None:
    recipe = AudioRecipe(mean=0, std=1, downmix="channel0")

    dataset = MusicAVQA(root=str(root), split="val", audio=recipe, layout="lavish", fps=2, sampling="seconds")

    assert dataset.media.settings == {
        "root": str(root),
        "layout": "lavish",
        "videos": ("videos", "MUSIC-AVQA-videos-Real", "MUSIC-AVQA-videos-Synthetic"),
        "fps": 2,
        "downmix": "channel0",
        "missing_audio": "refuse",
    }


def test_edition_chooses_the_file(root) -> None:
    write_questions(root / "json", train=TRAIN[:2], val=[{**VAL[1], "anser": "no"}])

    assert load(root, edition="json")[0]["answer_text"] == "no"
    assert len(load(root, "train", edition="json")) == 2
    assert len(load(root, "train")) == 4


def broken_split(rewrite, media) -> list[str]:
    """A split with every kind of problem and one good question; returns what must be said, by record."""
    rewrite(
        "val",
        [
            VAL[0],
            {**VAL[1], "anser": "seven"},
            record("00000001", 31, ("Audio", "Counting"), "How many theremins were heard?", [], "two"),
            record("00000001", 32, ("Audio", "Counting"), "Is " * 15 + "?", [], "two"),
            record("00000001", 33, ("Audio", "Counting"), "Is the <Object> heard?", [], "two"),
            record("-va2", 34, ("Audio", "Counting"), "How many were heard?", [], "two"),
            record("-va2", 35, ("Audio", "Counting"), "How many instruments?", [], "two"),
        ],
    )
    media.broken["-va2"] = "-va2.mp4: no audio track"
    return [
        "[1]  unknown answer 'seven'",
        "[2]  unknown word 'theremins'",
        "[3]  15 words, more than task.dataset.max_words: 14",
        "[4]  templ_values holds 0 values",
        "[5]  -va2.mp4: no audio track (2 questions are about it)",
    ]


def test_all_problems_are_told_at_once(root, rewrite, media) -> None:
    expected = broken_split(rewrite, media)

    with pytest.raises(DataError) as caught:
        load(root)

    message = str(caught.value)
    assert "split 'val' of MUSIC-AVQA (json_update): 5 problems" in message
    rows = [line for line in message.splitlines() if "avqa-val.json" in line]
    for line, row in zip(rows, expected, strict=True):
        assert f"avqa-val.json{row}" in line


def test_problems_can_be_skipped(root, rewrite, media, caplog) -> None:
    expected = broken_split(rewrite, media)

    with caplog.at_level(logging.WARNING, "copl"):
        dataset = load(root, on_error="skip")

    assert [question.number for question in dataset.questions] == [20]
    assert dataset[0]["name"] == "00000009_20"
    assert len(dataset.skipped) == len(expected)
    assert sum(problem.samples for problem in dataset.skipped) == 6
    assert [record.message.split("; the first")[0] for record in caplog.records] == [
        "split 'val' of MUSIC-AVQA (json_update): 5 problems; samples skipped: 6, left: 1"
    ]


def test_nothing_left_to_skip_to(root, media) -> None:
    media.broken.update({"00000009": "gone", "00000001": "gone"})

    with pytest.raises(DataError, match="2 problems"):
        load(root, on_error="skip")


def test_problem_of_the_training_questions_is_told_with_the_training_split_alone(root, rewrite) -> None:
    rewrite("train", [*TRAIN, {**TRAIN[0], "type": "[]"}])

    with pytest.raises(DataError, match=r"avqa-train\.json\[4\]  type is \[\]"):
        load(root, "train")
    assert not load(root).skipped


def test_a_question_with_two_problems_is_lost_once(root, rewrite) -> None:
    rewrite("val", [VAL[0], record("00000001", 31, ("Audio", "Counting"), "Is it " * 9 + "?", [], "seven")])

    (problem,) = load(root, on_error="skip").skipped

    assert problem.samples == 1
    assert "18 words" in problem.what
    assert "unknown answer 'seven'" in problem.what


@pytest.mark.parametrize(
    ("pictures", "sound", "told"),
    [
        (0.3, 0.3, r"0\.3 s of pictures are less than 1\.95; leave this video out"),
        (60.0, 0.3, r"0\.3 s of sound are less than 1\.95; get it whole"),
        (60.0, 2.0, r"2\.0 s of sound, but 60\.0 s of pictures; .*set missing_audio: silence"),
    ],
)
def test_too_short_videos_and_sounds_are_problems(root, media, pictures: float, sound: float, told: str) -> None:
    media.lengths["00000009"] = Durations(pictures, sound)

    with pytest.raises(DataError, match=rf"avqa-val\.json\[0\]  {told}"):
        load(root)
    assert len(load(root, missing_audio="silence", on_error="skip")) == (1 if pictures < 1 else 2)


@pytest.mark.parametrize("lengths", [Durations(60.0, 55.0), Durations(60.0, 80.0), Durations(3.0, 2.1)])
def test_sound_about_as_long_as_the_pictures_or_longer_passes(root, media, lengths: Durations) -> None:
    media.lengths["00000009"] = lengths

    assert len(load(root)) == 2


def test_silence_follows_a_sound_that_ends_early_where_that_is_allowed(root, media) -> None:
    media.lengths["00000009"] = Durations(25.0, 2.5)

    audio = load(root, missing_audio="silence")[0]["audio"]

    waveform, rate = FakeClip("00000009").sound()
    padded = torch.cat([waveform, torch.zeros(25 * rate - len(waveform))])
    assert torch.equal(audio, audio_segments(padded, rate, RECIPE, AUDIO, 10))


@pytest.mark.parametrize(
    ("sampling", "spec", "aligned"),
    [("official", AUDIO, False), ("seconds", AUDIO, True), ("official", WaveformSpec(16000, 16000), True)],
)
def test_sound_is_spread_evenly_or_that_of_the_frames_times(root, sampling: str, spec, aligned: bool) -> None:
    recipe = AudioRecipe(seconds=1.0, mean=-5.4, std=3.6)
    dataset = MusicAVQA(root=str(root), split="val", audio=recipe, sampling=sampling)
    dataset.bind(IMAGE, spec)

    audio = dataset[0]["audio"]

    clip = FakeClip("00000009")
    starts = clip.times(10) if aligned else None
    assert torch.equal(audio, audio_segments(*clip.sound(), recipe, spec, 10, starts=starts))


def test_sound_stored_in_pieces_is_read_piece_by_piece(root, media) -> None:
    media.pieces = True
    media.lengths |= dict.fromkeys(("00000009", "00000001"), Durations(60.0, 10.0))
    recipe = AudioRecipe(seconds=1.0, mean=-5.4, std=3.6)
    dataset = MusicAVQA(root=str(root), split="val", audio=recipe)
    dataset.bind(IMAGE, WaveformSpec(16000, 16000))
    dataset.media.clip = lambda name: Pieces(name)

    assert torch.equal(dataset[0]["audio"], torch.arange(10.0)[:, None].expand(-1, 16000))
    with pytest.raises(ConfigError, match=r"audio\.seconds is 1\.95, but .* holds sound in pieces of a second"):
        load(root)
    media.lengths["00000009"] = Durations(60.0, 9.0)
    with pytest.raises(DataError, match="9 pieces of sound, 10 are needed"):
        MusicAVQA(root=str(root), split="val", audio=recipe)


class Pieces(FakeClip):
    """Ten seconds, each of its number."""

    def sound(self) -> tuple[torch.Tensor, int]:
        return torch.arange(10.0).repeat_interleave(16000), 16000


def test_what_was_found_is_told(root) -> None:
    assert load(root).describe() == f"questions in {root}/json_update; videos from nowhere"
    assert load(root).where(1) == f"{root}/json_update/avqa-val.json[1] (00000001)"
    assert load(root, "train", questions_per_video=2).where(2) == f"{root}/json_update/avqa-train.json[2] (00000003)"


def test_unknown_word_may_count_as_absent(root, rewrite) -> None:
    rewrite("val", [record("00000009", 1, ("Audio", "Counting"), "How many theremins were heard?", [], "two")])

    dataset = load(root, unknown_words="pad")

    words = dataset.names["words"]
    assert [words[index] for index in dataset[0]["question"][:6]] == ["How", "many", "<pad>", "were", "heard", "<pad>"]


def test_longer_questions_by_setting(root, rewrite) -> None:
    rewrite("val", [record("00000009", 1, ("Audio", "Counting"), "Is " * 15 + "?", [], "two")])

    question = load(root, max_words=16)[0]["question"]

    assert question.shape == (16,)
    assert question.ne(0).sum() == 15
    with pytest.raises(ConfigError, match=r"dataset\.max_words is 0"):
        load(root, max_words=0)


def test_reading_before_bind_is_a_defect(root) -> None:
    with pytest.raises(RuntimeError, match="bind"):
        MusicAVQA(root=str(root), split="val", audio=RECIPE)[0]


def test_a_video_with_several_of_its_questions(root) -> None:
    dataset = load(root, "train", questions_per_video=3)
    single = load(root, "train")
    torch.manual_seed(0)

    samples = [dataset[index] for index in range(len(dataset))]

    assert [sample["name"] for sample in samples] == ["00000001", "-va2", "00000003"]
    first = samples[0]  # two questions of its own: both, and one of them again
    assert set(first["question_text"]) == {single[0]["question_text"], single[3]["question_text"]}
    assert set(first["question_text"][:2]) == set(first["question_text"])
    for number, text in enumerate(first["question_text"]):
        alone = next(sample for sample in map(single.__getitem__, range(4)) if sample["question_text"] == text)
        assert torch.equal(first["question"][number], alone["question"])
        assert first["answer"][number] == alone["answer"]
        assert torch.equal(first["visual"], alone["visual"]) == (alone["name"] in ("00000001_5", "00000001_8"))
    batch = collate(samples)
    assert (batch["question"].shape, batch["answer"].shape) == ((3, 3, 14), (3, 3))
    assert batch["negative"].shape == batch["visual"].shape
    for index, name in enumerate(("00000001", "-va2", "00000003")):
        assert dataset.pictures(index)[0].getpixel((0, 0))[0] == video_grey(name)
        assert torch.equal(dataset.sound(index)[0], FakeClip(name).sound()[0])


def test_val_keeps_one_question_a_sample(root) -> None:
    assert len(load(root, questions_per_video=3)) == len(load(root)) == 2


def test_questions_per_video_is_at_least_one(root) -> None:
    with pytest.raises(ConfigError, match="questions_per_video is 0: must be at least 1"):
        load(root, questions_per_video=0)
