"""Renderer: masks drawn over the frames of a clip."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import torch
from PIL import Image, ImageChops, ImageDraw, ImageFilter, ImageFont, ImageOps
from torch import Tensor

from copl_avs.masks import check_size, resize_mask
from copl_avs.scores import frame_iou
from copl_core.api import ConfigError
from copl_core.contracts import Renderer, Sample

Color: TypeAlias = tuple[int, int, int]

TRUTH: Color = (64, 220, 110)
PREDICTION: Color = (255, 120, 40)
PAPER: Color = (24, 24, 28)
INK: Color = (235, 235, 235)
#: Frames smaller than this are enlarged.
LEGIBLE = 176
#: Frames are enlarged up to this.
LARGEST = 4 * LEGIBLE
# Width of a picture for its height: narrower and wider ones stand between bars.
_NARROWEST, _WIDEST = 1 / 2, 2.4
_GAP = 6
_OUTLINE = 5  # filter size in pixels, odd: two pixels of line


class MaskOverlay(Renderer):
    """One picture a clip: a row of frames with the true masks, one with the predicted masks, one with the sound.

    Predicted masks are tinted orange and carry the outline of the true mask in green; below each frame stands its IoU.

    Args:
        scale: Factor by which frames are enlarged. None: as much as makes small frames legible.
    """

    def __init__(self, *, scale: int | None = None) -> None:
        if scale is not None and scale < 1:
            raise ConfigError(f"renderer.scale is {scale}: must be at least 1")
        self.scale = scale

    def render(self, pictures: Sequence[Image.Image], sample: Sample, prediction: Mapping[str, Tensor]) -> Image.Image:
        """Draw one clip.

        Args:
            pictures: The T frames.
            sample: The clip. Without ``mask`` only the prediction is drawn; without a three-channel spectrogram under
                ``audio`` (T, 3, frames, mel_bins) no sound is.
            prediction: ``logits`` (T, 1, S, S).
        """
        tiles = [self._enlarge(picture) for picture in pictures]
        logits = prediction["logits"].detach().cpu()
        # The threshold of the metric.
        predicted = [
            resize_mask(mask, tile.size) for mask, tile in zip(logits[:, 0].sigmoid() > 0.5, tiles, strict=True)
        ]
        truth, scores = _truth(sample, logits, tiles)

        rows = []
        if "mask" in sample:
            rows.append(_Row("truth", [tint(*pair, TRUTH) for pair in zip(tiles, truth, strict=True)], TRUTH))
        drawn = [tint(*pair, PREDICTION) for pair in zip(tiles, predicted, strict=True)]
        drawn = [
            tile if mask is None else _draw_outline(tile, outline_of(mask), TRUTH)
            for tile, mask in zip(drawn, truth, strict=True)
        ]
        labels = ["no true mask" if score is None else f"IoU {score:.2f}" for score in scores]
        rows.append(_Row("prediction", drawn, PREDICTION, labels if "mask" in sample else None))
        if (sound := _spectrograms(sample, tiles)) is not None:
            rows.append(_Row("sound", sound, INK))
        return _page(_title(sample, scores), rows)

    def _enlarge(self, picture: Image.Image) -> Image.Image:
        scale = self.scale or max(1, min(math.ceil(LEGIBLE / min(picture.size)), LARGEST // max(picture.size)))
        return picture.convert("RGB").resize((picture.width * scale, picture.height * scale), Image.Resampling.BICUBIC)


def draw_seconds(
    title: str,
    pictures: Sequence[Image.Image],
    masks: Sequence[Image.Image],
    sounds: Sequence[Image.Image],
    times: Sequence[float],
) -> Image.Image:
    """Draw seconds of a video side by side: the picture, the same with its predicted mask, the sound.

    Args:
        title: Above them.
        pictures: One a second.
        masks: Of mode "1", one a second.
        sounds: Spectrograms, one a second.
        times: Of the pictures, in seconds.
    """
    shape = min(max(pictures[0].width / pictures[0].height, _NARROWEST), _WIDEST)
    size = (round(LEGIBLE * shape), LEGIBLE)
    small = [ImageOps.contain(picture, size, Image.Resampling.BICUBIC) for picture in pictures]
    tinted = [tint(each, mask.resize(each.size), PREDICTION) for each, mask in zip(small, masks, strict=True)]
    tiles, tinted = ([ImageOps.pad(each, size, color=PAPER) for each in row] for row in (small, tinted))
    heard = [sound.resize((size[0], LEGIBLE // 2), Image.Resampling.BILINEAR) for sound in sounds]
    return _page(
        title,
        [
            _Row("seen", tiles, INK),
            _Row("prediction", tinted, PREDICTION, [f"{time:.1f} s" for time in times]),
            _Row("heard", heard, INK),
        ],
    )


@dataclass(frozen=True)
class _Row:
    """A row of equally large tiles, its name above and a label under each tile."""

    name: str
    tiles: list[Image.Image]
    color: Color
    labels: list[str] | None = None

    def height(self, line: int) -> int:
        return line + self.tiles[0].height + (line if self.labels else 0) + _GAP


def _truth(
    sample: Sample, logits: Tensor, tiles: Sequence[Image.Image]
) -> tuple[list[Image.Image | None], list[float | None]]:
    """True masks at the size of the tiles, and IoU; None for a frame without a mask."""
    if "mask" not in sample:
        return [None] * len(tiles), [None] * len(tiles)
    mask = sample["mask"].cpu()
    check_size(logits, mask)
    scores = frame_iou(logits[:, 0], mask[:, 0]).tolist()
    valid = sample["mask_valid"].tolist()
    frames = zip(mask[:, 0], tiles, valid, strict=True)
    return (
        [resize_mask(one, tile.size) if there else None for one, tile, there in frames],
        [score if there else None for score, there in zip(scores, valid, strict=True)],
    )


def tint(
    picture: Image.Image, mask: Image.Image | None, color: Color, outline: Image.Image | None = None
) -> Image.Image:
    """Lay a colour over the object and fade what is not of it.

    Args:
        picture: RGB.
        mask: Of mode "1" and the same size; None leaves the picture as it is.
        color: Of the object.
        outline: That of the mask, where it is known already: it takes most of the time.
    """
    if mask is None:
        return picture
    outline = outline_of(mask) if outline is None else outline
    faded = Image.blend(picture, Image.new("RGB", picture.size, PAPER), 0.35)
    tinted = Image.blend(picture, Image.new("RGB", picture.size, color), 0.4)
    return _draw_outline(Image.composite(tinted, faded, mask), outline, color)


def outline_of(mask: Image.Image) -> Image.Image:
    """The edge of a mask, within it, of mode "L"."""
    grey = mask.convert("L")
    return ImageChops.subtract(grey, grey.filter(ImageFilter.MinFilter(_OUTLINE)))


def _draw_outline(picture: Image.Image, outline: Image.Image, color: Color) -> Image.Image:
    return Image.composite(Image.new("RGB", picture.size, color), picture, outline)


def _spectrograms(sample: Sample, tiles: Sequence[Image.Image]) -> list[Image.Image] | None:
    """Spectrograms under the frames they belong to: time to the right, low tones below, grey over the clip's range."""
    audio = sample.get("audio")
    if not isinstance(audio, Tensor) or audio.ndim != 4 or audio.shape[1] != 3:
        return None
    values = audio[:, 0].float().cpu()
    # Filters without content lie far below all others and would take most of the greys.
    low, high = np.quantile(values.numpy(), (0.05, 0.999))
    grey = ((values - low) / max(high - low, 1e-6)).clamp(0, 1).mul(255).to(torch.uint8).transpose(1, 2).flip(1)
    return [
        Image.fromarray(one.numpy()).convert("RGB").resize((tile.width, tile.height // 2), Image.Resampling.BILINEAR)
        for one, tile in zip(grey, tiles, strict=True)
    ]


def _title(sample: Sample, scores: Sequence[float | None]) -> str:
    known = [score for score in scores if score is not None]
    parts = [str(sample["name"]), str(sample["category"]) if "category" in sample else ""]
    if known:
        parts.append(f"IoU {sum(known) / len(known):.3f}")
    return "   ".join(part for part in parts if part)


def _page(title: str, rows: Sequence[_Row]) -> Image.Image:
    tile = rows[0].tiles[0]
    size = max(12, tile.width // 14)
    font, line = ImageFont.load_default(size), size + _GAP
    columns = [sum(t.width + _GAP for t in rows[0].tiles[:n]) + _GAP for n in range(len(rows[0].tiles) + 1)]
    width = max(columns[-1], int(font.getlength(title)) + 2 * _GAP)
    page = Image.new("RGB", (width, line + _GAP + sum(row.height(line) for row in rows)), PAPER)
    draw = ImageDraw.Draw(page)
    draw.text((_GAP, _GAP // 2), title, INK, font)
    top = line + _GAP
    for row in rows:
        draw.text((_GAP, top), row.name, row.color, font)
        below = top + line + row.tiles[0].height
        for left, picture, label in zip(columns, row.tiles, row.labels or [""] * len(row.tiles), strict=False):
            page.paste(picture, (left, top + line))
            draw.text((left, below), label, row.color, font)
        top += row.height(line)
    return page
