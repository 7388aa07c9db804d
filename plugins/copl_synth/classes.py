"""The eight things of the demo world: what each looks like and what it sounds like."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class ObjectClass:
    """One class: its silhouette and texture tell it to the eye, its sound to the ear. Colour and pitch tell nothing.

    Attributes:
        shape: Key of `shapes.OUTLINES`.
        texture: Key of `textures.TEXTURES`.
        sound: Key of `sounds.VOICES`.
    """

    shape: str
    texture: str
    sound: str

    @property
    def name(self) -> str:
        """Category name in the manner of AVSBench-S4 ("dog_barking"), also its folder."""
        return f"{self.shape}_{self.sound}"


CLASSES: tuple[ObjectClass, ...] = (
    ObjectClass(shape="disc", texture="rings", sound="humming"),
    ObjectClass(shape="star", texture="grid", sound="chirping"),
    ObjectClass(shape="triangle", texture="stripes", sound="whistling"),
    ObjectClass(shape="square", texture="checks", sound="throbbing"),
    ObjectClass(shape="cross", texture="dots", sound="hissing"),
    ObjectClass(shape="heart", texture="ramp", sound="warbling"),
    ObjectClass(shape="ring", texture="wedges", sound="ticking"),
    ObjectClass(shape="moon", texture="waves", sound="wailing"),
)
"""A class's index is its position here; the dense class maps of `images` store index + 1, and 0 for background."""

CLASS_NAMES: tuple[str, ...] = tuple(item.name for item in CLASSES)
