import numpy as np
import pytest
import torch
from torch import nn

from copl_ave.head import AveClassifier, softmax_bce
from copl_core.api import ConfigError, DataError
from copl_core.contracts import FeatureLayout, Features

VISUAL, AUDIO = FeatureLayout(12, ((12, 2, 2),)), FeatureLayout(7, ((7, 3, 1),))
NAMES = ("a", "b", "c", "background")


def small(**settings) -> AveClassifier:
    torch.manual_seed(0)
    return AveClassifier(visual=VISUAL, audio=AUDIO, frames=3, **{"classes": 4, "width": 6, **settings})


def features(layout: FeatureLayout, items: int) -> Features:
    return Features(torch.randn(items, layout.width), torch.randn(items, 4, layout.width), ())


def slow_bce(logits: np.ndarray, labels: np.ndarray) -> float:
    """The formula, term by term, in the widest floats there are."""
    total = 0.0
    for row, label in zip(logits.astype(np.longdouble), labels, strict=True):
        p = np.exp(row - row.max())
        p /= p.sum()
        for c in range(len(p)):
            x = p[c] if c == label else np.delete(p, c).sum()
            total -= max(np.log(x), -100) if x > 0 else -100
    return float(total / logits.size)


@pytest.mark.parametrize(("width", "count"), [(1536, 1_588_253), (1024, 1_063_965)])
def test_size_is_that_of_lavish(width: int, count: int) -> None:
    layout = FeatureLayout(width, ())
    with torch.device("meta"):
        head = AveClassifier(visual=layout, audio=layout, frames=10)

    assert sum(parameter.numel() for parameter in head.parameters()) == count


def test_widths_come_from_the_encoders() -> None:
    with torch.device("meta"):
        head = AveClassifier(visual=FeatureLayout(1536, ()), audio=FeatureLayout(768, ()), frames=10)

    assert head.hidden.in_features == 2304


def test_logits_are_two_linear_maps_of_picture_and_sound() -> None:
    head, visual, audio = small(), features(VISUAL, 6), features(AUDIO, 6)

    logits = head(visual, audio, {})["logits"]

    assert logits.shape == (2, 3, 4)
    hidden = torch.cat([visual.pooled, audio.pooled], 1) @ head.hidden.weight.T + head.hidden.bias
    expected = hidden @ head.classifier.weight.T + head.classifier.bias
    torch.testing.assert_close(logits.flatten(0, 1), expected)  # clip-major: item b * T + t


def test_softmax_bce_equals_torch() -> None:
    torch.manual_seed(0)
    logits = (torch.randn(40, 29) * 3).double().requires_grad_()
    labels = torch.randint(29, (40,))

    loss = softmax_bce(logits, labels)
    (ours,) = torch.autograd.grad(loss, logits)
    theirs = nn.BCELoss()(logits.softmax(-1), nn.functional.one_hot(labels, 29).double())

    assert loss.item() == pytest.approx(theirs.item(), rel=1e-12)
    torch.testing.assert_close(ours, torch.autograd.grad(theirs, logits)[0], rtol=1e-6, atol=1e-12)


@pytest.mark.parametrize("scale", [0.1, 5.0, 40.0, 300.0, 1e4])
def test_softmax_bce_is_exact_however_sure_the_prediction(scale: float) -> None:
    torch.manual_seed(0)
    logits = (torch.randn(50, 29) * scale).requires_grad_()
    labels = torch.randint(29, (50,))

    loss = softmax_bce(logits, labels)
    loss.backward()

    assert loss.item() == pytest.approx(slow_bce(logits.detach().numpy(), labels.numpy()), rel=1e-5)
    assert bool(logits.grad.isfinite().all())


def test_softmax_bce_has_a_gradient_where_probabilities_round() -> None:
    logits = torch.tensor([[50.0, 0.0, 0.0]], requires_grad=True)

    softmax_bce(logits, torch.tensor([1])).backward()

    # -log p_1 and -log(1 - p_0) both fall by 1 for each 1 less of logit 0; mean over three terms.
    assert float(logits.grad[0, 0]) == pytest.approx(2 / 3, rel=1e-5)


def test_losses() -> None:
    torch.manual_seed(0)
    logits, labels = torch.randn(2, 3, 4), torch.randint(4, (2, 3))
    batch = {"label": labels}

    bce = small().losses({"logits": logits}, batch)
    ce = small(loss="ce").losses({"logits": logits}, batch)

    assert list(bce) == list(ce) == ["loss_event"]
    expected = slow_bce(logits.flatten(0, 1).numpy(), labels.flatten().numpy())
    assert float(bce["loss_event"]) == pytest.approx(expected, rel=1e-5)
    p = logits.double().softmax(-1).gather(-1, labels[..., None])
    assert float(ce["loss_event"]) == pytest.approx(float(-p.log().mean()), rel=1e-5)


@pytest.mark.parametrize("loss", ["softmax_bce", "ce"])
def test_loss_is_taken_in_float32(loss: str) -> None:
    batch = {"label": torch.zeros(1, 3, dtype=torch.int64)}

    assert small(loss=loss).losses({"logits": torch.randn(1, 3, 4).bfloat16()}, batch)["loss_event"].dtype == (
        torch.float32
    )


def test_data_set_says_how_many_classes_there_are() -> None:
    assert small(names={"classes": NAMES}, classes=29).classifier.out_features == len(NAMES)
    assert small(names={}, classes=7).classifier.out_features == 7


def test_label_the_head_has_no_output_for_is_told() -> None:
    with pytest.raises(
        DataError, match=r"label 4 but the head predicts 4 classes: set task\.head\.classes to at least 5"
    ):
        small().losses({"logits": torch.zeros(1, 3, 4)}, {"label": torch.tensor([[0, 4, 1]])})


@pytest.mark.parametrize("setting", [{"classes": 1}, {"width": 0}])
def test_settings_that_build_nothing_are_refused(setting: dict) -> None:
    with pytest.raises(ConfigError, match=rf"head\.{next(iter(setting))} is"):
        small(**setting)
