"""Writes generated scenes in the layout of MUSIC-AVQA: the code that reads the real thing reads them.

OUT/videos/<name>.mp4                        ten seconds; names of 8 digits
OUT/json_update/avqa-{train,val,test}.json   questions, with every key of the official files in their spelling
OUT/scenes.json                              for people and tests: what is seen where, what is heard when and how loud
OUT/copl_synth.json                          the settings it was made with

One to three objects stand left, in the middle or right; up to three voices are heard, each for four seconds at least,
some of them of classes that are not seen. `questions` has what is asked. Splits share no video (the official ones do).

Questions are spread evenly over the nine sub-types, within a sub-type over its templates, within a template over the
answers there are, so that the wording alone tells little of the answer.
"""

import json
import os
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from copl_synth.classes import CLASS_NAMES, CLASSES
from copl_synth.clips import SECONDS, Place, draw_clip, require_even, write_clip
from copl_synth.draw import REFERENCE_SIZE
from copl_synth.folder import SPLITS, for_each, require_at_least, write_folder, write_lines
from copl_synth.questions import PLACES, AvqaScene, Question, Voice, ask
from copl_synth.sounds import decibels, heard_during, over_noise, voice_of

STREAM = 0xA0A
"""First word of every clip's seed."""

VERSION = 1
"""Raised whenever equal settings give other files than before."""

LEVEL_STEP = 6.0
"""dB between one voice of a clip and the next louder."""

NOISE_BELOW = (18.0, 30.0)
"""dB by which the noise lies below the loudest voice: below the softest of three, too."""

RADIUS = (11.0, 14.5)
"""Range of the objects' radii in reference pixels."""

MAX_VOICES = 3
_SWAY = 1.5  # reference pixels
_JITTER = 2.0  # reference pixels a resting place may be off the middle of its third
_LOOKED_AT = 32  # candidates compared for each question that is chosen

_Candidate = tuple[int, Question]  # number of the clip in its split, and a question about it


@dataclass(frozen=True, kw_only=True)
class AvqaSettings:
    """What determines every byte of the data set.

    Attributes:
        train: Videos of split train.
        val: Videos of split val.
        test: Videos of split test.
        questions: Questions a video, on the average over a split.
        seed: Seed of everything random.
        size: Height and width of the videos in pixels, even.
        version: Version of the generator.
    """

    train: int = 400
    val: int = 64
    test: int = 96
    questions: int = 6
    seed: int = 0
    size: int = REFERENCE_SIZE
    version: int = VERSION

    def __post_init__(self) -> None:
        """Refuses settings no data set can have."""
        require_at_least(self, train=0, val=0, test=0, questions=1, seed=0, size=32)
        require_even(self.size)


def random_scene(rng: np.random.Generator) -> AvqaScene:
    """Draws what is seen and heard in a clip.

    Args:
        rng: Source of everything.

    Returns:
        The scene.
    """
    places = sorted(rng.choice(3, size=int(rng.choice((1, 2, 3), p=(0.25, 0.35, 0.4))), replace=False).tolist())
    kinds = rng.permutation(len(CLASSES)).tolist()
    shown = kinds[: len(places)]
    if rng.random() < 0.4:  # two of a kind, seldom three, if there are as many
        alike = shown[: 3 if rng.random() < 0.3 else 2]
        shown[: len(alike)] = shown[:1] * len(alike)
    shown = rng.permutation(shown).tolist()
    sounding = [kind for kind in dict.fromkeys(shown) if rng.random() < 0.75]
    if not sounding or (len(sounding) < MAX_VOICES and rng.random() < 0.25):
        sounding.append(kinds[-1])  # of nothing that is seen
    levels = 0 - LEVEL_STEP * rng.permutation(len(sounding))
    return AvqaScene(
        objects=dict(zip(places, shown, strict=True)),
        voices=tuple(
            Voice(kind=kind, level=float(level), **_random_span(rng))
            for kind, level in zip(sounding, levels, strict=True)
        ),
    )


def _random_span(rng: np.random.Generator) -> dict[str, int]:
    """All the time, or four seconds at least and two less than all."""
    if rng.random() < 0.4:
        return {"start": 0, "end": SECONDS}
    start = int(rng.choice((0, 2, 4, 6)))
    return {"start": start, "end": int(rng.integers(start + 4, SECONDS - 1 if start == 0 else SECONDS + 1))}


def render(
    rng: np.random.Generator, scene: AvqaScene, *, size: int = REFERENCE_SIZE
) -> tuple[NDArray[np.uint8], NDArray[np.int16]]:
    """Draws a scene and makes its sound.

    Args:
        rng: Source of what the scene leaves open.
        scene: What is seen and heard.
        size: Height and width in pixels.

    Returns:
        (20, size, size, 3) RGB and (160000,) samples at 16 kHz.
    """
    third = REFERENCE_SIZE / len(PLACES)
    places = []
    for place, kind in scene.objects.items():
        radius = rng.uniform(*RADIUS)
        x = third * (place + 0.5) + rng.uniform(-_JITTER, _JITTER)
        y = rng.uniform(radius + _SWAY, REFERENCE_SIZE - radius - _SWAY)
        places.append(Place(kind=kind, x=x, y=y, radius=radius, sway=_SWAY))
    pictures = draw_clip(rng, [places[index] for index in rng.permutation(len(places))], size=size)
    voices = np.zeros(1)
    for voice in scene.voices:
        wave = voice_of(CLASSES[voice.kind].sound, rng, seconds=SECONDS)
        voices = voices + decibels(voice.level) * heard_during(wave, [(voice.start, voice.end)])
    return pictures, over_noise(voices, rng, below=NOISE_BELOW)


def choose(rng: np.random.Generator, scenes: list[AvqaScene], count: int) -> list[_Candidate]:
    """Chooses questions about scenes: sub-types, templates and answers by turns, spread over the scenes.

    Args:
        rng: Source of the choice.
        scenes: The scenes of a split.
        count: Questions to choose; fewer are chosen if the scenes have not as many.

    Returns:
        (number of the scene, question), in order of the scenes.
    """
    supply: dict[tuple[str, str], dict[str, dict[str, list[_Candidate]]]] = {}
    for index, scene in enumerate(scenes):
        for question in ask(scene):
            answers = supply.setdefault((question.group, question.subtype), {}).setdefault(question.template, {})
            answers.setdefault(question.answer, []).append((index, question))
    for templates in supply.values():
        for answers in templates.values():
            for candidates in answers.values():
                candidates[:] = [candidates[item] for item in rng.permutation(len(candidates))]

    chosen: list[_Candidate] = []
    asked = [0] * len(scenes)
    taken: dict[object, int] = {}
    while len(chosen) < count and supply:
        kind = min(supply, key=lambda key: taken.get(key, 0))
        templates = supply[kind]
        template = min(templates, key=lambda key: taken.get(key, 0))
        answers = templates[template]
        answer = min(answers, key=lambda key: taken.get((template, key), 0))
        candidates = answers[answer]
        # The scene least asked about, among a handful: all of them would make the choice quadratic.
        handful = candidates[-_LOOKED_AT:]
        best = min(range(len(handful)), key=lambda item: asked[handful[item][0]])
        index, question = candidates.pop(len(candidates) - len(handful) + best)
        chosen.append((index, question))
        asked[index] += 1
        for key in (kind, template, (template, answer)):
            taken[key] = taken.get(key, 0) + 1
        if not candidates:
            del answers[answer]
        if not answers:
            del templates[template]
        if not templates:
            del supply[kind]
    return sorted(chosen, key=lambda candidate: candidate[0])


def write_avqa(out: str | os.PathLike[str], settings: AvqaSettings | None = None, *, workers: int = 1) -> bool:
    """Writes the data set, or nothing if it is already there.

    Args:
        out: Folder to create.
        settings: What to write; the defaults of `AvqaSettings` if None.
        workers: Processes to share the work; more than one calls for an importable `__main__`.

    Returns:
        Whether it was written; False if `out` already held it.

    Raises:
        OutputConflictError: `out` exists and is not this data set.
    """
    settings = settings or AvqaSettings()
    wanted = {"task": "avqa", **asdict(settings)}
    return write_folder(out, wanted, partial(_write_all, settings=settings, workers=workers))


def scene_of(settings: AvqaSettings, split: str, index: int) -> tuple[AvqaScene, np.random.Generator]:
    """A clip's scene, and the generator that renders it.

    Args:
        settings: The data set.
        split: "train", "val" or "test".
        index: Number of the clip in its split, from 0.

    Returns:
        The scene and the generator to pass to `render`.
    """
    rng = np.random.default_rng((STREAM, settings.seed, SPLITS.index(split), index))
    return random_scene(rng), rng


def clip_name(settings: AvqaSettings, split: str, index: int) -> str:
    """Name of a clip, numbered through all splits from 1."""
    earlier = sum(getattr(settings, name) for name in SPLITS[: SPLITS.index(split)])
    return f"{earlier + index + 1:08d}"


def _write_all(root: Path, *, settings: AvqaSettings, workers: int) -> None:
    """Writes every file below `root`."""
    (root / "json_update").mkdir()
    (root / "videos").mkdir()
    described, question_id = [], 0
    for split in SPLITS:
        scenes = [scene_of(settings, split, index)[0] for index in range(getattr(settings, split))]
        rng = np.random.default_rng((STREAM, settings.seed, SPLITS.index(split)))
        records = []
        for index, question in choose(rng, scenes, len(scenes) * settings.questions):
            records.append(_record(clip_name(settings, split, index), question_id, question))
            question_id += 1
        (root / "json_update" / f"avqa-{split}.json").write_text(json.dumps(records, indent=2), encoding="utf-8")
        described += [_described(clip_name(settings, split, index), split, scene) for index, scene in enumerate(scenes)]
    write_lines(root / "scenes.json", described)
    clips = [(split, index) for split in SPLITS for index in range(getattr(settings, split))]
    for_each(partial(_write_clip, root, settings), clips, workers=workers)


def _record(name: str, question_id: int, question: Question) -> dict[str, object]:
    """A question in the official form, its spelling ("anser") and its JSON inside JSON included."""
    return {
        "video_id": name,
        "question_id": question_id,
        "type": json.dumps([question.group, question.subtype]),
        "question_content": question.template,
        "templ_values": json.dumps(question.values),
        "question_deleted": 0,
        "anser": question.answer,
    }


def _described(name: str, split: str, scene: AvqaScene) -> dict[str, object]:
    return {
        "name": name,
        "split": split,
        "objects": {PLACES[place]: CLASS_NAMES[kind] for place, kind in scene.objects.items()},
        "voices": [
            {"class": CLASS_NAMES[voice.kind], "start": voice.start, "end": voice.end, "level": voice.level}
            for voice in scene.voices
        ],
    }


def _write_clip(root: Path, settings: AvqaSettings, clip: tuple[str, int]) -> None:
    """Writes the video of one clip, (split, index)."""
    scene, rng = scene_of(settings, *clip)
    write_clip(root / "videos" / f"{clip_name(settings, *clip)}.mp4", *render(rng, scene, size=settings.size))
