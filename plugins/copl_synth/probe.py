"""How much of the demo's sounds the frozen nano encoder tells apart: `python -m copl_synth probe DATA`.

The encoder never saw a sound; a linear classifier on its pooled feature of one second's spectrogram shows what it makes
of them all the same. Three others give the scale: the same on an untrained encoder and on the bare spectrogram, and a
small convolutional network trained from scratch, which shows that the sounds can be learnt.
"""

import csv
import wave
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file
from timm.models.swin_transformer_v2 import SwinTransformerV2
from torch import Tensor, nn
from torch.nn import functional as F
from torchaudio.compliance.kaldi import fbank

from copl_synth.architecture import NANO
from copl_synth.classes import CLASS_NAMES
from copl_synth.sounds import SAMPLE_RATE, SECONDS

WEIGHTS = Path(__file__).parent / "weights" / "swin_nano.safetensors"


@dataclass(frozen=True, kw_only=True)
class Split:
    """One-second spectrograms of a split.

    Attributes:
        logmel: (N, 96, 96) Kaldi log-mel energies, (time, mel).
        labels: (N,) class indices.
    """

    logmel: Tensor
    labels: Tensor


def load_encoder(path: Path | None = WEIGHTS) -> SwinTransformerV2:
    """Builds the nano encoder in evaluation mode; with its initial random weights if `path` is None."""
    encoder = SwinTransformerV2(**NANO, num_classes=0)
    if path is not None:
        encoder.load_state_dict(load_file(path))
    return encoder.eval().requires_grad_(False)


def load_split(root: Path, split: str) -> Split:
    """Cuts the clips of a split into seconds and turns each into a spectrogram.

    Args:
        root: Folder written by `python -m copl_synth avs`.
        split: "train", "val" or "test".

    Returns:
        Five spectrograms a clip, in the order of the table.
    """
    with (root / "s4_meta_data.csv").open(encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row["split"] == split]
    spectrograms, labels = [], []
    for row in rows:
        path = root / "s4_data" / "audio_wav" / split / row["category"] / f"{row['name']}.wav"
        with wave.open(str(path), "rb") as file:
            samples = np.frombuffer(file.readframes(file.getnframes()), dtype="<i2").astype(np.float32) / 32768
        for second in torch.from_numpy(samples).split(SAMPLE_RATE):
            spectrograms.append(_spectrogram(second - second.mean()))
        labels += [CLASS_NAMES.index(row["category"])] * SECONDS
    return Split(logmel=torch.stack(spectrograms), labels=torch.tensor(labels))


def _spectrogram(second: Tensor) -> Tensor:
    """Log-mel energies of one second (16000,) in -1..1, cut to the encoder's square: (96, 96), (time, mel)."""
    size = NANO["img_size"]
    energies = fbank(
        second[None],
        htk_compat=True,
        sample_frequency=SAMPLE_RATE,
        use_energy=False,
        window_type="hanning",
        num_mel_bins=size,
        dither=0.0,
        frame_shift=10,
    )
    return energies[:size]


@torch.inference_mode()
def pooled(encoder: nn.Module, spectrograms: Tensor) -> Tensor:
    """The encoder's pooled features (N, 256) of normalised spectrograms (N, 96, 96)."""
    return torch.cat([encoder(part[:, None].expand(-1, 3, -1, -1)) for part in spectrograms.split(64)])


def linear_accuracy(features: dict[str, Tensor], labels: dict[str, Tensor], *, decay: float = 1e-3) -> float:
    """Trains a linear softmax classifier on split train and returns its accuracy on split test.

    Args:
        features: (N, d) by split.
        labels: (N,) class indices by split.
        decay: Weight of the squared weights in the loss.

    Returns:
        Share of test seconds classed right.
    """
    mean, std = features["train"].mean(0), features["train"].std(0) + 1e-6
    train, test = ((features[split] - mean) / std for split in ("train", "test"))
    layer = nn.Linear(train.shape[1], len(CLASS_NAMES))
    nn.init.zeros_(layer.weight)
    nn.init.zeros_(layer.bias)
    optimizer = torch.optim.LBFGS(layer.parameters(), max_iter=200, line_search_fn="strong_wolfe")

    def closure() -> Tensor:
        optimizer.zero_grad()
        loss = F.cross_entropy(layer(train), labels["train"]) + decay * layer.weight.square().sum()
        loss.backward()
        return loss

    optimizer.step(closure)
    return float((layer(test).argmax(1) == labels["test"]).float().mean())


def convolutional_accuracy(spectrograms: dict[str, Tensor], labels: dict[str, Tensor], *, epochs: int = 15) -> float:
    """Trains a small convolutional network from scratch on split train and returns its accuracy on split test."""
    torch.manual_seed(0)
    layers: list[nn.Module] = []
    for wide, narrow in ((16, 1), (32, 16), (64, 32), (96, 64)):
        layers += [nn.Conv2d(narrow, wide, 3, stride=2, padding=1), nn.BatchNorm2d(wide), nn.ReLU()]
    model = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(96, len(CLASS_NAMES)))
    train, test = (spectrograms[split][:, None] for split in ("train", "test"))
    batch = 32
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3, weight_decay=0.02)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 3e-3, total_steps=epochs * (len(train) // batch))
    for _ in range(epochs):
        for chosen in torch.randperm(len(train))[: len(train) // batch * batch].split(batch):
            loss = F.cross_entropy(model(train[chosen]), labels["train"][chosen])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
    model.eval()
    with torch.inference_mode():
        return float((model(test).argmax(1) == labels["test"]).float().mean())


def probe(root: Path, *, weights: Path = WEIGHTS) -> dict[str, float]:
    """Measures the spectrograms' statistics and four accuracies, all from single seconds.

    Args:
        root: Folder written by `python -m copl_synth avs`.
        weights: File of the encoder to measure.

    Returns:
        Mean and standard deviation of the log-mel energies over split train; accuracies on split test.
    """
    splits = {split: load_split(root, split) for split in ("train", "test")}
    labels = {split: part.labels for split, part in splits.items()}
    mean, std = float(splits["train"].logmel.mean()), float(splits["train"].logmel.std())
    spectrograms = {split: (part.logmel - mean) / (2 * std) for split, part in splits.items()}
    results = {"log-mel mean": mean, "log-mel std": std}
    torch.manual_seed(0)
    for name, encoder in (("nano", load_encoder(weights)), ("untrained", load_encoder(None))):
        features = {split: pooled(encoder, part) for split, part in spectrograms.items()}
        results[f"linear on the frozen {name} encoder"] = linear_accuracy(features, labels)
    pixels = {split: part.flatten(1) for split, part in spectrograms.items()}
    results["linear on the bare spectrogram"] = linear_accuracy(pixels, labels, decay=1e-2)
    results["convolutional network from scratch"] = convolutional_accuracy(spectrograms, labels)
    return results
