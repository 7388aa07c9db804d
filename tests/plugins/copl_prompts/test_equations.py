"""Equations 2 to 9, each against a plain formula written out here with loops."""

from functools import partial

import pytest
import torch

from copl_fusion.mappers import Bottleneck, LinearMap
from copl_prompts.bank import PromptBank, SetBank
from copl_prompts.copl import CoPL
from copl_prompts.interaction import InteractionPrompts, compress
from copl_prompts.modal import FramePrompts, GlobalPrompts
from helpers import layout, randomize

B, T, N = 2, 3, 7


def tokens(width: int, seed: int = 0, n: int = N) -> torch.Tensor:
    return torch.randn(B * T, n, width, generator=torch.Generator().manual_seed(seed))


def softmax(row: torch.Tensor) -> torch.Tensor:
    powers = (row - row.max()).exp()
    return powers / powers.sum()


def interaction(**settings) -> InteractionPrompts:
    given = {
        "layout": layout(frames=T, widths=((4, 6),) * 3),
        "length": 5,
        "last": 2,
        "bank": partial(PromptBank, size=4),
        "mapper": partial(Bottleneck, width=3),
    }
    module = InteractionPrompts(**(given | settings))
    randomize(module, std=0.5)
    return module


def test_eq2_modal_specific_prompts_concatenate_global_and_frame():
    where = layout(frames=T, widths=((4, 6),) * 2)
    tuner = CoPL(layout=where, prompts={"global": partial(GlobalPrompts, length=2), "frame": FramePrompts})
    seen = {}
    tuner.walk = lambda pair, v, a, pv, pa: (seen.update(v=pv, a=pa), (v, a))[1]
    from copl_core.contracts import Pair

    tuner.step(Pair(index=1, visual=None, audio=None), tokens(4), tokens(6))
    for side, width in (("v", 4), ("a", 6)):
        name = {"v": "visual", "a": "audio"}[side]
        general = getattr(tuner.prompts["global"], name)["1"]
        local = getattr(tuner.prompts["frame"], name)["1"]
        for b in range(B):
            for t in range(T):
                expected = torch.cat([general, local[t : t + 1]])  # [M^g, M^f], frame t sees its own token
                assert torch.equal(seen[side][b * T + t], expected)
        assert seen[side].shape == (B * T, 3, width)


def test_eq2_frame_prompts_attached_to_all_frames():
    prompts = FramePrompts(layout=layout(frames=T, widths=((4, 6),)), attach="all")
    visual, audio = prompts(0, tokens(4), tokens(6))
    assert torch.equal(visual, prompts.visual["0"][None])
    assert audio.shape == (1, T, 6)


def test_eq3_eq4_specific_prompts_in_every_block_interaction_in_the_last_k():
    where = layout(frames=T, widths=((4, 6),) * 5)
    tuner = CoPL(
        layout=where,
        prompts={
            "global": partial(GlobalPrompts, length=2),
            "interaction": partial(
                InteractionPrompts,
                length=3,
                last=2,
                bank=partial(PromptBank, size=4),
                mapper=partial(Bottleneck, width=2),
            ),
        },
    )
    lengths = []
    tuner.walk = lambda pair, v, a, pv=None, pa=None: (lengths.append((pv.shape[1], pa.shape[1])), (v, a))[1]
    from copl_core.contracts import Pair

    for index in range(5):
        tuner.step(Pair(index=index, visual=None, audio=None), tokens(4), tokens(6))
    assert lengths == [(2, 2)] * 3 + [(2 + 2 * 3, 2 + 2 * 3)] * 2


@pytest.mark.parametrize("scaled", [False, True])
@pytest.mark.parametrize("frames", [1, T])
def test_eq5_compression(scaled, frames):
    latent, z = torch.randn(5, 4), tokens(4)
    out = compress(latent, z, scaled=scaled, frames=frames)
    for item in range(B * T):
        start = item // frames * frames
        rows = torch.cat([z[i] for i in range(start, start + frames)])
        for k in range(5):
            logits = torch.stack([latent[k] @ row for row in rows])
            weights = softmax(logits / 2.0 if scaled else logits)  # sqrt(4) = 2
            expected = latent[k] + sum(w * row for w, row in zip(weights, rows, strict=True))
            assert torch.allclose(out[item, k], expected, atol=1e-5)


def test_eq6_eq7_bank_of_vectors():
    bank = PromptBank(width=4, length=5, size=3)
    randomize(bank, std=1.0)
    queries = torch.randn(2, 5, 4)
    out = bank(queries)
    for item in range(2):
        for k in range(5):
            similarity = softmax(torch.stack([queries[item, k] @ bank.entries[i] for i in range(3)]))  # Eq. 6
            expected = sum(similarity[i] * bank.entries[i] for i in range(3))  # Eq. 7
            assert torch.allclose(out[item, k], expected, atol=1e-6)


def test_eq6_eq7_bank_of_sets():
    bank = SetBank(width=4, length=5, size=3)
    randomize(bank, std=1.0)
    queries = torch.randn(2, 5, 4)
    out = bank(queries)
    for item in range(2):
        mean = sum(queries[item]) / 5
        similarity = softmax(torch.stack([mean @ (sum(bank.entries[i]) / 5) for i in range(3)]))
        expected = sum(similarity[i] * bank.entries[i] for i in range(3))
        assert torch.allclose(out[item], expected, atol=1e-6)


def test_eq8_bottleneck_mapper():
    mapper = Bottleneck(source=4, target=6, width=3)
    x = torch.randn(2, 5, 4)
    out = mapper(x)
    for item in range(2):
        for k in range(5):
            hidden = mapper.down.weight @ x[item, k] + mapper.down.bias
            hidden = torch.where(hidden > 0, hidden, torch.zeros_like(hidden))
            assert torch.allclose(out[item, k], mapper.up.weight @ hidden + mapper.up.bias, atol=1e-6)


def test_eq8_linear_mapper():
    mapper = LinearMap(source=4, target=6)
    x = torch.randn(2, 5, 4)
    assert torch.allclose(mapper(x), x @ mapper.map.weight.T + mapper.map.bias, atol=1e-6)


def test_eq9_concatenates_own_and_mapped_prompts():
    module = interaction()
    coupling = module.couplings["2"]
    visual, audio = tokens(4, 1), tokens(6, 2, n=9)
    i_v, i_a = module(2, visual, audio)
    assert i_v.shape == (B * T, 10, 4)  # 2 L_I
    assert i_a.shape == (B * T, 10, 6)
    p_v = coupling.banks[0](compress(coupling.latent_visual, visual))
    p_a = coupling.banks[1](compress(coupling.latent_audio, audio))
    f_v, f_a = coupling.mappers  # visual -> audio width, audio -> visual width
    assert torch.allclose(i_v, torch.cat([p_v, f_a(p_a)], 1))
    assert torch.allclose(i_a, torch.cat([p_a, f_v(p_v)], 1))


def test_information_crosses_between_the_modalities_only_with_a_bank():
    for bank, crosses in ((partial(PromptBank, size=4), True), (None, False)):
        module = interaction(bank=bank)
        visual, audio = tokens(4, 1), tokens(6, 2)
        before = module(2, visual, audio)[0]
        after = module(2, visual, audio + 1.0)[0]
        assert torch.equal(before, after) is not crosses


def test_one_bank_and_mapper_serve_both_modalities_where_widths_agree():
    equal = layout(frames=T, widths=((4, 4),) * 2)
    shared, own = interaction(layout=equal), interaction(layout=equal, share="never")
    for module, count in ((shared, 1), (own, 2)):
        assert len(module.couplings["0"].banks) == len(module.couplings["0"].mappers) == count
    coupling = shared.couplings["0"]
    visual, audio = tokens(4, 1), tokens(4, 2)
    p_v, p_a = (
        coupling.banks[0](compress(latent, z))
        for latent, z in ((coupling.latent_visual, visual), (coupling.latent_audio, audio))
    )
    assert torch.allclose(shared(0, visual, audio)[0], torch.cat([p_v, coupling.mappers[0](p_a)], 1))
    assert torch.allclose(shared(0, visual, audio)[1], torch.cat([p_a, coupling.mappers[0](p_v)], 1))


@pytest.mark.parametrize(("argument", "value"), [("length", 0), ("last", 0)])
def test_impossible_sizes_are_refused(argument, value):
    with pytest.raises(ValueError, match="at least 1"):
        interaction(**{argument: value})


def test_paper_counts_of_swin_large():
    """Everything but F on a shared Swin-V2-L, and the widths r that round to the published additional parameters."""
    widths = ((192, 192),) * 2 + ((384, 384),) * 2 + ((768, 768),) * 18 + ((1536, 1536),) * 2
    for frames, length, r, without_mapper, published in (
        (10, 20, 75, 1.2365, 1.7),
        (10, 30, 22, 1.6589, 1.8),
        (5, 30, 215, 1.4784, 2.8),
    ):
        tuner = CoPL(
            layout=layout(frames=frames, widths=widths),
            prompts={
                "global": partial(GlobalPrompts, length=length),
                "frame": FramePrompts,
                "interaction": partial(
                    InteractionPrompts,
                    length=length,
                    last=2,
                    bank=partial(PromptBank, size=10),
                    mapper=partial(Bottleneck, width=r),
                ),
            },
        )
        sizes = {name: p.numel() for name, p in tuner.additional_parameters()}
        mapper = sum(n for name, n in sizes.items() if ".mappers." in name)
        assert round((sum(sizes.values()) - mapper) / 1e6, 4) == without_mapper
        assert round(sum(sizes.values()) / 1e6, 1) == published
