"""copl params: what it counts and what it prints."""

import json
import subprocess
import sys

import pytest

from copl_core.cli.main import main

KEYS = [
    "config",
    "additional",
    "head",
    "frozen",
    "total_used",
    "total_as_published",
    "paper_additional",
    "paper_total",
]
NANO = "configs/demo/avs_swin_nano_shared.yaml"


@pytest.fixture
def params(repository, capsys, monkeypatch):
    """Run ``copl params`` and return its exit code and what it wrote."""
    monkeypatch.chdir(repository)

    def go(*arguments: str):
        code = main(["params", *map(str, arguments)])
        return code, capsys.readouterr()

    return go


@pytest.fixture
def counted(params):
    """Run ``copl params --json`` and return its objects."""

    def go(*arguments: str):
        code, written = params("--json", *arguments)
        assert code == 0
        return json.loads(written.out)

    return go


@pytest.fixture
def config(repository, tmp_path):
    """Write a config over pieces of ``configs/_base_``."""

    def write(*bases: str, own: str = ""):
        path = tmp_path / "mine.yaml"
        lines = [f"  - {repository / 'configs' / '_base_' / base}.yaml\n" for base in bases]
        path.write_text("_base_:\n" + "".join(lines) + own)
        return path

    return write


def test_json_of_a_paper_config(counted):
    (row,) = counted("configs/ave_swin_shared.py")
    assert list(row) == KEYS
    assert row == {
        "config": "configs/ave_swin_shared.py",
        "additional": 1_700_502,
        "head": 1_588_253,
        "frozen": 195_202_932,
        "total_used": 195_202_932 + 1_700_502 + 1_588_253,
        "total_as_published": 228_772_549 + 1_700_502 + 1_588_253,
        "paper_additional": 1.7,
        "paper_total": 232.3,
    }


def test_without_a_task_no_head_is_counted(counted, config):
    (row,) = counted(config("encoders/swin_large_shared", "tuners/copl_ave"))
    assert row["head"] is None
    assert row["total_used"] == 195_202_932 + 1_700_502
    assert row["total_as_published"] == 228_772_549 + 1_700_502


def test_the_head_of_the_task_is_counted(counted):
    (row,) = counted("configs/avs_swin_shared.py")
    assert row["head"] == 21_168_961
    assert row["total_used"] == row["frozen"] + row["additional"] + row["head"]
    assert (row["paper_additional"], row["paper_total"]) == (2.8, None)


def test_the_projection_of_the_loss_counts_in_the_totals_only(counted):
    (row,) = counted("configs/ave_swin_htsat.py")
    assert row["total_used"] == row["frozen"] + row["additional"] + row["head"] + 768 * 1536 + 1536


def test_several_configs_keep_their_order(counted):
    given = [NANO, "configs/ave_vit_shared.py", NANO]
    assert [row["config"] for row in counted(*given)] == given


def test_frames_are_those_of_the_task_or_of_the_command_line(counted, config):
    assert counted(NANO) == counted(NANO, "--frames", "3")
    without_task = config("encoders/swin_nano_shared", "tuners/copl_nano")
    few, many, default = (
        counted(without_task, *given)[0]["additional"] for given in (["--frames", "3"], ["--frames", "4"], [])
    )
    assert default - few == 7 * (many - few) > 0


def test_table_shows_millions_the_papers_figures_and_why_they_differ(params, config):
    without_task = config("encoders/swin_large_shared", "tuners/copl_ave")
    code, written = params("configs/ave_swin_shared.py", "configs/avs_swin_shared.py", without_task)
    assert code == 0
    lines = written.out.splitlines()
    (ave,) = [line.split() for line in lines if "configs/ave_swin_shared.py" in line]
    (avs,) = [line.split() for line in lines if "configs/avs_swin_shared.py" in line]
    (bare,) = [line.split() for line in lines if "10*" in line]
    assert ave[1:] == ["10", "1.7005", "1.7", "0.0000", "1.5883", "195.2029", "198.4917", "232.0613", "232.3"]
    assert bare[1:] == ["10*", "1.7005", "-", "0.0000", "-", "195.2029", "196.9034", "230.4731", "-"]
    assert avs[1:] == ["5", "2.8029", "2.8", "0.0000", "21.1690", "195.2029", "219.1748", "252.7444", "-"]
    assert "* no task: T is that of --frames, and the totals hold no head" in lines
    assert any(line.startswith("ave_swin_shared: ") and "0.24 unexplained" in line for line in lines)


def test_a_folder_without_the_papers_figures(counted, config):
    (row,) = counted(config("encoders/swin_nano_shared", "tuners/copl_nano"))
    assert (row["paper_additional"], row["paper_total"]) == (None, None)


@pytest.mark.parametrize(
    ("encoders", "tuner", "additional", "total_without_head"),
    [
        ("swin_large_shared", "lavish_ave", 8.4, 238.8 - 1.588),
        ("vit_large_shared", "lavish_avqa", 27.1, None),
        ("swin_large_htsat", "dgsct_ave", 187.1, 448.4 - 1.195),
    ],
)
def test_peers_have_their_published_size(counted, config, encoders, tuner, additional, total_without_head):
    (row,) = counted(config(f"encoders/{encoders}", f"tuners/{tuner}"))
    assert round(row["additional"] / 1e6, 1) == additional
    if total_without_head is not None:
        assert row["total_as_published"] / 1e6 == pytest.approx(total_without_head, abs=0.05)


def test_baselines(counted, config):
    (frozen,) = counted(config("encoders/swin_nano_shared", "tuners/frozen"))
    (full,) = counted(config("encoders/swin_nano_shared", "tuners/full"))
    assert (frozen["additional"], full["frozen"]) == (0, 0)
    assert frozen["frozen"] == full["additional"] == frozen["total_used"] == full["total_used"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["configs/ave_swim_shared.py"], "no such config file; nearby: ave_swin_shared.py"),
        ([NANO, "configs/absent.py"], "configs/absent.py: no such config file"),
        ([NANO, "--frames", "0"], "--frames must be at least 1, got 0"),
    ],
)
def test_mistakes_are_told_in_one_message(params, arguments, message):
    code, written = params(*arguments)
    assert (code, written.out) == (2, "")
    assert written.err.startswith("copl params: ")
    assert message in written.err
    assert "Traceback" not in written.err


def test_all_problems_of_the_model_are_told_at_once(params, config):
    path = config("encoders/swin_nano_shared", own="tuner: {type: copl, prompt: {}}\nshedule: {}\ntask: {type: avs}\n")
    code, written = params(path)
    assert code == 2
    for problem in ("shedule: unknown key", "tuner.prompt: ", "task.type: no task named 'avs'"):
        assert problem in written.err


def test_a_malformed_file_of_figures_is_told(params, config, tmp_path):
    (tmp_path / "paper.yaml").write_text("mine: {additional: much, totl: 3}\n")
    code, written = params(config("encoders/swin_nano_shared", "tuners/copl_nano"))
    assert code == 2
    assert f"{tmp_path / 'paper.yaml'}: 2 problems" in written.err
    assert "mine.additional: expected float, got str 'much'" in written.err


def test_counting_leaves_no_module_with_constants_on_the_meta_device(repository):
    """In a process of its own: a module is imported once, and here all of them have been."""
    program = """
import sys
import torch
from copl_core.cli.main import main

assert main(["params", "configs/ave_swin_htsat.py"]) == 0
kaldi = sys.modules["torchaudio.compliance.kaldi"]
assert kaldi.EPSILON.device.type == "cpu", "EPSILON"
assert kaldi.fbank(torch.linspace(-1, 1, 8000)[None].sin()).isfinite().all()
wrong = [
    f"{name}.{key}"
    for name, module in list(sys.modules.items())
    for key, value in list(vars(module).items())
    if type(value) is torch.Tensor and value.device.type == "meta"
]
assert not wrong, wrong
"""
    run = subprocess.run([sys.executable, "-c", program], cwd=repository, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
