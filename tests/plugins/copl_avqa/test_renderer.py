import numpy as np
import pytest
import torch
from PIL import Image, ImageChops

from copl_avqa.renderer import HEARD, PREDICTION, SEEN, TRUTH, AnswerCard
from copl_core.api import ConfigError

ANSWERS = ("two", "no", "yes", "piano", "one", "left", "right")


def question(logits: dict[str, float], answer: str = "yes", frames: int = 10) -> tuple:
    pictures = [Image.new("RGB", (64, 48), (150, 150, 150)) for _ in range(frames)]
    sample = {
        "name": "00000001_5",
        "type": "Audio Counting",
        "question_text": "Is the piano playing?",
        "answer": torch.tensor(ANSWERS.index(answer)),
    }
    prediction = {
        "logits": torch.tensor([logits.get(name, -9.0) for name in ANSWERS]),
        "grounding": torch.full((frames, 2, 2), 0.25),
        "visual_attention": torch.full((frames,), 0.1),
        "audio_attention": torch.full((frames,), 0.1),
    }
    return pictures, sample, prediction


def of(image: Image.Image, color: tuple[int, int, int]) -> int:
    """Pixels of a colour."""
    return int((np.asarray(image) == color).all(axis=2).sum())


def test_size_holds_a_row_of_ten_frames_question_and_five_answers() -> None:
    image = AnswerCard().render(*question({"yes": 1}))

    assert image.mode == "RGB"
    assert 10 * 149 < image.width < 10 * 160
    assert 112 + 48 + 7 * 16 < image.height < 112 + 48 + 12 * 22
    assert image.height - AnswerCard(answers=3).render(*question({"yes": 1})).height == 2 * 22


def test_right_answer_is_green_and_a_wrong_first_one_orange() -> None:
    right = AnswerCard().render(*question({"yes": 3, "no": 1}))
    wrong = AnswerCard().render(*question({"yes": 1, "no": 3}))

    assert of(right, PREDICTION) == 0 < of(wrong, PREDICTION)
    assert of(right, TRUTH) > of(wrong, TRUTH) > 0


def test_of_several_questions_the_first_is_drawn() -> None:
    pictures, sample, prediction = question({"yes": 1, "no": 3})
    several = sample | {
        "question_text": [sample["question_text"], "How many?"],
        "type": [sample["type"], "Visual Counting"],
        "answer": torch.tensor([sample["answer"], 0]),
    }

    one, other = (AnswerCard().render(pictures, each, prediction) for each in (sample, several))

    assert ImageChops.difference(one, other).getbbox() is None


def test_bar_is_as_long_as_the_answer_is_probable() -> None:
    def bar(logit: float) -> int:  # of "yes", against "no"; below the answer's name and its figure, which vary little
        pixels = (np.asarray(AnswerCard().render(*question({"yes": logit, "no": 0.0}))) == TRUTH).all(axis=2)
        return int(pixels.sum(axis=1).max())

    assert bar(5.0) > 1.7 * bar(0.0) > 2.5 * bar(-1.5)


def test_true_answer_is_shown_even_if_unlikely() -> None:
    likely = {name: 5.0 for name in ANSWERS if name != "right"}
    five = AnswerCard().render(*question(likely, answer="two"))

    image = AnswerCard().render(*question(likely, answer="right"))

    assert image.height == five.height + 22
    assert of(image, TRUTH) > 0


def test_answers_are_named_or_numbered() -> None:
    named, numbered = (AnswerCard(names=names).render(*question({"yes": 1})) for names in ({"answers": ANSWERS}, None))

    left, top, _, _ = ImageChops.difference(named, numbered).getbbox()
    assert left < 20
    assert top > 112 + 48


def test_question_without_a_known_answer_can_be_drawn() -> None:
    pictures, sample, prediction = question({"yes": 1})
    del sample["answer"]

    image = AnswerCard().render(pictures, sample, prediction)

    assert of(image, TRUTH) == of(image, PREDICTION) == 0


@pytest.mark.parametrize(("name", "color"), [("visual_attention", SEEN), ("audio_attention", HEARD)])
def test_attention_stands_below_its_frame(name: str, color: tuple[int, int, int]) -> None:
    pictures, sample, prediction = question({"yes": 1})
    prediction[name] = torch.tensor([0.0] * 7 + [1.0] + [0.0] * 2)

    pixels = (np.asarray(AnswerCard().render(pictures, sample, prediction)) == color).all(axis=2)

    high = pixels.sum(axis=0) > 40
    assert high.any()
    columns = np.flatnonzero(high)
    assert 7 * 155 < columns.min() < columns.max() < 8 * 156


def test_bars_are_measured_against_attention_spread_evenly() -> None:
    def heights(seen: list[float], heard: list[float]) -> tuple[list[int], list[int]]:
        pictures, sample, prediction = question({"yes": 1}, frames=len(seen))
        prediction |= {"visual_attention": torch.tensor(seen), "audio_attention": torch.tensor(heard)}
        strip = np.asarray(AnswerCard().render(pictures, sample, prediction))[140:196]
        bars = [(strip == color).all(axis=2).sum(axis=0) for color in (SEEN, HEARD)]
        columns = [6 + 156 * frame for frame in range(len(seen))]
        return [int(bars[0][c + 30]) for c in columns], [int(bars[1][c + 100]) for c in columns]

    # Half as high as the strip of 48 pixels for 1 / T, less the line itself where it crosses.
    seen, heard = heights([0.25] * 4, [0.375, 0.125, 0.5, 0.0])
    assert seen == [pytest.approx(24, abs=1)] * 4
    assert heard == [pytest.approx(height, abs=1) for height in (36, 12, 48, 0)]
    # One that gets more than twice its share fills the strip, and all others keep their proportion to it.
    seen, heard = heights([0.25] * 4, [1.0, 0.0, 0.0, 0.0])
    assert seen == [pytest.approx(12, abs=1)] * 4
    assert heard == [pytest.approx(height, abs=1) for height in (48, 0, 0, 0)]


@pytest.mark.parametrize(
    ("size", "width"), [((1080, 1920), 63), ((60, 1200), 56), ((1200, 60), 269), ((640, 480), 149)]
)
def test_frames_of_any_shape_are_whole_and_legible(size: tuple[int, int], width: int) -> None:
    pictures, sample, prediction = question({"yes": 1})
    color = (10, 200, 240)
    plain = [Image.new("RGB", size, color) for _ in pictures]
    sample["times"] = [float(time) for time in range(10)]

    image = AnswerCard().render(plain, sample, prediction)

    row = (np.asarray(image)[28:140] == color).all(axis=2)
    height = min(112, width * size[1] / size[0])
    assert row.sum() == pytest.approx(10 * height * height * size[0] / size[1], rel=0.1)
    assert image.width >= 10 * (width + 6)
    # What the bars mean is not cut off: paper at the right edge.
    assert (np.asarray(image)[140:, -6:] == (24, 24, 28)).all()


def test_grounding_darkens_the_rest_of_its_frame() -> None:
    pictures, sample, prediction = question({"yes": 1})
    even = AnswerCard().render(pictures, sample, prediction)
    prediction["grounding"][2] = torch.tensor([[0.1, 0.1], [0.1, 0.7]])

    image = AnswerCard().render(pictures, sample, prediction)

    left, _, right, bottom = ImageChops.difference(even, image).getbbox()
    assert 2 * 155 < left < right < 3 * 157
    assert bottom < 150
    tile = np.asarray(image)[28:140, left:right].astype(int)
    assert tile[-4, -4, 0] == 150
    assert tile[4, 4, 0] < 90


def test_number_of_answers_must_be_positive() -> None:
    with pytest.raises(ConfigError, match=r"renderer\.answers is 0"):
        AnswerCard(answers=0)
