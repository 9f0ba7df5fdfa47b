"""Many computation graphs as a few flat arrays, and batches of them cut out on the device.

Networks of one space repeat few different operators: a node is stored as a number, the row of a table of distinct
(operator, shape, kernel, bias). 64,000 networks of 300 nodes take some 300 MB.
"""

import collections
import dataclasses
import itertools
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

import numpy as np
import tensorflow as tf
from tqdm import tqdm

from tfnas.errors import ConfigurationError
from tfnas.graphs import gnn
from tfnas.graphs.computation_graph import FLOW, OP, ComputationGraph, training_spec
from tfnas.graphs.importers import Model, import_model, is_model
from tfnas.graphs.structure import STRUCTURE, structure

_PACKED_AT_A_TIME = 1024  # graphs whose nodes are held with all features, before equal nodes share a number
NUM_FEATURES = 10
"""Columns of a node's features: operator, the six of `SHAPE_FIELDS`, height and width of the kernel, bias."""


@dataclasses.dataclass(frozen=True, eq=False)
class PackedGraphs:
    """N computation graphs.

    Attributes:
      features: int32 `[F, 10]`, the distinct nodes.
      codes: int32 `[nodes of all graphs]`, rows of `features`.
      edges: int32 `[edges of all graphs, 2]`, source and target, counted within the graph.
      node_offsets: int64 `[N + 1]`, bounds: graph g has the nodes from `node_offsets[g]` to `node_offsets[g + 1]`.
      edge_offsets: int64 `[N + 1]`, bounds: graph g has the edges from `edge_offsets[g]` to `edge_offsets[g + 1]`.
      families: names of families.
      family: int32 `[N]`, indices into `families`.
      labels: float32 `[N]`, accuracies as fractions or NaN.
      structure: float32 `[N, S]`, the numbers that `structure.STRUCTURE` names.

    Example:
      >>> from tfnas.graphs.computation_graph import smallest_graph
      >>> packed = pack([smallest_graph().replace(family="a"), smallest_graph().replace(family="b")])
      >>> packed[np.array([1])].family.tolist(), packed.families
      ([1], ('a', 'b'))
    """

    features: np.ndarray
    codes: np.ndarray
    edges: np.ndarray
    node_offsets: np.ndarray
    edge_offsets: np.ndarray
    families: tuple[str, ...]
    family: np.ndarray
    labels: np.ndarray
    structure: np.ndarray

    def __len__(self) -> int:
        return len(self.family)

    @property
    def num_nodes(self) -> np.ndarray:
        """int64 `[N]`."""
        return np.diff(self.node_offsets)

    @property
    def num_edges(self) -> np.ndarray:
        """int64 `[N]`."""
        return np.diff(self.edge_offsets)

    def __getitem__(self, rows: np.ndarray) -> "PackedGraphs":
        """The graphs of some rows (indices or a mask)."""
        rows = np.arange(len(self))[rows]
        nodes, edges = _ranges(self.node_offsets, rows), _ranges(self.edge_offsets, rows)
        return dataclasses.replace(
            self,
            codes=self.codes.take(nodes),
            edges=self.edges.take(edges, axis=0),
            node_offsets=_offsets(self.num_nodes[rows]),
            edge_offsets=_offsets(self.num_edges[rows]),
            family=self.family[rows],
            labels=self.labels[rows],
            structure=self.structure[rows],
        )

    def graph_edges(self, row: int) -> np.ndarray:
        """int32 `[E, 2]` of one graph."""
        return self.edges[self.edge_offsets[row] : self.edge_offsets[row + 1]]

    def flat_batch(self) -> "FlatBatch":
        """All graphs as one batch of features, with one node of padding."""
        owner = np.repeat(np.arange(len(self) + 1, dtype=np.int32), np.append(self.num_nodes, 1))
        starts = np.repeat(self.node_offsets.astype(np.int32), np.append(self.num_edges, 1))
        ends = np.append(self.edges, np.zeros((1, 2), np.int32), axis=0)
        return FlatBatch(
            tf.constant(self.features.take(np.append(self.codes, 0), axis=0)),
            tf.constant(owner),
            tf.constant(ends[:, 0] + starts),
            tf.constant(ends[:, 1] + starts),
            tf.constant(self.num_nodes.astype(np.int32)),
        )

    def with_own_families(self) -> "PackedGraphs":
        """The same graphs with the families that occur alone."""
        used, family = np.unique(self.family, return_inverse=True)
        families = tuple(self.families[index] for index in used)
        return dataclasses.replace(self, families=families, family=family.ravel().astype(np.int32))

    def with_labels(self, labels: np.ndarray) -> "PackedGraphs":
        """The same graphs with other labels `[N]`."""
        return dataclasses.replace(self, labels=np.asarray(labels, np.float32))

    @classmethod
    def concatenate(cls, packs: Sequence["PackedGraphs"]) -> "PackedGraphs":
        """The graphs of several packs, in order.

        Raises:
          ConfigurationError: no packs.
        """
        if not packs:
            raise ConfigurationError("no graphs to put together")
        every = np.concatenate([pack.features for pack in packs])
        features, inverse = _distinct(every)
        starts = _offsets(np.array([len(pack.features) for pack in packs]))
        families = tuple(dict.fromkeys(name for pack in packs for name in pack.families))
        indices = [np.array([families.index(name) for name in pack.families], np.int32) for pack in packs]
        return cls(
            features=features,
            codes=np.concatenate([inverse[start + pack.codes] for start, pack in zip(starts, packs, strict=False)]),
            edges=np.concatenate([pack.edges for pack in packs]),
            node_offsets=_offsets(np.concatenate([pack.num_nodes for pack in packs])),
            edge_offsets=_offsets(np.concatenate([pack.num_edges for pack in packs])),
            families=families,
            family=np.concatenate([index[pack.family] for index, pack in zip(indices, packs, strict=True)]),
            labels=np.concatenate([pack.labels for pack in packs]),
            structure=np.concatenate([pack.structure for pack in packs]),
        )


Graphs = Model | Iterable[Model] | PackedGraphs
"""A model, several models or packed graphs, as encoders take them; see `importers.import_model`."""


def pack(graphs: Graphs) -> PackedGraphs:
    """Packs graphs: the one way from graphs of any form to an encoder.

    Args:
      graphs: a model or graph (see `importers.import_model`), several models, of which a generator is not kept, or
        packed graphs, which are returned as they are.

    Raises:
      ConfigurationError: no graphs, or an object that is no model.
      CorruptArtefactError: a model file is damaged.
      InvalidArchitectureError: a graph is empty.

    Example:
      >>> from tfnas.graphs.computation_graph import smallest_graph
      >>> packed = pack([smallest_graph(), smallest_graph()])
      >>> len(packed), packed.num_nodes.tolist(), len(packed.features)
      (2, [2, 2], 2)
    """
    if isinstance(graphs, PackedGraphs):
        return graphs
    if is_model(graphs):
        graphs = [graphs]
    imported = map(import_model, graphs)
    packs = []
    while some := list(itertools.islice(imported, _PACKED_AT_A_TIME)):
        packs.append(_packed(some))
    if not packs:
        raise ConfigurationError("no graphs to pack, expected at least one")
    return packs[0] if len(packs) == 1 else PackedGraphs.concatenate(packs)


def _packed(graphs: Sequence[ComputationGraph]) -> PackedGraphs:
    """Packs graphs that are all in memory."""
    rows, edges, facts, numbers = [], [], [], []
    families: dict[str, int] = collections.defaultdict(lambda: len(families))
    for graph in graphs:
        numbers.append(structure(graph))
        rows.append(node_features(graph))
        edges.append(graph.edges.astype(np.int32))
        facts.append((families[graph.family], graph.label))
    features, codes = _distinct(np.concatenate(rows))
    return PackedGraphs(
        features=features,
        codes=codes,
        edges=np.concatenate(edges),
        node_offsets=_offsets(np.array([len(nodes) for nodes in rows])),
        edge_offsets=_offsets(np.array([len(flow) for flow in edges])),
        families=tuple(families),
        family=np.array([family for family, _ in facts], np.int32),
        labels=np.array([label for _, label in facts], np.float32),
        structure=np.stack(numbers).reshape(-1, len(STRUCTURE)),
    )


def node_features(graph: ComputationGraph) -> np.ndarray:
    """int32 `[V, 10]`."""
    columns = (graph.operators[:, None], graph.shapes, graph.kernels, graph.bias[:, None])
    return np.concatenate(columns, axis=1).astype(np.int32)


def _distinct(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The distinct rows of int32 `[n, F]` in ascending order, and the number int32 `[n]` of every row among them.

    One number of 64 bits stands for the columns so far, which NumPy sorts in a fraction of the time of whole rows.
    """
    if not len(rows):
        return rows, np.zeros(0, np.int32)
    numbers = np.zeros(len(rows), np.int64)
    for column in rows.astype(np.int64).T:
        least = column.min()
        span = int(column.max() - least) + 1
        if (int(numbers.max()) + 1) * span >= 2**63:
            numbers = np.unique(numbers, return_inverse=True)[1]
        numbers = numbers * span + (column - least)
    _, first, numbers = np.unique(numbers, return_index=True, return_inverse=True)
    return rows[first], numbers.astype(np.int32)


def _offsets(sizes: np.ndarray) -> np.ndarray:
    return np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)


def _ranges(offsets: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """The numbers of all items of some rows, row by row."""
    sizes = np.diff(offsets)[rows]
    return np.repeat(offsets[rows] - _offsets(sizes)[:-1], sizes) + np.arange(sizes.sum())


class FlatBatch(NamedTuple):
    """B graphs side by side, with padding at the end.

    Attributes:
      nodes: int32 `[T, 10]` features, or int32 `[T]` rows of a table of features; anything in padding.
      node_graph: int32 `[T]`, ascending; B in padding.
      sources: int32 `[E]`, node numbers; T - 1, a node of no graph, in padding.
      targets: int32 `[E]`, node numbers; T - 1 in padding.
      sizes: int32 `[B]`, nodes of each graph.
    """

    nodes: tf.Tensor
    node_graph: tf.Tensor
    sources: tf.Tensor
    targets: tf.Tensor
    sizes: tf.Tensor


FLAT_SIGNATURE = (
    tf.TensorSpec([None, NUM_FEATURES], tf.int32, "nodes"),
    *(tf.TensorSpec([None], tf.int32, field) for field in FlatBatch._fields[1:]),
)
"""Signature of programs that take the fields of a `FlatBatch` with features."""


def flat_view(graph: "gnn.GraphTensor") -> FlatBatch:
    """A scalar GraphTensor of merged computation graphs as flat tensors, with one node and one edge of padding."""
    nodes, flow = graph.node_sets[OP], graph.edge_sets[FLOW]
    columns = (nodes["operator"][:, None], nodes["shape"], nodes["kernel"], nodes["bias"][:, None])
    features = tf.cast(tf.concat(columns, axis=1), tf.int32)
    sizes = tf.cast(nodes.sizes, tf.int32)
    owner = tf.repeat(tf.range(tf.size(sizes)), sizes)
    last = tf.reduce_sum(sizes)
    ends = [
        tf.concat([tf.cast(end, tf.int32), last[None]], 0) for end in (flow.adjacency.source, flow.adjacency.target)
    ]
    return FlatBatch(
        tf.pad(features, ((0, 1), (0, 0))), tf.concat([owner, tf.size(sizes)[None]], 0), ends[0], ends[1], sizes
    )


@tf.autograph.experimental.do_not_convert
def parse_examples(examples: tf.Tensor) -> FlatBatch:
    """Serialised GraphTensor tf.Examples of computation graphs, string `[B]`, as a batch."""
    graphs = gnn.parse_example(training_spec(), examples)
    return flat_view(graphs.merge_batch_to_components())


class DeviceGraphs:
    """Packed graphs on the device; batches of them are cut out inside compiled programs.

    Args:
      graphs: N graphs.
      batch_size: B, graphs in a batch.

    Attributes:
      features: int32 `[F, 10]`.
      node_capacity: T, room for the nodes of a batch and one more node. A batch of random graphs needs more room only
        if its mean size is six standard errors above the mean of all graphs; graphs without room are left out.
      edge_capacity: E, room for the edges of a batch, by the rule of `node_capacity`.

    Raises:
      ConfigurationError: more nodes or edges than 32-bit numbers can count.
    """

    def __init__(self, graphs: PackedGraphs, batch_size: int):
        if max(len(graphs.codes), len(graphs.edges)) >= 2**31:
            raise ConfigurationError(
                f"{len(graphs.codes)} nodes and {len(graphs.edges)} edges, expected less than 2^31"
            )
        self.batch_size = batch_size
        self.node_capacity = _capacity(graphs.num_nodes, batch_size) + 1
        self.edge_capacity = _capacity(graphs.num_edges, batch_size)
        self.features = tf.constant(graphs.features)
        self._codes = tf.constant(graphs.codes)
        self._sources, self._targets = tf.constant(graphs.edges[:, 0]), tf.constant(graphs.edges[:, 1])
        self._node_offsets = tf.constant(graphs.node_offsets.astype(np.int32))
        self._edge_offsets = tf.constant(graphs.edge_offsets.astype(np.int32))

    def batch(self, rows: tf.Tensor) -> tuple[FlatBatch, tf.Tensor]:
        """The graphs of some rows, in shapes that do not depend on them.

        Args:
          rows: int32 `[B]`.

        Returns:
          The batch, whose `nodes` are rows of `features`, and float32 `[B]`: 0 for graphs that were left out.
        """
        num_nodes = tf.gather(self._node_offsets, rows + 1) - tf.gather(self._node_offsets, rows)
        num_edges = tf.gather(self._edge_offsets, rows + 1) - tf.gather(self._edge_offsets, rows)
        fits = (tf.cumsum(num_nodes) < self.node_capacity) & (tf.cumsum(num_edges) <= self.edge_capacity)
        num_nodes, num_edges = tf.where(fits, num_nodes, 0), tf.where(fits, num_edges, 0)
        owner, number, node_starts = _slots(num_nodes, self.node_capacity)
        nodes = tf.gather(self._codes, _clipped(tf.gather(self._node_offsets, rows), owner, number, len(self._codes)))
        edge_owner, edge_number, _ = _slots(num_edges, self.edge_capacity)
        picked = _clipped(tf.gather(self._edge_offsets, rows), edge_owner, edge_number, len(self._sources))
        padding = edge_owner == self.batch_size
        shift = tf.gather(node_starts, tf.minimum(edge_owner, self.batch_size - 1))
        ends = [
            tf.where(padding, self.node_capacity - 1, shift + tf.gather(end, picked))
            for end in (self._sources, self._targets)
        ]
        return FlatBatch(nodes, owner, *ends, num_nodes), tf.cast(fits, tf.float32)


def _capacity(sizes: np.ndarray, batch_size: int) -> int:
    expected = batch_size * sizes.mean() + 6 * np.sqrt(batch_size) * sizes.std()
    bound = min(expected, batch_size * sizes.max())
    return int(-(-max(bound, sizes.max()) // 128) * 128)


def _slots(sizes: tf.Tensor, capacity: int) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """For every slot of a batch its graph (B in padding) and its number in the graph; the first slot of every graph."""
    ends = tf.cumsum(sizes)
    numbers = tf.range(capacity)
    owner = tf.searchsorted(ends, numbers, side="right")
    starts = ends - sizes
    return owner, numbers - tf.gather(tf.pad(starts, ((0, 1),)), owner), starts


def _clipped(offsets: tf.Tensor, owner: tf.Tensor, number: tf.Tensor, count: int) -> tf.Tensor:
    return tf.minimum(tf.gather(tf.pad(offsets, ((0, 1),)), owner) + number, count - 1)


_NODES_IN_CHUNK = 50_000


def embed_packed(
    encode: Callable[[FlatBatch], tf.Tensor], graphs: PackedGraphs, *, progress: bool = False
) -> np.ndarray:
    """Embeddings float32 `[N, D]` of N graphs, in batches of graphs of similar size.

    Args:
      encode: function from a batch to embeddings float32 `[B, D]`.
      graphs: N graphs.
      progress: True to show a bar.
    """
    order = np.argsort(graphs.num_nodes, kind="stable")
    embeddings = []
    with tqdm(total=len(graphs), desc="Embedding", unit="graph", disable=not progress, leave=False) as bar:
        for rows in chunks(graphs.num_nodes[order]):
            embeddings.append(encode(graphs[order[rows]].flat_batch()).numpy())
            bar.update(len(embeddings[-1]))
    return np.concatenate(embeddings)[np.argsort(order)]


def chunks(sizes: np.ndarray) -> list[slice]:
    """Slices of N graphs with about 50,000 nodes each.

    Args:
      sizes: int `[N]`, ascending nodes of graphs.
    """
    inner = np.searchsorted(np.cumsum(sizes), np.arange(0, sizes.sum(), _NODES_IN_CHUNK)[1:], side="right")
    bounds = np.unique(np.concatenate([[0], inner, [len(sizes)]]))
    return [slice(start, stop) for start, stop in itertools.pairwise(bounds)]
