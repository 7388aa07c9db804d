"""Every component that this distribution provides keeps the contract of its kind, by the kit given to authors."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from timm.models.swin_transformer_v2 import SwinTransformerV2

from avqa_parts import write_sentence_model
from copl_core.api import ConfigError
from copl_core.plugins import get_table
from copl_core.testing import check_component
from copl_htsat.network import HTSATNetwork
from copl_synth.ave import AveSettings, write_ave
from copl_synth.avqa import AvqaSettings, write_avqa
from ms3_parts import write_ms3

COMPONENTS = [(c.kind, c.name) for c in get_table().components() if c.distribution == "copl"]
RECIPE = {"seconds": 1.0, "frame_shift_ms": 10, "mean": -4.0, "std": 3.0}


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory, demo_root: Path) -> dict[str, str]:
    """Small data sets in the official layouts."""
    base = tmp_path_factory.mktemp("data")
    write_ave(base / "ave", AveSettings(train=2, val=1, test=1, size=32))
    write_avqa(base / "avqa", AvqaSettings(train=3, val=1, test=1, questions=3, size=32))
    write_ms3(base / "ms3")
    (base / "sentence").mkdir()
    return {"avs_s4": str(demo_root), "sentence": str(base / "sentence")} | {
        name: str(base / folder) for name, folder in (("ave", "ave"), ("avqa", "avqa"), ("avs_ms3", "ms3"))
    }


@pytest.fixture(autouse=True)
def small_encoders(monkeypatch: pytest.MonkeyPatch) -> None:
    """The published encoders take seconds a run: those made by name are small ones of the same structure."""
    sizes = {"spec_size": 64, "mel_bins": 16, "embed_dim": 16, "depths": (2, 2, 2), "heads": (2, 4, 8), "window": 4}
    monkeypatch.setattr("copl_htsat.backbone.HTSATNetwork", partial(HTSATNetwork, **sizes))
    monkeypatch.setattr("copl_swin.backbone._create", small_swin)


def small_swin(name: str) -> SwinTransformerV2:
    encoder = SwinTransformerV2(
        img_size=32, window_size=4, embed_dim=16, depths=(2, 2), num_heads=(2, 4), num_classes=0, drop_path_rate=0.0
    )
    third = (0.5, 0.5, 0.5)
    encoder.pretrained_cfg = {
        "architecture": name,
        "input_size": (3, 32, 32),
        "mean": third,
        "std": third,
        "num_classes": 10,
    }
    return encoder


def swin_reference(backbone: Any, x: torch.Tensor) -> torch.Tensor:
    return backbone.encoder.forward_features(x).flatten(1, 2)


def vit_reference(backbone: Any, x: torch.Tensor) -> torch.Tensor:
    return backbone.encoder.forward_features(x)


BANK = {"type": "prompt_bank", "size": 4}
MAPPER = {"type": "bottleneck", "width": 4}
PROMPTS = {
    "global": {"type": "global_prompts", "length": 2},
    "frame": {"type": "frame_prompts"},
    "interaction": {"type": "interaction_prompts", "length": 2, "bank": BANK, "mapper": MAPPER},
}
AVS_HEAD = {"output_size": 32, "channels": 8, "widths": [8, 8, 8, 8], "audio_width": 8}


def ave_samples() -> list[dict[str, Any]]:
    return [{"name": name, "label": torch.tensor(labels)} for name, labels in (("a", [0, 2, 1]), ("b", [1, 1, 0]))]


def avs_samples() -> list[dict[str, Any]]:
    masks = torch.zeros(2, 3, 1, 32, 32)
    masks[..., :16, 4:20] = 1
    return [
        {"name": name, "mask": masks[index], "mask_valid": torch.tensor([True, index == 0, True])}
        for index, name in enumerate("ab")
    ]


def avqa_samples() -> list[dict[str, Any]]:
    texts = ("is the piano left?", "how many?")
    return [
        {
            "name": text,
            "question": torch.tensor([1 + index, 3, 4]),
            "answer": torch.tensor(index),
            "type": ("Audio Counting", "Visual Location")[index],
            "question_text": text,
            "negative": torch.zeros(3, 3, 16, 16),
        }
        for index, text in enumerate(texts)
    ]


AVE_NAMES = {"classes": ("bark", "bell", "background")}
AVQA_NAMES = {"words": ("<pad>", "is", "the", "piano", "left"), "answers": ("no", "yes", "two")}


def scores(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0))


def answer_prediction(*lead: int) -> dict[str, torch.Tensor]:
    return {
        "logits": scores(*lead, 3),
        "grounding": scores(*lead, 3, 4, 4).flatten(-2).softmax(-1).unflatten(-1, (4, 4)),
        "visual_attention": scores(*lead, 3).softmax(-1),
        "audio_attention": scores(*lead, 3).softmax(-1),
    }


def task_parts(folders: dict[str, str], name: str, head: dict, metric: str, renderer: str) -> dict[str, Any]:
    return {
        "dataset": {"type": name, "root": folders[name], "audio": RECIPE},
        "head": head,
        "metric": {"type": metric},
        "renderer": {"type": renderer},
    }


def avs_task(folders: dict[str, str], name: str, size: int) -> dict[str, Any]:
    head = {"type": "avs_decoder", **AVS_HEAD, "output_size": size}
    return task_parts(folders, name, head, "segmentation", "mask_overlay")


#: What a component needs beside its defaults to be checked; from the folders of the data sets where it reads them.
ARGUMENTS: dict[tuple[str, str], Callable[[dict[str, str]], dict[str, Any]]] = {
    ("backbone", "htsat"): lambda _: {"weights": "none", "samples": 16_000},
    ("backbone", "swin"): lambda _: {"model": "small", "weights": "none", "reference": swin_reference},
    ("backbone", "swin_nano"): lambda _: {"reference": swin_reference},
    ("backbone", "vit"): lambda _: {"model": "test_vit", "weights": "none", "reference": vit_reference},
    ("tuner", "copl"): lambda _: {"prompts": PROMPTS, "losses": {"consistency": {"type": "consistency"}}},
    ("prompt", "interaction_prompts"): lambda _: {"bank": BANK, "mapper": MAPPER},
    ("mapper", "bottleneck"): lambda _: {"width": 4},
    ("head", "ave_classifier"): lambda _: {"samples": ave_samples(), "names": AVE_NAMES, "width": 8},
    ("head", "avs_decoder"): lambda _: {"samples": avs_samples(), **AVS_HEAD},
    ("head", "avst"): lambda _: {"samples": avqa_samples(), "names": AVQA_NAMES, "width": 16},
    ("head", "avst_sentence"): lambda folders: {
        "samples": avqa_samples(),
        "names": AVQA_NAMES,
        "width": 16,
        "model": str(write_sentence_model(Path(folders["sentence"]))),
    },
    ("metric", "segment_accuracy"): lambda _: {
        "samples": ave_samples(),
        "predictions": {"logits": scores(2, 3, 3)},
        "names": AVE_NAMES,
    },
    ("metric", "segmentation"): lambda _: {
        "samples": avs_samples(),
        "predictions": {"logits": scores(2, 3, 1, 32, 32)},
    },
    ("metric", "answer_accuracy"): lambda _: {"samples": avqa_samples(), "predictions": answer_prediction(2)},
    ("renderer", "event_timeline"): lambda _: {
        "sample": ave_samples()[0],
        "prediction": {"logits": scores(3, 3)},
        "names": AVE_NAMES,
    },
    ("renderer", "mask_overlay"): lambda _: {
        "sample": avs_samples()[0],
        "prediction": {"logits": scores(3, 1, 32, 32)},
    },
    ("renderer", "answer_card"): lambda _: {
        "sample": avqa_samples()[0],
        "prediction": answer_prediction(),
        "names": AVQA_NAMES,
    },
    ("task", "ave"): lambda folders: task_parts(
        folders, "ave", {"type": "ave_classifier", "width": 8}, "segment_accuracy", "event_timeline"
    ),
    ("task", "avqa"): lambda folders: task_parts(
        folders, "avqa", {"type": "avst", "width": 16}, "answer_accuracy", "answer_card"
    ),
    ("task", "avs_s4"): lambda folders: avs_task(folders, "avs_s4", 96),
    ("task", "avs_ms3"): lambda folders: avs_task(folders, "avs_ms3", 32),
} | {
    ("dataset", name): lambda folders, name=name: {
        "root": folders[name],
        "audio": RECIPE,
        # The few generated questions of the other splits have words that those of train don't.
        "splits": ("train",) if name == "avqa" else ("train", "val", "test"),
    }
    for name in ("ave", "avqa", "avs_s4", "avs_ms3")
}


@pytest.mark.parametrize(("kind", "name"), COMPONENTS, ids=[" ".join(each) for each in COMPONENTS])
def test_component_keeps_its_contract(kind: str, name: str, folders: dict[str, str]) -> None:
    arguments = ARGUMENTS[kind, name](folders) if (kind, name) in ARGUMENTS else {}
    try:
        check_component(kind, f"{provider(kind, name)}.{name}", **arguments)
    except (TypeError, ConfigError) as error:
        if (kind, name) in ARGUMENTS:
            raise
        pytest.fail(f"the {kind} {name!r} can't be checked with its defaults; add what it needs to ARGUMENTS: {error}")


def provider(kind: str, name: str) -> str:
    return get_table().find(kind, name).plugin


def test_arguments_are_those_of_components_there_are() -> None:
    assert set(ARGUMENTS) <= set(COMPONENTS)
