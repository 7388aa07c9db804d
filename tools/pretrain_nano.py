"""Trains the nano encoder of the built-in demo on generated images: what is where, pixel by pixel.

Neither sounds nor spectrograms take part, and none of the demo's scenes (see `copl_synth.images`). A light pyramid
decoder over the four stages predicts a class map, and a linear layer over the pooled token which classes are present;
both are thrown away at the end, so that the stages and the pooled token must carry the knowledge themselves.

    python tools/pretrain_nano.py --steps 6000
"""

import argparse
import json
import math
import time
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save_file
from timm.models.swin_transformer_v2 import SwinTransformerV2
from torch import Tensor, nn
from torch.nn import functional as F

from copl_synth.architecture import IMAGE_MEAN, IMAGE_STD, NANO
from copl_synth.classes import CLASSES
from copl_synth.images import training_image

WEIGHTS = Path(__file__).parents[1] / "plugins" / "copl_synth" / "weights" / "swin_nano.safetensors"

HELD_OUT_SEED_OFFSET = 1_000_003
"""Added to the seed for the images that measure and never train."""

BACKGROUND_WEIGHT = 0.4
"""Weight of the background in the loss, which fills most pixels and teaches least."""

DENSE_STRIDE = 2
"""The decoder predicts one class per square of this many pixels."""


class Scaffold(nn.Module):
    """The encoder with its two temporary heads.

    Args:
        encoder: The nano encoder, without a classification head.
        width: Channels of the pyramid decoder.
    """

    def __init__(self, *, encoder: SwinTransformerV2, width: int = 64) -> None:
        super().__init__()
        self.encoder = encoder
        widths = [encoder.embed_dim * 2**stage for stage in range(encoder.num_layers)]
        self.laterals = nn.ModuleList(nn.Sequential(nn.LayerNorm(w), nn.Linear(w, width)) for w in widths)
        self.mix = nn.Conv2d(width, width, kernel_size=3, padding=1)
        cell = NANO["patch_size"] // DENSE_STRIDE
        self.classify = nn.Sequential(
            nn.Conv2d(width, (len(CLASSES) + 1) * cell**2, kernel_size=1), nn.PixelShuffle(cell)
        )
        self.presence = nn.Linear(widths[-1], len(CLASSES))

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Predicts what is where, and what is there at all.

        Args:
            images: (B, 3, H, W), normalised.

        Returns:
            Class logits (B, classes + 1, H / 2, W / 2), background first, and presence logits (B, classes).
        """
        tokens = self.encoder.patch_embed(images)
        pyramid: Tensor | None = None
        for stage, lateral in zip(self.encoder.layers, self.laterals, strict=True):
            tokens = stage(tokens)  # (B, h, w, C)
            level = lateral(tokens).permute(0, 3, 1, 2)
            if pyramid is None:
                pyramid = level
            else:
                pyramid = pyramid + F.interpolate(level, size=pyramid.shape[-2:], mode="bilinear", align_corners=False)
        pooled = self.encoder.norm(tokens).mean(dim=(1, 2))
        return self.classify(F.gelu(self.mix(F.gelu(pyramid)))), self.presence(pooled)


def generate(executor: ProcessPoolExecutor, *, seed: int, start: int, count: int) -> tuple[Tensor, Tensor]:
    """Draws `count` images of a series, from index `start` on.

    Returns:
        uint8 images (count, 3, H, W) and class maps (count, H, W).
    """
    drawn = executor.map(
        partial(training_image, seed, size=NANO["img_size"]), range(start, start + count), chunksize=32
    )
    images, classes = zip(*drawn, strict=True)
    return torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2).contiguous(), torch.from_numpy(np.stack(classes))


def prepare(images: Tensor) -> Tensor:
    """Normalises uint8 images (B, 3, H, W) to the encoder's input."""
    mean, std = (torch.tensor(value).view(1, 3, 1, 1) for value in (IMAGE_MEAN, IMAGE_STD))
    return (images.float() / 255 - mean) / std


def augment(images: Tensor, classes: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Turns, mirrors and recolours a batch of uint8 images; the same turn for the batch, other colours for each image.

    Returns:
        Images (B, 3, H, W), uint8, and class maps (B, H, W).
    """
    turn, mirror = (int(torch.randint(high, (), generator=generator)) for high in (4, 2))
    images, classes = images.rot90(turn, (2, 3)), classes.rot90(turn, (1, 2))
    if mirror:
        images, classes = images.flip(3), classes.flip(2)
    order = torch.rand(len(images), 3, generator=generator).argsort(dim=1)
    return images.gather(1, order[:, :, None, None].expand_as(images)), classes


def presence_of(classes: Tensor) -> Tensor:
    """Which classes show in at least 24 pixels of each class map: (B, H, W) -> (B, classes) of 0 and 1."""
    counts = F.one_hot(classes.long().flatten(1), len(CLASSES) + 1).sum(1)[:, 1:]
    return (counts >= 24).float()


def loss_of(model: Scaffold, images: Tensor, classes: Tensor) -> Tensor:
    """Cross-entropy of the class map plus half the binary cross-entropy of presence; classes: (B, H, W) uint8."""
    with torch.autocast("cpu", torch.bfloat16):  # half the time; the weights stay float32
        dense, presence = model(prepare(images))
    target = classes[:, ::DENSE_STRIDE, ::DENSE_STRIDE].long()
    weight = torch.tensor([BACKGROUND_WEIGHT] + [1.0] * len(CLASSES))
    where = F.cross_entropy(dense.float(), target, weight=weight)
    return where + 0.5 * F.binary_cross_entropy_with_logits(presence.float(), presence_of(classes))


@torch.inference_mode()
def measure(model: Scaffold, images: Tensor, classes: Tensor) -> dict[str, float]:
    """Scores the class map at full resolution, and presence, on held-out images.

    Returns:
        miou: Intersection over union, mean over background and classes; pixel_accuracy; presence_accuracy: share of
        the (image, class) pairs called right.
    """
    model.eval()
    confusion = torch.zeros(len(CLASSES) + 1, len(CLASSES) + 1, dtype=torch.long)
    right = total = 0
    for part, truth in zip(images.split(64), classes.split(64), strict=True):
        dense, presence = model(prepare(part))
        guess = F.interpolate(dense, size=truth.shape[-2:], mode="bilinear", align_corners=False).argmax(1)
        pairs = truth.long().flatten() * len(confusion) + guess.flatten()
        confusion += torch.bincount(pairs, minlength=confusion.numel()).view_as(confusion)
        right += int(((presence > 0) == presence_of(truth).bool()).sum())
        total += presence.numel()
    model.train()
    overlap = confusion.diagonal().double()
    union = confusion.sum(0) + confusion.sum(1) - confusion.diagonal()
    return {
        "miou": float((overlap / union).mean()),
        "pixel_accuracy": float(overlap.sum() / confusion.sum()),
        "presence_accuracy": right / total,
    }


def optimizers_for(model: Scaffold, *, lr: float, weight_decay: float) -> list[torch.optim.Optimizer]:
    """Muon for the matrices, which reaches the same loss in about half the images, and AdamW for all else."""
    matrices, others = [], []
    for name, parameter in model.named_parameters():
        # The position-bias networks have few inputs and outputs: an orthogonal update would blow them up.
        is_matrix = parameter.ndim == 2 and "cpb_mlp" not in name and "presence" not in name
        (matrices if is_matrix else others).append(parameter)
    return [
        torch.optim.Muon(matrices, lr=lr, weight_decay=weight_decay, adjust_lr_fn="match_rms_adamw"),
        torch.optim.AdamW(others, lr=lr * 0.6, betas=(0.9, 0.98), weight_decay=0.0),
    ]


def wake_blocks(encoder: SwinTransformerV2) -> None:
    """Lets every block speak from the first step; timm starts them silent, for models far deeper than this one."""
    for name, module in encoder.named_modules():
        if name.endswith((".norm1", ".norm2")):
            nn.init.ones_(module.weight)


def schedule(progress: float) -> float:
    """Factor of the peak learning rate at a share of the training: linear up over 2 %, then a cosine down to 1 %."""
    if progress < 0.02:
        return progress / 0.02
    return 0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * (progress - 0.02) / 0.98))


def export(encoder: SwinTransformerV2, path: Path, record: dict[str, Any]) -> None:
    """Writes the encoder's float32 weights under their timm names, with the record as metadata key `copl_nano`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial_file = path.with_suffix(".partial")
    tensors = {name: value.detach().contiguous() for name, value in encoder.state_dict().items()}
    save_file(tensors, partial_file, metadata={"copl_nano": json.dumps(record, sort_keys=True)})
    partial_file.chmod(0o644)  # safetensors writes for the owner alone
    partial_file.replace(path)


def parse_arguments() -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=6_000, help="training steps (%(default)s)")
    parser.add_argument("--minutes", type=float, default=math.inf, help="stop after so long, though steps are left")
    parser.add_argument(
        "--images", type=int, default=24_000, help="generated images, turned and recoloured anew each pass"
    )
    parser.add_argument("--held-out", type=int, default=1_000, help="generated images to measure on")
    parser.add_argument("--batch", type=int, default=32, help="images a step")
    parser.add_argument("--lr", type=float, default=5e-3, help="peak learning rate")
    parser.add_argument("--weight-decay", type=float, default=0.05, help="weight decay of the matrices")
    parser.add_argument("--seed", type=int, default=0, help="seed of the images, the initial weights and their order")
    parser.add_argument("--threads", type=int, default=2, help="torch threads and drawing processes")
    parser.add_argument("--out", type=Path, default=WEIGHTS, help="file to write")
    return parser.parse_args()


def train(
    model: Scaffold, images: Tensor, classes: Tensor, held_out: tuple[Tensor, Tensor], args: argparse.Namespace
) -> int:
    """Trains until the steps or the minutes are up, whichever comes first.

    Args:
        model: The encoder with its temporary heads.
        images: uint8 images (N, 3, H, W).
        classes: Their class maps (N, H, W).
        held_out: Images and class maps to report progress on.
        args: The command line.

    Returns:
        Steps taken.
    """
    optimizers = optimizers_for(model, lr=args.lr, weight_decay=args.weight_decay)
    peaks = [optimizer.param_groups[0]["lr"] for optimizer in optimizers]
    generator = torch.Generator().manual_seed(args.seed)
    order = torch.empty(0, dtype=torch.long)
    started, step, running = time.monotonic(), 0, 0.0
    while True:
        elapsed = time.monotonic() - started
        progress = max(step / args.steps, elapsed / (60 * args.minutes))
        if progress >= 1:
            return step
        if len(order) < args.batch:
            order = torch.randperm(len(images), generator=generator)
        chosen, order = order[: args.batch], order[args.batch :]
        for optimizer, peak in zip(optimizers, peaks, strict=True):
            optimizer.param_groups[0]["lr"] = peak * schedule(progress)
        loss = loss_of(model, *augment(images[chosen], classes[chosen], generator))
        model.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 3.0)
        for optimizer in optimizers:
            optimizer.step()
        step += 1
        running += (float(loss.detach()) - running) * max(0.01, 1 / step)
        if step % 250 == 0:
            print(f"step {step}  loss {running:.4f}  {elapsed:.0f} s", flush=True)
        if step % 1500 == 0:
            print(f"step {step}  {measure(model, *(part[:256] for part in held_out))}", flush=True)


def main() -> None:
    """Draws the images, trains, measures, writes the weights."""
    args = parse_arguments()
    torch.set_num_threads(args.threads)
    torch.manual_seed(args.seed)
    started = time.monotonic()
    with ProcessPoolExecutor(args.threads, mp_context=get_context("spawn")) as executor:
        images, classes = generate(executor, seed=args.seed, start=0, count=args.images)
        held_out = generate(executor, seed=args.seed + HELD_OUT_SEED_OFFSET, start=0, count=args.held_out)
    print(f"drew {args.images} + {args.held_out} images in {time.monotonic() - started:.0f} s", flush=True)

    encoder = SwinTransformerV2(**NANO, num_classes=0, drop_path_rate=0.0)
    wake_blocks(encoder)
    model = Scaffold(encoder=encoder).train()
    started = time.monotonic()
    steps = train(model, images, classes, held_out, args)
    print(f"{steps} steps in {time.monotonic() - started:.0f} s", flush=True)

    scores = measure(model, *held_out)
    record = {
        "architecture": NANO,
        "normalisation": {"mean": IMAGE_MEAN, "std": IMAGE_STD},
        "seed": args.seed,
        "steps": steps,
        "batch": args.batch,
        "images": args.images,
        "learning_rate": args.lr,
        "weight_decay": args.weight_decay,
        "scores": {name: round(value, 4) for name, value in scores.items()},
    }
    export(encoder, args.out, record)
    print(f"{scores}\nwrote {args.out} ({args.out.stat().st_size / 1e6:.2f} MB)")


if __name__ == "__main__":
    main()
