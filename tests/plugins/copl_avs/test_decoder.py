import pytest
import torch

from copl_avs.decoder import AvsDecoder
from copl_core.api import ConfigError, DataError
from copl_core.contracts import FeatureLayout, Features

SWIN = FeatureLayout(1536, ((192, 48, 48), (384, 24, 24), (768, 12, 12), (1536, 6, 6)))
NANO = FeatureLayout(40, ((10, 16, 16), (20, 8, 8), (40, 4, 4), (40, 2, 2)))
VIT = FeatureLayout(24, ((24, 14, 14),))
THREE, FIVE = FeatureLayout(40, NANO.pyramid[1:]), FeatureLayout(40, NANO.pyramid[:1] * 5)
AUDIO = FeatureLayout(12, ((12, 3, 5),))
SMALL = {"output_size": 64, "channels": 16, "widths": (4, 8, 12, 16), "audio_width": 6}


def features(layout: FeatureLayout, items: int, seed: int = 0) -> Features:
    make = torch.Generator().manual_seed(seed)
    pyramid = tuple(torch.randn(items, *shape, generator=make) for shape in layout.pyramid)
    pooled = torch.randn(items, layout.width, generator=make)
    return Features(pooled=pooled, tokens=pyramid[-1].flatten(2).transpose(1, 2), pyramid=pyramid)


def small(visual: FeatureLayout = NANO, frames: int = 5, **settings) -> AvsDecoder:
    torch.manual_seed(0)
    return AvsDecoder(visual=visual, audio=AUDIO, frames=frames, **{**SMALL, **settings})


def everywhere(clips: int = 1, frames: int = 5, size: int = 64) -> dict:
    """A batch whose every frame has a mask."""
    return {
        "mask": torch.zeros(clips, frames, 1, size, size),
        "mask_valid": torch.ones(clips, frames, dtype=torch.bool),
    }


def open_tpavi(head: AvsDecoder) -> AvsDecoder:
    for module in head.tpavi.values():
        torch.nn.init.normal_(module.out_norm.weight)
    return head


def count(module: torch.nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def test_size_on_swin_v2_l_is_the_published_one() -> None:
    with torch.device("meta"):
        head = AvsDecoder(visual=SWIN, audio=FeatureLayout(1536, SWIN.pyramid), frames=5)

    assert count(head) == 21_168_961
    assert count(head.projections) == 1_094_656
    assert count(head.audio_projection) == 196_736
    assert count(head.dilated) == 9_441_280
    assert count(head.fusion) == 9_441_280
    assert count(head.tpavi) == 663_040
    assert count(head.mask) == 331_969


def test_only_the_unit_without_input_is_frozen() -> None:
    head = small()

    batch = everywhere()
    head.losses(head(features(NANO, 5), features(AUDIO, 5), batch), batch)["loss_mask"].backward()

    without = {name for name, parameter in head.named_parameters() if parameter.grad is None}
    assert without == {name for name, _ in head.named_parameters() if name.startswith("fusion.3.lateral_unit.")}
    assert without == {name for name, parameter in head.named_parameters() if not parameter.requires_grad}


def test_scales_are_those_of_avsbench() -> None:
    sizes = []
    with torch.device("meta"):
        head = AvsDecoder(visual=SWIN, audio=FeatureLayout(1536, SWIN.pyramid), frames=5)
        for module in head.dilated:
            module.register_forward_hook(lambda _, inputs, output: sizes.append((inputs[0].shape, output.shape)))
        maps = Features(
            torch.empty(5, 1536), torch.empty(5, 36, 1536), tuple(torch.empty(5, *shape) for shape in SWIN.pyramid)
        )

        logits = head.eval()(maps, maps, {})["logits"]

    assert logits.shape == (1, 5, 1, 224, 224)
    assert [tuple(before) for before, _ in sizes] == [
        (5, 64, 56, 56),
        (5, 128, 28, 28),
        (5, 320, 14, 14),
        (5, 512, 7, 7),
    ]
    assert [tuple(after) for _, after in sizes] == [(5, 256, size, size) for size in (56, 28, 14, 7)]


@pytest.mark.parametrize(
    "layout", [NANO, VIT, FeatureLayout(40, NANO.pyramid[1:]), FeatureLayout(40, NANO.pyramid[:1] * 5)]
)
@pytest.mark.parametrize("output_size", [32, 64])
def test_any_pyramid_gives_the_same_output(layout: FeatureLayout, output_size: int) -> None:
    head = small(layout, frames=3, output_size=output_size).eval()

    assert head(features(layout, 6), features(AUDIO, 6), {})["logits"].shape == (2, 3, 1, output_size, output_size)


def test_missing_levels_are_taken_from_the_finest_map() -> None:
    assert small(NANO).sources == (0, 1, 2, 3)
    assert small(VIT).sources == (0, 0, 0, 0)
    assert small(THREE).sources == (0, 0, 1, 2)
    assert small(FIVE).sources == (1, 2, 3, 4)


def test_sound_reaches_the_mask_through_tpavi_only() -> None:
    visual, audio = features(NANO, 5), features(AUDIO, 5)
    audio.pooled.requires_grad_()

    open_tpavi(small())(visual, audio, everywhere())["logits"].square().sum().backward()
    assert bool(audio.pooled.grad.abs().sum(1).gt(0).all())

    other = features(AUDIO, 5, seed=1)
    for head in (open_tpavi(small(tpavi_stages=())).eval(), small().eval()):  # none; and none yet, at the start
        assert torch.equal(head(visual, audio, {})["logits"], head(visual, other, {})["logits"])
    some = open_tpavi(small(tpavi_stages=(2,))).eval()
    assert not torch.equal(some(visual, audio, {})["logits"], some(visual, other, {})["logits"])
    same_pool = Features(audio.pooled, other.tokens, other.pyramid)
    assert torch.equal(some(visual, audio, {})["logits"], some(visual, same_pool, {})["logits"])


def test_standardized_audio_is_the_projection_of_standard_scores() -> None:
    head, plain = small(standardize_audio=True), small()
    assert count(head) == count(plain)
    seen = []
    head.audio_projection.register_forward_hook(lambda _, inputs, output: seen.append(inputs[0]))
    audio = features(AUDIO, 5)

    head(features(NANO, 5), audio, everywhere())

    mean, variance = audio.pooled.mean(0), audio.pooled.var(0, unbiased=False)
    torch.testing.assert_close(seen[0], (audio.pooled - mean) / (variance + 1e-5).sqrt())


def test_clips_of_a_batch_do_not_mix() -> None:
    head = open_tpavi(small()).eval()
    a, b = features(NANO, 5), features(NANO, 5, seed=1)
    sound_a, sound_b = features(AUDIO, 5), features(AUDIO, 5, seed=1)
    both = Features(
        torch.cat([a.pooled, b.pooled]),
        torch.cat([a.tokens, b.tokens]),
        tuple(map(torch.cat, zip(a.pyramid, b.pyramid, strict=True))),
    )
    sound = Features(torch.cat([sound_a.pooled, sound_b.pooled]), sound_a.tokens, sound_a.pyramid)

    logits = head(both, sound, {})["logits"]

    torch.testing.assert_close(logits[1:], head(b, sound_b, {})["logits"], atol=1e-5, rtol=1e-4)


def test_training_decodes_only_the_frames_with_a_mask_and_changes_no_number() -> None:
    head = open_tpavi(small())
    for module in head.modules():
        if isinstance(module, torch.nn.BatchNorm1d):
            module.eval()  # running statistics in both modes, so that the two are comparable
    visual, audio, batch = features(NANO, 10), features(AUDIO, 10), everywhere(2)
    batch["mask_valid"][:] = False
    batch["mask_valid"][0, 0] = batch["mask_valid"][1, 3] = True

    trained = head(visual, audio, batch)
    evaluated = head.eval()(visual, audio, {})

    assert trained["logits"].shape == (2, 1, 64, 64)
    torch.testing.assert_close(trained["logits"], evaluated["logits"][batch["mask_valid"]], atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(head.losses(trained, batch), head.losses(evaluated, batch))


def test_loss_is_the_cross_entropy_of_the_valid_frames() -> None:
    torch.manual_seed(0)
    logits = torch.randn(2, 5, 1, 64, 64, requires_grad=True)
    mask = (torch.rand(2, 5, 1, 64, 64) > 0.7).float()
    valid = torch.tensor([[True, False, False, False, False], [True, False, False, True, False]])

    loss = small().losses({"logits": logits}, {"mask": mask, "mask_valid": valid})
    loss["loss_mask"].backward()

    p = logits.detach().double().sigmoid()
    terms = -(mask * p.log() + (1 - mask) * (1 - p).log())
    expected = (terms[0, 0].sum() + terms[1, 0].sum() + terms[1, 3].sum()) / (3 * 64 * 64)
    assert list(loss) == ["loss_mask"]
    assert loss["loss_mask"].item() == pytest.approx(float(expected), rel=1e-6)
    assert torch.equal(logits.grad.flatten(2).ne(0).any(2), valid)


def test_loss_is_taken_in_float32() -> None:
    logits = torch.randn(1, 5, 1, 64, 64).bfloat16()
    batch = {"mask": torch.zeros(1, 5, 1, 64, 64), "mask_valid": torch.ones(1, 5, dtype=torch.bool)}

    assert small().losses({"logits": logits}, batch)["loss_mask"].dtype == torch.float32


def test_no_valid_frame_is_no_loss() -> None:
    batch = {"mask": torch.zeros(1, 5, 1, 64, 64), "mask_valid": torch.zeros(1, 5, dtype=torch.bool)}

    assert float(small().losses({"logits": torch.randn(1, 5, 1, 64, 64)}, batch)["loss_mask"]) == 0


def test_masks_of_another_size_are_refused() -> None:
    batch = {"mask": torch.zeros(1, 5, 1, 224, 224), "mask_valid": torch.ones(1, 5, dtype=torch.bool)}

    with pytest.raises(DataError, match=r"224x224 .* 64x64: set task\.head\.output_size to 224"):
        small().losses({"logits": torch.zeros(1, 5, 1, 64, 64)}, batch)


@pytest.mark.parametrize(
    "setting",
    [
        {"output_size": 200},
        {"output_size": 0},
        {"channels": 20},
        {"widths": (1, 2, 3)},
        {"widths": (0, 1, 2, 3)},
        {"audio_width": 0},
        {"tpavi_stages": (0, 4)},
        {"tpavi_stages": (1, 1)},
        {"tpavi_gain": -1},
    ],
)
def test_settings_that_build_nothing_are_refused(setting: dict) -> None:
    with pytest.raises(ConfigError, match=rf"head\.{next(iter(setting))} is"):
        small(**setting)


def test_matching_loss_is_the_kl_divergence_of_the_softmaxes() -> None:
    head = open_tpavi(small(matching_weight=0.5)).train()
    batch = everywhere(clips=2)
    predictions = head(features(NANO, 10), features(AUDIO, 10, seed=1), batch)
    losses = head.losses(predictions, batch)

    total = 0.0
    for scale in range(4):
        seen_map, sound = predictions[f"map{scale}"].double(), predictions[f"sound{scale}"].double()
        assert (seen_map >= 0).all()
        step = 64 // seen_map.shape[-1]
        mask = predictions["logits"].double().unfold(2, step, step).unfold(3, step, step).mean((-1, -2)).sigmoid()
        for frame in range(10):
            seen = (seen_map[frame] * mask[frame]).sum((1, 2)) / seen_map[frame, 0].numel()
            p, q = sound[frame].softmax(0), seen.softmax(0)
            total += float((p * (p / q).log()).sum())
    assert float(losses["loss_matching"].detach()) == pytest.approx(0.5 * total / 4, rel=1e-4)
    (losses["loss_matching"] + losses["loss_mask"]).backward()
    assert head.tpavi["0"].align.weight.grad.abs().sum() > 0


def test_without_matching_loss_nothing_more_is_kept_and_evaluation_never_has_it() -> None:
    assert set(small().train()(features(NANO, 5), features(AUDIO, 5), everywhere())) == {"logits"}
    head = small(matching_weight=0.5).eval()
    assert set(head(features(NANO, 5), features(AUDIO, 5), everywhere())) == {"logits"}


@pytest.mark.parametrize("settings", [{"matching_weight": -1.0}, {"matching_weight": 0.5, "tpavi_stages": ()}])
def test_matching_weight_needs_tpavi_and_no_sign(settings) -> None:
    with pytest.raises(ConfigError, match="matching_weight"):
        small(**settings)
