"""Vision Transformers without prompts equal timm; inputs of two sizes; names, counts and the two-stream model."""

from functools import partial

import numpy as np
import pytest
import timm
import torch
from PIL import Image

from copl_core.api import ConfigError
from copl_core.model import TwoStream
from copl_losses.consistency import Consistency
from copl_prompts.copl import CoPL
from copl_vit.backbone import ViT
from helpers import randomize
from model_parts import PROMPTS, PooledHead


def images(*size, items=2, seed=0):
    return torch.randn(items, 3, *size, generator=torch.Generator().manual_seed(seed))


def on_meta(name, **options):
    with torch.device("meta"):
        return ViT(model=name, weights="none", **options)


def walk(backbone, x, modality="visual"):
    """The plain walk of a backbone alone: tokens through both branches of every block."""
    tokens = backbone.embed(x)
    for block in backbone.blocks:
        tokens = tokens + block.attention(tokens)
        tokens = tokens + block.feedforward(tokens)
    return backbone.features([tokens], modality)


class TestParity:
    """Without prompts the features are timm's."""

    def test_equals_timm(self, tiny_vit, flavour):
        backbone, x = tiny_vit(flavour), images(32, 32)
        with torch.no_grad():
            ours, theirs = walk(backbone, x), backbone.encoder.forward_features(x)
            pooled = backbone.encoder.forward_head(theirs, pre_logits=True)
            (final,) = backbone.encoder.forward_intermediates(x, indices=1, norm=True, intermediates_only=True)
        assert torch.allclose(ours.tokens, theirs, atol=1e-5)
        assert torch.allclose(ours.pooled, pooled, atol=1e-5)
        assert torch.allclose(ours.pyramid[0], final, atol=1e-5)
        assert tuple(ours.tokens.shape[1:]) == (backbone.tokens("visual")[0], backbone.layout("visual").width)
        assert tuple(ours.pyramid[0].shape[1:]) == backbone.layout("visual").pyramid[0]

    @pytest.mark.parametrize("name", ["test_vit", "test_vit2"])
    def test_equals_timms_named_models(self, name):
        backbone = ViT(model=name, weights="none").eval()
        randomize(backbone.encoder, std=0.1)
        x = images(backbone.input_spec.image.height, backbone.input_spec.image.width, items=1)
        with torch.no_grad():
            ours, theirs = walk(backbone, x), backbone.encoder.forward_features(x)
        assert torch.allclose(ours.tokens, theirs, atol=1e-5)

    def test_pooling_can_be_chosen(self, tiny_vit):
        x = images(32, 32)
        with torch.no_grad():
            token, avg = walk(tiny_vit("registers", pool="token"), x), walk(tiny_vit("registers", pool="avg"), x)
        assert torch.equal(token.pooled, token.tokens[:, 0])
        assert torch.allclose(avg.pooled, avg.tokens[:, 3:].mean(1))

    def test_pooling_by_attention_becomes_the_mean_of_patches(self):
        assert on_meta("vit_base_patch16_siglip_224").pool == "avg"


class TestSizes:
    """One encoder, images and spectrograms."""

    def test_a_spectrogram_walks_through_at_its_own_size(self, tiny_vit, flavour):
        backbone = tiny_vit(flavour)
        with torch.no_grad():
            features = walk(backbone, images(27, 20), "audio")
        prefix = backbone.encoder.num_prefix_tokens
        assert backbone.tokens("audio") == (prefix + 3 * 2,) * 2
        assert backbone.layout("audio").pyramid == ((16, 3, 2),)
        assert features.tokens.shape == (2, prefix + 6, 16)
        # Row-major: time downwards, mel bins to the right.
        assert torch.equal(features.pyramid[0][:, :, 2, 1], features.tokens[:, prefix + 5])

    def test_lavishs_tokens(self):
        backbone = on_meta("vit_large_patch16_224.augreg_in21k")
        assert (backbone.input_spec.audio.frames, backbone.input_spec.audio.mel_bins) == (102, 128)
        assert set(backbone.tokens("visual")) == {197}
        assert set(backbone.tokens("audio")) == {49}
        assert backbone.layout("audio").pyramid == ((1024, 6, 8),)
        for size, count in (((224, 224), 197), ((102, 128), 49)):
            assert backbone.embed(torch.empty(2, 3, *size, device="meta")).shape == (2, count, 1024)

    def test_positions_are_interpolated_linearly_along_the_sequence(self, tiny_vit):
        backbone, x = tiny_vit("registers"), images(27, 20)
        encoder = backbone.encoder
        old = encoder.pos_embed[0].detach().double().numpy()  # 3 prefix tokens and 16 patches
        count, length = len(old), 3 + 6
        expected = np.empty((length, 16))
        for i in range(length):
            place = max((i + 0.5) * count / length - 0.5, 0.0)
            low = int(place)
            high, share = min(low + 1, count - 1), place - low
            expected[i] = (1 - share) * old[low] + share * old[high]
        with torch.no_grad():
            patches = encoder.patch_embed.proj(x).flatten(2).transpose(1, 2)
            rows = torch.cat([encoder.cls_token.expand(2, -1, -1), encoder.reg_token.expand(2, -1, -1), patches], 1)
            added = backbone.embed(x) - rows
        assert np.allclose(added.numpy(), expected, atol=1e-6)

    @pytest.mark.parametrize("flavour", ["class-token", "no-embed-class"])
    def test_positions_are_interpolated_bicubically_as_a_map(self, tiny_vit, flavour):
        backbone, x = tiny_vit(flavour, position="bicubic_grid"), images(27, 20)
        encoder = backbone.encoder
        start = encoder.num_prefix_tokens
        embedded = 0 if encoder.no_embed_class else start
        old = encoder.pos_embed[0].detach()
        maps = old[embedded:].reshape(4, 4, 16).numpy()
        expected = np.stack(
            [
                np.asarray(Image.fromarray(np.ascontiguousarray(maps[..., c])).resize((2, 3), Image.Resampling.BICUBIC))
                for c in range(16)
            ],
            axis=-1,
        ).reshape(6, 16)
        with torch.no_grad():
            patches = encoder.patch_embed.proj(x).flatten(2).transpose(1, 2)
            tokens = backbone.embed(x)
        assert np.allclose((tokens[:, start:] - patches).numpy(), expected, atol=1e-5)
        assert torch.equal(tokens[0, 0], encoder.cls_token[0, 0] + (old[0] if embedded else 0))

    def test_equal_lengths_are_left_alone(self, tiny_vit):
        backbone, x = tiny_vit(audio_size=(16, 64)), images(16, 64)  # 2 x 8 patches, as many as 4 x 4
        encoder = backbone.encoder
        with torch.no_grad():
            patches = encoder.patch_embed.proj(x).flatten(2).transpose(1, 2)
            tokens = backbone.embed(x)
        assert torch.equal(tokens[:, 1:], patches + encoder.pos_embed[:, 1:])

    def test_sizes_that_cannot_be_are_refused(self, tiny_vit):
        with pytest.raises(ConfigError, match="audio_size 7x20 is smaller than a patch"):
            tiny_vit(audio_size=(7, 20))
        with pytest.raises(ConfigError, match="needs a class token"):
            tiny_vit("no-prefix-norm-after-pooling", pool="token")


class TestNames:
    """timm names: what is accepted, what is known of it, what is refused."""

    @pytest.mark.parametrize(
        ("name", "size", "tokens", "audio_tokens", "pool"),
        [
            ("vit_small_patch16_224.augreg_in21k", 224, 197, 49, "token"),
            ("deit_tiny_patch16_224.fb_in1k", 224, 197, 49, "token"),
            ("deit3_small_patch16_224.fb_in22k_ft_in1k", 224, 197, 49, "token"),
            ("vit_small_patch14_dinov2.lvd142m", 518, 1370, 64, "token"),
            ("vit_small_patch14_reg4_dinov2.lvd142m", 518, 1374, 68, "token"),
            ("vit_base_patch16_clip_224.openai", 224, 197, 49, "token"),
            ("vit_base_patch16_siglip_gap_224.webli", 224, 196, 48, "avg"),
        ],
    )
    def test_plain_ones_are_built(self, name, size, tokens, audio_tokens, pool):
        backbone = on_meta(name)
        config = timm.models.get_pretrained_cfg(name)
        image = backbone.input_spec.image
        assert (image.height, image.width, image.mean, image.std) == (size, size, config.mean, config.std)
        assert (backbone.tokens("visual")[0], backbone.tokens("audio")[0]) == (tokens, audio_tokens)
        assert backbone.pool == pool
        assert backbone.stages == (12,)
        architecture, tag = name.split(".")
        assert backbone.identity() == {"architecture": architecture, "tag": tag, "weights": "none"}

    def test_published_count_includes_the_classifier(self):
        backbone = on_meta("vit_large_patch16_224.augreg_in21k")
        assert sum(parameter.numel() for parameter in backbone.parameters()) == 303_301_632
        assert backbone.published_parameters == 325_690_707  # with the 21,843 classes of ImageNet-21k

    def test_published_count_of_a_model_without_classifier(self, tiny_vit):
        backbone = on_meta("vit_small_patch14_dinov2.lvd142m")
        assert backbone.published_parameters == sum(parameter.numel() for parameter in backbone.parameters())
        assert tiny_vit().published_parameters is None

    @pytest.mark.parametrize(
        ("name", "reason"),
        [
            ("resnet10t", "is a ResNet, not a VisionTransformer"),
            ("vgg11", "cannot build 'vgg11' as a Vision Transformer"),
            ("deit_tiny_distilled_patch16_224", "is a VisionTransformerDistilled"),
            ("vit_relpos_small_patch16_224", "is a VisionTransformerRelPos"),
            ("eva02_tiny_patch14_224", "is a Eva"),
            ("vit_base_patch16_rpn_224", "has blocks of type ResPostBlock"),
            ("vit_dwee_patch16_reg1_gap_256", "has attention of type DiffAttention"),
            ("vit_tiny_r_s16_p8_224", "embeds patches by a HybridEmbed"),
            ("vit_large_patch61_224", "no model named 'vit_large_patch61_224'; did you mean vit_large_patch16_224"),
            ("vit_tiny_patch16_224.augreg_in22k", "did you mean vit_tiny_patch16_224.augreg_in21k"),
            ("hf_hub:timm/vit_tiny_patch16_224", "no model named"),
        ],
    )
    def test_others_are_refused(self, name, reason):
        with pytest.raises(ConfigError) as error:
            on_meta(name)
        assert reason in str(error.value)


def test_a_shared_encoder_with_unequal_token_counts_trains_every_prompt(tiny_vit):
    tuner = partial(CoPL, prompts=PROMPTS, losses={"consistency": partial(Consistency, weight=0.5)})
    net = TwoStream(visual=tiny_vit(), audio=None, tuner=tuner, head=PooledHead, frames=2)
    randomize(net.tuner, std=0.3)
    batch = {
        "visual": images(32, 32, items=4).unflatten(0, (2, 2)),
        "audio": images(27, 20, items=4).unflatten(0, (2, 2)),
    }

    output = net(batch)
    sum(net.losses(output, batch).values()).backward()

    assert net.shared
    assert [(pair.visual_tokens, pair.audio_tokens) for pair in net.tuner.layout.pairs] == [(17, 7)] * 2
    assert [name for name, p in net.trained() if p.grad is None or not p.grad.abs().sum() > 0] == []
    assert all(p.grad is None for p in net.encoders.parameters())
