"""The commands of docs/serve.md: started, asked for their page over HTTP, and ended with Ctrl-C."""

import os
import queue
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.request import urlopen

import pytest

from copl_synth.ave import AveSettings, write_ave
from doc_pages import DOCS, commands
from exports import export_untrained

pytest.importorskip("gradio", reason="gradio is not installed: pip install 'copl[web]'")
pytestmark = pytest.mark.slow

COMMANDS = [command for command in commands(DOCS / "serve.md") if command.words[:2] == ["copl", "serve"]]


@pytest.fixture(scope="module")
def place(tmp_path_factory, demo_root):
    """A folder with what the page supposes."""
    place = tmp_path_factory.mktemp("place")
    write_ave(place / "data" / "demo" / "ave", AveSettings(train=1, val=1, test=1))
    for task, root in (("ave", place / "data" / "demo" / "ave"), ("avs", demo_root)):
        folder = place / "work_dirs" / "demo" / task / "export"
        export_untrained(folder, f"{task}_swin_nano_shared.yaml", f"task.dataset.root={root}", split="train")
    return place


@contextmanager
def started(words: list[str], place) -> Iterator[tuple[subprocess.Popen, str]]:
    """A server and the address that it prints, within a minute."""
    command = [sys.executable, "-m", "copl_core", *words]
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(command, cwd=place, env=environment, stdout=subprocess.PIPE, text=True) as server:
        lines: queue.SimpleQueue[str] = queue.SimpleQueue()
        threading.Thread(target=lambda: lines.put(server.stdout.readline()), daemon=True).start()
        try:
            yield server, lines.get(timeout=60)
        finally:
            server.kill()


@pytest.mark.parametrize("command", COMMANDS, ids=str)
def test_a_command_of_the_page_serves_until_ctrl_c(command, place):
    # A free port: another program may listen on the default one.
    with started([*command.words[1:], "--port", "0", "--device", "cpu"], place) as (server, line):
        address = re.match(r"(http://127\.0\.0\.1:\d+)  \(Ctrl-C ends it\)", line)[1]
        with urlopen(address, timeout=30) as answer:
            page = answer.read().decode()
        for prompts in [word for word in command.words if word.endswith("/export")]:
            assert prompts in page
        server.send_signal(signal.SIGINT)
        assert server.wait(timeout=30) == 0
