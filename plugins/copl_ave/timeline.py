"""A drawn timeline: frames above, class and confidence of each second, the sound below."""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from PIL import Image, ImageDraw, ImageFont

from copl_ave.renderer import GROUND, INK, PAPER, class_color, fit_frame

_GAP = 6
_MARGIN = 96  # pixels at the left, for the names of the lines
_WIDTH = 128  # of a second
_FRAME = _WIDTH - 2  # of its frame
_TEXT = 15
_LINE = _TEXT + _GAP
_BAND = 26
_PLOT = 44
_SOUND = 64
_SOFT = (150, 150, 158)


@dataclass(frozen=True)
class Row:
    """Up to ten seconds.

    Attributes:
        start: Where they begin.
        frames: A picture a second, see ``timeline_frame``.
        sound: The spectrogram of all of them.
        classes: The class of each second.
        confidence: Its probability.
    """

    start: float
    frames: Sequence[Image.Image]
    sound: Image.Image
    classes: Sequence[int]
    confidence: Sequence[float]


def timeline_frame(picture: Image.Image) -> Image.Image:
    """A picture as small as a timeline shows it."""
    return fit_frame(picture, _FRAME)


def draw_timeline(title: str, rows: Sequence[Row], names: Mapping[int, str], *, background: int) -> Image.Image:
    """Draw rows of seconds below one another.

    Args:
        title: Above them.
        rows: One at least.
        names: Of the classes.
        background: The class that is drawn grey.
    """
    tile = max(frame.height for row in rows for frame in row.frames)
    height = tile + _BAND + _PLOT + _SOUND + 2 * _LINE + 4 * _GAP
    width = _MARGIN + _WIDTH * max(len(row.frames) for row in rows) + 4 * _GAP
    font = ImageFont.load_default(_TEXT)
    page = Image.new("RGB", (max(width, int(font.getlength(title)) + 2 * _GAP), _LINE + height * len(rows)), PAPER)
    draw = ImageDraw.Draw(page)
    draw.text((_GAP, _GAP // 2), title, INK, font)
    for index, row in enumerate(rows):
        _draw_row(page, draw, row, _LINE + index * height + _GAP, tile, names, background)
    return page


def _draw_row(
    page: Image.Image,
    draw: ImageDraw.ImageDraw,
    row: Row,
    top: int,
    tile: int,
    names: Mapping[int, str],
    background: int,
) -> None:
    font, small = ImageFont.load_default(_TEXT), ImageFont.load_default(_TEXT - 3)
    band, plot = top + tile + _GAP, top + tile + _BAND + 2 * _GAP
    sound = plot + _PLOT + _GAP
    ticks = sound + _SOUND
    for text, middle in (
        ("seen", top + tile // 2),
        ("event", band + _BAND // 2),
        ("confidence", plot + _PLOT // 2),
        ("heard", sound + _SOUND // 2),
    ):
        draw.text((_GAP, middle), text, _SOFT, font, anchor="lm")
    page.paste(row.sound.resize((_WIDTH * len(row.frames), _SOUND), Image.Resampling.BILINEAR), (_MARGIN, sound))
    for column, frame in enumerate(row.frames):
        left = _MARGIN + column * _WIDTH
        page.paste(frame, (left + 1, top))
        color = class_color(row.classes[column], background)
        bar = round(row.confidence[column] * _PLOT)
        draw.rectangle((left + 1, plot, left + _WIDTH - 2, plot + _PLOT), fill=(36, 36, 42))
        draw.rectangle((left + 1, plot + _PLOT - bar, left + _WIDTH - 2, plot + _PLOT), fill=_dimmed(color))
        draw.text((left + _WIDTH // 2, plot + _PLOT - 4), f"{row.confidence[column]:.0%}", INK, small, anchor="mb")
    for second in range(len(row.frames) + 1):
        left = _MARGIN + second * _WIDTH
        draw.line((left, band, left, ticks + 4), fill=PAPER if second not in (0, len(row.frames)) else GROUND)
        draw.text((left, ticks + 5), f"{row.start + second:g} s", _SOFT, small, anchor="mt" if second else "lt")
    column = 0
    for number, group in itertools.groupby(row.classes):
        length = len(list(group))
        box = (_MARGIN + column * _WIDTH + 1, band, _MARGIN + (column + length) * _WIDTH - 2, band + _BAND)
        color = class_color(number, background)
        draw.rectangle(box, fill=color)
        name = _fitting(names[number], font, length * _WIDTH - 2 * _GAP)
        ink = INK if number == background else PAPER
        draw.text(((box[0] + box[2]) // 2, band + _BAND // 2), name, ink, font, anchor="mm")
        column += length


def _fitting(text: str, font: ImageFont.FreeTypeFont | ImageFont.ImageFont, width: int) -> str:
    """As much of a text as fits a width in pixels."""
    if font.getlength(text) <= width:
        return text
    while text and font.getlength(f"{text}...") > width:
        text = text[:-1]
    return f"{text}..."


def _dimmed(color: tuple[int, int, int]) -> tuple[int, int, int]:
    red, green, blue = color
    return red * 2 // 3, green * 2 // 3, blue * 2 // 3
