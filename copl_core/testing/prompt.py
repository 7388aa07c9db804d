"""The check of a prompt family."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from torch import Tensor

from copl_core.contracts import Layout, Prompt
from copl_core.testing.classes import check_class
from copl_core.testing.report import Failure, Report
from copl_core.testing.stand_ins import CLIPS, ENCODERS, FRAMES, random_tensor, tiny_layout
from copl_core.testing.subject import Candidate, Subject
from copl_core.testing.trained import check_trained
from copl_core.testing.trial import Outputs, Shape, Trial


def check_prompt(component: Subject, /, **arguments: Any) -> None:
    """Check a family of prompts against its contract, ``copl_core.contracts.Prompt``.

    Args:
        component: Its class, ``functools.partial`` of it, or the name of an installed one.
        arguments: The component's own.

    Raises:
        ConformanceError: Lists the points that failed.
    """
    candidate = Candidate("prompt", component, arguments)
    with Report(candidate.title) as report:
        check_class(report, candidate, Prompt, methods=("forward",))
        for setting in ENCODERS:
            with report.setting(setting):
                layout = tiny_layout(setting)
                build: Callable[[], Prompt] = partial(candidate.build, layout=layout)
                prompt = report.build(build)
                if prompt is not None and report.check("pairs", _check_pairs, prompt, layout):
                    check_trained(report, _trial(build, prompt.pairs(), layout))


def _check_pairs(prompt: Prompt, layout: Layout) -> None:
    pairs = prompt.pairs()
    both = [index for index, _, _ in layout.paired()]
    if not pairs or list(pairs) != sorted(set(pairs)) or not set(pairs) <= set(both):
        raise Failure(
            f"expected some of the pairs {both} that have blocks on both sides, ascending, got {pairs!r}; take them "
            "from layout.paired()"
        )


def _trial(build: Callable[[], Prompt], pairs: Sequence[int], layout: Layout) -> Trial:
    items = CLIPS * FRAMES

    def inputs(clips: int) -> dict[int, tuple[Tensor, Tensor]]:
        tokens = {index: _tokens(layout, index) for index in pairs}
        return {index: (v[: clips * FRAMES], a[: clips * FRAMES]) for index, (v, a) in tokens.items()}

    def run(prompt: Prompt, tokens: dict[int, tuple[Tensor, Tensor]]) -> Outputs:
        outputs = {}
        for index, (visual, audio) in tokens.items():
            outputs[f"visual prompts of pair {index}"], outputs[f"audio prompts of pair {index}"] = prompt(
                index, visual, audio
            )
        return outputs

    shapes: dict[str, Shape] = {}
    for index in pairs:
        shapes[f"visual prompts of pair {index}"] = ((items, 1), None, layout.pairs[index].visual_width)
        shapes[f"audio prompts of pair {index}"] = ((items, 1), None, layout.pairs[index].audio_width)
    return Trial(build=build, inputs=inputs, run=run, shapes=shapes)


def _tokens(layout: Layout, index: int) -> tuple[Tensor, Tensor]:
    """Tokens (BT, N_v, d_v) and (BT, N_a, d_a) entering a pair of blocks."""
    pair = layout.pairs[index]
    visual = random_tensor(CLIPS * FRAMES, pair.visual_tokens or 1, pair.visual_width or 1, seed=index)
    audio = random_tensor(CLIPS * FRAMES, pair.audio_tokens or 1, pair.audio_width or 1, seed=100 + index)
    return visual, audio
