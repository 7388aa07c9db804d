"""The check of a backbone."""

import copy
import json
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import PurePath
from typing import Any, TypeAlias, get_args

import torch
from torch import Tensor

from copl_core.contracts import Backbone, Block, Features, Modality
from copl_core.contracts.recompute import recompute_step
from copl_core.testing.classes import check_class
from copl_core.testing.report import Failure, Report, some
from copl_core.testing.stand_ins import CLIPS, random_tensor, tiny_input
from copl_core.testing.subject import Candidate, Subject
from copl_core.testing.tensors import far_apart
from copl_core.testing.trained import check_trained
from copl_core.testing.trial import Outputs, Shape, Trial, disturb, expect_near

#: ``reference(backbone, x)``: tokens (BT, N, d) of the original encoder's last block after its final norm.
Reference: TypeAlias = Callable[[Any, Tensor], Tensor]
#: Tokens (BT, N, d) -> (BT, N, d).
Branch: TypeAlias = Callable[[Tensor], Tensor]

#: P.
PROMPTS = 3


def check_backbone(component: Subject, /, *, reference: Reference | None = None, **arguments: Any) -> None:
    """Check a backbone against its contract, ``copl_core.contracts.Backbone``.

    Args:
        component: Its class, ``functools.partial`` of it, or the name of an installed one.
        reference: The original encoder's answer to images (to sound, for a backbone that takes no images), computed
            without the backbone's blocks: ``reference(backbone, x)`` gives the tokens (BT, N, d) of the last block
            after the final norm. The weights are the kit's. None: no comparison with an original.
        arguments: The component's own.

    Raises:
        ConformanceError: Lists the points that failed.
    """
    candidate = Candidate("backbone", component, arguments)
    with Report(candidate.title) as report:
        check_class(report, candidate, Backbone, methods=("embed", "advance"))
        backbone = report.build(partial(_build, candidate))
        if backbone is None:
            return
        report.check("weights", candidate.build().load_pretrained)
        report.check("identity", _check_identity, backbone)
        if not report.check("description", _check_description, backbone):
            return
        for modality in _modalities(backbone):
            with report.setting(modality):
                _check_modality(report, partial(_build, candidate), backbone, modality)
        if reference is not None:
            report.check("no prompts", _check_reference, backbone, _modalities(backbone)[0], reference)


def _build(candidate: Candidate) -> Backbone:
    """The backbone as it is used: frozen, in evaluation mode; with weights that let nothing be zero."""
    backbone: Backbone = candidate.build()
    disturb(backbone)
    return backbone.requires_grad_(False).eval()


def _modalities(backbone: Backbone) -> list[Modality]:
    specs = {"visual": backbone.input_spec.image, "audio": backbone.input_spec.audio}
    return [modality for modality in get_args(Modality) if specs[modality] is not None]


def _inputs(backbone: Backbone, modality: Modality, items: int) -> Tensor:
    spec = backbone.input_spec.image if modality == "visual" else backbone.input_spec.audio
    assert spec is not None
    return tiny_input(spec, CLIPS)[:items]


def _prompts(backbone: Backbone, items: int) -> list[Tensor]:
    """Prompts (BT, P, d) for every block."""
    return [random_tensor(items, PROMPTS, width, seed=index) for index, width in enumerate(backbone.widths)]


def _walk(backbone: Backbone, x: Tensor, modality: Modality, prompts: Sequence[Tensor] | None = None) -> Features:
    """The encoder alone, with prompts at every block or with none."""
    tokens, stages, ends = backbone.embed(x), [], backbone.stage_ends()
    for index, block in enumerate(backbone.blocks):
        tokens = block.add_feedforward(tokens + block.attention(tokens, None if prompts is None else prompts[index]))
        if index in ends:
            stages.append(tokens)
        if index + 1 < backbone.depth:
            tokens = backbone.advance(index, tokens)
    return backbone.features(stages, modality)


def _outputs(features: Features) -> Outputs:
    maps = {f"map {number}": each for number, each in enumerate(features.pyramid)}
    return {"pooled": features.pooled, "tokens": features.tokens, **maps}


def _check_identity(backbone: Backbone) -> None:
    identity = backbone.identity()
    try:
        same = json.loads(json.dumps(identity)) == identity
    except (TypeError, ValueError):
        same = False
    if not isinstance(identity, dict) or not identity or not same:
        raise Failure(f"expected a mapping of plain JSON types, got {identity!r}; use str, int, bool, list, dict")
    paths = [value for value in identity.values() if isinstance(value, str) and PurePath(value).is_absolute()]
    if paths:
        raise Failure(f"expected no machine paths, got {paths[0]!r}; name a file by its last part (weights_source)")


def _check_description(backbone: Backbone) -> None:
    if not _modalities(backbone):
        raise Failure("expected an image or an audio format in input_spec, it has neither; set one")
    if sum(backbone.stages) != backbone.depth:
        raise Failure(f"expected stages to add up to the {backbone.depth} blocks, got {backbone.stages}")
    if not backbone.depth:
        raise Failure("expected blocks, there are none")


def _check_modality(
    report: Report,
    build: Callable[[], Backbone],
    backbone: Backbone,
    modality: Modality,
) -> None:
    # Without blocks that fit together nothing else can be told.
    if not report.check("blocks", _check_blocks, backbone, modality):
        return
    # An encoder's weights are loaded, and nothing in it is trained; what lower precision means is checked below.
    if not check_trained(report, _trial(build, backbone, modality), leave_out=("seed", "gradient", "bf16 autocast")):
        return
    report.check("residual", _check_residual, backbone, modality)
    report.check("prompts", _check_prompts, backbone, modality)
    report.check("gradient", _check_gradient, backbone, modality)
    report.check("bf16 autocast", _check_bf16, backbone, modality)


def _trial(build: Callable[[], Backbone], backbone: Backbone, modality: Modality) -> Trial:
    """The walk with prompts at every block."""
    layout, tokens = backbone.layout(modality), backbone.tokens(modality)[-1]
    shapes: dict[str, Shape] = {"pooled": (CLIPS, layout.width), "tokens": (CLIPS, tokens, layout.width)}
    shapes |= {f"map {number}": (CLIPS, *shape) for number, shape in enumerate(layout.pyramid)}

    def inputs(clips: int) -> tuple[Tensor, list[Tensor]]:
        return _inputs(backbone, modality, clips), _prompts(backbone, clips)

    def run(encoder: Backbone, fed: tuple[Tensor, list[Tensor]]) -> Outputs:
        return _outputs(_walk(encoder, fed[0], modality, fed[1]))

    return Trial(build=build, inputs=inputs, run=run, shapes=shapes)


@torch.no_grad()
def _check_blocks(backbone: Backbone, modality: Modality) -> None:
    """Every block gets and gives tokens of the sizes that widths and tokens(modality) announce."""
    announced = list(zip(backbone.tokens(modality), backbone.widths, strict=True))
    tokens, source = backbone.embed(_inputs(backbone, modality, CLIPS)), "embed"
    for index, (block, (length, width)) in enumerate(zip(backbone.blocks, announced, strict=True)):
        wanted = (CLIPS, length, width)
        _expect_shape(tokens, wanted, source, f"block {index}")
        for branch in (block.attention, block.feedforward):
            _expect_shape(branch(tokens), wanted, f"{branch.__name__} of block {index}", "its residual")
        tokens = tokens + block.feedforward(tokens + block.attention(tokens))
        if index + 1 < backbone.depth:
            tokens, source = backbone.advance(index, tokens), f"advance({index}, ...)"


def _expect_shape(tokens: Tensor, wanted: tuple[int, ...], source: str, target: str) -> None:
    if tokens.shape != wanted:
        raise Failure(
            f"expected {wanted} from {source} for {target}, as tokens(modality) and widths say, got "
            f"{tuple(tokens.shape)}; mend the one or the other"
        )


def _check_residual(backbone: Backbone, modality: Modality) -> None:
    """``add_feedforward`` adds the feed-forward branch, with its gradient, computed again or not."""
    for index, (block, length) in enumerate(zip(backbone.blocks, backbone.tokens(modality), strict=True)):
        tokens = random_tensor(CLIPS, length, block.width, seed=index)
        again: Branch = partial(recompute_step, block.add_feedforward, module=backbone)
        ways: dict[str, Branch] = {"": block.add_feedforward, " with compute.checkpointing: block": again}
        expected = _with_gradient(partial(Block.add_feedforward, block), tokens)
        for how, add in ways.items():
            if any(
                far_apart(*pair, tolerance=1e-3) for pair in zip(expected, _with_gradient(add, tokens), strict=True)
            ):
                raise Failure(
                    f"expected add_feedforward of block {index} to give tokens + feedforward(tokens) and its gradient"
                    f"{how}, they differ; leave the method out, or mend it"
                )


def _with_gradient(function: Branch, tokens: Tensor) -> tuple[Tensor, Tensor]:
    """The result, and the gradient of its sum along fixed random directions."""
    leaf = tokens.clone().requires_grad_()
    out = function(leaf)
    (gradient,) = torch.autograd.grad((out * random_tensor(*out.shape, seed=1)).sum(), leaf)
    return out.detach(), gradient


@torch.no_grad()
def _check_reference(backbone: Backbone, modality: Modality, reference: Reference) -> None:
    x = _inputs(backbone, modality, CLIPS)
    ours, theirs = _walk(backbone, x, modality).tokens, reference(backbone, x)
    if ours.shape != theirs.shape:
        raise Failure(f"expected tokens {tuple(theirs.shape)} as in the original, got {tuple(ours.shape)}")
    if far_apart(theirs, ours, tolerance=1e-4):
        off = float((ours - theirs).abs().max())
        raise Failure(
            f"expected the original's tokens without prompts, they are off by up to {off:.2g} in {modality}; compare "
            "block by block (norms, scaling, masks, activation)"
        )


@torch.no_grad()
def _check_prompts(backbone: Backbone, modality: Modality) -> None:
    """Prompts are keys and values of their own frame: a set, shared by all frames where there is one for all."""
    x, prompts = _inputs(backbone, modality, CLIPS), _prompts(backbone, CLIPS)
    shared = [each[:1] for each in prompts]
    plain = _walk(backbone, x, modality).tokens
    drawn = _walk(backbone, x, modality, prompts).tokens
    one_for_all = _walk(backbone, x, modality, shared).tokens
    repeated = _walk(backbone, x, modality, [each.expand(CLIPS, -1, -1) for each in shared]).tokens
    if torch.equal(drawn, plain):
        raise Failure("expected prompts to change the output, it is the same; let queries see them as keys and values")
    if far_apart(_walk(backbone, x, modality, [each.flip(1) for each in prompts]).tokens, drawn, tolerance=1e-3):
        raise Failure("expected the order of the prompts not to matter; give them no position")
    if far_apart(repeated, one_for_all, tolerance=1e-3):
        raise Failure("expected (1, P, d) to mean the same prompts for every frame; expand them to BT")
    if far_apart(plain, _walk(backbone, x, modality).tokens, tolerance=1e-5):
        raise Failure("expected the same output without prompts before and after a call with some; keep none of them")


def _check_gradient(backbone: Backbone, modality: Modality) -> None:
    """Gradients reach the prompts of every block, and nothing of the encoder."""
    prompts = [each.requires_grad_() for each in _prompts(backbone, CLIPS)]
    tokens = _walk(backbone, _inputs(backbone, modality, CLIPS), modality, prompts).tokens
    if tokens.requires_grad:
        torch.autograd.backward((tokens * random_tensor(*tokens.shape, seed=1)).sum())
    silent = [str(index) for index, each in enumerate(prompts) if each.grad is None or not each.grad.any()]
    if silent:
        raise Failure(
            f"expected a gradient in the prompts of every block, those of {some(silent)} get none; don't detach, and "
            "run nothing under no_grad"
        )
    thawed = [name for name, parameter in backbone.named_parameters() if parameter.requires_grad]
    if thawed:
        raise Failure(f"expected frozen parameters to stay frozen, {some(thawed)} train now; leave requires_grad alone")


@torch.no_grad()
def _check_bf16(backbone: Backbone, modality: Modality) -> None:
    """Under autocast, and with the matrices stored in bfloat16; prompts may come in either precision."""
    x, prompts = _inputs(backbone, modality, CLIPS), _prompts(backbone, CLIPS)
    exact = _outputs(_walk(backbone, x, modality, prompts))
    lower = copy.deepcopy(backbone)
    lower.lower_precision(torch.bfloat16)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        expect_near(exact, _outputs(_walk(backbone, x, modality, prompts)), "under bf16 autocast")
        prompts = [each.bfloat16() for each in prompts]
        expect_near(exact, _outputs(_walk(lower, x, modality, prompts)), "after lower_precision(torch.bfloat16)")
