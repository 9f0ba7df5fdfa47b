"""Every bound of the table of faults is kept."""

import pytest

from perf.faults.registry import CHECKS
from perf.faults.table import Row, scaled

SHARES = dict.fromkeys(("damaged_artefacts", "forged_artefacts", "forged_manifests", "server_mutations"), 0.1)
"""Shares of the tries of checks that would take more than half an hour."""


@pytest.mark.slow
@pytest.mark.parametrize("name", CHECKS)
def test_bounds_are_kept(name):
    broken = [str(row) for row in CHECKS[name](SHARES.get(name, 1.0)) if not row.held]
    assert not broken


def test_a_row_of_the_table():
    assert str(Row("a fault", 2000, "0 x 500", "0 x 500")) == "| a fault | 2,000 | 0 x 500 | 0 x 500 | yes |"
    assert str(Row("a fault", 1, "1 x 500", "0 x 500", held=False)).endswith("| NO |")
    assert str(Row("a figure", 1, "42/s")).endswith("|  |  |")
    assert scaled(20, 0.01) == 1
