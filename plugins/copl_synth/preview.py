"""Pictures of generated scenes, with what is to be told about them."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from copl_synth import ave, avqa
from copl_synth.classes import CLASS_NAMES, CLASSES
from copl_synth.clips import PICTURES, SECONDS
from copl_synth.draw import REFERENCE_SIZE
from copl_synth.questions import Question
from copl_synth.scenes import render_scene

STREAM = 0x9EE0
"""First word of the preview scenes' seeds."""

_INK, _FAINT, _MARK = (30, 30, 30), (120, 120, 120), (0, 150, 80)


def contact_sheet(
    *, seed: int = 0, rows: int = 4, columns: int = 8, zoom: int = 2, outline: bool = True
) -> Image.Image:
    """Lays out the third frame of `rows * columns` scenes; the sounding class runs through all classes in turn.

    Args:
        seed: Seed of the scenes.
        rows: Scenes down.
        columns: Scenes across.
        zoom: Screen pixels a scene pixel.
        outline: Whether to draw a white line, edged in black, around the sounding object's mask.

    Returns:
        The RGB sheet.
    """
    side, gap = REFERENCE_SIZE * zoom, 2 * zoom
    sheet = Image.new("RGB", (columns * (side + gap) + gap, rows * (side + gap) + gap), "white")
    for index in range(rows * columns):
        scene = render_scene(np.random.default_rng((STREAM, seed, index)), sounding_class=index % len(CLASSES))
        image = scene.frames[2].repeat(zoom, axis=0).repeat(zoom, axis=1)
        if outline:
            mask = scene.masks[2].repeat(zoom, axis=0).repeat(zoom, axis=1)
            image[_grown(mask, 3) & ~mask] = 0
            image[_grown(mask, 2) & ~mask] = 255
        row, column = divmod(index, columns)
        sheet.paste(Image.fromarray(image), (gap + column * (side + gap), gap + row * (side + gap)))
    return sheet


def ave_sheet(*, seed: int = 0, rows: int = 6) -> Image.Image:
    """Lays out AVE clips, one a row, a picture a second; under each the sound heard, around events a green frame.

    Args:
        seed: Seed of the clips.
        rows: Clips; their categories run through all classes in turn.

    Returns:
        The RGB sheet.
    """
    side, gap, head, foot = REFERENCE_SIZE, 6, 20, 20
    height = head + side + foot
    sheet = Image.new("RGB", (SECONDS * (side + gap) + gap, rows * height + gap), "white")
    pen, font = ImageDraw.Draw(sheet), ImageFont.load_default(11)
    for row in range(rows):
        rng = np.random.default_rng((STREAM, seed, row))
        scene = ave.random_scene(rng, category=row % len(CLASSES))
        pictures, _ = ave.render(rng, scene)
        y = row * height + head
        pen.text((gap, y - 18), f"{CLASS_NAMES[scene.category]}, {scene.start} to {scene.end} s", _INK, font)
        for second in range(SECONDS):
            x = gap + second * (side + gap)
            event = scene.start <= second < scene.end
            if event:
                pen.rectangle((x - 3, y - 3, x + side + 2, y + side + 2), fill=_MARK)
            sheet.paste(Image.fromarray(pictures[second * PICTURES]), (x, y))
            pen.text((x, y + side + 3), CLASS_NAMES[scene.heard[second]], _MARK if event else _FAINT, font)
    return sheet


def avqa_sheet(*, seed: int = 0, rows: int = 4) -> Image.Image:
    """Lays out AVQA clips, one a row: a picture, a bar for each voice, its width the loudness, and some questions.

    Args:
        seed: Seed of the clips.
        rows: Clips.

    Returns:
        The RGB sheet.
    """
    zoom, gap, names, second, line = 2, 12, 120, 24, 17
    side = REFERENCE_SIZE * zoom
    sheet = Image.new("RGB", (side + 3 * gap + 560, rows * (side + gap) + gap), "white")
    pen, font = ImageDraw.Draw(sheet), ImageFont.load_default(12)
    settings = avqa.AvqaSettings(seed=seed)
    drawn = [avqa.scene_of(settings, "test", row) for row in range(rows)]
    chosen = avqa.choose(np.random.default_rng((STREAM, seed)), [scene for scene, _ in drawn], 7 * rows)
    for row, (scene, rng) in enumerate(drawn):
        pictures, _ = avqa.render(rng, scene)
        x, y = side + 2 * gap, gap + row * (side + gap)
        sheet.paste(Image.fromarray(pictures[len(pictures) // 2].repeat(zoom, axis=0).repeat(zoom, axis=1)), (gap, y))
        for voice in scene.voices:
            left, half = x + names, 7 + voice.level / 2
            pen.text((x, y), CLASS_NAMES[voice.kind], _INK, font)
            pen.line((left, y + 7, left + SECONDS * second, y + 7), _FAINT)
            pen.rectangle((left + voice.start * second, y + 7 - half, left + voice.end * second, y + 7 + half), _MARK)
            pen.text(
                (left + SECONDS * second + gap, y), f"{voice.start} to {voice.end} s, {voice.level:g} dB", _FAINT, font
            )
            y += line + 3
        questions = [question for index, question in chosen if index == row][:7]
        y = gap + row * (side + gap) + side - len(questions) * line
        for question in questions:
            pen.text((x, y), f"{_worded(question)} ", _INK, font)
            pen.text((x + pen.textlength(f"{_worded(question)}  ", font), y), question.answer, _MARK, font)
            y += line
    return sheet


def _worded(question: Question) -> str:
    """A question with its slots filled."""
    values = iter(question.values)
    words = question.template.replace("\uff1f", "?").split()
    return " ".join(next(values) + word[word.index(">") + 1 :] if "<" in word else word for word in words)


PREVIEWS: dict[str, Callable[..., Image.Image]] = {"avs_s4": contact_sheet, "ave": ave_sheet, "avqa": avqa_sheet}
"""A picture of the scenes of each data set."""


def _grown(mask: NDArray[np.bool_], steps: int) -> NDArray[np.bool_]:
    """Grows a mask by one pixel to each of its four sides, `steps` times."""
    for _ in range(steps):
        padded = np.pad(mask, 1)
        mask = padded[1:-1, 1:-1] | padded[:-2, 1:-1] | padded[2:, 1:-1] | padded[1:-1, :-2] | padded[1:-1, 2:]
    return mask
