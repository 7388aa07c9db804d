"""What the pages say about using a trained model is done, in a folder that holds what the pages suppose."""

import csv
import json
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from copl_core.cli.main import main
from copl_htsat.network import HTSATNetwork
from copl_synth.ave import AveSettings, write_ave
from copl_synth.avqa import AvqaSettings, write_avqa
from copl_synth.avs import AvsSettings, write_avs
from doc_pages import DOCS, ROOT, Command, blocks, commands
from exports import export_untrained
from video_files import tone, write_video

#: Pages whose commands of ``copl`` are run. Those of serve.md run in copl_core/serve, for they need gradio; those that
#: need a Ray cluster in copl_core/sweep.
RUN = [DOCS / name for name in ("predict.md", "report.md", "studies.md", "index.md", "demo.md")]
#: Scripts that are a sub-command of ``copl``.
TOOLS = {"tools/test.py": "test"}
COMMANDS = [
    command for page in RUN for command in commands(page) if command.words[0] != "make" and "--ray" not in command.words
]
SHORT = ["--device", "cpu", "--cfg-options", "schedule.epochs=1", "schedule.val_interval=1", "schedule.workers=0"]
CHECKPOINT = "HTSAT_AudioSet_Saved_1.ckpt"

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """Demo data of a few clips, runs of one epoch, an export whose encoder lies elsewhere, and videos."""
    place = tmp_path_factory.mktemp("place")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(place)
        shutil.copytree(ROOT / "configs", "configs")
        write_ave(Path("data/demo/ave"), AveSettings(train=3, val=1, test=2))
        write_avs(Path("data/demo/avs"), AvsSettings(train=3, val=1, test=2))
        write_avqa(Path("data/demo/avqa"), AvqaSettings(train=24, val=1, test=2))
        for task in ("ave", "avs", "avqa"):
            train(f"configs/demo/{task}_swin_nano_shared.yaml", f"work_dirs/demo/{task}")
        train("configs/demo/ave_swin_nano_shared.yaml", "work_dirs/ave-frozen", "tuner={type: frozen}")
        shutil.copytree("work_dirs/demo/ave", "work_dirs/ave-copl")
        export_with_moved_weights(Path("export"))
        shorten(Path("configs/studies/table4_nano.yaml"))
        Path("folder/of/videos").mkdir(parents=True)
        clip = next(Path("data/demo/ave/AVE").glob("*.mp4"))
        shutil.copy(clip, "clip.mp4")
        shutil.copy(clip, "folder/of/videos/third.mp4")
        times = [frame / 4 for frame in range(40)]
        sound = {"sound": tone(48000, 10), "rate": 48000, "sound_codec": "libopus"}
        write_video(Path("another.webm"), times, codec="libvpx", **sound)
    return place


def train(config: str, work_dir: str, *options: str) -> None:
    assert main(["train", config, "--work-dir", work_dir, *SHORT, *options]) == 0


def export_with_moved_weights(folder: Path) -> None:
    """An export that names a checkpoint of HTS-AT by its last part, and that checkpoint in ``weights``."""
    Path("weights").mkdir()
    torch.manual_seed(0)
    torch.save({"state_dict": HTSATNetwork().state_dict()}, f"weights/{CHECKPOINT}")
    audio = f"encoders.audio={{type: htsat, weights: weights/{CHECKPOINT}}}"
    export_untrained(folder, "ave_swin_nano_shared.yaml", audio)


def shorten(study: Path) -> None:
    """Leave the first and the last row of a study, one seed and one epoch."""
    values = yaml.safe_load(study.read_text(encoding="utf-8"))
    options = {"schedule.epochs": 1, "schedule.val_interval": 1, "schedule.workers": 0}
    rows = [values["rows"][0], values["rows"][-1]]
    study.write_text(yaml.safe_dump({**values, "rows": rows, "seeds": [0], "options": options}), encoding="utf-8")


def read(path: str) -> Any:
    return json.loads(Path(path).read_text(encoding="utf-8"))


def check_predict(command: Command, printed: str) -> None:
    """Each video has a folder named after it, with what its task says (the table of predict.md) and a picture."""
    key = "answer" if "avqa" in command.words[2] else "events"
    given = [Path(word) for word in command.words[3:] if Path(word).exists() and word != "predictions"]
    videos = [video for path in given for video in (path.iterdir() if path.is_dir() else [path])]
    assert videos
    assert {path.name for path in Path("predictions").iterdir()} == {video.stem for video in videos}
    for video in videos:
        assert key in read(f"predictions/{video.stem}/prediction.json")
        assert list(Path("predictions", video.stem).glob("*.png"))


def check_report(command: Command, printed: str) -> None:
    """The page lies in the work dir and has the scores of ``results.json``, tested again."""
    page = Path(command.words[2], "report.html").read_text(encoding="utf-8")
    scores = read(f"{command.words[2]}/results.json")["test"]
    assert scores
    for name, value in scores.items():
        assert name in page
        assert f"{value:.4f}" in page, name


def check_compare(command: Command, printed: str) -> None:
    """The page has both runs, and what differs between them."""
    page = Path("compare.html").read_text(encoding="utf-8")
    for folder in command.words[2:4]:
        assert Path(folder).name in page
        assert f"{read(f'{folder}/results.json')['test']['accuracy']:.4f}" in page
    assert "tuner" in page


def check_sweep(command: Command, printed: str) -> None:
    """Table, scores, plot and work dirs lie where the page says; the scores are those of the runs."""
    folder = Path("work_dirs/studies", Path(command.words[2]).stem)
    assert (folder / "results.png").read_bytes().startswith(b"\x89PNG")
    with (folder / "results.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    runs = sorted(path.parent for path in folder.glob("*/seed-0/results.json"))
    assert len(rows) == len(runs) == 2
    found = sorted(read(f"{run}/results.json")["test"]["mIoU"] for run in runs)
    assert sorted(float(row["test mIoU"]) for row in rows) == pytest.approx(found)
    assert all(f"| {row['row']} |" in (folder / "results.md").read_text(encoding="utf-8") for row in rows)


def check_test(command: Command, printed: str) -> None:
    """The export has the scores that its training found; with sounds of other clips only the names are the same."""
    scores = read(f"{Path(command.words[3]).parent}/results.json")["test"]
    for name, value in scores.items():
        assert f"test {name} {'' if '--cfg-options' in command.words else f'{value:.6f}'}" in printed


CHECKS: Mapping[str, Callable[[Command, str], None]] = {
    "predict": check_predict,
    "report": check_report,
    "compare": check_compare,
    "sweep": check_sweep,
    "test": check_test,
}


@pytest.mark.parametrize("command", COMMANDS, ids=str)
def test_a_command_does_what_its_page_says(command, place, monkeypatch, capsys):
    monkeypatch.chdir(place)
    shutil.rmtree("predictions", ignore_errors=True)
    words = [TOOLS.get(word, word) for word in command.words[1:]]

    code = main(words)

    printed = capsys.readouterr()
    assert code == 0, printed.err
    assert not printed.err
    if words[0] in CHECKS:
        CHECKS[words[0]](command, printed.out)
    else:
        assert printed.out.strip()


@pytest.mark.parametrize(
    ("about", "words"),
    [
        ("data set AVSBench S4:", ["configs/avs_swin_shared.py", "--cfg-options", "task.dataset.root=data/AVSBench"]),
        ("masks are", ["configs/demo/avs_swin_nano_shared.yaml", *SHORT, "task.head.output_size=224"]),
        (
            "copl train: work_dirs/ave",
            ["configs/demo/ave_swin_nano_shared.yaml", "--resume", *SHORT, "schedule.prompt_lr=1e-4"],
        ),
    ],
)
def test_a_message_in_the_answers_is_the_one_that_appears(about, words, place, monkeypatch, capsys):
    (shown,) = [text for text in blocks(DOCS / "faq.md") if text.startswith(about)]
    monkeypatch.chdir(place)
    Path("data/AVSBench/Single-source/s4_data/gt_masks").mkdir(parents=True, exist_ok=True)
    if "--resume" in words:
        train("configs/demo/ave_swin_nano_shared.yaml", "work_dirs/ave", "schedule.prompt_lr=1e-3")
        capsys.readouterr()

    assert main(["train", *words, "--work-dir", "work_dirs/ave" if "--resume" in words else "refused"]) == 2

    assert shown.removeprefix("copl train: ").strip() in capsys.readouterr().err


def test_every_check_is_used():
    assert {TOOLS.get(command.words[1], command.words[1]) for command in COMMANDS} >= set(CHECKS)
