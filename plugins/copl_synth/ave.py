"""Writes generated scenes in the layout of the AVE data set: the code that reads the real thing reads them.

OUT/AVE/<name>.mp4                      ten seconds; names as YouTube's, 11 characters, one in four beginning with "-"
OUT/Annotations.txt                     Category&VideoID&Quality&StartTime&EndTime, no header, classes in runs
OUT/{trainSet,valSet,testSet}.txt       the same lines by split
OUT/scenes.json                         for people and tests: what is seen and heard in each second
OUT/copl_synth.json                     the settings it was made with

An event is a span of seconds in which an object of the clip's category is seen **and** its sound is heard. Before and
after it lies background of one of two kinds, a coin's toss for each side: the object is still (or already) there but
the sound of a foil, another class, is heard; or its sound is heard but an object of the foil's class is there instead.
Never is the class heard while it is seen outside the event. Up to two bystanders of further classes are seen all the
time and never heard.

Sound and picture are on a par: exchanging them exchanges the two kinds of background. So whoever only listens, or only
looks, is right in at most

* 0.60 of the seconds if each second is judged by itself (the class heard is the event's, whenever one hears it),
* 0.76 of the seconds if the whole clip and the generator's own statistics are known: the exact optimum, by enumeration,
  for sound alone; for pictures alone, too, if it were known who the bystanders are.

Both together tell every second. Always guessing background is right in 0.40 of the seconds.
"""

import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from copl_synth.classes import CLASS_NAMES, CLASSES
from copl_synth.clips import SECONDS, Place, draw_clip, require_even, write_clip
from copl_synth.draw import REFERENCE_SIZE
from copl_synth.folder import SPLITS, for_each, require_at_least, write_folder, write_lines
from copl_synth.sounds import heard_during, over_noise, voice_of

STREAM = 0xA7E
"""First word of every clip's seed."""

VERSION = 1
"""Raised whenever equal settings give other files than before."""

LENGTHS = (2, 3, 4, 5, 5, 6, 7, 8, 10, 10)
"""Seconds an event lasts, all equally likely: six on the average, and two clips in ten are one event throughout."""

RADIUS = (11.0, 17.0)
"""Range of the objects' radii in reference pixels."""

_SWAY = 3.0  # reference pixels
_BYSTANDERS = (0.4, 0.4, 0.2)  # probabilities of none, one and two
_ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"


@dataclass(frozen=True, kw_only=True)
class AveSettings:
    """What determines every byte of the data set.

    Attributes:
        train: Clips of split train.
        val: Clips of split val.
        test: Clips of split test.
        seed: Seed of everything random.
        size: Height and width of the video in pixels, even.
        version: Version of the generator.
    """

    train: int = 400
    val: int = 64
    test: int = 96
    seed: int = 0
    size: int = REFERENCE_SIZE
    version: int = VERSION

    def __post_init__(self) -> None:
        """Refuses settings no data set can have."""
        require_at_least(self, train=0, val=0, test=0, seed=0, size=32)
        require_even(self.size)


@dataclass(frozen=True, kw_only=True)
class AveScene:
    """What happens in a clip.

    Attributes:
        category: Class index of the event.
        start: First second of the event.
        end: Second after its last.
        foil: Class index of the sound, and of the object, that take the category's place outside the event.
        before: What there is of the category before `start`: "seen" or "heard".
        after: What there is of the category from `end` on.
        bystanders: Class indices of what is seen all the time and never heard.
    """

    category: int
    start: int
    end: int
    foil: int
    before: str
    after: str
    bystanders: tuple[int, ...]

    @property
    def heard(self) -> tuple[int, ...]:
        """Class index of the sound in each of the ten seconds."""
        return tuple(self.foil if kind == "seen" else self.category for kind in self._kinds())

    @property
    def seen(self) -> tuple[frozenset[int], ...]:
        """Class indices of the objects in each of the ten seconds."""
        mains = (self.foil if kind == "heard" else self.category for kind in self._kinds())
        return tuple(frozenset((main, *self.bystanders)) for main in mains)

    def _kinds(self) -> Iterator[str]:
        for second in range(SECONDS):
            yield self.before if second < self.start else "event" if second < self.end else self.after


def random_scene(rng: np.random.Generator, *, category: int) -> AveScene:
    """Draws what happens in a clip.

    Args:
        rng: Source of everything not given.
        category: Class index of the event.

    Returns:
        The scene.
    """
    others = rng.permutation([index for index in range(len(CLASSES)) if index != category]).tolist()
    length = int(rng.choice(LENGTHS))
    start = int(rng.integers(0, SECONDS - length + 1))
    before, after = (("seen", "heard")[int(rng.integers(2))] for _ in range(2))
    bystanders = int(rng.choice(len(_BYSTANDERS), p=_BYSTANDERS))
    return AveScene(
        category=category,
        start=start,
        end=start + length,
        foil=others[0],
        before=before,
        after=after,
        bystanders=tuple(others[1 : 1 + bystanders]),
    )


def render(
    rng: np.random.Generator, scene: AveScene, *, size: int = REFERENCE_SIZE
) -> tuple[NDArray[np.uint8], NDArray[np.int16]]:
    """Draws a scene and makes its sound.

    Category, foil and bystanders are drawn alike: place, size, colour, depth and motion tell none from the others.

    Args:
        rng: Source of what the scene leaves open.
        scene: What happens.
        size: Height and width in pixels.

    Returns:
        (20, size, size, 3) RGB and (160000,) samples at 16 kHz.
    """
    kinds = rng.permutation([scene.category, scene.foil, *scene.bystanders]).tolist()
    pictures = draw_clip(rng, _random_places(rng, scene, kinds), size=size)
    voices = np.zeros(1)
    for kind in (scene.category, scene.foil):
        spans = [(second, second + 1) for second in range(SECONDS) if scene.heard[second] == kind]
        voices = voices + heard_during(voice_of(CLASSES[kind].sound, rng, seconds=SECONDS), spans)
    return pictures, over_noise(voices, rng)


def _random_places(rng: np.random.Generator, scene: AveScene, kinds: list[int]) -> list[Place]:
    """Places for the classes of a scene, those that are never seen together included, inside and not crowded."""
    radii = rng.uniform(*RADIUS, len(kinds))
    margin = radii + _SWAY
    apart = 0.85 * (radii[:, None] + radii[None, :])
    np.fill_diagonal(apart, 0)
    while True:
        centres = rng.uniform(margin[:, None], REFERENCE_SIZE - margin[:, None], (len(kinds), 2))
        if (np.linalg.norm(centres[:, None] - centres[None, :], axis=-1) >= apart).all():
            break
    return [
        Place(
            kind=kind,
            x=float(x),
            y=float(y),
            radius=float(radius),
            sway=_SWAY,
            shown=tuple(kind in seen for seen in scene.seen),
        )
        for kind, (x, y), radius in zip(kinds, centres, radii, strict=True)
    ]


def write_ave(out: str | os.PathLike[str], settings: AveSettings | None = None, *, workers: int = 1) -> bool:
    """Writes the data set, or nothing if it is already there.

    Args:
        out: Folder to create.
        settings: What to write; the defaults of `AveSettings` if None.
        workers: Processes to share the work; more than one calls for an importable `__main__`.

    Returns:
        Whether it was written; False if `out` already held it.

    Raises:
        OutputConflictError: `out` exists and is not this data set.
    """
    settings = settings or AveSettings()
    wanted = {"task": "ave", **asdict(settings)}
    return write_folder(out, wanted, partial(_write_all, settings=settings, workers=workers))


def scene_of(settings: AveSettings, split: str, index: int) -> tuple[AveScene, np.random.Generator]:
    """A clip's scene, and the generator that renders it.

    Classes come in turn, so that any number of clips is balanced.

    Args:
        settings: The data set.
        split: "train", "val" or "test".
        index: Number of the clip in its split, from 0.

    Returns:
        The scene and the generator to pass to `render`.
    """
    rng = np.random.default_rng((STREAM, settings.seed, SPLITS.index(split), index))
    return random_scene(rng, category=index % len(CLASSES)), rng


def clip_names(settings: AveSettings) -> dict[tuple[str, int], str]:
    """Names of all clips by split and number, all different."""
    rng = np.random.default_rng((STREAM, settings.seed))
    names: dict[str, tuple[str, int]] = {}
    for split in SPLITS:
        for index in range(getattr(settings, split)):
            while (name := _random_name(rng)) in names:
                pass
            names[name] = (split, index)
    return {clip: name for name, clip in names.items()}


def _random_name(rng: np.random.Generator) -> str:
    # A quarter of the real names begins with the character that trips command lines.
    first = "-" if rng.random() < 0.25 else _ALPHABET[rng.integers(len(_ALPHABET))]
    return first + "".join(_ALPHABET[index] for index in rng.integers(len(_ALPHABET), size=10))


def _write_all(root: Path, *, settings: AveSettings, workers: int) -> None:
    """Writes every file below `root`."""
    names = clip_names(settings)
    scenes = {clip: scene_of(settings, *clip)[0] for clip in names}
    lines = {
        clip: f"{CLASS_NAMES[scene.category]}&{names[clip]}&good&{scene.start}&{scene.end}\n"
        for clip, scene in scenes.items()
    }
    in_runs = sorted(lines, key=lambda clip: scenes[clip].category)
    (root / "Annotations.txt").write_text("".join(lines[clip] for clip in in_runs), encoding="utf-8", newline="\n")
    for split in SPLITS:
        text = "".join(line for clip, line in lines.items() if clip[0] == split)
        (root / f"{split}Set.txt").write_text(text, encoding="utf-8", newline="\n")
    write_lines(root / "scenes.json", (_described(names[clip], clip[0], scene) for clip, scene in scenes.items()))
    (root / "AVE").mkdir()
    for_each(partial(_write_clip, root, settings), [(*clip, name) for clip, name in names.items()], workers=workers)


def _described(name: str, split: str, scene: AveScene) -> dict[str, object]:
    return {
        "name": name,
        "split": split,
        "category": CLASS_NAMES[scene.category],
        "start": scene.start,
        "end": scene.end,
        "heard": [CLASS_NAMES[kind] for kind in scene.heard],
        "seen": [[CLASS_NAMES[kind] for kind in sorted(seen)] for seen in scene.seen],
    }


def _write_clip(root: Path, settings: AveSettings, clip: tuple[str, int, str]) -> None:
    """Writes the video of one clip, (split, index, name)."""
    split, index, name = clip
    scene, rng = scene_of(settings, split, index)
    write_clip(root / "AVE" / f"{name}.mp4", *render(rng, scene, size=settings.size))
