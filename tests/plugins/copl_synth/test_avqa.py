"""Generated AVQA: official records, answers that follow from the scene, balance, videos that show and sound it."""

import json
import re
from collections import Counter, defaultdict
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from copl_synth import avqa
from copl_synth.__main__ import main
from copl_synth.avqa import AvqaSettings, choose, random_scene, render, write_avqa
from copl_synth.classes import CLASS_NAMES, CLASSES
from copl_synth.folder import OutputConflictError
from copl_synth.questions import AvqaScene, Voice, ask

SETTINGS = AvqaSettings(train=20, val=3, test=4, questions=9, seed=2)

OFFICIAL = {
    '["Audio", "Counting"]': {
        "How many musical instruments were heard throughout the video?",
        "Is there a <Object> sound?",
        "Are there <Object> and <Object> sound? ",
    },
    '["Audio", "Comparative"]': {
        "Is the <Object> louder than the <Object>?",
        "Is the <Object> playing longer than the <Object>?",
    },
    '["Visual", "Counting"]': {
        "How many <Object> are in the entire video?",
        "How many types of musical instruments appeared in the entire video?",
        "Are there <Object> and <Object> instruments in the video?",
        "Is there a <Object> in the entire video?",
    },
    '["Visual", "Location"]': {
        "What is the instrument on the <LR> of <Object>?",
        "What kind of instrument is the <LRer> instrument? ",
        "What kind of musical instrument is it?",
    },
    '["Audio-Visual", "Existential"]': {
        "Is there a voiceover?",
        "Is the <Object> in the video always playing?",
        "Is this sound from the instrument in the video?",
    },
    '["Audio-Visual", "Location"]': {
        "Is the <FL> sound coming from the <LR> instrument?",
        "What is the <LR> instrument of the <FL> sounding instrument?",
        "Where is the <LL> instrument?",
        "Which is the musical instrument that sounds at the same time as the <Object>?",
    },
    '["Audio-Visual", "Counting"]': {
        "How many instruments are sounding in the video?",
        "How many instruments in the video did not sound from beginning to end?",
        "How many types of musical instruments sound in the video?",
        "How many sounding <Object> in the video\uff1f",
    },
    '["Audio-Visual", "Comparative"]': {
        "Is the instrument on the <LR> louder than the instrument on the <LR>?",
        "Is the <Object> on the <LR> louder than the <Object> on the <LR>?",
    },
    '["Audio-Visual", "Temporal"]': {
        "What is the <TH> instrument that comes in?",
        "Where is the <FL> sounding instrument?",
        "Which instrument makes sounds <BA> the <Object>?",
    },
}
"""Templates by type, copied from the official files."""

SLOT_VALUES = {
    "<Object>": set(CLASS_NAMES),
    "<LR>": {"left", "middle", "right"},
    "<LRer>": {"leftest", "rightest"},
    "<LL>": {"loudest", "lowest"},
    "<FL>": {"first", "last"},
    "<TH>": {"first", "second", "third"},
    "<BA>": {"before", "after"},
}


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("avqa") / "data"
    assert write_avqa(out, SETTINGS)
    return out


@pytest.fixture(scope="module")
def many() -> list[AvqaScene]:
    return [random_scene(np.random.default_rng((6, index))) for index in range(300)]


def records(root: Path, split: str) -> list[dict[str, object]]:
    return json.loads((root / "json_update" / f"avqa-{split}.json").read_text(encoding="utf-8"))


def described(scene: AvqaScene) -> dict[str, dict]:
    return avqa._described("00000001", "train", scene)


def answer_again(scene: dict[str, dict], text: str, values: list[str]) -> str:
    """The answer from the description of a scene, by its own reading of the filled-in sentence."""
    for value in values:
        text = re.sub("<[A-Za-z]+>", value, text, count=1)
    text = text.replace("\uff1f", "?").strip()
    number = ["zero", "one", "two", "three"]
    row = [scene["objects"][place] for place in ("left", "middle", "right") if place in scene["objects"]]
    place_of = {kind: place for place, kind in scene["objects"].items()}
    voices = {voice["class"]: voice for voice in scene["voices"]}
    onsets = sorted((voice["start"], kind) for kind, voice in voices.items())
    start = {kind: voice["start"] for kind, voice in voices.items()}
    ends = {"first": onsets[0][1], "last": onsets[-1][1]}

    def yes(value: bool) -> str:
        return "yes" if value else "no"

    def beside(kind: str, side: str) -> str:
        return row[row.index(kind) + (1 if side == "right" else -1)]

    def match(pattern: str) -> tuple[str, ...]:
        found = re.fullmatch(pattern, text)
        return found.groups() if found else ()

    fixed = {
        "How many musical instruments were heard throughout the video?": lambda: number[len(voices)],
        "How many types of musical instruments appeared in the entire video?": lambda: number[len(set(row))],
        "What kind of instrument is the leftest instrument?": lambda: row[0],
        "What kind of instrument is the rightest instrument?": lambda: row[-1],
        "What kind of musical instrument is it?": lambda: row[0],
        "Is there a voiceover?": lambda: yes(len(set(voices) - set(row)) > 0),
        "Is this sound from the instrument in the video?": lambda: yes(set(voices) <= set(row)),
        "How many instruments are sounding in the video?": lambda: number[sum(kind in voices for kind in row)],
        "How many instruments in the video did not sound from beginning to end?": lambda: number[
            sum(kind not in voices for kind in row)
        ],
        "How many types of musical instruments sound in the video?": lambda: number[len(set(row) & set(voices))],
        "Where is the loudest instrument?": lambda: place_of[max(voices, key=lambda kind: voices[kind]["level"])],
        "Where is the lowest instrument?": lambda: place_of[min(voices, key=lambda kind: voices[kind]["level"])],
        "Where is the first sounding instrument?": lambda: place_of[ends["first"]],
        "Where is the last sounding instrument?": lambda: place_of[ends["last"]],
    }
    if text in fixed:
        return fixed[text]()
    if got := match(r"Is there a (\w+) sound\?"):
        return yes(got[0] in voices)
    if got := match(r"Are there (\w+) and (\w+) sound\?"):
        return yes(set(got) <= set(voices))
    if got := match(r"Is the (\w+) louder than the (\w+)\?"):
        return yes(voices[got[0]]["level"] > voices[got[1]]["level"])
    if got := match(r"Is the (\w+) playing longer than the (\w+)\?"):
        spans = [range(voices[kind]["start"], voices[kind]["end"]) for kind in got]
        return yes(len(spans[0]) > len(spans[1]))
    if got := match(r"How many (\w+) are in the entire video\?"):
        return number[row.count(got[0])]
    if got := match(r"Are there (\w+) and (\w+) instruments in the video\?"):
        return yes(set(got) <= set(row))
    if got := match(r"Is there a (\w+) in the entire video\?"):
        return yes(got[0] in row)
    if got := match(r"What is the instrument on the (left|right) of (\w+)\?"):
        return beside(got[1], got[0])
    if got := match(r"Is the (\w+) in the video always playing\?"):
        return yes(got[0] in voices and (voices[got[0]]["start"], voices[got[0]]["end"]) == (0, 10))
    if got := match(r"Is the (first|last) sound coming from the (\w+) instrument\?"):
        return yes(scene["objects"][got[1]] == ends[got[0]])
    if got := match(r"What is the (left|right) instrument of the (first|last) sounding instrument\?"):
        return beside(ends[got[1]], got[0])
    if got := match(r"Which is the musical instrument that sounds at the same time as the (\w+)\?"):
        mine = set(range(voices[got[0]]["start"], voices[got[0]]["end"]))
        (other,) = (k for k, v in voices.items() if k != got[0] and mine & set(range(v["start"], v["end"])))
        return other
    if got := match(r"How many sounding (\w+) in the video\?"):
        return number[row.count(got[0]) * (got[0] in voices)]
    if got := match(r"Is the instrument on the (\w+) louder than the instrument on the (\w+)\?"):
        one, other = (voices[scene["objects"][place]]["level"] for place in got)
        return yes(one > other)
    if got := match(r"Is the (\w+) on the (\w+) louder than the (\w+) on the (\w+)\?"):
        assert (scene["objects"][got[1]], scene["objects"][got[3]]) == (got[0], got[2])
        return yes(voices[got[0]]["level"] > voices[got[2]]["level"])
    if got := match(r"What is the (first|second|third) instrument that comes in\?"):
        return onsets[["first", "second", "third"].index(got[0])][1]
    if got := match(r"Which instrument makes sounds (before|after) the (\w+)\?"):
        sign = -1 if got[0] == "before" else 1
        (other,) = (kind for kind in start if sign * (start[kind] - start[got[1]]) > 0)
        return other
    raise AssertionError(text)


def test_folder_and_records_have_the_official_form(root: Path) -> None:
    found = {str(path.relative_to(root)) for path in root.rglob("*") if path.is_file()}
    videos = {f"videos/{number:08d}.mp4" for number in range(1, 28)}
    jsons = {f"json_update/avqa-{split}.json" for split in ("train", "val", "test")}
    assert found == videos | jsons | {"scenes.json", "copl_synth.json"}
    identities, videos_of = [], {}
    for split in ("train", "val", "test"):
        rows = records(root, split)
        assert len(rows) == getattr(SETTINGS, split) * SETTINGS.questions
        videos_of[split] = {row["video_id"] for row in rows}
        for row in rows:
            assert list(row) == [
                "video_id",
                "question_id",
                "type",
                "question_content",
                "templ_values",
                "question_deleted",
                "anser",
            ]
            assert row["question_content"] in OFFICIAL[row["type"]]
            values = json.loads(row["templ_values"])
            slots = re.findall("<[A-Za-z]+>", row["question_content"])
            assert len(values) == len(slots)
            assert all(value in SLOT_VALUES[slot] for slot, value in zip(slots, values, strict=True))
            assert row["question_deleted"] == 0
            assert (root / "videos" / f"{row['video_id']}.mp4").is_file()
            identities.append(row["question_id"])
    assert identities == list(range(len(identities)))
    assert not videos_of["train"] & videos_of["val"] | videos_of["train"] & videos_of["test"]
    assert not videos_of["val"] & videos_of["test"]


def test_all_nine_subtypes_and_templates_are_there_in_equal_shares(root: Path) -> None:
    rows = records(root, "train")
    assert {row["type"] for row in rows} == set(OFFICIAL)
    assert {row["question_content"] for row in rows} == set().union(*OFFICIAL.values())
    assert set(Counter(row["type"] for row in rows).values()) == {20}


def test_answers_on_disk_follow_from_the_described_scenes(root: Path) -> None:
    scenes = {scene["name"]: scene for scene in json.loads((root / "scenes.json").read_text())}
    rows = [(split, row) for split in ("train", "val", "test") for row in records(root, split)]
    for split, row in rows:
        scene = scenes[row["video_id"]]
        assert scene["split"] == split
        assert row["anser"] == answer_again(scene, row["question_content"], json.loads(row["templ_values"]))


def test_every_possible_question_has_the_answer_found_again(many: list[AvqaScene]) -> None:
    asked = Counter()
    for scene in many:
        for question in ask(scene):
            assert question.answer == answer_again(described(scene), question.template, list(question.values))
            asked[question.template] += 1
    assert set(asked) == set().union(*OFFICIAL.values())


def test_questions_without_a_single_answer_are_not_asked() -> None:
    def templates(scene: AvqaScene) -> set[str]:
        return {question.template for question in ask(scene)}

    both = (Voice(kind=0, start=2, end=8, level=0), Voice(kind=1, start=2, end=9, level=-6))
    at_once = AvqaScene(objects={0: 0, 2: 1}, voices=both)
    for template in ("comes in", "Where is the <FL>", "<BA>", "<FL> sound coming", "playing longer"):
        assert not [text for text in templates(at_once) if template in text], template
    twins = AvqaScene(objects={0: 0, 1: 0}, voices=both[:1])
    for template in ("<LR> of <Object>", "louder", "Where is"):
        assert not [text for text in templates(twins) if template in text], template
    mixed = AvqaScene(objects={0: 0}, voices=both)
    assert "Is this sound from the instrument in the video?" not in templates(mixed)
    assert "Is there a voiceover?" in templates(mixed)


def test_no_answer_prevails_in_a_type_and_wording_tells_little(many: list[AvqaScene]) -> None:
    chosen = choose(np.random.default_rng(0), many, 1800)
    assert len(chosen) == 1800
    by_type, by_template = defaultdict(Counter), defaultdict(Counter)
    for _, question in chosen:
        by_type[question.group, question.subtype][question.answer] += 1
        by_template[question.template][question.answer] += 1
    for counts in by_type.values():
        assert counts.total() == 200
        assert counts.most_common(1)[0][1] / 200 <= 0.51
    for template, counts in by_template.items():
        # Even shares, or a little more where an answer is scarce.
        assert counts.most_common(1)[0][1] / counts.total() < 1.25 / len(counts) + 0.02, template
    assert sum(max(counts.values()) for counts in by_template.values()) / 1800 < 0.4


def test_questions_are_spread_over_all_videos_and_none_is_asked_twice(many: list[AvqaScene]) -> None:
    chosen = choose(np.random.default_rng(0), many, 1800)
    assert {index for index, _ in chosen} == set(range(300))
    assert max(Counter(index for index, _ in chosen).values()) <= 12
    assert len(set(chosen)) == len(chosen)


def test_scenes_that_have_too_few_questions_give_all_they_have() -> None:
    scene = AvqaScene(objects={1: 3}, voices=(Voice(kind=3, start=0, end=10, level=0),))
    chosen = choose(np.random.default_rng(0), [scene], 10_000)
    assert len(chosen) == len(ask(scene)) == len(set(chosen))


def test_scenes_hold_one_to_three_objects_and_voices_apart_in_level(many: list[AvqaScene]) -> None:
    assert {len(scene.objects) for scene in many} == {1, 2, 3}
    assert {len(scene.voices) for scene in many} == {1, 2, 3}
    assert {max(Counter(scene.objects.values()).values()) for scene in many} == {1, 2, 3}
    for scene in many:
        assert list(scene.objects) == sorted(scene.objects)
        levels = sorted(voice.level for voice in scene.voices)
        assert levels[-1] == 0
        assert all(np.diff(levels) == 6)
        for voice in scene.voices:
            assert 0 <= voice.start <= voice.end - 4 <= 6
            assert (voice.start, voice.end) == (0, 10) or voice.end - voice.start <= 8
    unseen = [any(voice.kind not in scene.objects.values() for voice in scene.voices) for scene in many]
    assert 0.2 < np.mean(unseen) < 0.5


def test_the_sound_holds_each_voice_in_its_time_at_its_level(
    many: list[AvqaScene], monkeypatch: pytest.MonkeyPatch
) -> None:
    tones = {item.sound: 400.0 + 200 * index for index, item in enumerate(CLASSES)}
    wave = np.arange(160_000) / 16_000
    monkeypatch.setattr(
        avqa, "voice_of", lambda sound, rng, *, seconds: 2**0.5 * np.sin(2 * np.pi * tones[sound] * wave)
    )
    for scene in [scene for scene in many if len(scene.voices) == 3][:4]:
        _, samples = render(np.random.default_rng(0), scene)
        measured = {}
        for second in range(10):
            spectrum = np.abs(np.fft.rfft(samples[16_000 * second + 400 : 16_000 * (second + 1) - 400]))
            for kind, frequency in enumerate(tones.values()):
                measured[kind, second] = spectrum[round(frequency * 0.95)]
        loudest = max(measured.values())
        for (kind, second), level in measured.items():
            voices = [v for v in scene.voices if v.kind == kind and v.start <= second < v.end]
            expected = 10 ** (voices[0].level / 20) if voices else 0
            assert level / loudest == pytest.approx(expected, abs=0.06)


def test_objects_stand_where_the_scene_says(many: list[AvqaScene], monkeypatch: pytest.MonkeyPatch) -> None:
    paint = avqa.draw_clip.__globals__["paint"]
    colours = {CLASSES[kind].texture: kind for kind in range(len(CLASSES))}

    def flat(canvas: np.ndarray, sprite: object) -> object:
        window, cover = paint(canvas, sprite)
        canvas[window][cover] = (1, 0, colours[sprite.texture] / 10)
        return window, cover

    monkeypatch.setitem(avqa.draw_clip.__globals__, "paint", flat)
    monkeypatch.setitem(
        avqa.draw_clip.__globals__, "random_background", lambda rng, *, size: np.full((size, size, 3), 0.5, np.float32)
    )
    for index, scene in enumerate(many[:8]):
        pictures, _ = render(np.random.default_rng((1, index)), scene)
        for picture in pictures:
            painted = (picture[..., 0] == 255) & (picture[..., 1] == 0)
            for place in range(3):
                # The middle half of each third of the width: an object's neighbours do not reach it.
                middle = slice(32 * place + 10, 32 * place + 22)
                shown = Counter((picture[:, middle][painted[:, middle]][:, 2] / 25.5).round().astype(int).tolist())
                if place in scene.objects:
                    assert shown.most_common(1)[0][0] == scene.objects[place]
                else:
                    assert shown.total() < 25


def test_videos_last_ten_seconds_and_play_what_was_rendered(root: Path) -> None:
    for split, index in (("train", 0), ("test", 3)):
        scene, rng = avqa.scene_of(SETTINGS, split, index)
        pictures, samples = render(rng, scene)
        path = root / "videos" / f"{avqa.clip_name(SETTINGS, split, index)}.mp4"
        with av.open(str(path)) as container:
            assert container.duration == 10 * av.time_base
            frames = np.stack([frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)])
        with av.open(str(path)) as container:
            sound = np.concatenate([frame.to_ndarray()[0] for frame in container.decode(audio=0)])[:160_000]
        assert np.abs(frames.astype(int) - pictures.repeat(2, axis=0)).mean() < 8
        assert np.corrcoef(sound, samples)[0, 1] > 0.97


def test_equal_seeds_give_equal_files_and_other_seeds_others(root: Path, tmp_path: Path) -> None:
    write_avqa(tmp_path / "again", SETTINGS, workers=2)
    for path in root.rglob("*.*"):
        assert path.read_bytes() == (tmp_path / "again" / path.relative_to(root)).read_bytes(), path
    other = AvqaSettings(train=2, val=0, test=0, seed=5)
    write_avqa(tmp_path / "other", other)
    ours = {path.read_bytes() for path in root.rglob("*.mp4")}
    assert not ours & {path.read_bytes() for path in (tmp_path / "other").rglob("*.mp4")}


def test_a_complete_folder_is_left_alone_and_another_refused(root: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in root.rglob("*")}
    assert write_avqa(root, SETTINGS) is False
    with pytest.raises(OutputConflictError, match="questions 9 not 1"):
        write_avqa(root, AvqaSettings(train=20, val=3, test=4, questions=1, seed=2))
    assert {path: path.stat().st_mtime_ns for path in root.rglob("*")} == before


@pytest.mark.parametrize(("field", "value"), [("questions", 0), ("test", -1), ("size", 97)])
def test_impossible_settings_are_refused_with_the_value(field: str, value: int) -> None:
    with pytest.raises(ValueError, match=f"{field} .*{value}"):
        AvqaSettings(**{field: value})


def test_command_line_writes_the_questions_asked_for(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "data"
    words = ["avqa", str(out), "--train", "2", "--val", "0", "--test", "1", "--questions", "4", "--workers", "1"]
    assert main(words) == 0
    assert "3 clips" in capsys.readouterr().out
    assert [len(records(out, split)) for split in ("train", "val", "test")] == [8, 0, 4]


def test_preview_writes_a_picture_with_a_row_a_clip(tmp_path: Path) -> None:
    assert main(["preview", str(tmp_path / "sheet.png"), "--task", "avqa"]) == 0
    with Image.open(tmp_path / "sheet.png") as sheet:
        assert sheet.size == (788, 828)
        scene, rng = avqa.scene_of(AvqaSettings(seed=0), "test", 1)
        picture = render(rng, scene)[0][10].repeat(2, axis=0).repeat(2, axis=1)
        shown = np.asarray(sheet.convert("RGB"))[216 : 216 + 192, 12 : 12 + 192]
        assert np.abs(shown.astype(int) - picture).mean() < 16  # 256 colours for all
