"""What only the size space, the pairs of DARTS cells and listed spaces have."""

import numpy as np
import pytest

from tfnas.errors import ConfigurationError, InvalidArchitectureError
from tfnas.spaces import Architecture, Darts, FiniteSpace, NASBench101, NASBench301, NATSSize


def test_size_space_strings():
    space = NATSSize()
    cells = space.enumerate()
    assert len(cells) == 32_768
    texts = [space.to_string(space.architecture(cells, row)) for row in (0, 1, 8, 32_767)]
    assert texts == ["8:8:8:8:8", "8:8:8:8:16", "8:8:8:16:8", "64:64:64:64:64"]
    assert [space.to_string(space.from_string(text)) for text in texts] == texts
    np.testing.assert_array_equal(space.from_strings(texts).operations, cells.operations[[0, 1, 8, 32_767]])
    for text in ("8:8:8:8", "8:8:8:8:9", "a:8:8:8:8", ""):
        with pytest.raises(InvalidArchitectureError):
            space.from_string(text)
        with pytest.raises(InvalidArchitectureError):
            space.from_strings([texts[0], text])


def test_normal_and_reduction_cell_are_told_apart(rng):
    space, darts = NASBench301(), Darts()
    cells = space.sample(40, rng)
    swapped = [space.from_cells(*space.cells(space.architecture(cells, row))[::-1]) for row in range(40)]
    hashes = np.concatenate([space.canonical_hashes(cells), space.canonical_hashes(space.to_table(swapped))])
    assert len(np.unique(hashes)) == 80
    architecture = space.architecture(cells, 0)
    normal, reduction = space.cells(architecture)
    assert darts.validate(normal) is None
    assert space.from_cells(normal, reduction) == architecture
    assert space.canonical_hash(swapped[0]) == darts.canonical_hash(reduction) + darts.canonical_hash(normal)


def test_pairs_without_none(rng):
    space, darts = NASBench301(), Darts()
    cell = darts.from_genotype(["none", *["skip_connect"] * 7], [0, 1] * 4)
    other = darts.from_genotype(["skip_connect"] * 8, [0, 1] * 4)
    with pytest.raises(InvalidArchitectureError, match="reduction cell: vertex 2 is 'none'"):
        space.from_cells(other, cell)
    architecture = space.from_cells(other, other)
    joined = architecture.adjacency.copy()
    joined[3, 15] = 1
    assert "joins" in space.validate(Architecture(architecture.operations, joined))
    assert "22" in space.validate(other)
    with pytest.raises(ConfigurationError, match="sample"):
        space.enumerate()


def test_listed_space():
    def chain(*names):
        return Architecture(names, np.eye(len(names), k=1))

    space = FiniteSpace("own", [chain("in", "a", "out"), chain("in", "b", "a", "out"), chain("in", "a", "out")])
    assert space.operations == ("in", "a", "out", "b")
    assert len(space.enumerate()) == 2
    assert space.mutate(chain("in", "a", "out"), np.random.default_rng(0)) == chain("in", "b", "a", "out")
    assert "not in the list" in space.validate(chain("in", "b", "out"))
    assert "'tea'" in space.validate(chain("in", "tea", "out"))
    assert "at most 4" in space.validate(chain(*"abcde"))
    with pytest.raises(ConfigurationError, match="no architecture"):
        FiniteSpace("empty", [])
    with pytest.raises(ConfigurationError, match="no mutants"):
        FiniteSpace("one", [chain("in", "out")]).mutate(chain("in", "out"), np.random.default_rng(0))


def test_mutants_of_a_listed_space_are_the_nearest(rng):
    cells = [
        Architecture(("in", *names, "out"), np.eye(4, k=1))
        for name in "abc"
        for names in (name + other for other in "abc")
    ]
    space = FiniteSpace("pairs", cells)
    mutants = {space.mutate(cells[4], rng).operations for _ in range(60)}
    assert mutants == {("in", *names, "out") for names in ("ab", "cb", "ba", "bc")}


@pytest.mark.parametrize("space", [NASBench101(), NASBench301()], ids=lambda space: space.name)
def test_hashes_do_not_depend_on_how_many_are_computed_at_once(space, rng):
    cells = space.sample(300, rng)
    parts = [space.canonical_hashes(cells[start : start + 75]) for start in range(0, 300, 75)]
    np.testing.assert_array_equal(space.canonical_hashes(cells), np.concatenate(parts))
