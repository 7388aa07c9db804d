import sys

import pytest
import torch

from avqa_parts import write_sentence_model
from copl_avqa.sentence import AvstSentence
from copl_core.api import ConfigError, WeightsError
from copl_core.contracts import FeatureLayout, Features

LAYOUT = FeatureLayout(6, ((6, 2, 2),))


@pytest.fixture
def folder(tmp_path):
    """A tiny random BERT, as Hugging Face saves it."""
    return write_sentence_model(tmp_path)


def make(folder) -> AvstSentence:
    torch.manual_seed(0)
    return AvstSentence(visual=LAYOUT, audio=LAYOUT, frames=2, model=str(folder), answers=2, width=8)


def ask(head: AvstSentence, texts: list[str]) -> torch.Tensor:
    make_noise = torch.Generator().manual_seed(0)
    maps = torch.randn(2 * len(texts), 6, 2, 2, generator=make_noise)
    features = Features(maps.mean((2, 3)), maps.flatten(2).transpose(1, 2), (maps,))
    logits: torch.Tensor = head(features, features, {"question_text": texts})["logits"]
    return logits


def test_embedding_is_the_mean_over_the_tokens_of_each_text(folder) -> None:
    from transformers import BertModel

    head, model = make(folder), BertModel.from_pretrained(folder).eval()

    found = head.question({"question_text": ["is the piano left?", "how many?"]})

    ids = ([2, 4, 5, 6, 7, 10, 3], [2, 8, 9, 10, 3])  # between [CLS] and [SEP]; the second is shorter
    for row, tokens in zip(found, ids, strict=True):
        mean = model(torch.tensor([tokens])).last_hidden_state[0].mean(0)
        torch.testing.assert_close(row, head.question.projection(mean))


def test_each_question_is_embedded_once(folder, monkeypatch) -> None:
    head, asked = make(folder), []
    embed = head.question._embed
    monkeypatch.setattr(head.question, "_embed", lambda texts: asked.append(texts) or embed(texts))

    first = ask(head.eval(), ["is the piano left?", "how many?", "is the piano left?"])
    again = ask(head, ["is the piano left?", "how many?", "is the piano left?"])

    assert asked == [["is the piano left?", "how many?"]]
    assert torch.equal(first, again)


def test_model_is_neither_trained_nor_saved(folder) -> None:
    head = make(folder)
    ask(head, ["how many?"]).sum().backward()

    _, model = head.question._load()
    inside = {parameter.data_ptr() for parameter in model.parameters()}
    assert all(parameter.grad is None for parameter in model.parameters())
    assert not inside & {tensor.data_ptr() for tensor in head.state_dict().values()}
    assert head.question.projection.weight.grad.abs().sum() > 0
    assert not model.training
    head.train()
    assert not model.training


def test_other_sentence_model_than_in_training_is_refused(folder, tmp_path) -> None:
    from transformers import BertModel

    head = make(folder)
    state = {name: tensor.clone() for name, tensor in head.state_dict().items()}
    model = BertModel.from_pretrained(folder)
    torch.nn.init.normal_(model.embeddings.word_embeddings.weight)
    make(folder).load_state_dict(state)
    model.save_pretrained(folder)

    with pytest.raises(WeightsError, match="trained with a sentence model of other weights"):
        make(folder).load_state_dict(state)


def test_folder_without_a_model(tmp_path) -> None:
    with pytest.raises(ConfigError, match=r"no sentence model in .*: it has no config\.json"):
        make(tmp_path)


def test_folder_without_weights(folder) -> None:
    (folder / "model.safetensors").unlink()

    with pytest.raises(ConfigError, match=r"holds none of model\.safetensors"):
        make(folder)


def test_package_that_is_missing_is_named(tmp_path, monkeypatch) -> None:
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "model.safetensors").touch()
    monkeypatch.setitem(sys.modules, "transformers", None)

    with pytest.raises(ConfigError, match=r"needs the package transformers: pip install 'copl\[avqa\]'"):
        make(tmp_path)
