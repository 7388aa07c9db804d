"""Runs the page on this machine until Ctrl-C, and leaves no file behind."""

import os
import signal
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from copl_core.api import ConfigError
from copl_core.data import find_recordings
from copl_core.data.media import VIDEOS
from copl_core.serve.models import load_models
from copl_core.termination import terminable

#: Of a folder of examples so many are offered.
EXAMPLES_SHOWN = 24
#: Where ``make demo`` writes its clips, and how many of each of its folders are offered where no folder is named.
DEMO, DEMO_SHOWN = Path("data", "demo"), 5


@dataclass(frozen=True)
class Settings:
    """How the page is served.

    Attributes:
        host: Address to listen on; 0.0.0.0 lets other machines in.
        port: To listen on; 0 takes a free one.
        device: ``auto``, ``cpu`` or ``cuda``.
        examples: A folder of videos (or one video) to offer; None offers clips of the demo where its data is there.
        max_upload: Megabytes; a larger file is refused.
        options: Changes to the models' configs, see ``copl_core.load``.
    """

    host: str = "127.0.0.1"
    port: int = 7860
    device: str = "auto"
    examples: Path | None = None
    max_upload: int = 200
    options: Sequence[str] = ()


def serve(exports: Sequence[Path], settings: Settings, told: Callable[[str], object]) -> None:
    """Serve the page until Ctrl-C or SIGTERM.

    Args:
        exports: Export folders or their prompts files.
        settings: How.
        told: Told the address as soon as the page can be opened.

    Raises:
        CoplError: Gradio isn't installed, an export or the examples can't be used, or the address can't be had.
    """
    with running(exports, settings) as address, terminable():
        told(address)
        try:
            signal.pause()
        except KeyboardInterrupt:
            return


@contextmanager
def running(exports: Sequence[Path], settings: Settings) -> Iterator[str]:
    """Serve the page in the background; gives its address. Uploads and results are deleted at the end.

    Raises:
        CoplError: See ``serve``.
    """
    gradio = _import_gradio()
    examples = find_examples(settings.examples)
    models = load_models(exports, device=settings.device, options=settings.options)
    with tempfile.TemporaryDirectory(prefix="copl-serve-") as folder, _environment(GRADIO_TEMP_DIR=folder):
        from copl_core.serve.page import STYLE, build_page, theme

        page = build_page(models, examples)
        try:
            _, address, _ = page.launch(
                server_name=settings.host,
                server_port=settings.port or _free_port(settings.host),
                max_file_size=f"{settings.max_upload}mb",
                prevent_thread_lock=True,
                quiet=True,
                share=False,
                ssr_mode=False,
                run_history=False,
                footer_links=[],
                theme=theme(),
                css=STYLE.read_text(encoding="utf-8"),
            )
        except (OSError, gradio.exceptions.ServerFailedToStartError) as error:
            raise ConfigError(
                f"cannot listen on {settings.host}, port {settings.port}; choose another --port or --host"
            ) from error
        try:
            yield address.rstrip("/")
        finally:
            page.close(verbose=False)


def find_examples(folder: Path | None) -> list[Path]:
    """Videos to offer.

    Args:
        folder: That holds them, or one video; None for those of the demo, if its data lies where it is written to.

    Raises:
        DataError: There is nothing of that name, or no video in the folder.
    """
    if folder is not None:
        return find_recordings(folder)[:EXAMPLES_SHOWN]
    found = {path.parent for path in DEMO.glob("*/*/*") if path.suffix.lower() in VIDEOS}
    return [video for each in sorted(found) for video in find_recordings(each)[:DEMO_SHOWN]][:EXAMPLES_SHOWN]


def _import_gradio() -> Any:
    """Import Gradio so that it reports to nobody.

    Raises:
        ConfigError: It isn't installed.
    """
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
    os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"
    try:
        import gradio
    except ModuleNotFoundError as error:
        if error.name != "gradio":
            raise
        raise ConfigError("the page needs gradio: pip install 'copl[web]'") from error
    return gradio


@contextmanager
def _environment(**values: str) -> Iterator[None]:
    """Set environment variables for the time being."""
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def _free_port(host: str) -> int:
    import socket

    with socket.socket() as probe:
        probe.bind((host, 0))
        port: int = probe.getsockname()[1]
        return port
