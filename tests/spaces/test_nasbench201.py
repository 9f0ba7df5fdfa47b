"""NAS-Bench-201: the benchmark's order, its strings, its fixed graph."""

import itertools

import networkx as nx
import numpy as np
import pytest

from tfnas.errors import InvalidArchitectureError
from tfnas.spaces import Architecture, NASBench201
from tfnas.spaces.nasbench201 import ADJACENCY, NODE_EDGES

SPACE = NASBench201()


def test_order_of_the_benchmark():
    cells = SPACE.enumerate()
    assert len(cells) == 15_625
    assert len(np.unique(SPACE.canonical_hashes(cells))) == 15_625
    known = {
        0: "|avg_pool_3x3~0|+|nor_conv_1x1~0|skip_connect~1|+|nor_conv_1x1~0|skip_connect~1|skip_connect~2|",
        9: "|avg_pool_3x3~0|+|none~0|none~1|+|skip_connect~0|none~1|nor_conv_3x3~2|",
        6111: "|nor_conv_3x3~0|+|nor_conv_3x3~0|nor_conv_3x3~1|+|skip_connect~0|nor_conv_3x3~1|nor_conv_1x1~2|",
    }
    for index, text in known.items():
        assert SPACE.to_string(SPACE.architecture(cells, index)) == text
        assert SPACE.index(SPACE.from_string(text)) == index


@pytest.mark.data
def test_every_string_of_the_benchmark(data_dir):
    table = np.load(data_dir / "nasbench201.npz")["arch"]
    cells = SPACE.enumerate()
    assert [SPACE.to_string(SPACE.architecture(cells, row)) for row in range(15_625)] == table.tolist()


def test_graph_of_arch2vecs_code():
    assert ADJACENCY.tolist() == [
        [0, 1, 1, 0, 1, 0, 0, 0],
        [0, 0, 0, 1, 0, 1, 0, 0],
        [0, 0, 0, 0, 0, 0, 1, 0],
        [0, 0, 0, 0, 0, 0, 1, 0],
        [0, 0, 0, 0, 0, 0, 0, 1],
        [0, 0, 0, 0, 0, 0, 0, 1],
        [0, 0, 0, 0, 0, 0, 0, 1],
        [0, 0, 0, 0, 0, 0, 0, 0],
    ]


@pytest.mark.parametrize(
    "text", ["", "|none~0|", "|none~0|+|none~0|none~1|+|none~0|none~1|none~3|", "|a~0|+|a~0|a~1|+|a~0|a~1|a~2|"]
)
def test_bad_strings(text):
    with pytest.raises(InvalidArchitectureError):
        SPACE.from_string(text)


def test_another_graph_is_refused():
    adjacency = ADJACENCY.copy()
    adjacency[0, 3] = 1
    operations = ("input", *["none"] * 6, "output")
    assert "edge 0 -> 3 is not part of the cell" in SPACE.validate(Architecture(operations, adjacency))


def _function(text):
    """What a cell computes as a networkx multigraph: edges are operations, zero and identity are worked out."""
    space = NASBench201()
    names = space.from_string(text).operations[1:-1]
    sums = {0: {"input": 1}, 1: {}, 2: {}, 3: {}}
    graph = nx.DiGraph()
    graph.add_node("input", label="input")
    for (source, target), name in zip(NODE_EDGES, names, strict=True):
        terms = {}
        if name == "skip_connect":
            terms = sums[source]
        elif name != "none" and sums[source]:
            vertex = (source, target)
            graph.add_node(vertex, label=name)
            for term, times in sums[source].items():
                graph.add_edge(term, vertex, times=times)
            terms = {vertex: 1}
        for term, times in terms.items():
            sums[target][term] = sums[target].get(term, 0) + times
    graph.add_node("output", label="output")
    for term, times in sums[3].items():
        graph.add_edge(term, "output", times=times)
    return graph.subgraph(nx.ancestors(graph, "output") | {"input", "output"})


def test_functional_hashes_agree_with_isomorphism_of_what_cells_compute(rng):
    space = NASBench201()
    cells = space.enumerate()
    hashes = space.functional_hashes(cells)
    assert len(np.unique(hashes)) == 5425
    alone = [space.functional_hashes(cells[np.array([row])])[0] for row in range(100)]
    np.testing.assert_array_equal(alone, hashes[:100])
    strings = [space.to_string(space.architecture(cells, row)) for row in range(len(cells))]
    same = {"node_match": lambda a, b: a == b, "edge_match": lambda a, b: a == b}
    groups = {}
    for row, value in enumerate(hashes.tolist()):
        groups.setdefault(value, []).append(row)
    for rows in rng.permutation(np.array([rows[:2] for rows in groups.values() if len(rows) > 1]))[:300]:
        assert nx.is_isomorphic(*(_function(strings[row]) for row in rows), **same)
    # Different hashes, same numbers of every operation: the nearest to a collision.
    by_labels = {}
    for rows in groups.values():
        graph = _function(strings[rows[0]])
        key = (tuple(sorted(nx.get_node_attributes(graph, "label").values())), graph.number_of_edges())
        by_labels.setdefault(key, []).append(graph)
    compared = 0
    for graphs in by_labels.values():
        for first, second in itertools.pairwise(graphs[:13]):
            assert not nx.is_isomorphic(first, second, **same)
            compared += 1
    assert compared > 300


@pytest.mark.parametrize(
    ("first", "second", "equal"),
    [
        # An edge into a node that leads nowhere.
        (
            "|nor_conv_3x3~0|+|none~0|none~1|+|skip_connect~0|none~1|none~2|",
            "|none~0|+|none~0|none~1|+|skip_connect~0|none~1|none~2|",
            True,
        ),
        # The same value twice is not the same value once.
        (
            "|skip_connect~0|+|none~0|none~1|+|skip_connect~0|skip_connect~1|none~2|",
            "|none~0|+|none~0|none~1|+|skip_connect~0|none~1|none~2|",
            False,
        ),
        # One convolution read twice, or two convolutions.
        (
            "|nor_conv_3x3~0|+|none~0|skip_connect~1|+|none~0|nor_conv_1x1~1|nor_conv_1x1~2|",
            "|nor_conv_3x3~0|+|nor_conv_3x3~0|none~1|+|none~0|nor_conv_1x1~1|nor_conv_1x1~2|",
            False,
        ),
    ],
)
def test_functional_hashes_by_hand(first, second, equal):
    space = NASBench201()
    hashes = space.functional_hashes(space.from_strings([first, second]))
    assert (hashes[0] == hashes[1]) == equal


def test_many_strings_at_once():
    space = NASBench201()
    cells = space.enumerate()[::50]
    texts = [space.to_string(space.architecture(cells, row)) for row in range(len(cells))]
    np.testing.assert_array_equal(space.from_strings(texts).operations, cells.operations)
    with pytest.raises(InvalidArchitectureError, match="tea"):
        space.from_strings([texts[0], texts[0].replace("none", "tea").replace("skip_connect", "tea")])
    with pytest.raises(InvalidArchitectureError, match="not of the form"):
        space.from_strings(["|none~0|"])
