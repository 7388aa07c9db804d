"""The lockstep model: freezing, parity, shared encoders, gradient gating, the sum of Eq. 11."""

from functools import partial

import pytest
import torch

from copl_core.contracts import Tuner
from copl_core.model import TwoStream
from copl_prompts.copl import CoPL
from copl_prompts.frozen import Frozen
from helpers import tiny_swin
from model_parts import PROMPTS, PooledHead, T, batch, build


def test_frozen_equals_timms_features():
    net, data = build(Frozen), batch()
    output = net(data)
    for features, name in ((output.visual, "visual"), (output.audio, "audio")):
        expected = net.visual.encoder.forward_features(data[name].flatten(0, 1)).flatten(1, 2)
        assert torch.allclose(features.tokens, expected, atol=1e-5)


def test_shared_encoder_in_one_batch_equals_two_separate_encoders():
    joint = build()
    separate = build(audio=tiny_swin())
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
    net, data = build(), batch()
    sum(net.losses(net(data), data).values()).backward()
    names = {name for name, _ in net.trained()}
    assert {name.split(".")[0] for name in names} == {"tuner", "head"}
    assert [name for name, p in net.trained() if p.grad is None or not p.grad.abs().sum() > 0] == []
    assert all(p.grad is None for p in net.encoders.parameters())


def test_encoders_stay_in_evaluation_mode():
    net = build().train()
    assert net.head.training
    assert net.tuner.training
    assert not any(module.training for module in net.encoders.modules())


def test_eq11_adds_the_consistency_loss_to_the_tasks():
    net, data = build(), batch()
    output = net(data)
    losses = net.losses(output, data)
    distance = ((output.visual.pooled - output.audio.pooled) ** 2).mean()
    assert set(losses) == {"loss_task", "loss_consistency"}
    assert losses["loss_consistency"].item() == pytest.approx(0.5 * distance.item(), rel=1e-5)
    task = (output.predictions["logits"] ** 2).mean()
    assert sum(losses.values()).item() == pytest.approx((task + 0.5 * distance).item(), rel=1e-5)


def test_blocks_before_the_first_prompt_keep_no_graph():
    late = partial(CoPL, prompts=PROMPTS, first_block=3)
    net, data = build(late), batch()
    graphs = []
    step = net.tuner.step
    net.tuner.step = lambda pair, v, a: (graphs.append(v.requires_grad), step(pair, v, a))[1]
    output = net(data)
    assert graphs == [False] * 4  # tokens entering blocks 0..3: the first with a graph leaves block 3
    assert output.visual.pooled.requires_grad
    assert {int(key) for key in net.tuner.prompts["global"].visual} == {3}


def test_a_frozen_tuner_saves_nothing_for_the_backward_pass():
    net, data = build(Frozen), batch()
    saved = []
    with torch.autograd.graph.saved_tensors_hooks(lambda t: (saved.append(t.shape), t)[1], lambda t: t):
        visual, audio = net.encode(data["visual"].flatten(0, 1), data["audio"].flatten(0, 1))
    assert saved == []
    assert not visual.pooled.requires_grad
    assert not audio.pooled.requires_grad


def test_encoders_of_unequal_depth_walk_in_lockstep():
    net = build(audio=tiny_swin(depths=(1, 1), seed=9))
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
        net = build(partial(CoPL, prompts={name: PROMPTS[name] for name in names}))
        same = torch.equal(net(data).visual.pooled, net(other).visual.pooled)
        assert same is not crosses


@pytest.mark.parametrize("tuned", [False, True])
def test_negative_frames_are_encoded_without_autograd_and_through_the_tuner_if_the_head_says_so(tuned):
    net, data = build(), batch()
    data["negative"] = data["visual"].flip(0)
    seen = {}
    forward = net.head.forward
    net.head.forward = lambda v, a, given: (seen.update(given), forward(v, a, given))[1]
    net.head.tuned_negatives = tuned
    net(data)
    plain = net.visual.encoder.forward_features(data["negative"].flatten(0, 1)).flatten(1, 2)
    # The clip of other frames with the same sound.
    through_tuner = net({"visual": data["negative"], "audio": data["audio"]}).visual.tokens
    assert not torch.allclose(plain, through_tuner, atol=1e-3)
    assert torch.allclose(seen["negative_features"].tokens, through_tuner if tuned else plain, atol=1e-5)
    assert not seen["negative_features"].tokens.requires_grad
    assert "negative_features" not in data
