"""The shipped weights: their file, their fit, and that they see what is where."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file
from timm.models.swin_transformer_v2 import SwinTransformerV2
from torch import Tensor

from copl_synth import architecture
from copl_synth.classes import CLASSES
from copl_synth.images import training_image

WEIGHTS = Path(architecture.__file__).parent / "weights" / "swin_nano.safetensors"
UNSEEN_SEED = 77_000_000
CELLS = 12


def build() -> SwinTransformerV2:
    torch.manual_seed(0)
    return SwinTransformerV2(**architecture.NANO, num_classes=0).eval()


@pytest.fixture(scope="module")
def encoder() -> SwinTransformerV2:
    model = build()
    model.load_state_dict(load_file(WEIGHTS), strict=True)
    return model


@pytest.fixture(scope="module")
def images() -> tuple[Tensor, Tensor]:
    """Unseen images (N, 3, 96, 96), normalised, and the class at the centre of each cell (N, 12, 12)."""
    drawn = [training_image(UNSEEN_SEED, index) for index in range(112)]
    pixels = torch.from_numpy(np.stack([item.image for item in drawn])).permute(0, 3, 1, 2) / 255
    mean, std = (torch.tensor(value).view(1, 3, 1, 1) for value in (architecture.IMAGE_MEAN, architecture.IMAGE_STD))
    classes = torch.from_numpy(np.stack([item.classes for item in drawn])).long()
    return (pixels - mean) / std, classes[:, 4::8, 4::8]


def test_file_is_float32_and_below_eight_megabytes() -> None:
    assert WEIGHTS.stat().st_size < 8e6
    assert {tensor.dtype for tensor in load_file(WEIGHTS).values()} == {torch.float32}


def test_metadata_tells_architecture_normalisation_and_scores() -> None:
    with safe_open(WEIGHTS, framework="pt") as file:
        metadata = file.metadata()
    assert list(metadata) == ["copl_nano"]
    record = json.loads(metadata["copl_nano"])
    assert metadata["copl_nano"] == json.dumps(record, sort_keys=True)
    assert record["architecture"] == json.loads(json.dumps(architecture.NANO))
    assert record["normalisation"] == {"mean": list(architecture.IMAGE_MEAN), "std": list(architecture.IMAGE_STD)}
    assert set(record["scores"]) == {"miou", "pixel_accuracy", "presence_accuracy"}


def test_linear_reading_of_the_frozen_stages_tells_what_is_where(
    encoder: SwinTransformerV2, images: tuple[Tensor, Tensor]
) -> None:
    trained, untrained = (mean_class_accuracy(stages_of(model, images[0]), images[1]) for model in (encoder, build()))
    chance = 1 / (len(CLASSES) + 1)
    assert trained > 5 * chance
    assert trained > untrained + 0.2


def test_linear_reading_of_the_pooled_feature_tells_what_is_there(
    encoder: SwinTransformerV2, images: tuple[Tensor, Tensor]
) -> None:
    present = torch.stack([(images[1] == kind + 1).flatten(1).any(1) for kind in range(len(CLASSES))], dim=1).float()
    with torch.inference_mode():
        pooled = encoder(images[0])
    half = len(pooled) // 2
    guess = ridge(pooled[:half], present[:half], penalty=3.0)(pooled[half:]) > 0.5
    accuracy = (guess == present[half:].bool()).float().mean()
    always_the_same = torch.maximum(present[half:].mean(0), 1 - present[half:].mean(0)).mean()
    assert accuracy > always_the_same + 0.05


@torch.inference_mode()
def stages_of(encoder: SwinTransformerV2, pixels: Tensor) -> Tensor:
    """All four stage outputs side by side on a 12x12 grid: (N, 3, 96, 96) -> (N, 12, 12, 480)."""
    tokens, stages = encoder.patch_embed(pixels), []
    for stage in encoder.layers:
        tokens = stage(tokens)
        stages.append(torch.nn.functional.interpolate(tokens.permute(0, 3, 1, 2), size=CELLS, mode="bilinear"))
    return torch.cat(stages, dim=1).permute(0, 2, 3, 1)


def mean_class_accuracy(features: Tensor, classes: Tensor) -> float:
    """Fits a linear classifier of cells on half of the images; its accuracy on the rest, mean over classes."""
    half = len(features) // 2
    # Each class weighs the same, however little of the picture it fills.
    one_hot = torch.nn.functional.one_hot(classes[:half].flatten(), len(CLASSES) + 1).float()
    weights = (1 / one_hot.sum(0))[classes[:half].flatten()]
    read = ridge(features[:half].flatten(0, 2), one_hot, penalty=1e-3, weights=weights)
    guess, truth = read(features[half:].flatten(0, 2)).argmax(1), classes[half:].flatten()
    return float(
        torch.stack([(guess[truth == kind] == kind).float().mean() for kind in range(len(CLASSES) + 1)]).mean()
    )


def ridge(features: Tensor, targets: Tensor, *, penalty: float, weights: Tensor | None = None):
    """Least squares with a bias and a penalty on the weights of the standardised features, solved in closed form."""
    mean, std = features.mean(0), features.std(0) + 1e-6

    def extend(values: Tensor) -> Tensor:
        return torch.cat([(values - mean) / std, torch.ones(len(values), 1)], dim=1).double()

    rows = extend(features)
    weighted = rows if weights is None else rows * weights[:, None]
    gram = weighted.T @ rows + penalty * torch.eye(rows.shape[1], dtype=torch.double)
    solution = torch.linalg.solve(gram, weighted.T @ targets.double())
    return lambda values: extend(values) @ solution
