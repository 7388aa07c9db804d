"""HTS-AT without prompts against a plain implementation, window by window and head by head."""

import itertools
import math

import pytest
import torch

from copl_core.api import ConfigError
from copl_core.contracts import WaveformSpec
from copl_htsat.backbone import HTSAT, HTSATEncoder
from copl_htsat.network import HTSATNetwork

SAMPLES = 16_000


class NanoEncoder(HTSATEncoder):
    """A backbone over a given network."""

    def identity(self):
        return {"architecture": "nano"}

    def load_pretrained(self):
        """Nothing to load."""


def walk(backbone, x, prompts=None):
    """The plain walk of a backbone alone: tokens through both branches of every block."""
    tokens, stages = backbone.embed(x), []
    for index, block in enumerate(backbone.blocks):
        tokens = tokens + block.attention(tokens, None if prompts is None else prompts[..., : block.width])
        tokens = tokens + block.feedforward(tokens)
        if index in backbone.stage_ends():
            stages.append(tokens)
        if index + 1 < backbone.depth:
            tokens = backbone.advance(index, tokens)
    return backbone.features(stages, "audio")


def norm(x, module):
    mean = x.mean(-1, keepdim=True)
    variance = ((x - mean) ** 2).mean(-1, keepdim=True)
    return (x - mean) / torch.sqrt(variance + 1e-5) * module.weight + module.bias


def linear(x, module):
    return x @ module.weight.T + (0 if module.bias is None else module.bias)


def plain_attention(grid, attn, window, shift):
    """Attention of (side, side, d), token places written out; the shift moves each window down and to the right."""
    side, _, width = grid.shape
    channels = width // attn.heads
    out = torch.zeros_like(grid)
    for top, left in itertools.product(range(0, side, window), repeat=2):
        places = list(itertools.product(range(top, top + window), range(left, left + window)))
        tokens = torch.stack([grid[(y + shift) % side, (x + shift) % side] for y, x in places])
        q, k, v = linear(tokens, attn.qkv).chunk(3, dim=-1)
        mixed = []
        for head in range(attn.heads):
            part = slice(head * channels, (head + 1) * channels)
            logits = q[:, part] @ k[:, part].T / math.sqrt(channels)
            for (i, (y, x)), (j, (other_y, other_x)) in itertools.product(enumerate(places), repeat=2):
                row = (y - other_y + window - 1) * (2 * window - 1) + x - other_x + window - 1
                logits[i, j] += attn.relative_position_bias_table[row, head]
                # A place beyond the edge comes round from the other side, and belongs to no neighbourhood here.
                if (y + shift >= side, x + shift >= side) != (other_y + shift >= side, other_x + shift >= side):
                    logits[i, j] -= 100
            mixed.append(logits.softmax(-1) @ v[:, part])
        for (y, x), row in zip(places, linear(torch.cat(mixed, dim=-1), attn.proj), strict=True):
            out[(y + shift) % side, (x + shift) % side] = row
    return out


def plain_network(network: HTSATNetwork, picture: torch.Tensor) -> list[torch.Tensor]:
    """Grids (side, side, d) at the end of each stage, of one picture (H, W)."""
    patches = picture.unfold(0, 4, 4).unfold(1, 4, 4)  # (side, side, 4, 4)
    proj = network.patch_embed.proj
    grid = torch.einsum("hwij,cij->hwc", patches, proj.weight[:, 0]) + proj.bias
    grid = norm(grid, network.patch_embed.norm)
    stages = []
    for stage in network.layers:
        for index, block in enumerate(stage.blocks):
            side = grid.shape[0]
            shift = 2 if index % 2 and side > 4 else 0
            grid = grid + plain_attention(norm(grid, block.norm1), block.attn, 4, shift)
            hidden = linear(norm(grid, block.norm2), block.mlp.fc1)
            grid = grid + linear(hidden * (1 + torch.erf(hidden / math.sqrt(2))) / 2, block.mlp.fc2)
        stages.append(grid)
        if stage.downsample is not None:
            half = range(0, side, 2)
            merged = [
                [torch.cat([grid[y, x], grid[y + 1, x], grid[y, x + 1], grid[y + 1, x + 1]]) for x in half]
                for y in half
            ]
            grid = torch.stack([torch.stack(row) for row in merged])
            grid = linear(norm(grid, stage.downsample.norm), stage.downsample.reduction)
    return stages


@pytest.mark.parametrize(("dtype", "error"), [(torch.float32, 1e-5), (torch.float64, 1e-10)])
def test_equals_a_plain_implementation(nano, dtype, error):
    network = nano().to(dtype)
    backbone = NanoEncoder(encoder=network, samples=SAMPLES).eval()
    waveform = torch.randn(2, SAMPLES, generator=torch.Generator().manual_seed(0)).to(dtype)
    with torch.no_grad():
        features = walk(backbone, waveform)
        plain = [plain_network(network, picture[0]) for picture in network.picture(waveform)]
        for item, stages in enumerate(plain):
            stages[-1] = norm(stages[-1], network.norm)
            assert (features.tokens[item] - stages[-1].flatten(0, 1)).abs().max() < error
            assert (features.pooled[item] - stages[-1].mean((0, 1))).abs().max() < error
            for ours, theirs in zip(features.pyramid, stages, strict=True):
                assert (ours[item] - theirs.permute(2, 0, 1)).abs().max() < error
    assert features.tokens.std() > 0.1


def test_picture_is_the_normalised_spectrogram_folded(nano):
    network = nano()
    waveform = torch.randn(1, 320 * 255, generator=torch.Generator().manual_seed(0))  # 256 frames fill the picture
    log_mel, norm0 = network.spectrogram(waveform), network.bn0
    picture = network.picture(waveform)
    for row, column in [(0, 0), (5, 63), (16, 0), (47, 30), (63, 63)]:
        bin_ = row % 16
        value = (log_mel[0, bin_, row // 16 * 64 + column] - norm0.running_mean[bin_]) / torch.sqrt(
            norm0.running_var[bin_] + 1e-5
        )
        expected = value * norm0.weight[bin_] + norm0.bias[bin_]
        torch.testing.assert_close(picture[0, 0, row, column], expected, atol=1e-5, rtol=0)


def test_layout_tokens_and_spec_are_those_of_the_features(nano):
    backbone = NanoEncoder(encoder=nano(), samples=SAMPLES)
    features = walk(backbone, torch.randn(3, SAMPLES))
    layout = backbone.layout("audio")
    assert backbone.input_spec.image is None
    assert backbone.input_spec.audio == WaveformSpec(sample_rate=32_000, samples=SAMPLES)
    assert features.pooled.shape == (3, layout.width)
    assert [tuple(m.shape[1:]) for m in features.pyramid] == list(layout.pyramid)
    assert backbone.tokens("audio") == (256, 256, 64, 64, 16, 16)
    assert backbone.widths == (16, 16, 32, 32, 64, 64)
    assert torch.equal(features.pyramid[-1].flatten(2).transpose(1, 2), features.tokens)


def test_full_size_by_the_numbers():
    """The published total counts the classifiers (tscam_conv, head) and the matrices of the front end, too."""
    with torch.device("meta"):
        backbone = HTSAT(weights="none")
    used = sum(parameter.numel() for parameter in backbone.parameters())
    assert used == 27_534_360 + 128
    assert HTSAT.published_parameters - used == 2_428_943 + 278_256 + 32_832 + 1_050_624
    assert backbone.input_spec.audio == WaveformSpec(sample_rate=32_000, samples=320_000)
    assert backbone.stages == (2, 2, 6, 2)
    assert backbone.layout("audio").pyramid == ((96, 64, 64), (192, 32, 32), (384, 16, 16), (768, 8, 8))
    assert set(backbone.tokens("audio")) == {4096, 1024, 256, 64}


@pytest.mark.parametrize("samples", [1023, 320 * 1024])
def test_lengths_without_a_place_are_refused(samples):
    with torch.device("meta"), pytest.raises(ConfigError, match="1024 to 327679 samples at 32000 Hz"):
        HTSAT(weights="none", samples=samples)


def test_bf16_autocast_is_near_float32(nano):
    backbone = NanoEncoder(encoder=nano(), samples=SAMPLES).eval()
    waveform = torch.randn(2, SAMPLES, generator=torch.Generator().manual_seed(0))
    prompts = torch.randn(1, 5, 64, generator=torch.Generator().manual_seed(1))
    results = []
    for mode in ("float32", "autocast", "stored"):
        leaf = prompts.clone().requires_grad_()
        if mode == "stored":
            backbone.lower_precision(torch.bfloat16)
        with torch.autocast("cpu", torch.bfloat16, enabled=mode != "float32"):
            pooled = walk(backbone, waveform, leaf).pooled
        pooled.float().square().sum().backward()
        results.append((pooled.detach().float(), leaf.grad))
    (exact, gradient), *rounded = results
    for pooled, rounded_gradient in rounded:
        assert (exact - pooled).norm() / exact.norm() < 0.03
        assert (gradient - rounded_gradient).norm() / gradient.norm() < 0.1


def test_the_spectrogram_is_never_computed_in_half_precision(nano):
    backbone = NanoEncoder(encoder=nano(), samples=SAMPLES).eval()
    waveform, seen = torch.randn(1, SAMPLES), []
    backbone.encoder.patch_embed.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    for enabled in (False, True):
        with torch.autocast("cpu", torch.bfloat16, enabled=enabled):
            backbone.embed(waveform)
    assert torch.equal(*seen)
