"""The exact edit distance against networkx's, and by hand."""

import networkx as nx
import numpy as np
import pytest

from reproductions.arch2vec.edit_distance import edit_distances
from tfnas.errors import ConfigurationError
from tfnas.spaces import CellTable, Darts, NASBench101, NASBench201


def by_networkx(space, cells, first, second):
    graphs = []
    for row in (first, second):
        architecture = space.architecture(cells, row)
        graph = nx.DiGraph(architecture.edges)
        graph.add_nodes_from((vertex, {"op": name}) for vertex, name in enumerate(architecture.operations))
        graphs.append(graph)
    ends = space.operations[0], space.operations[-1]

    def substitution(a, b):
        if a["op"] == b["op"]:
            return 0
        return 1000 if a["op"] in ends or b["op"] in ends else 1

    def removal(a):
        return 1000 if a["op"] in ends else 1

    costs = {"node_subst_cost": substitution, "node_del_cost": removal, "node_ins_cost": removal}
    return nx.graph_edit_distance(*graphs, **costs)


def test_agrees_with_networkx(small_nasbench101, rng):
    cells = small_nasbench101.sample(24, rng)
    found = edit_distances(cells[:12], cells[12:])
    assert found.tolist() == [by_networkx(small_nasbench101, cells, row, row + 12) for row in range(12)]
    np.testing.assert_array_equal(found, edit_distances(cells[12:], cells[:12]))


def test_one_edit():
    space = NASBench101()
    operations = np.array([[0, 1, 2, 4, 255, 255, 255]] * 4, np.uint8)
    adjacency = np.zeros((4, 7, 7), np.uint8)
    for source, target in ((0, 1), (1, 2), (2, 3)):
        adjacency[:, source, target] = 1
    operations[1, 1] = 3
    adjacency[2, 0, 3] = 1
    operations[3], adjacency[3] = [0, 1, 2, 3, 4, 255, 255], 0
    for source, target in ((0, 1), (1, 2), (2, 3), (3, 4)):
        adjacency[3, source, target] = 1
    cells = CellTable(operations, adjacency)
    assert space.validate_many(cells).all()
    # Another operation; one edge more; a vertex more, its two edges, and one edge less.
    assert edit_distances(cells[[0, 0, 0, 0]], cells).tolist() == [0, 1, 1, 4]


def test_the_order_of_vertices_does_not_count(rng):
    """Swapping the two operations of a DARTS block, or mutating an edge of NAS-Bench-201."""
    space = Darts()
    cell = space.from_genotype(["none", "skip_connect"] * 4, [0, 1] * 4)
    twin = space.from_genotype(["skip_connect", "none"] * 4, [1, 0] * 4)
    assert edit_distances(space.to_table([cell]), space.to_table([twin]), num_inputs=2).tolist() == [0]
    space = NASBench201()
    cell = space.architecture(space.sample(1, rng), 0)
    assert edit_distances(space.to_table([cell]), space.to_table([space.mutate(cell, rng)])).tolist() == [1]


def test_too_large():
    cells = CellTable(np.zeros((1, 11), np.uint8), np.zeros((1, 11, 11), np.uint8))
    with pytest.raises(ConfigurationError, match="9 vertices between"):
        edit_distances(cells, cells)
    with pytest.raises(ConfigurationError, match="expected one"):
        edit_distances(cells, cells[:0])
