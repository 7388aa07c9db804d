import pytest
import torch
from torch.nn.functional import cross_entropy

from copl_avqa.head import Avst
from copl_core.api import ConfigError
from copl_core.contracts import FeatureLayout, Features

SWIN = FeatureLayout(1536, ((192, 48, 48), (384, 24, 24), (768, 12, 12), (1536, 6, 6)))
VIT = FeatureLayout(1024, ((1024, 14, 14),))
HTSAT = FeatureLayout(768, ((768, 2, 32),))
VISUAL, AUDIO = FeatureLayout(10, ((5, 4, 6), (10, 2, 3))), FeatureLayout(6, ((6, 2, 2),))
T, D = 3, 8
NAMES = {"words": ("<pad>", "How", "many", "sound"), "answers": ("one", "two", "no")}


def features(layout: FeatureLayout, items: int, seed: int = 0, prefix: int = 0) -> Features:
    make = torch.Generator().manual_seed(seed)
    pyramid = tuple(torch.randn(items, *shape, generator=make) for shape in layout.pyramid)
    tokens = torch.cat([torch.randn(items, prefix, layout.width), pyramid[-1].flatten(2).transpose(1, 2)], dim=1)
    return Features(pooled=tokens[:, prefix:].mean(dim=1), tokens=tokens, pyramid=pyramid)


def small(**settings) -> Avst:
    torch.manual_seed(0)
    settings = {"names": NAMES, "width": D, "attention_heads": 2, **settings}
    return Avst(visual=VISUAL, audio=AUDIO, frames=T, **settings)


def batch(clips: int = 2, negatives: bool = False) -> dict:
    make = torch.Generator().manual_seed(1)
    made = {
        "question": torch.randint(4, (clips, 5), generator=make),
        "answer": torch.randint(3, (clips,), generator=make),
    }
    if negatives:
        made["negative_features"] = features(VISUAL, clips * T, seed=2)
    return made


def count(module: torch.nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


@pytest.mark.parametrize(
    ("visual", "audio", "size"),
    [
        # LAVISH's module without what its forward never reads:
        # fc_a1, fc_a1_pure, fc_a2_pure, fc_v, fc_st, fc, fc_aq, fc_vq, norm3.
        (SWIN, SWIN, 9_424_556),
        (VIT, VIT, 9_424_556 - 2 * 512 * 512),
        (SWIN, HTSAT, 9_424_556 - 768 * 512),
    ],
)
def test_size_is_that_of_lavish(visual: FeatureLayout, audio: FeatureLayout, size: int) -> None:
    with torch.device("meta"):
        head = Avst(visual=visual, audio=audio, frames=10)

    assert count(head) == size
    assert count(head.question) == 93 * 512 + 4 * (2 * 512 * 512 + 2 * 512) + 1024 * 512 + 512


def linear(x, layer):
    return x @ layer.weight.T + layer.bias


def reference_question(encoder, ids):
    """One question at a time, the LSTM's gates written out."""
    encoded = []
    for question in ids:
        h, c = torch.zeros(D), torch.zeros(D)
        for word in question:
            x = torch.tanh(encoder.embedding.weight[word])
            gates = encoder.lstm.weight_ih_l0 @ x + encoder.lstm.bias_ih_l0
            gates = gates + encoder.lstm.weight_hh_l0 @ h + encoder.lstm.bias_hh_l0
            i, f, g, o = gates.split(D)
            c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
            h = torch.sigmoid(o) * torch.tanh(c)
        encoded.append(linear(torch.tanh(torch.cat([h, c])), encoder.projection))
    return encoded


def reference_ground(head, frame, a):
    """One frame (d_v, H, W) and its sound (D,), cell by cell."""
    cells = [linear(frame[:, i, j], head.visual_projection) for i in range(2) for j in range(3)]
    unit = [cell / cell.norm() for cell in cells]
    scores = torch.stack([cell @ (a / a.norm()) for cell in unit])
    weights = scores.exp() / scores.exp().sum()
    after = sum(weight * cell for weight, cell in zip(weights, unit, strict=True))
    return linear(torch.tanh(torch.cat([sum(cells) / 6, after])), head.grounding), weights


def reference_time(module, q, frames):
    """Attention of one question (D,) to T frames (T, D), head by head, then the feed-forward layer."""
    attention = module.attention
    w_q, w_k, w_v = attention.in_proj_weight.split(D)
    b_q, b_k, b_v = attention.in_proj_bias.split(D)
    query, keys, values = w_q @ q + b_q, frames @ w_k.T + b_k, frames @ w_v.T + b_v
    parts, weights, size = [], 0, D // 2
    for head in range(2):
        part = slice(head * size, (head + 1) * size)
        weight = (keys[:, part] @ query[part] / size**0.5).softmax(0)
        weights = weights + weight / 2
        parts.append(weight @ values[:, part])
    attended = linear(torch.cat(parts), attention.out_proj)
    x = attended + linear(linear(attended, module.feedforward[0]).relu(), module.feedforward[3])
    x = (x - x.mean()) / (x.var(unbiased=False) + 1e-5).sqrt()
    return x * module.norm.weight + module.norm.bias, weights


@pytest.mark.parametrize("clips", [1, 2])
def test_equals_the_formulas_frame_by_frame(clips: int) -> None:
    head = small().eval()
    for module in (head.visual_time, head.audio_time):  # biases that start at 0 would hide a slip
        torch.nn.init.normal_(module.attention.in_proj_bias)
        torch.nn.init.normal_(module.norm.bias)
    visual, audio, given = features(VISUAL, clips * T), features(AUDIO, clips * T, seed=3), batch(clips, negatives=True)

    found = head(visual, audio, given)

    assert {name: value.shape for name, value in found.items()} == {
        "logits": (clips, 3),
        "grounding": (clips, T, 2, 3),
        "visual_attention": (clips, T),
        "audio_attention": (clips, T),
        "match": (clips, T, 2, 2),
    }
    questions = reference_question(head.question, given["question"])
    for b in range(clips):
        sounds, grounded = [], []
        for t in range(T):
            item = b * T + t
            tokens = audio.tokens[item]
            pooled = torch.stack([linear(token, head.audio_projection) for token in tokens]).mean(0)
            a = linear(pooled.relu(), head.audio_hidden)
            g, weights = reference_ground(head, visual.pyramid[-1][item], a)
            other, _ = reference_ground(head, given["negative_features"].pyramid[-1][item], a)
            torch.testing.assert_close(found["grounding"][b, t].flatten(), weights)
            torch.testing.assert_close(found["match"][b, t, 0], head.match(torch.cat([a, g])))
            torch.testing.assert_close(found["match"][b, t, 1], head.match(torch.cat([a, other])))
            sounds.append(a)
            grounded.append(g)
        a, g = torch.stack(sounds), torch.stack(grounded)
        heard, audio_weights = reference_time(head.audio_time, questions[b], a)
        seen, visual_weights = reference_time(head.visual_time, questions[b], g)
        fused = linear(torch.tanh(torch.cat([heard + a.mean(0), seen + g.mean(0)])), head.fusion)
        torch.testing.assert_close(found["logits"][b], linear(torch.tanh(fused * questions[b]), head.classifier))
        torch.testing.assert_close(found["audio_attention"][b], audio_weights)
        torch.testing.assert_close(found["visual_attention"][b], visual_weights)


def test_one_clip_of_one_frame() -> None:
    head = Avst(visual=VISUAL, audio=AUDIO, frames=1, names=NAMES, width=D, attention_heads=2)
    given = {**batch(1), "negative_features": features(VISUAL, 1, seed=2)}

    found = head(features(VISUAL, 1), features(AUDIO, 1), given)

    assert found["logits"].shape == (1, 3)
    assert found["match"].shape == (1, 1, 2, 2)
    assert found["grounding"].shape == (1, 1, 2, 3)


def test_prefix_tokens_have_no_place_in_the_grid() -> None:
    head = small().eval()
    audio = features(AUDIO, T)

    with_prefix, without = (head(features(VISUAL, T, prefix=prefix), audio, batch(1))["grounding"] for prefix in (2, 0))

    assert torch.equal(with_prefix, without)


def test_losses() -> None:
    head = small(match_weight=0.25).eval()
    given = batch(2, negatives=True)
    found = head(features(VISUAL, 2 * T), features(AUDIO, 2 * T), given)

    losses = head.losses(found, given)

    assert set(losses) == {"loss_answer", "loss_match"}
    answers = [-found["logits"][b].log_softmax(0)[given["answer"][b]] for b in range(2)]
    torch.testing.assert_close(losses["loss_answer"], sum(answers) / 2)
    # Class 1, "they belong together", for the own frame (0) and class 0 for the other one (1).
    own = cross_entropy(found["match"][:, :, 0].reshape(-1, 2), torch.ones(2 * T, dtype=torch.int64))
    other = cross_entropy(found["match"][:, :, 1].reshape(-1, 2), torch.zeros(2 * T, dtype=torch.int64))
    torch.testing.assert_close(losses["loss_match"], 0.25 * (own + other) / 2)


def test_without_negatives_there_is_nothing_to_match() -> None:
    head, given = small(), batch()

    losses = head.losses(head(features(VISUAL, 2 * T), features(AUDIO, 2 * T), given), given)

    assert set(losses) == {"loss_answer"}


def test_answers_do_not_depend_on_negatives_or_labels() -> None:
    head = small().eval()
    visual, audio = features(VISUAL, 2 * T), features(AUDIO, 2 * T)
    bare = {key: value for key, value in batch().items() if key != "answer"}

    assert torch.equal(head(visual, audio, bare)["logits"], head(visual, audio, batch(negatives=True))["logits"])


def test_everything_trains_and_features_get_gradients() -> None:
    head, given = small(), batch(negatives=True)
    visual, audio = features(VISUAL, 2 * T), features(AUDIO, 2 * T)
    for tensor in (visual.pyramid[-1], audio.pooled):
        tensor.requires_grad_()

    sum(head.losses(head(visual, audio, given), given).values()).backward()

    assert [name for name, parameter in head.named_parameters() if parameter.grad is None] == []
    for tensor in (visual.pyramid[-1], audio.pooled):
        assert bool(tensor.grad.flatten(1).abs().sum(1).gt(0).all())


def test_data_set_says_how_many_words_and_answers_there_are() -> None:
    head = small(words=50, answers=60)

    assert head.question.embedding.weight.shape == (4, D)
    assert head.classifier.out_features == 3
    head = small(names={}, words=50, answers=60)
    assert head.question.embedding.weight.shape == (50, D)
    assert head.classifier.out_features == 60


@pytest.mark.parametrize(
    ("setting", "value"),
    [("words", 1), ("answers", 0), ("width", 6), ("attention_heads", 0), ("dropout", 1.0), ("match_weight", -1.0)],
)
def test_numbers_that_build_no_head(setting: str, value: float) -> None:
    with pytest.raises(ConfigError, match=rf"head\.{setting} is {value}"):
        small(names=None, **{setting: value})


def test_width_must_divide_into_the_heads() -> None:
    with pytest.raises(ConfigError, match=r"head\.width is 8: must be a multiple of 4 and of attention_heads: 3"):
        small(attention_heads=3)


def test_several_questions_of_a_clip_are_answered_as_each_alone() -> None:
    head = small().eval()
    visual, audio = features(VISUAL, 2 * T), features(AUDIO, 2 * T, seed=3)
    questions = torch.randint(4, (2, 3, 5), generator=torch.Generator().manual_seed(4))
    answers = torch.randint(3, (2, 3), generator=torch.Generator().manual_seed(5))

    together = {"question": questions, "answer": answers}
    found = head(visual, audio, together)

    alone = []
    for number in range(3):
        given = {"question": questions[:, number], "answer": answers[:, number]}
        alone.append(head(visual, audio, given)["logits"])
    torch.testing.assert_close(found["logits"].reshape(2, 3, -1), torch.stack(alone, dim=1))
    assert found["grounding"].shape == (2, T, 2, 3)
    loss = head.losses(found, together)["loss_answer"]
    torch.testing.assert_close(loss, cross_entropy(torch.stack(alone, dim=1).flatten(0, 1), answers.flatten()))


def test_without_weight_there_is_nothing_to_match_with() -> None:
    head = small(match_weight=0)
    given = batch(negatives=True)

    found = head(features(VISUAL, 2 * T), features(AUDIO, 2 * T, seed=3), given)

    assert "match" not in found
    assert not [name for name, _ in head.named_parameters() if name.startswith("match")]
    assert set(head.losses(found, given)) == {"loss_answer"}
