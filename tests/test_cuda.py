"""What only a CUDA device can show: its attention kernels, half precision, the loss scale."""

from functools import partial

import pytest
import torch

from copl_prompts.copl import CoPL
from literal_swin import LiteralCoPL
from model_parts import PROMPTS, batch, build

pytestmark = pytest.mark.cuda


def run(tuner=None, **compute):
    """Pooled features, and gradients of the trained tensors, on the GPU."""
    torch.manual_seed(0)
    net = build(tuner or partial(CoPL, prompts=PROMPTS), **compute).cuda().train()
    data = {name: tensor.cuda() for name, tensor in batch().items()}
    output = net(data)
    sum(net.losses(output, data).values()).backward()
    gradient = torch.cat([p.grad.flatten() for p in net.tuner.parameters()])
    return output.visual.pooled.detach().float(), gradient


def test_fused_attention_equals_the_literal_block():
    (ours, gradient), (literal, literal_gradient) = run(), run(partial(LiteralCoPL, prompts=PROMPTS))
    assert (ours - literal).abs().max() < 1e-3
    assert (gradient - literal_gradient).norm() / literal_gradient.norm() < 1e-3


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_half_precision_is_near_fp32(precision):
    (_, gradient), (_, lower) = run(), run(precision=precision)
    assert torch.nn.functional.cosine_similarity(gradient, lower, dim=0) > 0.98


@pytest.mark.parametrize("mode", ["mlp", "block"])
def test_checkpointing_gives_the_same_gradients(mode):
    (_, gradient), (_, again) = run(), run(checkpointing=mode)
    assert torch.allclose(gradient, again, rtol=1e-3, atol=1e-6)
