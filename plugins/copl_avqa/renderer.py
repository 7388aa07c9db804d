"""Renderer: the frames of a video, the question, and the answers the head thought of."""

from collections.abc import Mapping, Sequence
from typing import TypeAlias

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont, ImageOps
from torch import Tensor

from copl_core.api import ConfigError
from copl_core.contracts import Names, Renderer, Sample

Color: TypeAlias = tuple[int, int, int]

TRUTH: Color = (64, 220, 110)
PREDICTION: Color = (255, 120, 40)
SEEN: Color = (90, 170, 255)
HEARD: Color = (250, 210, 70)
PAPER: Color = (24, 24, 28)
INK: Color = (235, 235, 235)
#: Height of the frames in pixels.
LEGIBLE = 112
# Width of a frame for its height: narrower and wider ones stand between bars.
_NARROWEST, _WIDEST = 1 / 2, 2.4
_GAP = 6
_BARS = 48  # height of the attention's bars
_KEY = 18  # height of the line that says what they are


class AnswerCard(Renderer):
    """One picture a question.

    A row of frames, bright where the sound was grounded; below each, how much of the question's attention its picture
    (blue) and its sound (yellow) got, with a line at what each would get of attention spread evenly; then the question
    and the likeliest answers with their probabilities, the true one in green, a wrong first one in orange. A true
    answer that isn't among them is added. Of a head that tells nothing of grounding or attention, frames and answers
    are drawn.

    Args:
        names: ``answers`` by number. None: their numbers are shown.
        answers: How many answers are shown.
    """

    def __init__(self, *, names: Names | None = None, answers: int = 5) -> None:
        if answers < 1:
            raise ConfigError(f"renderer.answers is {answers}: must be at least 1")
        self.names = (names or {}).get("answers", ())
        self.answers = answers

    def render(self, pictures: Sequence[Image.Image], sample: Sample, prediction: Mapping[str, Tensor]) -> Image.Image:
        """Draw one question.

        Args:
            pictures: The T frames.
            sample: The question; ``question_text`` and, where it is known, ``answer``; of a sample with several
                questions the first is drawn. Where there are ``times`` of the
                frames in seconds they are named, and a ``sound_picture`` is drawn below the frames.
            prediction: ``logits`` (answers,); perhaps ``grounding`` (T, H, W), ``visual_attention`` and
                ``audio_attention`` (T,).
        """
        tiles = [_contained(picture) for picture in pictures]
        if "grounding" in prediction:
            weights = prediction["grounding"].detach().float().cpu()
            tiles = [_lit(tile, each) for tile, each in zip(tiles, weights, strict=True)]
        tiles = [ImageOps.pad(tile, (_width(tile), LEGIBLE), color=PAPER) for tile in tiles]
        if isinstance(sample["question_text"], list):
            first = {key: value[0] for key, value in sample.items() if key in ("question_text", "type", "answer")}
            sample = {**sample, **first}
        lines = self._answer_lines(sample, prediction["logits"].detach().float().cpu())

        size = 16
        font, line = ImageFont.load_default(size), size + _GAP
        question = str(sample["question_text"])
        lefts = [_GAP + sum(tile.width + _GAP for tile in tiles[:n]) for n in range(len(tiles) + 1)]
        below = _GAP + line + max(tile.height for tile in tiles) + _GAP
        strips = _strips(sample, prediction, tiles)
        texts = [int(font.getlength(question)), *(strip.width for strip in strips)]
        width = max(lefts[-1], max(texts) + 2 * _GAP)
        text = below + sum(strip.height + _GAP for strip in strips)
        page = Image.new("RGB", (width, text + line * (1 + len(lines)) + _GAP), PAPER)
        draw = ImageDraw.Draw(page)

        draw.text((_GAP, _GAP // 2), f"{sample['name']}   {sample.get('type', '')}".rstrip(), INK, font)
        for left, tile in zip(lefts, tiles, strict=False):
            page.paste(tile, (left, _GAP + line))
        for strip in strips:
            page.paste(strip, (_GAP, below))
            below += strip.height + _GAP

        draw.text((_GAP, text), question, INK, font)
        name_width = max(int(font.getlength(name)) for name, _, _ in lines) + 3 * _GAP
        room = max(1, min(width - name_width - 10 * size, 40 * size))
        for row, (name, probability, color) in enumerate(lines, start=1):
            top = text + row * line
            draw.text((_GAP, top), name, color, font)
            end = name_width + round(room * probability)
            draw.rectangle((name_width, top + 3, end, top + size), color)
            draw.text((end + _GAP, top), f"{probability:.1%}", color, font)
        return page

    def _answer_lines(self, sample: Sample, logits: Tensor) -> list[tuple[str, float, Color]]:
        """Answer, probability and colour of each line."""
        truth = int(sample["answer"]) if "answer" in sample else None
        probabilities = logits.softmax(dim=0).tolist()
        order = sorted(range(len(probabilities)), key=lambda index: -probabilities[index])
        shown = order[: self.answers] + [index for index in order[self.answers :] if index == truth]
        lines = []
        for rank, index in enumerate(shown):
            wrong = rank == 0 and truth is not None
            color = TRUTH if index == truth else PREDICTION if wrong else INK
            lines.append((self.names[index] if self.names else str(index), probabilities[index], color))
        return lines


def _strips(sample: Sample, prediction: Mapping[str, Tensor], tiles: Sequence[Image.Image]) -> list[Image.Image]:
    """What stands between frames and question, each as wide as the frames."""
    strips = []
    if "times" in sample:
        strips.append(_times(sample["times"], tiles))
    if "visual_attention" in prediction and "audio_attention" in prediction:
        strips.append(_bars(prediction, tiles))
    if "sound_picture" in sample:
        strips.append(sample["sound_picture"].resize((_span(tiles), _BARS), Image.Resampling.BILINEAR))
    return strips


def _bars(prediction: Mapping[str, Tensor], tiles: Sequence[Image.Image]) -> Image.Image:
    """Weights of the frames, beside each other for picture and sound, on one scale.

    A line halfway up is what each would get of attention spread evenly, 1 / T; where a weight is more than twice as
    much the line lies lower, so that the largest is as high as the strip.
    """
    rows = [
        (prediction[name].detach().float().cpu(), color, key)
        for name, color, key in (
            ("visual_attention", SEEN, "attention to the frame"),
            ("audio_attention", HEARD, "attention to its sound"),
        )
    ]
    even = 1 / len(tiles)
    full = max(2 * even, *(float(weights.max()) for weights, _, _ in rows))
    font = ImageFont.load_default(12)
    keys = [(key, color) for _, color, key in rows] + [(f"line: spread evenly, {even:.0%} each", INK)]
    if "grounding" in prediction:
        keys.append(("frames are bright where their sound was found", None))
    lefts = [0]
    for text, color in keys:
        lefts.append(lefts[-1] + int(font.getlength(text)) + (16 if color else 0) + _KEY)
    strip = Image.new("RGB", (max(_span(tiles), lefts[-1]), _BARS + _KEY), PAPER)
    draw = ImageDraw.Draw(strip)
    for column, (weights, color, _) in enumerate(rows):
        left = 0
        for tile, weight in zip(tiles, weights.tolist(), strict=True):
            half = tile.width // 2
            start, height = left + column * half, round(weight / full * _BARS)
            if height:
                draw.rectangle((start, _BARS - height, start + half - 3, _BARS - 1), color)
            left += tile.width + _GAP
    level = _BARS - round(even / full * _BARS)
    draw.line((0, level, _span(tiles) - 1, level), INK)
    for left, (text, color) in zip(lefts, keys, strict=False):
        if color == INK:
            draw.line((left, _BARS + 10, left + 10, _BARS + 10), INK)
        elif color:
            draw.rectangle((left, _BARS + 5, left + 10, _BARS + 15), color)
        draw.text((left + (16 if color else 0), _BARS + 2), text, INK, font)
    return strip


def _times(times: Sequence[float], tiles: Sequence[Image.Image]) -> Image.Image:
    strip = Image.new("RGB", (_span(tiles), 12), PAPER)
    draw = ImageDraw.Draw(strip)
    left = 0
    for tile, time in zip(tiles, times, strict=True):
        draw.text((left, 0), f"{time:.1f} s", INK, ImageFont.load_default(12))
        left += tile.width + _GAP
    return strip


def _span(tiles: Sequence[Image.Image]) -> int:
    """Width of the row of frames."""
    return sum(tile.width + _GAP for tile in tiles) - _GAP


def _width(picture: Image.Image) -> int:
    """Of a picture's place in the row of frames."""
    return round(LEGIBLE * min(max(picture.width / picture.height, _NARROWEST), _WIDEST))


def _contained(picture: Image.Image) -> Image.Image:
    """A picture as large as its place allows, undistorted."""
    return ImageOps.contain(picture.convert("RGB"), (_width(picture), LEGIBLE), Image.Resampling.BICUBIC)


def _lit(tile: Image.Image, weights: Tensor) -> Image.Image:
    """Darken a tile but for the cells that the sound was grounded in: weights (H, W)."""
    low, high = float(weights.min()), float(weights.max())
    if high <= low:
        return tile
    grey = ((weights - low) / (high - low) * 255).to(torch.uint8)
    mask = Image.fromarray(np.asarray(grey)).resize(tile.size, Image.Resampling.BICUBIC)
    return Image.composite(tile, Image.blend(tile, Image.new("RGB", tile.size, PAPER), 0.65), mask)
