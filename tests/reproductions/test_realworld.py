"""The reader of the real-world collection on a small file made here, and its vocabulary."""

import numpy as np
import pytest

from reproductions.retrieval.realworld import operator_of, read_realworld
from tfnas import artefacts
from tfnas.benchmarks.registry import find_table
from tfnas.errors import CorruptArtefactError
from tfnas.graphs.operators import CODES, OPERATORS, UNKNOWN

KINDS = ["input", "torch.conv2d", "method.view", "torch.nn.functional.relu", "Add", "my.own.thing", "output"]


def small_file(path, **changes):
    """conv(data, weight) -> view -> relu -> add with the conv -> own -> output; and a graph of bookkeeping alone."""
    nodes = [0, 0, 1, 2, 3, 4, 5, 6, 0, 2]
    edges = [(0, 2), (1, 2), (2, 3), (3, 4), (3, 5), (4, 5), (5, 6), (6, 7), (0, 1)]
    arrays = {
        "op_vocabulary": np.array(KINDS),
        "node_op": np.array(nodes, np.uint16),
        "node_offsets": np.array([0, 8, 10], np.int32),
        "edges": np.array(edges, np.uint16),
        "edge_offsets": np.array([0, 8, 9], np.int32),
        "name": np.array(["net", "nothing"]),
        "family": np.array(["f", "f"]),
        "source": np.array(["hub", "hub"]),
    }
    arrays |= changes
    artefacts.write_npz(path, **{name: array for name, array in arrays.items() if array is not None})
    return path


def test_bookkeeping_and_parameters_are_bridged(tmp_path):
    (graph,) = read_realworld(small_file(tmp_path / "graphs.npz"))
    assert graph.operator_names == ["conv", "relu", "add", "my.own.thing", "output"]
    assert graph.edges.tolist() == [[0, 1], [0, 2], [1, 2], [2, 3], [3, 4]]
    assert (graph.name, graph.family, graph.source) == ("net", "f", "hub")
    assert graph.operators[3] == CODES[UNKNOWN]


@pytest.mark.parametrize(
    ("kind", "operator"),
    [
        ("torch.nn.functional.batch_norm", "batch_norm"),
        ("torch._C._nn.gelu", "gelu"),
        ("torch.relu_", "relu"),
        ("MatMult", "matmul"),
        ("torch._C._fft.fft_fftn", "fft"),
        ("torch.nn.functional.hardswish", "swish"),
        ("method.mean", "mean"),
    ],
)
def test_vocabulary(kind, operator):
    assert operator in OPERATORS
    assert operator_of(kind) == operator


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"family": None}, "no array 'family'"),
        ({"name": np.array(["net"])}, "same number of graphs"),
        ({"node_op": np.full(10, 9, np.uint16)}, "do not fit to the offsets or the vocabulary"),
        ({"edges": np.full((9, 2), 3, np.uint16)}, "net: an edge runs backwards"),
    ],
)
def test_damage(tmp_path, changes, message):
    with pytest.raises(CorruptArtefactError, match=message):
        read_realworld(small_file(tmp_path / "graphs.npz", **changes))


@pytest.mark.data
def test_the_collection():
    graphs = read_realworld(find_table("realworld_graphs"))
    assert len(graphs) == 670
    assert len({graph.family for graph in graphs}) == 114
    unknown = sum(len(graph.unknown) for graph in graphs)
    assert unknown < 1e-4 * sum(graph.num_nodes for graph in graphs)
