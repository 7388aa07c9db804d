"""Data set: MUSIC-AVQA."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional

from copl_avqa.contents import contents
from copl_avqa.questions import PAD, Question, Vocabulary, questions_file, read_questions
from copl_core.api import ConfigError, DataError
from copl_core.contracts import AudioSpec, Contents, Dataset, Names, Sample, WaveformSpec
from copl_core.data import (
    AudioRecipe,
    Clip,
    Durations,
    MediaFolder,
    MediaLayout,
    MissingAudio,
    OnError,
    Problem,
    Sampling,
    audio_segments,
    in_order,
    settle,
    to_input,
)

FRAMES = 10
#: Frames a second that count as extracted.
FPS = 1.0
#: Longest question in words.
MAX_WORDS = 14


class MusicAVQA(Dataset):
    """The questions of one split of MUSIC-AVQA.

    Words and answers become numbers by the vocabulary of the training questions, so ``avqa-train.json`` must be there
    for every split.

    Args:
        root: The folder that holds the folder ``json`` or ``json_update`` (or ``data`` with it in it).
        split: ``train``, ``val`` or ``test``.
        audio: How the sound becomes spectrograms.
        edition: The corrected questions ``json_update``, or those first published, ``json``, 27 to 55 of which a split
            are asked twice with different answers.
        media: The folder of the videos, or of a prepared cache. None: the root.
        layout: How the videos lie there, see ``MediaFolder``.
        videos: Folders in which raw videos may lie, seen from ``media``.
        fps: Rate at which frames of raw videos count as extracted, before ten of them are chosen.
        sampling: Both take ten frames, evenly spread from the first to the last. ``official``: and ten segments of
            sound, evenly spread as well, as LAVISH does; ``seconds``: and the sound from the time of each frame on.
            Waveform encoders hear that in either case.
        missing_audio: ``silence`` takes a video without sound as silent, and lets silence follow a sound that ends long
            before the pictures do.
        on_error: ``refuse`` a split with problems, or ``skip`` its questions that have one.
        negatives: Draw frames of other videos for the grounding loss, in the training split only. Without them set the
            head's ``match_weight`` to 0.
        questions_per_video: 1: each training sample is a question, as published. More: each is a video with so many
            of its questions, drawn anew for each epoch. The encoders don't read the question, so they run once for
            all of them. Val and test keep one question a sample.
        max_words: Longest question in words; shorter ones are filled up.
        unknown_words: What to do with a word that no training question has: ``refuse`` the question, or ``pad``: take
            the word as not there.

    Attributes:
        questions: The questions of the split, in the order of the file.
        vocabulary: Words and answers of the training questions.
        skipped: Problems of the questions left out.

    Raises:
        DataError: A file is missing or malformed; problems of questions and videos are told together.
    """

    def __init__(
        self,
        *,
        root: Path,
        split: str,
        audio: AudioRecipe,
        edition: Literal["json", "json_update"] = "json_update",
        media: Path | None = None,
        layout: MediaLayout = "auto",
        videos: Sequence[str] = ("videos", "MUSIC-AVQA-videos-Real", "MUSIC-AVQA-videos-Synthetic"),
        fps: float = FPS,
        sampling: Sampling = "official",
        missing_audio: MissingAudio = "refuse",
        on_error: OnError = "refuse",
        negatives: bool = True,
        questions_per_video: int = 1,
        max_words: int = MAX_WORDS,
        unknown_words: Literal["refuse", "pad"] = "refuse",
    ) -> None:
        if max_words < 1:
            raise ConfigError(f"dataset.max_words is {max_words}: must be at least 1")
        if questions_per_video < 1:
            raise ConfigError(f"dataset.questions_per_video is {questions_per_video}: must be at least 1")
        self.recipe = audio
        self.on_error = on_error
        self.sampling = sampling
        self.max_words = max_words
        self.file = questions_file(root, edition, split)
        questions, problems = read_questions(self.file)
        training = questions
        if split != "train":
            # Its problems are told with the training split.
            training, _ = read_questions(questions_file(root, edition, "train"))
        self.vocabulary = Vocabulary.of(training)
        self._word_ids = {word: index for index, word in enumerate(self.vocabulary.words)}
        self._answer_ids = {answer: index for index, answer in enumerate(self.vocabulary.answers)}

        self.media = MediaFolder(
            root=root if media is None else media,
            layout=layout,
            videos=videos,
            fps=fps,
            downmix=audio.downmix,
            missing_audio=missing_audio,
        )
        if self.media.pieces and audio.seconds > 1:
            raise ConfigError(
                f"dataset.audio.seconds is {audio.seconds:g}, but {self.media.root} holds sound in pieces of a second: "
                "set it to 1"
            )
        self._contents = contents(questions, self.vocabulary, edition, split)
        videos = dict.fromkeys(question.video for question in questions)
        broken = {video: what for video in videos if (what := self.media.problem(video, self._misfit)) is not None}
        self.questions: list[Question] = []
        without: dict[str, list[Question]] = {}  # questions whose video can't be used, by video
        for question in questions:
            if wrong := self._wrong(question, unknown_words):
                problems.append(Problem(question.where, wrong))
            elif question.video in broken:
                without.setdefault(question.video, []).append(question)
            else:
                self.questions.append(question)
        for video, lost in without.items():
            more = f" ({len(lost)} questions are about it)" if len(lost) > 1 else ""
            problems.append(Problem(lost[0].where, broken[video] + more, len(lost)))
        self.skipped: list[Problem] = in_order(problems)
        what = f"split {split!r} of MUSIC-AVQA ({edition})"
        settle(self.skipped, what, left=len(self.questions), on_error=on_error, contents=self._contents)

        self._by_video: dict[str, list[Question]] = {}
        for question in self.questions:
            self._by_video.setdefault(question.video, []).append(question)
        self._videos = list(self._by_video)
        self._places = {video: index for index, video in enumerate(self._videos)}
        self.questions_per_video = questions_per_video if split == "train" else 1
        self.negatives = negatives and split == "train"
        if self.negatives and len(self._videos) < 2:
            raise DataError(
                f"{what}: negatives are frames of another video, but there is one video only; set "
                "task.dataset.negatives to false and task.head.match_weight to 0"
            )

    @property
    def contents(self) -> Contents:
        """What the questions are."""
        return self._contents

    def describe(self) -> str:
        """Where questions and media were found."""
        return f"questions in {self.file.parent}; {self.media.describe()}"

    def where(self, index: int) -> str:
        """File and record of a sample's first question, and its video."""
        return f"{self._asked(index)[0].where} ({self._video(index)})"

    @property
    def names(self) -> Names:
        """``words`` and ``answers`` by their numbers in samples."""
        return {"words": self.vocabulary.words, "answers": self.vocabulary.answers}

    def __len__(self) -> int:
        """Number of questions, or of videos with ``questions_per_video``."""
        return len(self.questions) if self.questions_per_video == 1 else len(self._videos)

    def __getitem__(self, index: int) -> Sample:
        """Read one question and its video, or one video and some of its questions.

        Returns:
            ``name`` of video and question; ``visual`` (10, 3, H, W); ``audio`` (10, ...); ``question`` (max_words,)
            int64, word numbers filled up with 0; ``answer`` () int64; ``type``, such as ``Audio Counting``;
            ``question_text``, ``answer_text``. With K ``questions_per_video``, ``name`` is the video's, ``question``
            is (K, max_words), ``answer`` (K,) and the last three are lists of K. While training with negatives also
            ``negative`` (10, 3, H, W): frames, each drawn by torch's generator from another video.

        Raises:
            DataError: A file can't be read; the message names it.
        """
        if self.questions_per_video == 1:
            question = self.questions[index]
            return (
                self._read(question.video) | {"name": f"{question.video}_{question.number}"} | self._numbers(question)
            )
        video = self._videos[index]
        sample = self._read(video)
        asked = [self._numbers(question) for question in self._draw_questions(video)]
        for key, first in asked[0].items():
            values = [numbers[key] for numbers in asked]
            sample[key] = torch.stack(values) if isinstance(first, Tensor) else values
        return sample

    def _read(self, video: str) -> Sample:
        """What the encoders see and hear of a video."""
        image_spec, audio_spec = self.specs
        clip = self.media.clip(video)
        sample = {
            "name": video,
            "visual": to_input(clip.frames(FRAMES), image_spec),
            "audio": self._segments(clip, audio_spec),
        }
        if self.negatives:
            sample["negative"] = to_input(self._draw_negatives(video), image_spec)
        return sample

    def _segments(self, clip: Clip, spec: AudioSpec) -> Tensor:
        """The ten segments (10, ...) of a video's sound."""
        waveform, rate = clip.sound()
        starts: Sequence[float] | None = None
        if self.media.pieces:
            starts = range(FRAMES)
            waveform = functional.pad(waveform, (0, max(0, FRAMES * rate - len(waveform))))  # silence, if allowed
        elif at_frames(self.sampling, spec):
            starts = clip.times(FRAMES)
        if self.media.missing_audio == "silence" and not self.media.extracted:
            seconds = clip.seconds()
            if self._ends_early(Durations(seconds, len(waveform) / rate)):
                waveform = functional.pad(waveform, (0, round(seconds * rate) - len(waveform)))
        return audio_segments(waveform, rate, self.recipe, spec, FRAMES, starts=starts)

    def _numbers(self, question: Question) -> Sample:
        """A question and its answer as numbers, and as texts."""
        return {
            "question": encode_words(question.words, self._word_ids, self.max_words),
            "answer": torch.tensor(self._answer_ids[question.answer]),
            "type": question.kind,
            "question_text": question.text,
            "answer_text": question.answer,
        }

    def _draw_questions(self, video: str) -> list[Question]:
        """Questions about a video by torch's generator: none twice before all have been drawn."""
        questions, drawn = self._by_video[video], []
        while len(drawn) < self.questions_per_video:
            drawn += [questions[index] for index in torch.randperm(len(questions)).tolist()]
        return drawn[: self.questions_per_video]

    def pictures(self, index: int) -> list[Image.Image]:
        """The ten frames of the video, for rendering."""
        return self.media.clip(self._video(index)).frames(FRAMES)

    def sound(self, index: int) -> tuple[Tensor, int]:
        """The sound of the video."""
        return self.media.clip(self._video(index)).sound()

    def _video(self, index: int) -> str:
        """The video of a sample."""
        return self.questions[index].video if self.questions_per_video == 1 else self._videos[index]

    def _asked(self, index: int) -> list[Question]:
        """The question of a sample, or all questions about its video."""
        return [self.questions[index]] if self.questions_per_video == 1 else self._by_video[self._videos[index]]

    def labels(self, index: int) -> Sample:
        """``answers``, ``types`` and ``templates`` of the question, or of all questions of the video, as lists."""
        questions = self._asked(index)
        return {
            "answers": [self._answer_ids[question.answer] for question in questions],
            "types": [question.kind for question in questions],
            "templates": [question.template for question in questions],
        }

    def _draw_negatives(self, video: str) -> list[Image.Image]:
        """For each position a frame of another video of the split, drawn uniformly from its ten."""
        own = self._places[video]
        others = torch.randint(len(self._videos) - 1, (FRAMES,))
        others += others >= own
        picks = torch.randint(FRAMES, (FRAMES,))
        return [
            self.media.clip(self._videos[other]).frames(FRAMES, only=[pick])[0]
            for other, pick in zip(others.tolist(), picks.tolist(), strict=True)
        ]

    def _misfit(self, found: Durations) -> str | None:
        """What is wrong with a video of these durations, or None."""
        # Frames are taken at whatever rate they were extracted, so their number says nothing.
        pictures = None if self.media.extracted else found.pictures
        if pictures is not None and pictures < self.recipe.seconds:
            return f"{pictures:.1f} s of pictures are less than {self.recipe.seconds:g}; leave this video out"
        if found.sound is None:
            return None
        if self.media.pieces and round(found.sound) != FRAMES:
            return f"{found.sound:.0f} pieces of sound, {FRAMES} are needed; extract it again or leave this video out"
        if self.media.pieces or self.media.missing_audio == "silence":
            return None
        hint = "get it whole, leave this video out, or set missing_audio: silence"
        if found.sound < self.recipe.seconds:
            return f"{found.sound:.1f} s of sound are less than {self.recipe.seconds:g}; {hint}"
        if pictures is not None and self._ends_early(found):
            return f"{found.sound:.1f} s of sound, but {pictures:.1f} s of pictures; {hint}"
        return None

    @staticmethod
    def _ends_early(found: Durations) -> bool:
        """Whether sound ends so long before the pictures that it can't be spread over them."""
        return found.apart and found.sound is not None and found.sound < found.pictures

    def _wrong(self, question: Question, unknown_words: str) -> str:
        """What keeps a question from becoming numbers; empty if nothing does."""
        found = []
        if len(question.words) > self.max_words:
            found.append(
                f"{len(question.words)} words, more than task.dataset.max_words: {self.max_words}; raise that, or "
                f"shorten {question.text!r}"
            )
        if question.answer not in self._answer_ids:
            found.append(f"unknown answer {question.answer!r}: no training question has it; correct or remove it")
        unknown = [word for word in question.words if word not in self._word_ids]
        if unknown and unknown_words == "refuse":
            found.append(
                f"unknown word {', '.join(map(repr, unknown))}: no training question has it; correct it, or set "
                "task.dataset.unknown_words to pad"
            )
        return "\n".join(found)


def at_frames(sampling: Sampling, spec: AudioSpec) -> bool:
    """Whether segments of sound begin at the times of the frames, and aren't spread evenly from start to end."""
    return sampling == "seconds" or isinstance(spec, WaveformSpec)


def encode_words(words: Sequence[str], ids: Mapping[str, int], length: int) -> Tensor:
    """Word numbers (length,), 0 beyond the end and for unknown words."""
    encoded = torch.zeros(length, dtype=torch.int64)
    encoded[: len(words)] = torch.tensor([ids.get(word, ids[PAD]) for word in words])
    return encoded
