"""Every bound of the table of faults is kept."""

import inspect

import pytest

from perf.faults.registry import CHECKS, NAMED
from perf.faults.table import Row, chosen, scaled

LONG = (
    *("damaged_artefacts", "forged_artefacts", "forged_manifests", "server_mutations"),
    *("killed_runs", "interrupted_binaries"),
)
"""Checks of which a tenth of the tries are made: all would take a quarter of an hour or more."""


@pytest.mark.slow
@pytest.mark.parametrize("name", CHECKS)
def test_bounds_are_kept(name):
    broken = [str(row) for row in CHECKS[name](0.1 if name in LONG else 1.0) if not row.held]
    assert not broken


def test_tries_are_made_of_the_chosen_names_alone():
    assert CHECKS.keys() >= NAMED
    assert chosen(["a", "b", "c"], ["c", "a"]) == ["a", "c"]
    assert chosen(["a", "b"], ()) == ["a", "b"]
    for name in NAMED:
        assert "names" in inspect.signature(CHECKS[name]).parameters


def test_a_row_of_the_table():
    assert str(Row("a fault", 2000, "0 x 500", "0 x 500")) == "| a fault | 2,000 | 0 x 500 | 0 x 500 | yes |"
    assert str(Row("a fault", 1, "1 x 500", "0 x 500", held=False)).endswith("| NO |")
    assert str(Row("a figure", 1, "42/s")).endswith("|  |  |")
    assert scaled(20, 0.01) == 1
