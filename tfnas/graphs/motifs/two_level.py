"""Graphs with their motifs: operators below, motifs above; packed, in batches on the device, and as GraphTensors."""

import copy
import dataclasses
import functools
import pathlib
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from tfnas.errors import ConfigurationError
from tfnas.graphs import gnn
from tfnas.graphs.computation_graph import FLOW, OP
from tfnas.graphs.motifs.mining import MacroGraphs
from tfnas.graphs.packed import NUM_FEATURES, DeviceGraphs, FlatBatch, PackedGraphs, chunks

MOTIF, MEMBER, MACRO = "motif", "member", "macro"
SCHEMA_PATH = pathlib.Path(__file__).parents[1] / "schemas" / "macro_graph.pbtxt"

_COLUMNS = (0, 7, 8)  # of a packed graph's features: operator and kernel


class TwoLevelBatch(NamedTuple):
    """B graphs side by side at both levels.

    Attributes:
      ops: operators; `nodes` are int32 `[T, 3]`, operator and height and width of the kernel, or int32 `[T]`, rows of a
        table of operators and kernels.
      motif: int32 `[T]`, motif of every operator; M - 1 in padding.
      macro: motifs; `nodes` int32 `[M]` are kinds, equal for equal motifs.
      share: float32 `[M]`, 1 over the number of motifs of this kind in the graph.
      neighbourhoods: float32 `[B, H]`, hashed colours; H may be 0.
    """

    ops: FlatBatch
    motif: tf.Tensor
    macro: FlatBatch
    share: tf.Tensor
    neighbourhoods: tf.Tensor


@dataclasses.dataclass(frozen=True, eq=False)
class TwoLevelGraphs:
    """N graphs and their motifs.

    Attributes:
      graphs: N graphs of operators.
      macro: N graphs of motifs; `codes` are kinds.
      motif: int32 `[nodes of all graphs]`, motif of every operator, counted within the graph.
      share: float32 `[motifs of all graphs]`, 1 over the number of motifs of this kind in the graph.
      neighbourhoods: float32 `[N, H]`, hashed colours; H may be 0.
    """

    graphs: PackedGraphs
    macro: PackedGraphs
    motif: np.ndarray
    share: np.ndarray
    neighbourhoods: np.ndarray

    def __len__(self) -> int:
        return len(self.graphs)

    def __getitem__(self, rows: np.ndarray) -> "TwoLevelGraphs":
        """The graphs of some rows (indices or a mask)."""
        rows = np.arange(len(self))[rows]
        nodes = dataclasses.replace(self.graphs, codes=np.arange(len(self.motif)))[rows].codes
        motifs = dataclasses.replace(self.macro, codes=np.arange(len(self.share)))[rows].codes
        return TwoLevelGraphs(
            self.graphs[rows], self.macro[rows], self.motif[nodes], self.share[motifs], self.neighbourhoods[rows]
        )

    def flat_batch(self) -> TwoLevelBatch:
        """All graphs as one batch of features, with one node and one motif of padding."""
        macro = dataclasses.replace(self.macro, codes=np.zeros_like(self.macro.codes)).flat_batch()
        macro = macro._replace(nodes=tf.constant(np.append(self.macro.codes, -1).astype(np.int32)))
        starts = np.repeat(self.macro.node_offsets[:-1], self.graphs.num_nodes)
        ops = self.graphs.flat_batch()
        return TwoLevelBatch(
            ops._replace(nodes=tf.gather(ops.nodes, _COLUMNS, axis=1)),
            tf.constant(np.append(self.motif + starts, len(self.share)).astype(np.int32)),
            macro,
            tf.constant(np.append(self.share, np.float32(0))),
            tf.constant(self.neighbourhoods),
        )

    def to_graph_tensor(self) -> "gnn.GraphTensor":
        """The N graphs as the components of one scalar GraphTensor of the schema `macro_graph.pbtxt`."""
        starts = {OP: self.graphs.node_offsets[:-1], MOTIF: self.macro.node_offsets[:-1]}
        features = self.graphs.features[self.graphs.codes][:, _COLUMNS].astype(np.int64)
        flow = self.graphs.edges + np.repeat(starts[OP], self.graphs.num_edges)[:, None]
        macro = self.macro.edges + np.repeat(starts[MOTIF], self.macro.num_edges)[:, None]
        member = self.motif + np.repeat(starts[MOTIF], self.graphs.num_nodes)

        def edges(name: str, ends: tuple[str, str], source: np.ndarray, target: np.ndarray, sizes: np.ndarray):
            adjacency = gnn.Adjacency.from_indices(
                (ends[0], tf.constant(source, tf.int64)), (ends[1], tf.constant(target, tf.int64))
            )
            return {name: gnn.EdgeSet.from_fields(sizes=tf.constant(sizes), adjacency=adjacency)}

        return gnn.GraphTensor.from_pieces(
            context=gnn.Context.from_fields(
                features={
                    "neighbourhoods": tf.RaggedTensor.from_row_lengths(
                        self.neighbourhoods.ravel(), np.full(len(self), self.neighbourhoods.shape[1], np.int64)
                    )
                }
            ),
            node_sets={
                OP: gnn.NodeSet.from_fields(
                    sizes=tf.constant(self.graphs.num_nodes),
                    features={"operator": tf.constant(features[:, 0]), "kernel": tf.constant(features[:, 1:])},
                ),
                MOTIF: gnn.NodeSet.from_fields(
                    sizes=tf.constant(self.macro.num_nodes), features={"share": tf.constant(self.share)}
                ),
            },
            edge_sets={
                **edges(FLOW, (OP, OP), flow[:, 0], flow[:, 1], self.graphs.num_edges),
                **edges(MEMBER, (OP, MOTIF), np.arange(len(member)), member, self.graphs.num_nodes),
                **edges(MACRO, (MOTIF, MOTIF), macro[:, 0], macro[:, 1], self.macro.num_edges),
            },
        )


def two_level(graphs: PackedGraphs, macro: MacroGraphs, neighbourhoods: np.ndarray | None = None) -> TwoLevelGraphs:
    """Joins graphs and their motifs.

    Args:
      graphs: N graphs.
      macro: motifs of the graphs.
      neighbourhoods: float32 `[N, H]`; None for H = 0.
    """
    count = len(graphs)
    sizes = np.bincount(macro.graph, minlength=count)
    offsets = np.append(0, np.cumsum(sizes))
    owner = np.repeat(np.arange(count), graphs.num_nodes)
    _, kinds = np.unique(macro.kind, return_inverse=True)
    pairs = macro.graph * (int(kinds.max(initial=0)) + 1) + kinds.ravel()
    _, pair, equal = np.unique(pairs, return_inverse=True, return_counts=True)
    edge_graph = macro.graph[macro.edges[:, 0]]
    above = PackedGraphs(
        features=np.zeros((1, NUM_FEATURES), np.int32),
        codes=kinds.ravel().astype(np.int32),
        edges=(macro.edges - offsets[edge_graph][:, None]).astype(np.int32),
        node_offsets=offsets,
        edge_offsets=np.append(0, np.cumsum(np.bincount(edge_graph, minlength=count))),
        families=graphs.families,
        family=graphs.family,
        labels=graphs.labels,
        structure=graphs.structure,
    )
    if neighbourhoods is None:
        neighbourhoods = np.zeros((count, 0), np.float32)
    if len(neighbourhoods) != count:
        raise ConfigurationError(f"{len(neighbourhoods)} rows of neighbourhoods for {count} graphs")
    return TwoLevelGraphs(
        graphs,
        above,
        (macro.motif - offsets[owner]).astype(np.int32),
        (1.0 / equal[pair.ravel()]).astype(np.float32),
        np.asarray(neighbourhoods, np.float32),
    )


class DeviceTwoLevel:
    """Two-level graphs on the device; batches of them are cut out inside compiled programs.

    Args:
      graphs: N graphs.
      batch_size: B.

    Attributes:
      features: int32 `[F, 3]`, table of operators and kernels, of which the `nodes` of a batch's operators are rows.
    """

    def __init__(self, graphs: TwoLevelGraphs, batch_size: int):
        below, above = graphs.graphs, graphs.macro
        self.features = tf.constant(below.features[:, _COLUMNS])
        self._below = DeviceGraphs(dataclasses.replace(below, codes=np.arange(len(below.codes))), batch_size)
        self._above = DeviceGraphs(dataclasses.replace(above, codes=np.arange(len(above.codes))), batch_size)
        self._codes, self._motif = tf.constant(below.codes), tf.constant(graphs.motif)
        self._kinds, self._share = tf.constant(above.codes), tf.constant(graphs.share)
        self._neighbourhoods = tf.constant(graphs.neighbourhoods)
        self._batch_size = batch_size

    def batch(self, rows: tf.Tensor) -> tuple[TwoLevelBatch, tf.Tensor]:
        """The graphs of some rows, in shapes that do not depend on the rows.

        Args:
          rows: int32 `[B]`.

        Returns:
          The batch, and float32 `[B]`: 0 for graphs that were left out.
        """
        below, fits_below = self._below.batch(rows)
        above, fits_above = self._above.batch(rows)
        last = self._above.node_capacity - 1
        starts = tf.where(fits_above > 0, tf.cumsum(above.sizes, exclusive=True), last)
        owner = tf.minimum(below.node_graph, self._batch_size - 1)
        motif = tf.gather(starts, owner) + tf.gather(self._motif, below.nodes)
        motif = tf.where(below.node_graph == self._batch_size, last, tf.minimum(motif, last))
        real = above.node_graph < self._batch_size
        batch = TwoLevelBatch(
            below._replace(nodes=tf.gather(self._codes, below.nodes)),
            motif,
            above._replace(nodes=tf.where(real, tf.gather(self._kinds, above.nodes), -1)),
            tf.where(real, tf.gather(self._share, above.nodes), 0.0),
            tf.gather(self._neighbourhoods, rows),
        )
        return batch, fits_below * fits_above


@functools.cache
def graph_spec() -> "gnn.GraphTensorSpec":
    """The GraphTensorSpec of one network at two levels, from the schema file."""
    return gnn.create_graph_spec_from_schema_pb(copy.deepcopy(gnn.read_schema(str(SCHEMA_PATH))))


def two_level_view(graph: "gnn.GraphTensor", width: int) -> TwoLevelBatch:
    """A scalar GraphTensor of the schema as flat tensors.

    Args:
      graph: GraphTensor of B merged components.
      width: H, length of the neighbourhoods.
    """
    ops, motifs = graph.node_sets[OP], graph.node_sets[MOTIF]
    nodes = tf.cast(tf.concat([ops["operator"][:, None], ops["kernel"]], axis=1), tf.int32)
    member = tf.cast(graph.edge_sets[MEMBER].adjacency.target, tf.int32)
    order = tf.cast(graph.edge_sets[MEMBER].adjacency.source, tf.int32)
    below = _flat(graph, OP, FLOW, tf.pad(nodes, ((0, 1), (0, 0))))
    above = _flat(graph, MOTIF, MACRO, tf.zeros([tf.shape(motifs["share"])[0] + 1], tf.int32))
    motif = tf.scatter_nd(order[:, None], member, tf.shape(ops["operator"], tf.int32))
    neighbourhoods = graph.context["neighbourhoods"]
    if isinstance(neighbourhoods, tf.RaggedTensor):
        message = f"neighbourhoods of another length than the {width} of this encoder"
        checks = [tf.debugging.assert_equal(tf.cast(neighbourhoods.row_lengths(), tf.int32), width, message)]
        with tf.control_dependencies(checks):
            neighbourhoods = neighbourhoods.to_tensor(shape=[None, width])
    return TwoLevelBatch(
        below,
        tf.concat([motif, [tf.shape(motifs["share"])[0]]], 0),
        above,
        tf.pad(motifs["share"], ((0, 1),)),
        neighbourhoods,
    )


def _flat(graph: "gnn.GraphTensor", nodes: str, edges: str, features: tf.Tensor) -> FlatBatch:
    sizes = tf.cast(graph.node_sets[nodes].sizes, tf.int32)
    last = tf.reduce_sum(sizes)
    adjacency = graph.edge_sets[edges].adjacency
    ends = [tf.concat([tf.cast(end, tf.int32), last[None]], 0) for end in (adjacency.source, adjacency.target)]
    owner = tf.concat([tf.repeat(tf.range(tf.size(sizes)), sizes), tf.size(sizes)[None]], 0)
    return FlatBatch(features, owner, *ends, sizes)


def embed_two_level(encode: Callable[[TwoLevelBatch], tf.Tensor], graphs: TwoLevelGraphs) -> np.ndarray:
    """Embeddings float32 `[N, D]` of N graphs, in batches of graphs of similar size.

    Args:
      encode: function from a batch to embeddings float32 `[B, D]`.
      graphs: N graphs.
    """
    order = np.argsort(graphs.graphs.num_nodes, kind="stable")
    sizes = graphs.graphs.num_nodes[order]
    embeddings = [encode(graphs[order[rows]].flat_batch()).numpy() for rows in chunks(sizes)]
    return np.concatenate(embeddings)[np.argsort(order)]
