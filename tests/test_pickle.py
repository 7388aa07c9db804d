"""No pickle is loaded from a path that a user can be handed."""

import ast
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch

from copl_core.api import CoplError
from copl_core.checkpoint import read_trained_file
from copl_core.contracts import read_weights
from copl_core.data import MediaFolder
from copl_core.engine.resume import read_latest, read_state

ROOT = Path(__file__).parent.parent
SOURCES = [path for folder in ("copl_core", "plugins", "tools", "configs") for path in (ROOT / folder).rglob("*.py")]
#: Modules whose loading can run code.
LOADERS = {"pickle", "_pickle", "cPickle", "cloudpickle", "dill", "joblib", "marshal", "shelve"}


class Evil:
    """Pickles as a call that leaves a trace."""

    def __init__(self, trace):
        self.trace = trace

    def __reduce__(self):
        return open, (str(self.trace), "w")


@pytest.fixture
def trace(tmp_path):
    """Where the call would leave it; after the test nothing is there, though an unguarded load leaves it."""
    path = tmp_path / "executed"
    yield path
    assert not path.exists()
    pickle.loads(pickle.dumps(Evil(path)))
    assert path.exists()


def dumped(content, path, form: str) -> None:
    if form == "pickle":
        path.write_bytes(pickle.dumps(content))
    else:
        torch.save(content, path, _use_new_zipfile_serialization=form == "zip")


@pytest.mark.parametrize("form", ["zip", "legacy", "pickle"])
@pytest.mark.parametrize("suffix", [".pth", ".pt", ".ckpt", ".safetensors"])
def test_encoder_weights(tmp_path, trace, form, suffix):
    path = tmp_path / f"weights{suffix}"
    dumped({"state_dict": {"w": Evil(trace)}}, path, form)
    with pytest.raises(CoplError, match=path.name):
        read_weights(path)


def test_what_lies_beside_the_weights_is_passed_over(tmp_path, trace):
    dumped({"state_dict": {"w": torch.ones(2)}, "callbacks": [Evil(trace)]}, tmp_path / "w.ckpt", "zip")
    assert torch.equal(read_weights(tmp_path / "w.ckpt")["w"], torch.ones(2))


@pytest.mark.parametrize("form", ["zip", "legacy", "pickle"])
def test_resume_states(tmp_path, trace, form):
    dumped({"extra": Evil(trace)}, tmp_path / "resume.pt", form)
    for read, path in ((read_state, tmp_path / "resume.pt"), (read_latest, tmp_path)):
        with pytest.raises(CoplError, match="cannot read the resume state"):
            read(path)


def test_exported_prompts(tmp_path, trace):
    dumped(Evil(trace), tmp_path / "prompts.safetensors", "pickle")
    with pytest.raises(CoplError, match="cannot read"):
        read_trained_file(tmp_path / "prompts.safetensors")


def test_extracted_sound(tmp_path, trace):
    for folder in ("frames/clip", "wave"):
        (tmp_path / folder).mkdir(parents=True)
    np.save(tmp_path / "wave" / "clip.npy", np.array([Evil(trace)], dtype=object), allow_pickle=True)
    with pytest.raises(CoplError, match=r"clip\.npy"):
        MediaFolder(root=str(tmp_path), layout="dgsct").clip("clip").sound()


@pytest.mark.filterwarnings("ignore")
def test_sentence_models(tmp_path, trace):
    from transformers import BertConfig

    from copl_avqa.sentence import SentenceEncoder

    BertConfig(hidden_size=8, num_hidden_layers=1, num_attention_heads=2, vocab_size=5).save_pretrained(tmp_path)
    (tmp_path / "vocab.txt").write_text("[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\n")
    dumped({"w": Evil(trace)}, tmp_path / "pytorch_model.bin", "zip")
    encoder = SentenceEncoder(model=str(tmp_path), width=4)
    with pytest.raises(CoplError, match="cannot load the sentence model"):
        encoder({"question_text": ["how many?"]})


def test_the_sources_load_tensors_only():
    found = set()
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and node.module in LOADERS:
                assert {name.name for name in node.names} <= {"UnpicklingError", "PicklingError"}, path
            if not isinstance(node, ast.Call):
                continue
            function, keywords = ast.unparse(node.func), {k.arg: ast.unparse(k.value) for k in node.keywords}
            module, _, name = function.rpartition(".")
            if module in LOADERS and name not in ("dump", "dumps"):
                # What was pickled a moment ago comes from no path.
                assert name == "loads", path
                assert ast.unparse(node.args[0]).startswith(f"{module}.dumps("), path
            if function == "torch.load":
                assert keywords.get("weights_only") == "True", path
            if function in ("np.load", "numpy.load"):
                assert keywords.get("allow_pickle", "False") == "False", path
            if function in ("torch.load", "np.load", "numpy.load"):
                found.add(path.relative_to(ROOT).as_posix())
            assert "trust_remote_code" not in keywords, path
    tested = {"copl_core/contracts/weights.py", "copl_core/engine/resume.py", "copl_core/data/clips.py"}
    assert found == tested, "loads somewhere else: add a test of it above"
