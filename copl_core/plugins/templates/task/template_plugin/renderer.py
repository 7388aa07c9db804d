"""The renderer: a clip with its class and the predicted one."""

from collections.abc import Mapping, Sequence

from copl_core.contracts import Names, Renderer, Sample
from PIL import Image, ImageDraw
from torch import Tensor

_LINE = 16


class TemplateNameCard(Renderer):
    """The frames of a clip in a row; above them its name, its class and the predicted one.

    Args:
        names: Those of the data set, set by the framework; without ``classes``, these go by number.
        width: Width of a frame in pixels.
    """

    def __init__(self, *, names: Names | None = None, width: int = 96) -> None:
        self.classes = (names or {}).get("classes", ())
        self.width = width

    def render(self, pictures: Sequence[Image.Image], sample: Sample, prediction: Mapping[str, Tensor]) -> Image.Image:
        """Draw one clip; ``prediction`` holds ``logits`` (C,)."""
        height = round(self.width * pictures[0].height / pictures[0].width)
        card = Image.new("RGB", (self.width * len(pictures), height + _LINE), "white")
        truth, guess = self._name(int(sample["label"])), self._name(int(prediction["logits"].argmax()))
        ImageDraw.Draw(card).text((2, 2), f"{sample['name']}: {truth}, predicted {guess}", "black")
        for t, picture in enumerate(pictures):
            card.paste(picture.convert("RGB").resize((self.width, height)), (t * self.width, _LINE))
        return card

    def _name(self, number: int) -> str:
        return self.classes[number] if number < len(self.classes) else str(number)
