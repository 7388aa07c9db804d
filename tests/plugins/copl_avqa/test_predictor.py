"""Questions in a person's words, and cards of heads that tell little."""

import pytest
import torch
from PIL import Image

from copl_avqa.predictor import AnswerPredictor
from copl_avqa.questions import match_words
from copl_avqa.renderer import AnswerCard
from copl_core.api import DataError
from copl_core.contracts import ImageSpec, SpectrogramSpec
from copl_core.data import AudioRecipe
from video_files import tone, write_video

WORDS = ("<pad>", "Is", "the", "acoustic guitar", "guitar", "louder", "is", "than", "erhu")
ANSWERS = ("no", "yes", "two")


@pytest.mark.parametrize(
    ("question", "words"),
    [
        ("Is the erhu louder?", ("Is", "the", "erhu", "louder")),
        ("is the ERHU louder", ("Is", "the", "erhu", "louder")),
        ("is the Acoustic Guitar than guitar ?", ("Is", "the", "acoustic guitar", "than", "guitar")),
        ("  the acoustic erhu is\uff1f", ("the", "acoustic", "erhu", "is")),
        ("?", ()),
    ],
)  # fmt: skip
def test_a_question_is_split_into_words_of_the_vocabulary(question: str, words: tuple[str, ...]) -> None:
    assert match_words(question, WORDS) == words


def predictor(**settings) -> AnswerPredictor:
    return AnswerPredictor(
        audio=AudioRecipe(mean=0.0, std=0.5, seconds=1.0),
        image_spec=ImageSpec(height=8, width=8),
        audio_spec=SpectrogramSpec(frames=98, mel_bins=32),
        names={"words": WORDS, "answers": ANSWERS},
        **settings,
    )


@pytest.fixture(scope="module")
def video(tmp_path_factory):
    path = tmp_path_factory.mktemp("video") / "a.mp4"
    return write_video(path, [i / 2 for i in range(2 * 70)], sound=tone(16000, 70))


def test_a_long_video_is_answered_minute_by_minute_and_as_a_whole(video) -> None:
    asked = []

    def run(samples, count):
        for sample, logits in zip(samples, ([2.0, 1.0, 0.0], [0.0, 3.0, 0.0]), strict=True):
            asked.append(sample)
            yield {"logits": torch.tensor(logits)}

    prediction = predictor().predict(video, run, "is the erhu louder?")

    assert [sample["question"].tolist() for sample in asked] == [[1, 2, 8, 5] + [0] * 10] * 2
    mean = (torch.tensor([2.0, 1.0, 0.0]).softmax(0) + torch.tensor([0.0, 3.0, 0.0]).softmax(0)) / 2
    assert prediction.likeliest()[0] == ("yes", pytest.approx(float(mean[1])))
    windows = prediction.to_json()["windows"]
    assert [(w["start"], w["end"], w["answer"]) for w in windows] == [(0, 60, "no"), (10, 70, "yes")]
    assert "visual_attention" not in windows[0]


def test_words_that_no_training_question_has(video) -> None:
    def run(samples, count):
        yield from ({"logits": sample["question"][:3].float()} for sample in samples)

    with pytest.raises(DataError, match=r"8 words only, not 'cello', 'gitar' \(did you mean 'guitar'\?\)"):
        predictor().predict(video, run, "Is the cello louder than the gitar?")
    prediction = predictor(unknown_words="pad").predict(video, run, "Is cello the erhu")
    assert prediction.answers[0].output["logits"].tolist() == [1.0, 0.0, 2.0]
    with pytest.raises(DataError, match="has 4 words, the model reads 3: shorten it"):
        predictor(max_words=3).predict(video, run, "Is the erhu louder?")


def test_a_head_without_attention_gets_a_card_of_frames_and_answers() -> None:
    pictures = [Image.new("RGB", (64, 48), (150, 150, 150))] * 10
    sample = {"name": "a", "question_text": "Is the erhu louder?"}
    plain = AnswerCard(names={"answers": ANSWERS}).render(pictures, sample, {"logits": torch.zeros(3)})
    weights = torch.full((10,), 0.1)
    full = AnswerCard(names={"answers": ANSWERS}).render(
        pictures, sample, {"logits": torch.zeros(3), "visual_attention": weights, "audio_attention": weights}
    )
    assert plain.width == full.width
    assert plain.height < full.height
    assert plain.getpixel((10, 60)) == (150, 150, 150)
