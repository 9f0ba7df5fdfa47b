"""DARTS: the six rules of arch2vec's appendix B, genotypes, sampling."""

import numpy as np
import pytest

from tfnas.errors import InvalidArchitectureError
from tfnas.spaces import Architecture, Darts

SPACE = Darts()
OPERATIONS = ["sep_conv_3x3", "skip_connect"] * 4
STATES = [0, 1, 0, 2, 1, 3, 2, 4]


def test_genotype_by_hand():
    cell = SPACE.from_genotype(OPERATIONS, STATES)
    assert cell.num_vertices == 11
    columns = {2: [0], 3: [1], 4: [0], 5: [2, 3], 6: [1], 7: [4, 5], 8: [2, 3], 9: [6, 7], 10: list(range(2, 10))}
    for vertex, sources in columns.items():
        assert np.flatnonzero(cell.adjacency[:, vertex]).tolist() == sources
    assert SPACE.to_genotype(cell) == (OPERATIONS, STATES)


def test_swapping_the_operations_of_a_block_changes_nothing():
    swapped_operations, swapped_states = OPERATIONS.copy(), STATES.copy()
    swapped_operations[2:4], swapped_states[2:4] = OPERATIONS[3:1:-1], STATES[3:1:-1]
    first = SPACE.from_genotype(OPERATIONS, STATES)
    second = SPACE.from_genotype(swapped_operations, swapped_states)
    assert first != second
    assert SPACE.canonical_hash(first) == SPACE.canonical_hash(second)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda names, a: names.__setitem__(0, "c_k-1"), "first two vertices"),
        (lambda names, a: names.__setitem__(10, "none"), "last vertex"),
        (lambda names, a: names.__setitem__(4, "c_k"), "vertex 4"),
        (lambda names, a: a.__setitem__((0, 1), 1), "vertex 1 is an input"),
        (lambda names, a: a.__setitem__((0, 2), 0), "vertex 2 has no predecessor"),
        (lambda names, a: a.__setitem__((9, 10), 0), "vertex 9 has no successor"),
        (lambda names, a: a.__setitem__((1, 10), 1), "output must read"),
        (lambda names, a: a.__setitem__((1, 4), 1), "does not read exactly one"),
        (lambda names, a: a.__setitem__((slice(0, 2), 3), [1, 0]), "twice"),
    ],
)
def test_rules(change, reason):
    cell = SPACE.from_genotype(OPERATIONS, STATES)
    names, adjacency = list(cell.operations), cell.adjacency.copy()
    change(names, adjacency)
    with pytest.raises(InvalidArchitectureError, match=reason):
        SPACE.require_valid(Architecture(tuple(names), adjacency))


def test_states_that_do_not_exist():
    with pytest.raises(InvalidArchitectureError, match="block 0 reads state 2"):
        SPACE.from_genotype(OPERATIONS, [0, 2, *STATES[2:]])


def test_sampling_is_uniform(rng):
    """Every pair of different states of the last block is equally likely (chi-square, 19 degrees of freedom)."""
    cells = SPACE.sample(20_000, rng)
    pairs = np.zeros((5, 5))
    for row in range(20_000):
        states = SPACE._states_read(cells.adjacency[row])[6:8]
        pairs[tuple(states)] += 1
    assert np.diag(pairs).sum() == 0
    counts = pairs[~np.eye(5, dtype=bool)]
    assert ((counts - 1000) ** 2 / 1000).sum() < 45


@pytest.mark.slow
def test_six_hundred_thousand(rng):
    cells = SPACE.sample(600_000, rng)
    assert SPACE.validate_many(cells).all()
    assert len(np.unique(SPACE.canonical_hashes(cells))) == 600_000
