"""Pictures of predictions."""

from collections.abc import Mapping

import torch
from PIL import Image
from torch import Tensor

from copl_core.data import collate
from copl_core.engine.build import Session

GOLDEN_RATIO = (5**0.5 - 1) / 2


def render(session: Session, split: str, count: int, device: torch.device) -> Image.Image:
    """Draw ``count`` clips spread evenly over a split, below one another."""
    dataset, model = session.datasets[split], session.model.to(device).eval()
    renderer = session.task.renderer()
    count = min(count, len(dataset))
    pictures = []
    # Steps by the golden ratio: spread over the split, and no rhythm in its order picks the same class each time.
    for index in [int(i * GOLDEN_RATIO % 1 * len(dataset)) for i in range(count)]:
        sample = dataset[index]
        batch = {k: v.to(device) if isinstance(v, Tensor) else v for k, v in collate([sample]).items()}
        with torch.no_grad():
            predictions = model(batch).predictions
        prediction: Mapping[str, Tensor] = {name: value[0].cpu() for name, value in predictions.items()}
        pictures.append(renderer.render(dataset.pictures(index), sample, prediction))
    sheet = Image.new("RGB", (max(p.width for p in pictures), sum(p.height for p in pictures)), "white")
    top = 0
    for picture in pictures:
        sheet.paste(picture, (0, top))
        top += picture.height
    return sheet
