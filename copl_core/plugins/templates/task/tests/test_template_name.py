from functools import partial

import pytest
from copl_core.api import DataError
from copl_core.data import AudioRecipe
from copl_core.testing import check_task

from template_plugin.dataset import TemplateNameDataset
from template_plugin.example_data import write_clips
from template_plugin.head import TemplateNameClassifier
from template_plugin.metric import TemplateNameAccuracy
from template_plugin.renderer import TemplateNameCard
from template_plugin.task import TemplateName

AUDIO = AudioRecipe(seconds=0.5, mean=0.0, std=0.5)


@pytest.fixture
def root(tmp_path):
    write_clips(tmp_path, clips=4)
    return tmp_path


def test_it_keeps_the_contract_of_a_task_in_all_its_parts(root):
    check_task(
        TemplateName,
        dataset=partial(TemplateNameDataset, root=root, audio=AUDIO),
        head=partial(TemplateNameClassifier, width=8),
        metric=TemplateNameAccuracy,
        renderer=TemplateNameCard,
    )


def test_a_missing_file_is_named_with_the_line_that_asks_for_it(root):
    (root / "sound" / "val_2.wav").unlink()

    with pytest.raises(DataError, match=r"val\.csv:4 .*no file .*val_2\.wav"):
        TemplateNameDataset(root=root, split="val", audio=AUDIO)


def test_the_accuracy_is_the_share_of_right_clips():
    assert TemplateNameAccuracy().summarize([True, True, False, True]) == {"accuracy": 0.75}
