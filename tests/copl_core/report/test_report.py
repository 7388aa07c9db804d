import base64
import io
import json

import numpy as np
import pytest
import soundfile
import torch
from PIL import Image

from copl_core.api import ConfigError
from copl_core.config import check_config, load_config
from copl_core.contracts import Metric
from copl_core.engine.test import test as score_export
from copl_core.plugins import get_table
from copl_core.registry import Registry
from copl_core.report import report_run
from copl_core.report.examples import rank_clips, sound_uri

from .conftest import SCORES, write_results, write_rows
from .pages import Page

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def registry():
    return Registry(get_table())


def test_page_of_a_finished_run(work_dir, registry):
    path, notes = report_run(work_dir, registry, examples=1, device=CPU)
    page = Page(path)

    assert path == work_dir / "report.html"
    assert notes == []
    page.check_self_contained()
    for name, value in SCORES.items():
        assert page.row(name)[0] == f"{value:.4f}"
    assert page.row("mIoU")[1] == "0.1875"
    for text in ("run, epoch 1: 0.75", "run, epoch 2: 0.5", "run, epoch 1: 0.0625", "There is no run.json"):
        assert text in page.text
    assert "epoch 2: nan" not in page.text
    # One best and one worst clip, each with what can be seen and heard.
    pictures, sounds = page.attributes("img", "src"), page.attributes("audio", "src")
    assert len(pictures) == len(sounds) == 2
    assert all(Image.open(_decode(uri, "image/jpeg")).width > 400 for uri in pictures)
    waveform, rate = soundfile.read(_decode(sounds[0], "audio/mpeg"))
    assert len(waveform) / rate == pytest.approx(5, abs=0.2)
    assert np.abs(waveform).max() > 0.01


def test_a_test_that_gives_other_scores_is_told(work_dir, registry, demo_root):
    experiment = check_config(load_config(work_dir / "config.yaml"), registry, "")
    now = score_export(experiment, registry, prompts=work_dir / "export", split="test", device=CPU).scores
    told = "Data, code or device are not those of the training"

    assert told in Page(report_run(work_dir, registry, examples=0, device=CPU)[0]).text
    write_results(work_dir, now)
    assert told not in Page(report_run(work_dir, registry, examples=0, device=CPU)[0]).text


def test_unfinished_run_has_curves_and_is_not_tested(work_dir, registry):
    (work_dir / "results.json").unlink()
    write_rows(work_dir, [{"epoch": 1, "split": "train", "loss": 0.75}])

    page = Page(report_run(work_dir, registry, device=CPU)[0])

    assert "unfinished: 1 of 2 epochs" in page.text
    assert "epoch 1: 0.75" in page.text
    assert not page.attributes("img", "src")
    assert not any(row and row[0].strip() == "mIoU" for row in page.rows)


def test_data_that_has_gone_leaves_the_rest(work_dir, registry, tmp_path):
    path, (note,) = report_run(
        work_dir, registry, device=CPU, options=[f"task.dataset.root={tmp_path / 'gone'}"], out=tmp_path / "page.html"
    )
    assert "s4_meta_data.csv" in note
    page = Page(path)
    assert note.splitlines()[0] in page.text
    assert page.row("mIoU")[0] == "0.1250"


def test_frozen_baseline_stands_beside_the_scores(work_dir, registry, tmp_path):
    other = tmp_path / "frozen"
    other.mkdir()
    (other / "config.yaml").write_text((work_dir / "config.yaml").read_text())
    write_results(other, {"mIoU": 0.0625})

    page = Page(report_run(work_dir, registry, baseline=other)[0])

    assert page.row("score")[-1].startswith("frozen")
    assert "--baseline DIR" not in page.text
    assert "--baseline DIR" in Page(report_run(work_dir, registry, out=tmp_path / "alone.html")[0]).text
    assert page.row("mIoU") == ["0.1250", "0.1875", "0.0625"]
    assert page.row("F")[-1] == "-"


def test_names_are_escaped(work_dir, registry):
    hostile = "<script>alert(1)</script>\"'&"
    component = {"kind": "tuner", "name": hostile, "distribution": hostile, "version": "1"}
    start = {"started": "2026-01-01", "command": hostile, "components": {"tuner": component}, "unknown": 1}
    (work_dir / "run.json").write_text(json.dumps({"starts": [start]}))
    write_rows(work_dir, [{"epoch": 1, "split": hostile, hostile: 0.5}])
    write_results(work_dir, {hostile: 0.5})

    page = Page(report_run(work_dir, registry)[0])

    page.check_self_contained()
    assert page.row(hostile)[0] == "0.5000"
    assert page.row("tuner") == ["tuner", hostile, f"{hostile} 1"]


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        ("results.json", "{", "no JSON"),
        ("results.json", "[]", "expected an object"),
        ("results.json", '{"epoch": "two"}', "is damaged"),
        ("metrics.jsonl", '{"epoch": 1, "split": "train"}\n{"epoch"', r"metrics\.jsonl:2: no JSON"),
        ("metrics.jsonl", '{"epoch": "1"}\n', r"metrics\.jsonl:1: expected"),
        ("metrics.jsonl", '{"epoch": -1, "split": "train"}\n', r"metrics\.jsonl:1: expected"),
        ("metrics.jsonl", f'{{"epoch": {10**400}, "split": "train"}}\n', r"metrics\.jsonl:1: expected"),
        ("metrics.jsonl", f'{{"epoch": 1, "split": "train", "loss": {10**400}}}\n', r"metrics\.jsonl:1: a number has"),
        ("run.json", '{"starts": 1}', "expected a list"),
        ("run.json", '{"starts": [{"packages": 1}]}', "is damaged"),
        ("config.yaml", "a: [", "config.yaml"),
        ("config.yaml", "seed: 0", "no config of a run"),
    ],
)
def test_damaged_files_are_named(work_dir, registry, file, content, message):
    (work_dir / file).write_text(content)
    with pytest.raises(ConfigError, match=message):
        report_run(work_dir, registry)


def test_half_a_character_in_a_name_is_replaced(work_dir, registry):
    write_results(work_dir, {"a\ud800b": 0.5})
    assert Page(report_run(work_dir, registry)[0]).row("a?b")[0] == "0.5000"


def test_folders_that_are_no_work_dir(work_dir, registry, tmp_path):
    with pytest.raises(ConfigError, match="no folder"):
        report_run(tmp_path / "absent", registry)
    with pytest.raises(ConfigError, match=f"give one of them: {work_dir}"):
        report_run(tmp_path, registry)


class Rated(Metric):
    """The result is the score."""

    def measure(self, predictions, batch):
        raise NotImplementedError

    def summarize(self, results):
        raise NotImplementedError

    def clip_score(self, result):
        return result


def test_ranking_takes_no_clip_twice():
    measured = {3: 0.5, 4: 0.9, 5: None, 6: 0.1, 7: 0.9, 8: 0.3}

    assert rank_clips(Rated(), measured, 2) == ([(4, 0.9), (7, 0.9)], [(6, 0.1), (8, 0.3)])
    assert rank_clips(Rated(), measured, 9) == ([(4, 0.9), (7, 0.9), (3, 0.5)], [(6, 0.1), (8, 0.3)])
    assert rank_clips(Rated(), {0: None}, 2) == ([], [])


@pytest.mark.parametrize("rate", [7000, 16000, 44100, 96000])
def test_sounds_of_any_rate_can_be_played(rate):
    tone = torch.sin(2 * torch.pi * 440 * torch.arange(2 * rate) / rate) / 2

    heard, found = soundfile.read(_decode(sound_uri(tone, rate), "audio/mpeg"))

    spectrum = np.abs(np.fft.rfft(heard))
    assert len(heard) / found == pytest.approx(2, abs=0.2)
    assert spectrum.argmax() * found / len(heard) == pytest.approx(440, abs=2)


def _decode(uri, kind):
    head, _, data = uri.partition(",")
    assert head == f"data:{kind};base64"
    return io.BytesIO(base64.b64decode(data))
