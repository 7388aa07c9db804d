"""The page itself. Importing this module imports Gradio."""

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from html import escape
from pathlib import Path
from typing import Any

import gradio as gr

from copl_core.engine.predict import TrainedModel
from copl_core.serve.markup import message_html
from copl_core.serve.models import describe
from copl_core.serve.result import predict, wanted

STYLE = Path(__file__).with_name("page.css")
#: Seconds after which uploads and results are deleted, and between looking for such.
KEPT, LOOKED = 3600, 600
#: Visitors waiting at a time; one video is processed at a time.
QUEUE = 20
#: Shows the result where it lies below the edge, as on a phone.
_INTO_VIEW = "() => document.querySelector('#findings').scrollIntoView({block: 'nearest', behavior: 'smooth'})"
_HEAD = '<div class="head"><h1>CoPL</h1><p>Collaborative prompt learning on frozen audio-visual encoders</p></div>'


def theme() -> Any:
    """With the fonts of the visitor's system: the page asks nothing of other servers."""
    return gr.themes.Soft(
        primary_hue="teal",
        neutral_hue="slate",
        font=["system-ui", "sans-serif"],
        font_mono=["ui-monospace", "monospace"],
    )


def build_page(models: Mapping[str, TrainedModel], examples: Sequence[Path]) -> Any:
    """A video and perhaps a question at the left, the result at the right; below each other on a phone.

    Args:
        models: By the name they are chosen by; at least one.
        examples: Videos to offer.
    """
    first = next(iter(models))
    with gr.Blocks(title="CoPL", analytics_enabled=False, delete_cache=(LOOKED, KEPT)) as page:
        gr.HTML(_HEAD, padding=False)
        with gr.Row():
            with gr.Column():
                name = gr.Dropdown(list(models), value=first, label="Prompts", elem_id="prompts")
                about = gr.HTML(_about(models[first]), padding=False)
                video = gr.Video(label="Video", sources=["upload"], height=280, elem_id="video")
                with gr.Row(visible=models[first].answers_questions, equal_height=True) as ask:
                    question = gr.Textbox(
                        label="Question",
                        placeholder="Ask about the video",
                        max_lines=1,
                        min_width=200,
                        scale=4,
                        elem_id="question",
                    )
                    button = gr.Button("Ask", variant="primary", min_width=80, elem_id="ask")
                if examples:
                    gr.Examples([[str(path)] for path in examples], inputs=[video], label="Examples")
            with gr.Column():
                findings = gr.HTML(message_html(wanted(models[first], None)), padding=False, elem_id="findings")
                overlay = gr.Video(label="Result", visible=False, elem_id="overlay")
        pictures = gr.Gallery(show_label=False, visible=False, columns=1, height="auto", elem_id="pictures")
        with gr.Accordion("As data", open=False, visible=False) as details:
            data = gr.JSON(show_label=False)

        def choose(chosen: str) -> tuple[Any, Any]:
            return _about(models[chosen]), gr.update(visible=models[chosen].answers_questions)

        def show(
            chosen: str,
            path: str | None,
            asked: str,
            progress: gr.Progress = gr.Progress(),  # noqa: B008  Gradio finds the bar by this default
        ) -> Iterator[dict[Any, Any]]:
            update = partial(_tell, progress)
            # Gradio copies the files of a result when it gets it, which is before it asks for the next.
            with predict(models[chosen], path, asked, update) as result:
                yield {
                    findings: result.html,
                    overlay: gr.update(value=result.video, visible=result.video is not None),
                    pictures: gr.update(value=result.pictures, visible=bool(result.pictures)),
                    details: gr.update(visible=result.data is not None),
                    data: result.data,
                }

        name.change(choose, name, [about, ask], show_progress="hidden", api_visibility="private")
        shown = gr.on(
            [video.change, name.change, question.submit, button.click],
            show,
            [name, video, question],
            [findings, overlay, pictures, details, data],
            show_progress_on=[findings],
            trigger_mode="always_last",
            concurrency_limit=1,
            api_name="predict",
        )
        shown.then(None, js=_INTO_VIEW)
        page.queue(max_size=QUEUE)
    return page


def _tell(progress: gr.Progress, done: int, count: int) -> None:
    progress((done, count), desc="drawing" if done == count else "reading", unit="windows")


def _about(model: TrainedModel) -> str:
    return f'<p class="about">{escape(describe(model.header))}</p>'
