"""Several exports at once: the encoders are in memory once, and no model notices."""

import shutil

import pytest

from copl_core.api import ConfigError
from copl_core.checkpoint import read_header
from copl_core.engine.predict import _encoders_key, load, load_all
from copl_core.serve.models import describe, load_models
from copl_synth.ave import AveSettings, write_ave
from exports import export_untrained

AVE, AVS = "ave_swin_nano_shared.yaml", "avs_swin_nano_shared.yaml"


@pytest.fixture(scope="module")
def root(tmp_path_factory, demo_root):
    """Exports ``ave``, ``avs``, ``full`` (its encoder is trained) and ``vit`` (another encoder), and AVE data."""
    root = tmp_path_factory.mktemp("models")
    write_ave(root / "data", AveSettings(train=1, val=1, test=1))
    data = f"task.dataset.root={root / 'data'}"
    export_untrained(root / "ave", AVE, data)
    export_untrained(root / "avs", AVS, f"task.dataset.root={demo_root}", "task.head.channels=8")
    export_untrained(root / "full", AVE, data, "tuner={type: full}")
    encoder = "encoders.visual={type: vit, model: vit_tiny_patch16_224, weights: none}"
    export_untrained(root / "vit", AVE, data, encoder, "tuner={type: frozen}")
    return root


def test_the_same_encoder_is_in_memory_once(root) -> None:
    ave, avs, full, vit = load_all([root / name for name in ("ave", "avs", "full", "vit")], device="cpu")
    assert ave.model.visual is avs.model.visual
    assert ave.model.tuner is not avs.model.tuner
    for other in (full, vit):
        assert other.model.visual is not ave.model.visual
    assert not any(parameter.requires_grad for parameter in ave.model.visual.parameters())


def test_sharing_changes_no_prediction(root) -> None:
    video = next((root / "data" / "AVE").glob("*.mp4"))
    for name in ("ave", "avs"):
        alone = load(root / name, device="cpu").predict(video).to_json()
        for order in (("ave", "full", "avs"), ("avs", "full", "ave")):
            models = load_all([root / each for each in order], device="cpu")
            assert models[order.index(name)].predict(video).to_json() == alone


def test_the_same_weights_with_other_arguments_are_another_encoder(root) -> None:
    header = read_header(root / "ave")
    block = {"type": "swin", "model": "tiny", "weights": "/here/a.safetensors"}
    key = _encoders_key(block, None, header)
    assert _encoders_key({**block, "weights": "/there/a.safetensors"}, None, header) == key
    assert _encoders_key({**block, "model": "small"}, None, header) != key
    assert _encoders_key(block, block, header) != key


def test_models_go_by_task_and_path(root) -> None:
    models = load_models([root / "ave", root / "avs"], device="cpu", options=())
    assert list(models) == [f"ave: {root / 'ave'}", f"avs_s4: {root / 'avs'}"]
    assert describe(models[f"ave: {root / 'ave'}"].header) == "encoder swin_nano for sight and sound; tuner copl"


def test_an_export_given_twice_is_refused(root, tmp_path) -> None:
    (tmp_path / "link").symlink_to(root / "ave")
    with pytest.raises(ConfigError, match=f"given twice: {tmp_path / 'link'}"):
        load_models([root / "ave", tmp_path / "link"], device="cpu", options=())
    copy = shutil.copytree(root / "ave", tmp_path / "copy")
    assert len(load_models([root / "ave", copy], device="cpu", options=())) == 2


def test_findings_are_the_events_of_the_data(root) -> None:
    video = next((root / "data" / "AVE").glob("*.mp4"))
    model = load(root / "ave", device="cpu")
    assert not model.answers_questions
    prediction = model.predict(video)
    found = [(each.label, each.confidence, *each.span) for each in prediction.findings()]
    events = prediction.to_json()["events"]
    assert found == [(each["class"], each["confidence"], each["start"], each["end"]) for each in events]
