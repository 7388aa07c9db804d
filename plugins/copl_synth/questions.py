"""Questions of MUSIC-AVQA's templates about a generated scene, with the answers that follow from it.

What the words mean here, where English leaves it open:

* An instrument is an object; its type is its class. Two objects of one class sound together, as one voice.
* An instrument sounds, or is heard, if its class is heard at any time; it did not sound if its class never is.
* A voiceover is a sound of a class that is not seen. "This sound" is from the instrument in the video if every class
  heard is seen; it is not if none is; with some of each the question is not asked.
* Sounds are in the order in which they set in; the last is the one that sets in last.
* Loudness is the level of a voice while it is heard, length the time from its start to its end.
* The instrument on the left of another is asked for only if it is the only one there.

Questions with no single answer are not asked. Five of the 33 templates are left out: those about rhythm (three), about
indoors and outdoors, and about which of several objects of one class sounds first, for these scenes hold no answer.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise, permutations

from copl_synth.classes import CLASS_NAMES
from copl_synth.clips import SECONDS

PLACES = ("left", "middle", "right")
NUMBERS = ("zero", "one", "two", "three")
ORDINALS = ("first", "second", "third", "fourth", "fifth")

MIN_GAP = 2
"""Seconds by which onsets, and lengths, differ where a question turns on the difference."""


@dataclass(frozen=True, kw_only=True)
class Voice:
    """A sound and when it is heard.

    Attributes:
        kind: Class index.
        start: Second in which it sets in.
        end: Second after its last.
        level: Loudness in dB, relative to the loudest voice of the clip.
    """

    kind: int
    start: int
    end: int
    level: float


@dataclass(frozen=True, kw_only=True)
class AvqaScene:
    """What is seen and heard in a clip.

    Attributes:
        objects: Class index by place, an index into `PLACES`, in ascending order of place.
        voices: The sounds, each of another class.
    """

    objects: dict[int, int]
    voices: tuple[Voice, ...]


@dataclass(frozen=True, kw_only=True)
class Question:
    """A question and its answer.

    Attributes:
        group: "Audio", "Visual" or "Audio-Visual".
        subtype: "Counting", "Comparative", "Location", "Existential" or "Temporal".
        template: `question_content` of the official files.
        values: What fills its slots, from left to right.
        answer: The answer.
    """

    group: str
    subtype: str
    template: str
    values: tuple[str, ...]
    answer: str


class _Facts:
    """A scene, in the terms the questions ask in."""

    def __init__(self, scene: AvqaScene) -> None:
        self.scene = scene
        self.objects = list(scene.objects.items())
        self.seen = Counter(scene.objects.values())
        self.heard = {voice.kind: voice for voice in scene.voices}
        self.order = sorted(scene.voices, key=lambda voice: voice.start)
        self.sounding = [(place, kind) for place, kind in self.objects if kind in self.heard]
        self.all_seen = all(kind in self.seen for kind in self.heard)

    def neighbour(self, kind: int, side: str) -> int | None:
        """Class of the only object on one side of the only object of a class; None if there is no such one."""
        places = [place for place, other in self.objects if other == kind]
        if len(places) != 1:
            return None
        beside = [k for place, k in self.objects if (place < places[0] if side == "left" else place > places[0])]
        return beside[0] if len(beside) == 1 else None

    def place_of(self, kind: int) -> str | None:
        """Where the only object of a class is; None if there are none or several."""
        places = [place for place, other in self.objects if other == kind]
        return PLACES[places[0]] if len(places) == 1 else None

    def at_end_of_order(self) -> Iterator[tuple[str, Voice]]:
        """("first", voice) and ("last", voice), each if one voice is alone in that."""
        if len(self.order) > 1 and self.order[1].start - self.order[0].start >= MIN_GAP:
            yield "first", self.order[0]
        if len(self.order) > 1 and self.order[-1].start - self.order[-2].start >= MIN_GAP:
            yield "last", self.order[-1]


_Draft = tuple[tuple[str, ...], str]  # values and answer
_Asker = Callable[[_Facts], Iterator[_Draft]]

TEMPLATES: dict[str, tuple[str, str, _Asker]] = {}
"""Group, subtype and asker of each template; an asker gives the values and the answers a scene has for it."""


def _template(group: str, subtype: str, text: str) -> Callable[[_Asker], _Asker]:
    def register(asker: _Asker) -> _Asker:
        TEMPLATES[text] = (group, subtype, asker)
        return asker

    return register


def ask(scene: AvqaScene) -> list[Question]:
    """All questions that have one answer in a scene.

    Args:
        scene: What is seen and heard.

    Returns:
        The questions, by template.
    """
    facts = _Facts(scene)
    return [
        Question(group=group, subtype=subtype, template=template, values=values, answer=answer)
        for template, (group, subtype, asker) in TEMPLATES.items()
        for values, answer in asker(facts)
    ]


def _yes(value: bool) -> str:
    return "yes" if value else "no"


@_template("Audio", "Counting", "How many musical instruments were heard throughout the video?")
def _heard_count(facts: _Facts) -> Iterator[_Draft]:
    yield (), NUMBERS[len(facts.heard)]


@_template("Audio", "Counting", "Is there a <Object> sound?")
def _is_heard(facts: _Facts) -> Iterator[_Draft]:
    for kind, name in enumerate(CLASS_NAMES):
        yield (name,), _yes(kind in facts.heard)


@_template("Audio", "Counting", "Are there <Object> and <Object> sound? ")
def _are_heard(facts: _Facts) -> Iterator[_Draft]:
    yield from _pairs(facts.heard)


@_template("Audio", "Comparative", "Is the <Object> louder than the <Object>?")
def _is_louder(facts: _Facts) -> Iterator[_Draft]:
    for one, other in permutations(facts.scene.voices, 2):
        yield (CLASS_NAMES[one.kind], CLASS_NAMES[other.kind]), _yes(one.level > other.level)


@_template("Audio", "Comparative", "Is the <Object> playing longer than the <Object>?")
def _is_longer(facts: _Facts) -> Iterator[_Draft]:
    for one, other in permutations(facts.scene.voices, 2):
        difference = (one.end - one.start) - (other.end - other.start)
        if abs(difference) >= MIN_GAP:
            yield (CLASS_NAMES[one.kind], CLASS_NAMES[other.kind]), _yes(difference > 0)


@_template("Visual", "Counting", "How many <Object> are in the entire video?")
def _seen_count_of(facts: _Facts) -> Iterator[_Draft]:
    for kind, name in enumerate(CLASS_NAMES):
        yield (name,), NUMBERS[facts.seen[kind]]


@_template("Visual", "Counting", "How many types of musical instruments appeared in the entire video?")
def _types_seen(facts: _Facts) -> Iterator[_Draft]:
    yield (), NUMBERS[len(facts.seen)]


@_template("Visual", "Counting", "Are there <Object> and <Object> instruments in the video?")
def _are_seen(facts: _Facts) -> Iterator[_Draft]:
    yield from _pairs(facts.seen)


@_template("Visual", "Counting", "Is there a <Object> in the entire video?")
def _is_seen(facts: _Facts) -> Iterator[_Draft]:
    for kind, name in enumerate(CLASS_NAMES):
        yield (name,), _yes(kind in facts.seen)


@_template("Visual", "Location", "What is the instrument on the <LR> of <Object>?")
def _beside(facts: _Facts) -> Iterator[_Draft]:
    for kind in facts.seen:
        for side in ("left", "right"):
            if (other := facts.neighbour(kind, side)) is not None:
                yield (side, CLASS_NAMES[kind]), CLASS_NAMES[other]


@_template("Visual", "Location", "What kind of instrument is the <LRer> instrument? ")
def _outermost(facts: _Facts) -> Iterator[_Draft]:
    if len(facts.objects) > 1:
        yield ("leftest",), CLASS_NAMES[facts.objects[0][1]]
        yield ("rightest",), CLASS_NAMES[facts.objects[-1][1]]


@_template("Visual", "Location", "What kind of musical instrument is it?")
def _the_one(facts: _Facts) -> Iterator[_Draft]:
    if len(facts.objects) == 1:
        yield (), CLASS_NAMES[facts.objects[0][1]]


@_template("Audio-Visual", "Existential", "Is there a voiceover?")
def _voiceover(facts: _Facts) -> Iterator[_Draft]:
    yield (), _yes(not facts.all_seen)


@_template("Audio-Visual", "Existential", "Is the <Object> in the video always playing?")
def _always(facts: _Facts) -> Iterator[_Draft]:
    for kind in facts.seen:
        voice = facts.heard.get(kind)
        yield (CLASS_NAMES[kind],), _yes(voice is not None and (voice.start, voice.end) == (0, SECONDS))


@_template("Audio-Visual", "Existential", "Is this sound from the instrument in the video?")
def _from_the_video(facts: _Facts) -> Iterator[_Draft]:
    if facts.all_seen or not facts.sounding:
        yield (), _yes(facts.all_seen)


@_template("Audio-Visual", "Location", "Is the <FL> sound coming from the <LR> instrument?")
def _comes_from(facts: _Facts) -> Iterator[_Draft]:
    for which, voice in facts.at_end_of_order():
        if len(facts.objects) > 1 and facts.seen[voice.kind] < 2:
            for place, kind in facts.objects:
                yield (which, PLACES[place]), _yes(kind == voice.kind)


@_template("Audio-Visual", "Location", "What is the <LR> instrument of the <FL> sounding instrument?")
def _beside_sounding(facts: _Facts) -> Iterator[_Draft]:
    for which, voice in facts.at_end_of_order():
        for side in ("left", "right"):
            if (other := facts.neighbour(voice.kind, side)) is not None:
                yield (side, which), CLASS_NAMES[other]


@_template("Audio-Visual", "Location", "Where is the <LL> instrument?")
def _loudest(facts: _Facts) -> Iterator[_Draft]:
    if facts.all_seen and len(facts.heard) > 1:
        by_level = sorted(facts.scene.voices, key=lambda voice: voice.level)
        for which, voice in (("lowest", by_level[0]), ("loudest", by_level[-1])):
            if (place := facts.place_of(voice.kind)) is not None:
                yield (which,), place


@_template("Audio-Visual", "Location", "Which is the musical instrument that sounds at the same time as the <Object>?")
def _together(facts: _Facts) -> Iterator[_Draft]:
    if facts.all_seen:
        for voice in facts.scene.voices:
            others = [
                other
                for other in facts.scene.voices
                if other is not voice and other.start < voice.end and voice.start < other.end
            ]
            if len(others) == 1:
                yield (CLASS_NAMES[voice.kind],), CLASS_NAMES[others[0].kind]


@_template("Audio-Visual", "Counting", "How many instruments are sounding in the video?")
def _sounding(facts: _Facts) -> Iterator[_Draft]:
    yield (), NUMBERS[len(facts.sounding)]


@_template("Audio-Visual", "Counting", "How many instruments in the video did not sound from beginning to end?")
def _silent(facts: _Facts) -> Iterator[_Draft]:
    yield (), NUMBERS[len(facts.objects) - len(facts.sounding)]


@_template("Audio-Visual", "Counting", "How many types of musical instruments sound in the video?")
def _types_sounding(facts: _Facts) -> Iterator[_Draft]:
    yield (), NUMBERS[len({kind for _, kind in facts.sounding})]


@_template("Audio-Visual", "Counting", "How many sounding <Object> in the video\uff1f")
def _sounding_count_of(facts: _Facts) -> Iterator[_Draft]:
    for kind in sorted({*facts.seen, *facts.heard}):
        yield (CLASS_NAMES[kind],), NUMBERS[facts.seen[kind] if kind in facts.heard else 0]


@_template("Audio-Visual", "Comparative", "Is the instrument on the <LR> louder than the instrument on the <LR>?")
def _place_louder(facts: _Facts) -> Iterator[_Draft]:
    for one, other, louder in _louder_places(facts):
        yield (PLACES[one[0]], PLACES[other[0]]), louder


@_template("Audio-Visual", "Comparative", "Is the <Object> on the <LR> louder than the <Object> on the <LR>?")
def _object_louder(facts: _Facts) -> Iterator[_Draft]:
    for one, other, louder in _louder_places(facts):
        yield (CLASS_NAMES[one[1]], PLACES[one[0]], CLASS_NAMES[other[1]], PLACES[other[0]]), louder


@_template("Audio-Visual", "Temporal", "What is the <TH> instrument that comes in?")
def _comes_in(facts: _Facts) -> Iterator[_Draft]:
    starts = [voice.start for voice in facts.order]
    apart = all(later - sooner >= MIN_GAP for sooner, later in pairwise(starts))
    if facts.all_seen and len(starts) > 1 and apart:
        for ordinal, voice in zip(ORDINALS, facts.order, strict=False):
            yield (ordinal,), CLASS_NAMES[voice.kind]


@_template("Audio-Visual", "Temporal", "Where is the <FL> sounding instrument?")
def _where_in_order(facts: _Facts) -> Iterator[_Draft]:
    if facts.all_seen:
        for which, voice in facts.at_end_of_order():
            if (place := facts.place_of(voice.kind)) is not None:
                yield (which,), place


@_template("Audio-Visual", "Temporal", "Which instrument makes sounds <BA> the <Object>?")
def _before_after(facts: _Facts) -> Iterator[_Draft]:
    if facts.all_seen:
        for voice in facts.scene.voices:
            before = [other for other in facts.order if voice.start - other.start >= MIN_GAP]
            after = [other for other in facts.order if other.start - voice.start >= MIN_GAP]
            for word, others in (("before", before), ("after", after)):
                if len(others) == 1:
                    yield (word, CLASS_NAMES[voice.kind]), CLASS_NAMES[others[0].kind]


def _pairs(present: Counter[int] | dict[int, Voice]) -> Iterator[_Draft]:
    """Pairs of which one at least is present: both or not."""
    for one, other in permutations(range(len(CLASS_NAMES)), 2):
        if one in present or other in present:
            yield (CLASS_NAMES[one], CLASS_NAMES[other]), _yes(one in present and other in present)


def _louder_places(facts: _Facts) -> Iterator[tuple[tuple[int, int], tuple[int, int], str]]:
    """Ordered pairs of sounding objects of different classes, (place, class) each, and whether the first is louder."""
    for one, other in permutations(facts.sounding, 2):
        if one[1] != other[1]:
            yield one, other, _yes(facts.heard[one[1]].level > facts.heard[other[1]].level)
