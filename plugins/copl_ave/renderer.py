"""Renderer: what happens in a clip second by second, and what was predicted."""

import colorsys
from collections.abc import Mapping, Sequence
from typing import TypeAlias

from PIL import Image, ImageDraw, ImageFont, ImageOps
from torch import Tensor

from copl_ave.labels import class_name
from copl_core.api import ConfigError
from copl_core.contracts import Names, Renderer, Sample

Color: TypeAlias = tuple[int, int, int]

PAPER: Color = (24, 24, 28)
INK: Color = (235, 235, 235)
GROUND: Color = (88, 88, 96)
_GAP = 6
_TEXT = 14
_LINE = _TEXT + _GAP
_CELL = 20
_BAR = 8
# Height of a frame for its width: taller and wider ones stand between bars.
_LOWEST, _HIGHEST = 1 / 4, 2.0
# Hues this far apart round the circle stay apart however many there are.
_GOLDEN_RATIO = (5**0.5 - 1) / 2


class EventTimeline(Renderer):
    """One picture a clip: its frames in a row, below them the true and the predicted class of each second as colours.

    Background is grey. A bar under each predicted second is as long as the prediction is sure: the whole cell for a
    probability of 1. The classes that occur are named at the bottom.

    Args:
        names: ``classes``, the names by class number; without them, classes go by number.
        width: Width of a frame in pixels.
    """

    def __init__(self, *, names: Names | None = None, width: int = 112) -> None:
        if width < 32:
            raise ConfigError(f"renderer.width is {width}: must be at least 32")
        self.names = names
        self.width = width

    def render(self, pictures: Sequence[Image.Image], sample: Sample, prediction: Mapping[str, Tensor]) -> Image.Image:
        """Draw one clip.

        Args:
            pictures: The T frames.
            sample: The clip. Without ``label`` only the prediction is drawn.
            prediction: ``logits`` (T, C), background last.
        """
        probability, chosen = prediction["logits"].detach().cpu().float().softmax(-1).max(-1)
        predicted = chosen.tolist()
        truth = sample["label"].tolist() if "label" in sample else []
        background = prediction["logits"].shape[-1] - 1
        colors = {number: class_color(number, background) for number in dict.fromkeys([*truth, *predicted])}
        names = {number: class_name(number, self.names) for number in colors}

        tiles = [fit_frame(picture, self.width) for picture in pictures]
        tile = max(each.height for each in tiles)
        columns = [_GAP + i * (self.width + _GAP) for i in range(len(pictures))]
        font = ImageFont.load_default(_TEXT)
        title, legend = _title(sample, truth, predicted), _legend(names, font, columns[-1] + self.width)
        height = _LINE + tile + _GAP + (_LINE + _CELL) * (1 + bool(truth)) + _LINE + _LINE * len(legend) + 2 * _GAP
        right = max(
            [font.getlength(title), *(left + _CELL + font.getlength(names[n]) for row in legend for n, left in row)]
        )
        page = Image.new("RGB", (max(columns[-1] + self.width, int(right)) + _GAP, height), PAPER)
        draw = ImageDraw.Draw(page)

        draw.text((_GAP, _GAP // 2), title, INK, font)
        top = _LINE
        for left, picture in zip(columns, tiles, strict=True):
            page.paste(picture, (left, top))
        top += tile + _GAP
        for name, row in (("truth", truth), ("prediction", predicted)):
            if not row:
                continue
            draw.text((_GAP, top), name, INK, font)
            top += _LINE
            for left, number in zip(columns, row, strict=True):
                _box(draw, left, top, self.width, _CELL, colors[number])
            top += _CELL
        for left, share, number in zip(columns, probability.tolist(), predicted, strict=True):
            _box(draw, left, top + 2, round(share * self.width), _BAR, colors[number])
        top += _LINE + _GAP
        for row in legend:
            for number, left in row:
                _box(draw, left, top, _TEXT, _TEXT, colors[number])
                draw.text((left + _CELL, top - 1), names[number], INK, font)
            top += _LINE
        return page


def fit_frame(picture: Image.Image, width: int) -> Image.Image:
    """A frame at a width in pixels, whole and undistorted; one of an unusual shape between bars."""
    height = round(width * min(max(picture.height / picture.width, _LOWEST), _HIGHEST))
    return ImageOps.pad(picture.convert("RGB"), (width, height), Image.Resampling.BICUBIC, color=PAPER)


def class_color(number: int, background: int) -> Color:
    """Colour of a class: grey for background, else a hue of its own."""
    if number == background:
        return GROUND
    red, green, blue = colorsys.hsv_to_rgb(number * _GOLDEN_RATIO % 1, 0.7, 0.95)
    return round(red * 255), round(green * 255), round(blue * 255)


def _box(draw: ImageDraw.ImageDraw, left: int, top: int, width: int, height: int, color: Color) -> None:
    if width:
        draw.rectangle((left, top, left + width - 1, top + height - 1), fill=color)


def _title(sample: Sample, truth: Sequence[int], predicted: Sequence[int]) -> str:
    parts = [str(sample["name"]), str(sample.get("category", ""))]
    if truth:
        right = sum(a == b for a, b in zip(truth, predicted, strict=True))
        parts.append(f"{right} of {len(truth)} seconds right")
    return "   ".join(part for part in parts if part)


def _legend(
    names: Mapping[int, str], font: ImageFont.FreeTypeFont | ImageFont.ImageFont, width: int
) -> list[list[tuple[int, int]]]:
    """Lines of (class, left edge), broken where a name would pass the width."""
    lines: list[list[tuple[int, int]]] = [[]]
    left = _GAP
    for number, name in names.items():
        length = _CELL + int(font.getlength(name))
        if lines[-1] and left + length > width:
            lines.append([])
            left = _GAP
        lines[-1].append((number, left))
        left += length + 3 * _GAP
    return lines
