"""GraphTensors of cells and their dense view."""

import numpy as np
import tensorflow as tf

from tfnas.graphs import cells as cell_graphs
from tfnas.graphs import gnn


def test_dense_view_gives_the_table_back(space, rng):
    cells = space.sample(40, rng)
    ops, adjacency = cell_graphs.dense_view(
        cell_graphs.to_graph_tensor(cells), space.max_vertices, len(space.operations)
    )
    np.testing.assert_array_equal(ops, cells.one_hot(len(space.operations)))
    np.testing.assert_array_equal(adjacency, cells.adjacency)


def test_example_is_what_tfgnn_writes(space, rng):
    cells = space.sample(5, rng)
    graph = cell_graphs.to_graph_tensor(cells)
    for row, single in enumerate(tf.data.Dataset.from_tensors(graph).unbatch()):
        ours = cell_graphs.to_example(cells.operations[row], cells.adjacency[row], row)
        assert ours == gnn.write_example(single)


def test_examples_parse_to_the_same_graphs(space, rng):
    cells = space.sample(7, rng)
    examples = [
        cell_graphs.to_example(cells.operations[row], cells.adjacency[row], row).SerializeToString() for row in range(7)
    ]
    parsed = cell_graphs.parse_examples(tf.constant(examples))
    assert parsed.context["cell_id"].numpy().ravel().tolist() == list(range(7))
    ops, adjacency = cell_graphs.dense_view(parsed, space.max_vertices, len(space.operations))
    np.testing.assert_array_equal(ops, cells.one_hot(len(space.operations)))
    np.testing.assert_array_equal(adjacency, cells.adjacency)


def test_schema_names_what_the_code_uses():
    spec = cell_graphs.cell_spec()
    assert set(spec.node_sets_spec) == {cell_graphs.VERTEX}
    assert set(spec.node_sets_spec[cell_graphs.VERTEX].features_spec) == {cell_graphs.OPERATION}
    assert set(spec.edge_sets_spec) == {cell_graphs.FLOW}
    assert set(spec.context_spec.features_spec) == {cell_graphs.CELL_ID}
