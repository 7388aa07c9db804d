import pytest
from copl_core.testing import check_prompt

from template_plugin.prompt import TemplateName


def test_it_keeps_the_contract_of_a_prompt():
    check_prompt(TemplateName, length=3)


def test_no_tokens_are_refused():
    with pytest.raises(ValueError, match="at least 1, got 0"):
        TemplateName(layout=None, length=0)
