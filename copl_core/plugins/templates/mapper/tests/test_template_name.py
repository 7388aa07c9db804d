import torch
from copl_core.testing import check_mapper

from template_plugin.mapper import TemplateName


def test_it_keeps_the_contract_of_a_mapper():
    check_mapper(TemplateName, width=8)


def test_every_prompt_is_mapped_alone():
    mapper = TemplateName(source=6, target=4, width=8)
    prompts = torch.randn(3, 5, 6)

    torch.testing.assert_close(mapper(prompts)[:, 2:3], mapper(prompts[:, 2:3]))
