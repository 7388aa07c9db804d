import torch
from copl_core.testing import check_bank

from template_plugin.bank import TemplateName


def test_it_keeps_the_contract_of_a_bank():
    check_bank(TemplateName, size=4)


def test_at_a_low_temperature_a_query_draws_the_entry_it_points_to():
    bank = TemplateName(width=6, size=4, temperature=1e-4)

    drawn = bank(3 * bank.entries[None, 2:3])

    torch.testing.assert_close(drawn[0, 0], bank.entries[2])
