"""NAS-Bench-101: counts, the official hash, pruning."""

import numpy as np
import pytest

from tests.reference import graphs
from tfnas.errors import CorruptArtefactError, InvalidArchitectureError
from tfnas.spaces import Architecture, NASBench101, isomorphism, nasbench101
from tfnas.spaces.nasbench101 import CONV1X1, CONV3X3, INPUT, MAXPOOL3X3, OUTPUT


def test_number_of_cells_by_vertices():
    cells = nasbench101.unique_cells(largest=6)
    assert np.bincount(cells.num_vertices).tolist() == [0, 0, 1, 6, 84, 2441, 62010]


@pytest.mark.slow
def test_the_whole_space(tmp_path):
    space = NASBench101(tmp_path)
    cells, md5 = space.enumerate_with_hashes()
    assert len(cells) == 423_624
    assert np.bincount(cells.num_vertices).tolist() == [0, 0, 1, 6, 84, 2441, 62010, 359082]
    assert space.validate_many(cells).all()
    again, md5_again = NASBench101(tmp_path).enumerate_with_hashes()
    np.testing.assert_array_equal(again.adjacency, cells.adjacency)
    np.testing.assert_array_equal(md5_again, md5)


@pytest.mark.data
def test_hashes_and_operations_of_the_benchmark(data_dir, rng):
    """2,000 random rows of the measured table: our hash of their cell is the benchmark's."""
    table = dict(np.load(data_dir / "nasbench101.npz"))
    labels = np.array([CONV3X3, CONV1X1, MAXPOOL3X3])
    space = NASBench101()
    for row in rng.choice(len(table["md5"]), 2000, replace=False):
        count = int(table["num_vertices"][row])
        adjacency = nasbench101.unpack_edges(table["edge_bits"][row : row + 1], 7)[0, :count, :count]
        operations = (INPUT, *labels[table["op_labels"][row][: count - 2]].tolist(), OUTPUT)
        architecture = Architecture(operations, adjacency)
        assert bytes.fromhex(space.canonical_hash(architecture)) == table["md5"][row].tobytes()


@pytest.mark.data
@pytest.mark.slow
def test_every_cell_of_the_benchmark(data_dir, tmp_path):
    table = np.load(data_dir / "nasbench101.npz")
    cells, md5 = NASBench101(tmp_path).enumerate_with_hashes()
    np.testing.assert_array_equal(md5, table["md5"])
    np.testing.assert_array_equal(nasbench101.pack_edges(cells.adjacency), table["edge_bits"])


def test_hash_of_the_benchmarks_readme_cell():
    """Two vertices, one edge: MD5 worked out by hand from the published algorithm."""
    import hashlib

    def md5(text):
        return hashlib.md5(text.encode()).hexdigest()

    first, last = md5("(1, 0, -1)"), md5("(0, 1, -2)")
    for _ in range(2):
        first, last = md5("|" + last + "|" + first), md5(first + "||" + last)
    expected = md5(str(sorted([first, last])))
    assert isomorphism.module_hash(np.array([[0, 1], [0, 0]]), [-1, -2]) == expected


def test_edges_pack_and_unpack(rng):
    bits = rng.integers(0, 2**21, 500).astype(np.uint32)
    np.testing.assert_array_equal(nasbench101.pack_edges(nasbench101.unpack_edges(bits, 7)), bits)


def test_pruning_agrees_with_networkx(rng):
    names = np.array([CONV1X1, CONV3X3, MAXPOOL3X3])
    for _ in range(100):
        adjacency = np.triu(rng.random((7, 7)) < 0.3, 1)
        architecture = Architecture((INPUT, *rng.choice(names, 5).tolist(), OUTPUT), adjacency)
        reference = graphs.pruned(architecture.operations, adjacency)
        valid = len(reference) > 0 and reference.number_of_edges() <= 9
        assert (NASBench101().validate(architecture) is None) == valid
        if valid:
            assert nasbench101.prune(architecture).num_vertices == len(reference)


def test_tables_hold_pruned_cells():
    """A vertex off every path changes no row; a cell may have eight vertices before it is pruned."""
    space = NASBench101()
    whole = Architecture((INPUT, CONV3X3, OUTPUT), np.eye(3, k=1))
    dangling = np.zeros((4, 4))
    dangling[0, 1] = dangling[1, 3] = 1
    wide = np.zeros((8, 8))
    wide[0, 1] = wide[1, 7] = wide[0, 2] = 1
    cells = space.to_table(
        [
            whole,
            Architecture((INPUT, CONV3X3, MAXPOOL3X3, OUTPUT), dangling),
            Architecture((INPUT, CONV3X3, *[CONV1X1] * 5, OUTPUT), wide),
        ]
    )
    assert [space.architecture(cells, row) for row in range(3)] == [whole] * 3
    with pytest.raises(InvalidArchitectureError, match="no path leads from input to output"):
        space.to_table([Architecture((INPUT, CONV3X3, OUTPUT), np.zeros((3, 3)))])


@pytest.mark.parametrize(
    ("operations", "edges", "reason"),
    [
        ((INPUT,), [], "at least input and output"),
        ((CONV1X1, OUTPUT), [(0, 1)], "vertex 0"),
        ((INPUT, CONV1X1), [(0, 1)], "the last vertex"),
        ((INPUT, "conv7x7", OUTPUT), [(0, 1), (1, 2)], "conv7x7"),
        ((INPUT, CONV1X1, OUTPUT), [(0, 1)], "no path"),
        ((INPUT, *[CONV1X1] * 5, OUTPUT), [(i, j) for j in range(1, 6) for i in range(j)] + [(5, 6)], "16 edges"),
        ((INPUT, *[CONV1X1] * 6, OUTPUT), [(i, i + 1) for i in range(7)], "8 vertices"),
    ],
)
def test_reasons(operations, edges, reason):
    adjacency = np.zeros((len(operations), len(operations)))
    for edge in edges:
        adjacency[edge] = 1
    with pytest.raises(InvalidArchitectureError, match=reason):
        NASBench101().require_valid(Architecture(operations, adjacency))


def test_damaged_cache(tmp_path):
    (tmp_path / "nasbench101_cells_v1.npz").write_bytes(b"PK\x03\x04 not a table")
    with pytest.raises(CorruptArtefactError, match="nasbench101_cells_v1"):
        NASBench101(tmp_path).enumerate()
