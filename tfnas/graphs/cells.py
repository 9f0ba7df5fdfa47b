"""Cells as TF-GNN GraphTensors, and the dense view of cells that compiled training uses."""

import functools
import pathlib

import numpy as np
import tensorflow as tf

from tfnas.graphs import gnn
from tfnas.spaces import ABSENT, CellTable

VERTEX, FLOW, OPERATION, CELL_ID = "vertex", "flow", "operation", "cell_id"
SCHEMA_PATH = pathlib.Path(__file__).parent / "schemas" / "cell.pbtxt"


@functools.cache
def cell_spec() -> "gnn.GraphTensorSpec":
    """The GraphTensorSpec of one cell, from the schema file."""
    return gnn.create_graph_spec_from_schema_pb(gnn.read_schema(str(SCHEMA_PATH)))


def to_graph_tensor(cells: CellTable) -> "gnn.GraphTensor":
    """N cells as a GraphTensor of shape `[N]` with ragged node and edge sets.

    Args:
      cells: table of N rows; row i gets `cell_id` i.

    Example:
      >>> import tfnas
      >>> to_graph_tensor(tfnas.spaces.NASBench201().enumerate()[:3]).shape.as_list()
      [3]
    """
    mask = cells.vertex_mask
    graph, source, target = np.nonzero(cells.adjacency)
    edge_counts = np.bincount(graph, minlength=len(cells))
    sizes = mask.sum(axis=1).astype(np.int64)

    def ragged(values: np.ndarray, lengths: np.ndarray, dtype: tf.DType = tf.int32) -> tf.RaggedTensor:
        return tf.RaggedTensor.from_row_lengths(tf.constant(values, dtype), tf.constant(lengths, tf.int64))

    return gnn.GraphTensor.from_pieces(
        context=gnn.Context.from_fields(
            features={CELL_ID: tf.range(len(cells), dtype=tf.int64)[:, None]}, shape=[len(cells)]
        ),
        node_sets={
            VERTEX: gnn.NodeSet.from_fields(
                sizes=tf.constant(sizes[:, None], tf.int32),
                features={OPERATION: ragged(cells.operations[mask], sizes, tf.int64)},
            )
        },
        edge_sets={
            FLOW: gnn.EdgeSet.from_fields(
                sizes=tf.constant(edge_counts[:, None], tf.int32),
                adjacency=gnn.Adjacency.from_indices(
                    source=(VERTEX, ragged(source, edge_counts)), target=(VERTEX, ragged(target, edge_counts))
                ),
            )
        },
    )


def dense_view(graph: "gnn.GraphTensor", num_vertices: int, num_operations: int) -> tuple[tf.Tensor, tf.Tensor]:
    """A batch of cells as two dense tensors, padded at the end.

    Args:
      graph: GraphTensor of shape `[B]` with the cell schema.
      num_vertices: V, at least the size of the largest cell.
      num_operations: O.

    Returns:
      `ops` float32 `[B, V, O]`, zero in padded rows, and `adjacency` float32 `[B, V, V]`.
    """
    operations = graph.node_sets[VERTEX][OPERATION]
    if not isinstance(operations, tf.RaggedTensor):
        operations = tf.RaggedTensor.from_tensor(operations)
    ops = tf.one_hot(operations.to_tensor(-1, shape=[None, num_vertices]), num_operations)
    adjacency = graph.edge_sets[FLOW].adjacency
    source, target = adjacency.source, adjacency.target
    if not isinstance(source, tf.RaggedTensor):
        source, target = tf.RaggedTensor.from_tensor(source), tf.RaggedTensor.from_tensor(target)
    columns = (source.value_rowids(), source.values, target.values)
    positions = tf.stack([tf.cast(column, tf.int64) for column in columns], axis=1)
    shape = tf.stack([tf.cast(operations.nrows(), tf.int64), num_vertices, num_vertices])
    return ops, tf.scatter_nd(positions, tf.ones_like(source.values, tf.float32), shape)


def to_example(operations: np.ndarray, adjacency: np.ndarray, cell_id: int) -> tf.train.Example:
    """The tf.train.Example that `tensorflow_gnn.write_example` makes of one cell, written directly (much faster).

    Args:
      operations: uint8 `[V]`, `ABSENT` where the vertex does not exist.
      adjacency: uint8 `[V, V]`.
      cell_id: number of the cell.
    """
    present = operations[operations != ABSENT]
    source, target = np.nonzero(adjacency)
    example = tf.train.Example()
    feature = example.features.feature
    for name, values in (
        (f"context/{CELL_ID}", [cell_id]),
        (f"nodes/{VERTEX}.#size", [len(present)]),
        (f"nodes/{VERTEX}.{OPERATION}", present.tolist()),
        (f"edges/{FLOW}.#size", [len(source)]),
        (f"edges/{FLOW}.#source", source.tolist()),
        (f"edges/{FLOW}.#target", target.tolist()),
    ):
        feature[name].int64_list.value.extend(values)
    return example


def smallest_example() -> bytes:
    """A serialised cell of an input and an output."""
    operations, adjacency = np.array([0, 1], np.uint8), np.array([[0, 1], [0, 0]], np.uint8)
    return to_example(operations, adjacency, 0).SerializeToString(deterministic=True)


@tf.autograph.experimental.do_not_convert
def parse_examples(serialized: tf.Tensor) -> "gnn.GraphTensor":
    """Parses serialised tf.train.Examples, string `[B]`, to a GraphTensor of shape `[B]`."""
    return gnn.parse_example(cell_spec(), serialized)
