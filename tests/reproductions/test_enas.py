"""ENAS cells as graphs: counts by hand, mutations, wrong cells."""

import numpy as np
import pytest

from reproductions.retrieval.enas import OPERATIONS, EnasCells, enas, mutate, sample
from tfnas.errors import ConfigurationError, InvalidArchitectureError

SKIPS = ((0, 0, 1, 0),) * 5


def test_a_cell_of_skips_by_hand():
    cells = EnasCells(SKIPS, SKIPS)
    graph = enas(cells, repeats=1)
    counts = graph.counts()
    assert counts["add"] == 25
    assert counts["concat"] == 5 + 2 * 10 + 2  # of cells, of halving skips in reductions, of inputs of unequal size
    assert counts["depthwise_conv"] == counts["max_pool"] == 0
    assert graph.shapes[graph.operator_names.index("mean"), 4] == 5 * 4 * 36


def test_every_operation_costs_what_it_should():
    rng = np.random.default_rng(0)
    operators = {"skip_connect": 0, "sep_conv_3x3": 8, "sep_conv_5x5": 8, "avg_pool_3x3": 1, "max_pool_3x3": 1}
    for operation, expected in ((place, operators[name]) for place, name in enumerate(OPERATIONS)):
        cells = EnasCells(((0, operation, 1, operation),) * 5, SKIPS)
        extra = enas(cells, repeats=2).num_nodes - enas(EnasCells(SKIPS, SKIPS), repeats=2).num_nodes
        assert extra == 6 * 10 * expected
    assert len({sample(rng) for _ in range(20)}) == 20


def test_mutants_differ_in_one_choice():
    rng = np.random.default_rng(1)
    for _ in range(50):
        cells = sample(rng)
        mutant = mutate(cells, rng)
        changed = np.array([cells.normal, cells.reduction]) != np.array([mutant.normal, mutant.reduction])
        assert changed.sum() == 1


def test_wrong_cells():
    with pytest.raises(InvalidArchitectureError, match="expected 5 blocks"):
        EnasCells(SKIPS[:4], SKIPS)
    with pytest.raises(InvalidArchitectureError, match="expected 5 blocks"):
        EnasCells(((2, 0, 1, 0), *SKIPS[1:]), SKIPS)
    with pytest.raises(ConfigurationError, match="repeats=0"):
        enas(EnasCells(SKIPS, SKIPS), repeats=0)
