"""Which inputs a pair of encoders takes."""

from copl_core.api import ConfigError
from copl_core.contracts import AudioSpec, Backbone, ImageSpec


def input_specs(visual: Backbone, audio: Backbone | None) -> tuple[ImageSpec, AudioSpec]:
    """What the frames and the sound of a pair have to look like.

    Args:
        visual: The visual encoder.
        audio: The audio encoder, or None if the visual one serves both.

    Raises:
        ConfigError: An encoder can't take the role it was given.
    """
    image, sound = visual.input_spec.image, (audio or visual).input_spec.audio
    if image is None:
        raise ConfigError(f"encoders.visual: {type(visual).__name__} takes no images; choose a visual backbone")
    if sound is None:
        raise ConfigError(f"encoders.audio: {type(audio or visual).__name__} takes no sound; choose an audio backbone")
    return image, sound
