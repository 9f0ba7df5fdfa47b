"""What every space promises, checked on every space."""

import re

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.fork import ROOT
from tests.reference import graphs
from tfnas.errors import ConfigurationError, InvalidArchitectureError
from tfnas.reports import palette
from tfnas.spaces import SPACES, Architecture, CellTable, Darts, NASBench201, get_space

EXAMPLES = settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@EXAMPLES
@given(seed=st.integers(0, 2**32 - 1))
def test_encode_and_decode_are_inverse(space, seed):
    rng = np.random.default_rng(seed)
    cells = space.sample(3, rng)
    for row in range(3):
        architecture = space.architecture(cells, row)
        ops, adjacency = space.encode(architecture)
        assert ops.shape == (space.max_vertices, len(space.operations))
        assert ops.dtype == adjacency.dtype == np.float32
        assert space.decode(ops, adjacency) == architecture


@EXAMPLES
@given(seed=st.integers(0, 2**32 - 1))
def test_mutants_are_valid_and_different(space, seed):
    rng = np.random.default_rng(seed)
    architecture = space.architecture(space.sample(1, rng), 0)
    for _ in range(5):
        mutant = space.mutate(architecture, rng)
        assert space.validate(mutant) is None
        assert space.canonical_hash(mutant) != space.canonical_hash(architecture)
        assert not graphs.isomorphic(mutant, architecture)
        architecture = mutant


@EXAMPLES
@given(seed=st.integers(0, 2**32 - 1), data=st.data())
def test_vectorised_answers_agree_on_damaged_cells(space, seed, data):
    rng = np.random.default_rng(seed)
    cells = space.sample(20, rng)
    operations, adjacency = cells.operations.copy(), cells.adjacency.copy()
    for row in range(20):
        count = int(cells.num_vertices[row])
        for _ in range(data.draw(st.integers(0, 2))):
            if rng.random() < 0.5:
                operations[row, rng.integers(count)] = rng.integers(len(space.operations))
            else:
                i, j = sorted(rng.choice(count, 2, replace=False))
                adjacency[row, i, j] ^= 1
    damaged = CellTable(operations, adjacency)
    expected = [space.validate(space.architecture(damaged, row)) is None for row in range(20)]
    assert space.validate_many(damaged).tolist() == expected


def test_the_two_hashes_agree_with_each_other_and_with_networkx(space, rng):
    cells = space.sample(25, rng)
    found = [space.architecture(cells, row) for row in range(25)]
    found += [space.mutate(architecture, rng) for architecture in found]
    fast = space.canonical_hashes(space.to_table(found))
    slow = [space.canonical_hash(architecture) for architecture in found]
    for i in range(len(found)):
        for j in range(i):
            same = graphs.isomorphic(found[i], found[j])
            assert (slow[i] == slow[j]) == same
            assert (fast[i] == fast[j]) == same


def test_samples_are_distinct(space, rng):
    cells = space.sample(1000, rng)
    assert len(np.unique(space.canonical_hashes(cells))) == 1000
    assert space.validate_many(cells).all()


def test_same_seed_same_sample(space):
    first, second = (space.sample(50, np.random.default_rng(3)) for _ in range(2))
    np.testing.assert_array_equal(first.operations, second.operations)
    np.testing.assert_array_equal(first.adjacency, second.adjacency)


@pytest.mark.parametrize(
    ("adjacency", "message"),
    [
        (np.ones((3, 3)), "upper triangular"),
        (np.zeros((2, 3)), "shape"),
        (np.full((3, 3), np.nan), "NaN"),
        (np.triu(np.full((3, 3), 2), 1), "other than 0 and 1"),
        (np.full((3, 3), "a"), "expected numbers"),
    ],
)
def test_bad_matrices_are_refused(adjacency, message):
    with pytest.raises(InvalidArchitectureError, match=message):
        Architecture(("input", "maxpool3x3", "output"), adjacency)


def test_bad_encodings_are_refused(space, rng):
    ops, adjacency = space.encode(space.architecture(space.sample(1, rng), 0))
    for wrong in (ops[:-1], ops * 2, np.where(ops == 1, np.nan, ops), np.zeros_like(ops), np.ones_like(ops)):
        with pytest.raises(InvalidArchitectureError):
            space.decode(wrong, adjacency)
    with pytest.raises(InvalidArchitectureError):
        space.decode(ops, adjacency.T)


def test_the_documents_list_every_space():
    (row,) = re.findall(r"^\| \*\*Spaces\*\* \| (.*) \|$", (ROOT / "docs" / "index.md").read_text(), re.MULTILINE)
    assert set(re.findall(r"`(\w+)`", row)) == SPACES.keys()
    assert all(get_space(name).name == name for name in SPACES)


def test_unknown_space():
    with pytest.raises(ConfigurationError, match="nasbench101, nasbench201, darts"):
        get_space("nasbench404")


def test_darts_is_not_enumerable():
    with pytest.raises(ConfigurationError, match="sample"):
        Darts().enumerate()


def test_a_space_has_no_more_than_it_has(rng):
    with pytest.raises(ConfigurationError, match="15625"):
        NASBench201().sample(15_626, rng)


def test_drawing_shows_every_operation(space, rng, tmp_path):
    cell = space.architecture(space.sample(1, rng), 0)
    space.draw(cell, tmp_path / "cell.png")
    assert (tmp_path / "cell.png").stat().st_size > 1000
    svg = (tmp_path / "cell.svg").read_text()
    space.draw(cell, tmp_path / "encoded.png", encoded=True, title="")
    encoded = (tmp_path / "encoded.svg").read_text()
    labels = [palette.label(name) for name in cell.operations]
    for label in set(labels):
        assert encoded.count(f"<!-- {label} -->") == labels.count(label)
        absent = space.name == "mobilenetv3" and label == "skip"
        assert svg.count(f"<!-- {label} -->") == (0 if absent else labels.count(label))
