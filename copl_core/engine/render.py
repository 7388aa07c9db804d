"""Predictions for single samples, and pictures of them."""

import torch
from PIL import Image
from torch import Tensor

from copl_core.contracts import Predictions, Sample
from copl_core.data import collate
from copl_core.engine.build import Session
from copl_core.model import TwoStream

GOLDEN_RATIO = (5**0.5 - 1) / 2


def render(session: Session, split: str, count: int, device: torch.device) -> Image.Image:
    """Draw ``count`` clips spread evenly over a split, below one another."""
    size = len(session.datasets[split])
    count = min(count, size)
    # Steps by the golden ratio: spread over the split, and no rhythm in its order picks the same class each time.
    indices = [int(i * GOLDEN_RATIO % 1 * size) for i in range(count)]
    pictures = [render_clip(session, split, index, device)[1] for index in indices]
    sheet = Image.new("RGB", (max(p.width for p in pictures), sum(p.height for p in pictures)), "white")
    top = 0
    for picture in pictures:
        sheet.paste(picture, (0, top))
        top += picture.height
    return sheet


def render_clip(session: Session, split: str, index: int, device: torch.device) -> tuple[Sample, Image.Image]:
    """Draw one clip of a split; returns it with its picture."""
    dataset, model = session.datasets[split], session.model.to(device).eval()
    sample = dataset[index]
    renderer = session.task.renderer(names=session.model.names)
    return sample, renderer.render(dataset.pictures(index), sample, predict_sample(model, sample, device))


def predict_sample(model: TwoStream, sample: Sample, device: torch.device) -> Predictions:
    """What a model in evaluation mode says of one sample, on the CPU, without the leading B.

    Args:
        model: On ``device``.
        sample: Of a data set or a predictor.
        device: Where the model runs.
    """
    batch = {k: v.to(device) if isinstance(v, Tensor) else v for k, v in collate([sample]).items()}
    with torch.no_grad():
        predictions = model(batch).predictions
    return {name: value[0].cpu() for name, value in predictions.items()}
