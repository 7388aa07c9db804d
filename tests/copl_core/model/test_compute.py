"""Precision, checkpointing and compilation change what a step costs, not what it computes."""

from functools import partial

import pytest
import torch

from copl_core.contracts import Tuner
from copl_lavish.tuner import LAVISH
from copl_prompts.copl import CoPL
from copl_prompts.full import Full
from model_parts import PROMPTS, batch, build

COPL = partial(CoPL, prompts=PROMPTS)
BATCH_NORM = partial(LAVISH, reduction=4, groups=2, latents=2)


def run(tuner, **compute):
    """Loss, gradients by name, buffers by name, and bytes kept, of one training step."""
    torch.manual_seed(0)
    net = build(tuner, **compute).train()
    data = batch()
    kept = {}
    with torch.autograd.graph.saved_tensors_hooks(
        lambda t: (kept.__setitem__(t.untyped_storage().data_ptr(), t), t)[1], lambda t: t
    ):
        loss = sum(net.losses(net(data), data).values())
    frozen = {t.untyped_storage().data_ptr() for t in [*net.encoders.parameters(), *net.encoders.buffers()]}
    size = sum(t.untyped_storage().nbytes() for pointer, t in kept.items() if pointer not in frozen)
    loss.backward()
    gradients = {name: p.grad for name, p in net.named_parameters() if p.grad is not None}
    buffers = {name: b.clone() for name, b in net.tuner.named_buffers()}
    return loss.item(), gradients, buffers, size


@pytest.mark.parametrize("tuner", [COPL, BATCH_NORM, Full], ids=["copl", "lavish-batch-norm", "full"])
@pytest.mark.parametrize("mode", ["mlp", "block"])
def test_checkpointing_gives_the_same_step_from_less_memory(tuner, mode):
    loss, gradients, buffers, size = run(tuner)
    again, gradients_again, buffers_again, size_again = run(tuner, checkpointing=mode)
    assert again == loss
    assert gradients_again.keys() == gradients.keys()
    # CoPL's walk ends a Swin-V2 block in a way that gets a norm's input back from its output; the rest is bit for bit.
    error = 1e-4 if (tuner, mode) == (COPL, "block") else 0
    for name, gradient in gradients.items():
        assert (gradients_again[name] - gradient).norm() <= error * gradient.norm(), name
    assert buffers_again.keys() == buffers.keys()
    for name, buffer in buffers.items():
        assert torch.equal(buffers_again[name], buffer), name
    assert size_again < size


def test_checkpointing_repeats_the_random_numbers_of_a_tuner():
    class Noisy(COPL.func):
        def step(self, pair, visual, audio):
            visual, audio = super().step(pair, visual, audio)
            return torch.nn.functional.dropout(visual, 0.5), torch.nn.functional.dropout(audio, 0.5)

    tuner = partial(Noisy, prompts=PROMPTS)
    (_, plain, *_), (_, again, *_) = run(tuner), run(tuner, checkpointing="block")
    for name, gradient in plain.items():
        assert (again[name] - gradient).norm() <= 1e-4 * gradient.norm(), name


def test_the_batch_norm_of_the_test_above_is_updated():
    _, _, buffers, _ = run(BATCH_NORM)
    counts = [buffer for name, buffer in buffers.items() if name.endswith("num_batches_tracked")]
    assert counts
    assert all(count == 1 for count in counts)


@pytest.mark.parametrize("tuner", [COPL, BATCH_NORM], ids=["copl", "lavish"])
def test_bf16_is_near_fp32(tuner):
    loss, gradients, *_ = run(tuner)
    lower, lower_gradients, *_ = run(tuner, precision="bf16")
    assert lower == pytest.approx(loss, rel=0.05)
    flat, lower_flat = (torch.cat([g[n].flatten() for n in gradients]) for g in (gradients, lower_gradients))
    assert lower_flat.dtype == torch.float32
    assert torch.nn.functional.cosine_similarity(flat, lower_flat, dim=0) > 0.98


def test_bf16_stores_the_frozen_matrices_in_bf16_and_predicts_in_fp32():
    net = build(COPL, precision="bf16")
    block = net.visual.encoder.layers[0].blocks[0]
    assert block.mlp.fc1.weight.dtype == block.attn.qkv.weight.dtype == torch.bfloat16
    assert block.norm1.weight.dtype == block.attn.cpb_mlp[0].weight.dtype == torch.float32
    assert {p.dtype for p in net.tuner.parameters()} == {torch.float32}
    assert net(batch()).predictions["logits"].dtype == torch.float32


def test_bf16_leaves_encoders_that_train_in_fp32():
    net = build(Full, precision="bf16")
    assert {p.dtype for p in net.encoders.parameters()} == {torch.float32}


@pytest.mark.slow
def test_compiled_blocks_give_the_same_step():
    loss, gradients, *_ = run(COPL, depths=(1, 1))
    compiled, compiled_gradients, *_ = run(COPL, depths=(1, 1), compile=True)
    assert compiled == pytest.approx(loss, rel=1e-5)
    for name, gradient in gradients.items():
        assert torch.allclose(compiled_gradients[name], gradient, rtol=1e-3, atol=1e-6), name


def test_later_prompts_keep_less():
    sizes = [run(partial(CoPL, prompts=PROMPTS, first_block=first))[3] for first in range(4)]
    assert sizes == sorted(sizes, reverse=True)
    assert sizes[-1] < 0.4 * sizes[0]


class Reader(Tuner):
    """Distils the tokens of every pair beside the encoders; never gives them anything back."""

    def __init__(self, *, layout):
        super().__init__(layout=layout)
        self.distil = torch.nn.ModuleList([torch.nn.Linear(p.visual_width, layout.visual_width) for p in layout.pairs])

    def read(self, pair, visual, audio, state):
        assert not visual.requires_grad
        summary = self.distil[pair.index](visual.mean(1) + audio.mean(1))
        return summary if state is None else state + summary

    def adapt(self, visual, audio, state):
        return type(visual)(visual.pooled + state, visual.tokens, visual.pyramid), audio


def test_a_tuner_that_only_reads_makes_the_encoders_keep_nothing():
    net, data = build(Reader), batch()
    tokens_kept = []

    def pack(tensor):
        if tensor.dim() == 3:  # everything of an encoder has its tokens
            tokens_kept.append(tensor.shape)
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda t: t):
        visual, audio = net.encode(data["visual"].flatten(0, 1), data["audio"].flatten(0, 1))
    assert tokens_kept == []
    assert visual.pooled.requires_grad
    assert not audio.pooled.requires_grad
    visual.pooled.square().sum().backward()
    assert all(p.grad.abs().sum() > 0 for p in net.tuner.parameters())
