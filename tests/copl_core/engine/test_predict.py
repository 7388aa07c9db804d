"""An export used on videos gives what the test loop gives on its clips."""

import csv
from fractions import Fraction

import av
import numpy as np
import pytest
import soundfile
import torch
from PIL import Image

from copl_core.api import DataError, PluginError, WeightsError
from copl_core.data import collate
from copl_core.engine.predict import load
from copl_synth.ave import AveSettings, write_ave
from copl_synth.avqa import AvqaSettings, write_avqa
from exports import export_untrained

AVE, AVQA, AVS = (f"{task}_swin_nano_shared.yaml" for task in ("ave", "avqa", "avs"))


@pytest.fixture(scope="module")
def ave(tmp_path_factory):
    """Folder of the data, of the export, and the session it was made from."""
    root = tmp_path_factory.mktemp("ave")
    write_ave(root / "data", AveSettings(train=1, val=1, test=3, seed=2))
    session = export_untrained(root / "export", AVE, f"task.dataset.root={root / 'data'}")
    return root / "data", root / "export", session


@pytest.fixture(scope="module")
def avqa(tmp_path_factory):
    root = tmp_path_factory.mktemp("avqa")
    write_avqa(root / "data", AvqaSettings(train=6, val=1, test=2, seed=2))
    session = export_untrained(
        root / "export", AVQA, f"task.dataset.root={root / 'data'}", "task.dataset.on_error=skip"
    )
    return root / "data", root / "export", session


def in_test_loop(session, index: int) -> dict[str, torch.Tensor]:
    with torch.no_grad():
        predictions = session.model(collate([session.datasets["test"][index]])).predictions
    return {name: value[0] for name, value in predictions.items()}


def assert_same(found: torch.Tensor, expected: torch.Tensor) -> None:
    """Equal but for the last bit: where weights lie in memory decides how matrix products add up."""
    torch.testing.assert_close(found, expected, rtol=0, atol=2e-6)


def test_events_of_a_test_clip_are_those_of_the_test_loop(ave) -> None:
    data, export, session = ave
    model = load(export, device="cpu")
    for index in range(3):
        name = session.datasets["test"][index]["name"]
        prediction = model.predict(data / "AVE" / f"{name}.mp4")
        expected = in_test_loop(session, index)["logits"].softmax(-1)
        found = torch.stack([second.probabilities for second in prediction.seconds])
        assert_same(found, expected)


def test_answer_about_a_test_video_is_that_of_the_test_loop(avqa) -> None:
    data, export, session = avqa
    model = load(export, device="cpu")
    dataset = session.datasets["test"]
    for index, question in enumerate(dataset.questions[:3]):
        prediction = model.predict(data / "videos" / f"{question.video}.mp4", question=question.text)
        expected = in_test_loop(session, index)
        assert_same(prediction.answers[0].output["logits"], expected["logits"])
        best = prediction.likeliest()[0]
        answers = dataset.names["answers"]
        assert best[0] == answers[int(expected["logits"].argmax())]
        assert best[1] == pytest.approx(float(expected["logits"].softmax(0).max()))
        weights = prediction.to_json()["windows"][0]["visual_attention"]
        assert weights == pytest.approx(expected["visual_attention"].tolist(), abs=1e-4)


def test_masks_of_a_test_clip_are_those_of_the_test_loop(demo_root, tmp_path) -> None:
    session = export_untrained(tmp_path / "export", AVS, f"task.dataset.root={demo_root}", "task.head.channels=8")
    clip = session.datasets["test"].clips[1]
    video = write_lossless(tmp_path / "clip.mkv", [Image.open(path) for path in clip.frames], clip.sound)
    prediction = load(tmp_path / "export", device="cpu").predict(video)
    expected = in_test_loop(session, 1)["logits"][:, 0] > 0
    assert expected.any()
    found = [np.asarray(mask.picture(expected.shape[:0:-1])) for mask in prediction.masks]
    assert np.array_equal(np.stack(found), expected.numpy())


def write_lossless(path, pictures, sound):
    """A video that shows each picture for a second and keeps every bit of pictures and sound."""
    samples, rate = soundfile.read(sound, dtype="int16")
    with av.open(str(path), "w") as container:
        track = container.add_stream("ffv1", rate=1)
        track.width, track.height, track.pix_fmt = *pictures[0].size, "bgr0"
        audio = container.add_stream("pcm_s16le", rate=rate, layout="mono")
        for index, picture in enumerate(pictures):
            frame = av.VideoFrame.from_ndarray(np.asarray(picture.convert("RGB")), format="rgb24")
            frame.pts, frame.time_base = index, Fraction(1, 1)
            container.mux(track.encode(frame))
        container.mux(track.encode(None))
        frame = av.AudioFrame.from_ndarray(samples[None], format="s16", layout="mono")
        frame.sample_rate, frame.pts = rate, 0
        container.mux(audio.encode(frame))
        container.mux(audio.encode(None))
    return path


def test_progress_is_told_window_by_window(ave, tmp_path) -> None:
    data, export, _ = ave
    told = []
    prediction = load(export, device="cpu").predict(
        next((data / "AVE").glob("*.mp4")), progress=lambda done, count: told.append((done, count))
    )
    assert told == [(1, 1)]
    assert [second.start for second in prediction.seconds] == list(range(10))


def test_a_question_is_for_tasks_that_answer(ave, avqa) -> None:
    video = next((ave[0] / "AVE").glob("*.mp4"))
    with pytest.raises(DataError, match="answers no questions"):
        load(ave[1], device="cpu").predict(video, question="Who?")
    model = load(avqa[1], device="cpu")
    with pytest.raises(DataError, match="this model answers questions: ask one"):
        model.predict(video)
    with pytest.raises(DataError, match=r"not 'violn'"):
        model.predict(video, question="Is the violn always playing?")
    with pytest.raises(DataError, match="holds no word"):
        model.predict(video, question=" ? ")


def test_encoder_weights_that_lie_elsewhere_are_named_by_an_option(ave, tmp_path) -> None:
    from safetensors.torch import save_file
    from timm import create_model

    vit = "vit_tiny_patch16_224"
    for name, seed in (("own", 0), ("other", 1)):
        torch.manual_seed(seed)
        save_file(create_model(vit, num_classes=0).state_dict(), tmp_path / f"{name}.safetensors")
    (tmp_path / "weights").mkdir()
    own = (tmp_path / "own.safetensors").rename(tmp_path / "weights" / "own.safetensors")
    export_untrained(
        tmp_path / "export",
        AVE,
        f"task.dataset.root={ave[0]}",
        f"encoders.visual={{type: vit, model: {vit}, weights: {own}}}",
        "tuner={type: frozen}",
    )
    export = tmp_path / "export"
    with pytest.raises(WeightsError, match=r"own\.safetensors[\s\S]*--cfg-options encoders\.<role>\.weights=FILE"):
        load(export, device="cpu")
    assert load(export, device="cpu", options=[f"encoders.visual.weights={own}"]).model.shared
    with pytest.raises(WeightsError, match="different weights"):
        load(export, device="cpu", options=[f"encoders.visual.weights={tmp_path / 'other.safetensors'}"])


def test_an_option_that_changes_what_the_model_computes_is_refused(ave) -> None:
    with pytest.raises(WeightsError, match=r"tuner\.prompts\.global"):
        load(ave[1], device="cpu", options=["tuner.prompts.global=None"])


def test_a_task_without_a_predictor_says_so(ave, monkeypatch) -> None:
    from copl_ave.task import AveTask

    monkeypatch.setattr(AveTask, "predictor", None)
    with pytest.raises(PluginError, match=r"task 'ave' \(plugin copl_ave .*no Task.predictor; docs/predict.md"):
        load(ave[1], device="cpu")


def test_scores_counted_from_predictions_are_those_of_copl_test(ave) -> None:
    from copl_core import evaluate

    data, export, session = ave
    labels = {}
    with (data / "testSet.txt").open() as file:
        for event, name, _, start, end in csv.reader(file, delimiter="&"):
            labels[name] = [event if int(start) <= second < int(end) else "background" for second in range(10)]
    model = load(export, device="cpu")
    right = []
    for name, truth in labels.items():
        timeline = model.predict(data / "AVE" / f"{name}.mp4").to_json()["timeline"]
        found = [max(row["probabilities"], key=row["probabilities"].get) for row in timeline]
        right += [a == b for a, b in zip(found, truth, strict=True)]
    scores = evaluate(session.experiment, export, device="cpu")
    assert scores["accuracy"] == pytest.approx(sum(right) / len(right))
