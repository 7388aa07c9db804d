"""The lockstep model: freezing, parity, shared encoders, gradient gating, the sum of Eq. 11."""

from functools import partial

import pytest
import torch
from torch import nn

from copl_core.contracts import Head, Tuner
from copl_core.model import TwoStream
from copl_fusion.mappers import Bottleneck
from copl_losses.consistency import Consistency
from copl_prompts.bank import PromptBank
from copl_prompts.copl import CoPL
from copl_prompts.frozen import Frozen
from copl_prompts.interaction import InteractionPrompts
from copl_prompts.modal import FramePrompts, GlobalPrompts
from helpers import randomize, tiny_swin

T = 2


class PooledHead(Head):
    """Two logits from both pooled features."""

    def __init__(self, *, visual, audio, frames):
        super().__init__(visual=visual, audio=audio, frames=frames)
        self.classify = nn.Linear(visual.width + audio.width, 2)

    def forward(self, visual, audio, batch):
        return {"logits": self.classify(torch.cat([visual.pooled, audio.pooled], -1)).unflatten(0, (-1, self.frames))}

    def losses(self, predictions, batch):
        return {"loss_task": (predictions["logits"] ** 2).mean()}


PROMPTS = {
    "global": partial(GlobalPrompts, length=3),
    "frame": FramePrompts,
    "interaction": partial(
        InteractionPrompts, length=2, last=2, bank=partial(PromptBank, size=4), mapper=partial(Bottleneck, width=3)
    ),
}


def model(tuner=None, *, audio=None, depths=(2, 2)) -> TwoStream:
    tuner = tuner or partial(CoPL, prompts=PROMPTS, losses={"consistency": partial(Consistency, weight=0.5)})
    built = TwoStream(visual=tiny_swin(depths=depths), audio=audio, tuner=tuner, head=PooledHead, frames=T)
    randomize(built.tuner, std=0.3)
    return built


def batch(clips: int = 2) -> dict:
    generator = torch.Generator().manual_seed(4)
    return {name: torch.randn(clips, T, 3, 32, 32, generator=generator) for name in ("visual", "audio")}


def test_frozen_equals_timms_features():
    net, data = model(Frozen), batch()
    output = net(data)
    for features, name in ((output.visual, "visual"), (output.audio, "audio")):
        expected = net.visual.encoder.forward_features(data[name].flatten(0, 1)).flatten(1, 2)
        assert torch.allclose(features.tokens, expected, atol=1e-5)


def test_shared_encoder_in_one_batch_equals_two_separate_encoders():
    joint = model()
    separate = model(audio=tiny_swin())
    separate.tuner.load_state_dict(joint.tuner.state_dict())
    separate.head.load_state_dict(joint.head.state_dict())
    data = batch()
    a, b = joint(data), separate(data)
    assert joint.shared
    assert not separate.shared
    assert torch.allclose(a.predictions["logits"], b.predictions["logits"], atol=1e-5)
    grads = []
    for net, output in ((joint, a), (separate, b)):
        sum(net.losses(output, data).values()).backward()
        grads.append({name: p.grad for name, p in net.tuner.named_parameters()})
    for name, grad in grads[0].items():
        assert torch.allclose(grad, grads[1][name], rtol=1e-3, atol=1e-6), name


def test_only_tuner_and_head_train_and_all_of_them_get_a_gradient():
    net, data = model(), batch()
    sum(net.losses(net(data), data).values()).backward()
    names = {name for name, _ in net.trained()}
    assert {name.split(".")[0] for name in names} == {"tuner", "head"}
    assert [name for name, p in net.trained() if p.grad is None or not p.grad.abs().sum() > 0] == []
    assert all(p.grad is None for p in net.encoders.parameters())


def test_encoders_stay_in_evaluation_mode():
    net = model().train()
    assert net.head.training
    assert net.tuner.training
    assert not any(module.training for module in net.encoders.modules())


def test_eq11_adds_the_consistency_loss_to_the_tasks():
    net, data = model(), batch()
    output = net(data)
    losses = net.losses(output, data)
    distance = ((output.visual.pooled - output.audio.pooled) ** 2).mean()
    assert set(losses) == {"loss_task", "loss_consistency"}
    assert losses["loss_consistency"].item() == pytest.approx(0.5 * distance.item(), rel=1e-5)
    task = (output.predictions["logits"] ** 2).mean()
    assert sum(losses.values()).item() == pytest.approx((task + 0.5 * distance).item(), rel=1e-5)


def test_blocks_before_the_first_prompt_keep_no_graph():
    late = partial(CoPL, prompts=PROMPTS, first_block=3)
    net, data = model(late), batch()
    graphs = []
    step = net.tuner.step
    net.tuner.step = lambda pair, v, a: (graphs.append(v.requires_grad), step(pair, v, a))[1]
    output = net(data)
    assert graphs == [False] * 4  # tokens entering blocks 0..3: the first with a graph leaves block 3
    assert output.visual.pooled.requires_grad
    assert {int(key) for key in net.tuner.prompts["global"].visual} == {3}


def test_a_frozen_tuner_saves_nothing_for_the_backward_pass():
    net, data = model(Frozen), batch()
    saved = []
    with torch.autograd.graph.saved_tensors_hooks(lambda t: (saved.append(t.shape), t)[1], lambda t: t):
        visual, audio = net.encode(data["visual"].flatten(0, 1), data["audio"].flatten(0, 1))
    assert saved == []
    assert not visual.pooled.requires_grad
    assert not audio.pooled.requires_grad


def test_encoders_of_unequal_depth_walk_in_lockstep():
    net = model(audio=tiny_swin(depths=(1, 1), seed=9))
    data = batch()
    plain = TwoStream(visual=net.visual, audio=net.audio, tuner=Tuner, head=PooledHead, frames=T)(data)
    for encoder, name, features in ((net.visual, "visual", plain.visual), (net.audio, "audio", plain.audio)):
        expected = encoder.encoder.forward_features(data[name].flatten(0, 1)).flatten(1, 2)
        assert torch.allclose(features.tokens, expected, atol=1e-5)
    assert net.tuner.prompts["global"].pairs() == (1, 3)
    assert net(data).predictions["logits"].shape == (2, T, 2)


def test_sound_reaches_the_visual_features_only_through_interaction_prompts():
    data = batch()
    other = {**data, "audio": data["audio"] + 1.0}
    for names, crosses in ((["global", "frame"], False), (["interaction"], True)):
        net = model(partial(CoPL, prompts={name: PROMPTS[name] for name in names}))
        same = torch.equal(net(data).visual.pooled, net(other).visual.pooled)
        assert same is not crosses
