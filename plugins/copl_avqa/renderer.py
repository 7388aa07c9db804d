"""Renderer: the frames of a video, the question, and the answers the head thought of."""

import math
from collections.abc import Mapping, Sequence
from typing import TypeAlias

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont
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
_GAP = 6
_BARS = 48  # height of the attention's bars
_KEY = 18  # height of the line that says what they are


class AnswerCard(Renderer):
    """One picture a question.

    A row of frames, bright where the sound was grounded; below each, how much of the question's attention its picture
    (blue) and its sound (yellow) got; then the question and the likeliest answers with their probabilities, the true
    one in green, a wrong first one in orange. A true answer that isn't among them is added. Of a head that tells
    nothing of grounding or attention, frames and answers are drawn.

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
        tiles = [_scaled(picture) for picture in pictures]
        if "grounding" in prediction:
            weights = prediction["grounding"].detach().float().cpu()
            tiles = [_lit(tile, each) for tile, each in zip(tiles, weights, strict=True)]
        if isinstance(sample["question_text"], list):
            first = {key: value[0] for key, value in sample.items() if key in ("question_text", "type", "answer")}
            sample = {**sample, **first}
        lines = self._answer_lines(sample, prediction["logits"].detach().float().cpu())

        size = 16
        font, line = ImageFont.load_default(size), size + _GAP
        question = str(sample["question_text"])
        lefts = [_GAP + sum(tile.width + _GAP for tile in tiles[:n]) for n in range(len(tiles) + 1)]
        width = max(lefts[-1], int(font.getlength(question)) + 2 * _GAP)
        below = _GAP + line + max(tile.height for tile in tiles) + _GAP
        strips = _strips(sample, prediction, tiles)
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
    """Weights of the frames, beside each other for picture and sound; the largest of each is as high as the strip."""
    strip = Image.new("RGB", (_span(tiles), _BARS + _KEY), PAPER)
    draw = ImageDraw.Draw(strip)
    for column, (name, color, key) in enumerate(
        (("visual_attention", SEEN, "attention to the frame"), ("audio_attention", HEARD, "attention to its sound"))
    ):
        weights = prediction[name].detach().float().cpu()
        heights = (weights / weights.max().clamp(min=1e-12) * _BARS).tolist()
        left = 0
        for tile, height in zip(tiles, heights, strict=False):
            half = tile.width // 2
            start = left + column * half
            draw.rectangle((start, _BARS - round(height), start + half - 3, _BARS), color)
            left += tile.width + _GAP
        place = column * _KEY * 12
        draw.rectangle((place, _BARS + 5, place + 10, _BARS + 15), color)
        draw.text((place + 16, _BARS + 2), key, INK, ImageFont.load_default(12))
    if "grounding" in prediction:
        text = "frames are bright where their sound was found"
        draw.text((2 * _KEY * 12, _BARS + 2), text, INK, ImageFont.load_default(12))
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


def _scaled(picture: Image.Image) -> Image.Image:
    width = max(1, math.ceil(picture.width * LEGIBLE / picture.height))
    return picture.convert("RGB").resize((width, LEGIBLE), Image.Resampling.BICUBIC)


def _lit(tile: Image.Image, weights: Tensor) -> Image.Image:
    """Darken a tile but for the cells that the sound was grounded in: weights (H, W)."""
    low, high = float(weights.min()), float(weights.max())
    if high <= low:
        return tile
    grey = ((weights - low) / (high - low) * 255).to(torch.uint8)
    mask = Image.fromarray(np.asarray(grey)).resize(tile.size, Image.Resampling.BICUBIC)
    return Image.composite(tile, Image.blend(tile, Image.new("RGB", tile.size, PAPER), 0.65), mask)
