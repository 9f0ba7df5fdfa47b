"""Sharded TFRecord corpora of computation graphs, and batches of them with few different shapes.

A corpus is a folder of `graphs-00000-of-00008.tfrecord` files, a table of their sizes and a manifest with record
counts and the SHA-256 of every file.
"""

import collections
import contextlib
import pathlib
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

import numpy as np
import tensorflow as tf
import tensorflow_gnn as tfgnn

from tfnas import artefacts
from tfnas.errors import ConfigurationError, CorruptArtefactError, InvalidArchitectureError, MismatchError
from tfnas.graphs.computation_graph import FLOW, OP, ComputationGraph, from_example, to_example, training_spec
from tfnas.graphs.operators import OPERATORS
from tfnas.graphs.packed import PackedGraphs

KIND = "graph_corpus"
SIZES_NAME = "sizes.npz"


def write_graphs(
    folder: artefacts.PathLike, graphs: Iterable[ComputationGraph], *, num_shards: int = 8, **facts: object
) -> int:
    """Writes a corpus; graph i goes to shard `i mod num_shards`.

    Args:
      folder: where; replaced as a whole once everything is written.
      graphs: may be a generator, graphs are not kept.
      num_shards: number of files.
      **facts: kept in the manifest, JSON values.

    Returns:
      The number of graphs.
    """
    return write_records(folder, map(record, graphs), num_shards, **facts)


class Record(NamedTuple):
    """A graph as it is stored, and what the corpus's tables say of it."""

    serialized: bytes
    num_nodes: int
    num_edges: int
    family: str


def record(graph: ComputationGraph) -> Record:
    """The record of a graph."""
    return Record(
        to_example(graph).SerializeToString(deterministic=True), graph.num_nodes, graph.num_edges, graph.family
    )


def write_records(folder: artefacts.PathLike, records: Iterable[Record], num_shards: int = 8, **facts: object) -> int:
    """As `write_graphs`, from records that other processes may have made."""
    if num_shards < 1:
        raise ConfigurationError(f"num_shards={num_shards}, expected at least 1")
    sizes: list[tuple[int, int]] = []
    families: collections.Counter[str] = collections.Counter()
    with artefacts.atomic_folder(folder) as staging, contextlib.ExitStack() as stack:
        names = [staging / f"graphs-{shard:05d}-of-{num_shards:05d}.tfrecord" for shard in range(num_shards)]
        writers = [stack.enter_context(tf.io.TFRecordWriter(str(name))) for name in names]
        for number, item in enumerate(records):
            writers[number % num_shards].write(item.serialized)
            sizes.append((item.num_nodes, item.num_edges))
            families[item.family] += 1
        stack.close()
        table = np.array(sizes, np.int64).reshape(-1, 2)
        artefacts.write_npz(staging / SIZES_NAME, num_nodes=table[:, 0], num_edges=table[:, 1])
        artefacts.write_manifest(
            staging,
            kind=KIND,
            operators=list(OPERATORS),
            records=[len(range(shard, len(sizes), num_shards)) for shard in range(num_shards)],
            total=len(sizes),
            families=dict(sorted(families.items())),
            **facts,
        )
    return len(sizes)


def read_graphs(folder: artefacts.PathLike) -> Iterator[ComputationGraph]:
    """The graphs of a corpus in the order in which they were written.

    Raises:
      CorruptArtefactError: a file is missing, truncated or changed, or a record is not a computation graph.
      MismatchError: the corpus was written with a vocabulary that this version does not know.
    """
    manifest = _checked_manifest(folder)
    shards = [iter(tf.data.TFRecordDataset(str(shard))) for shard in _shards(folder, manifest)]
    for number in range(manifest["total"]):
        record = next(shards[number % len(shards)], None)
        if record is None:
            raise CorruptArtefactError(f"{folder}: graph {number} is missing, {manifest['total']} were expected")
        try:
            yield from_example(record.numpy())
        except InvalidArchitectureError as error:
            raise CorruptArtefactError(f"{folder}: graph {number}: {error}") from error


def padded_batches(
    folder: artefacts.PathLike, *, batch_size: int, num_buckets: int = 8, seed: int | None = None
) -> Iterator[tfgnn.GraphTensor]:
    """Batches of graphs of similar size, each merged to one GraphTensor and padded to its bucket's size.

    A compiled function sees `num_buckets` different shapes. The corpus is cut into buckets of equally many graphs by
    their number of nodes; the size of a bucket is that of its `batch_size` largest graphs and one padding component,
    so that every batch fits. The last batch of a bucket may hold fewer graphs and has the same shape.

    Args:
      folder: the corpus.
      batch_size: graphs in a batch.
      num_buckets: number of sizes.
      seed: shuffles graphs and batches; None keeps the corpus's order within a bucket.

    Yields:
      In one pass over the corpus, scalar GraphTensors of `batch_size + 1` components with the context features `family`
      (int64, the place of its name in the manifest's table `families`), `label` and `weight` (1, in padding 0).

    Raises:
      CorruptArtefactError, MismatchError: see `read_graphs`.
      ConfigurationError: `batch_size` or `num_buckets` below 1.
    """
    if batch_size < 1 or num_buckets < 1:
        raise ConfigurationError(f"batch_size={batch_size}, num_buckets={num_buckets}, expected at least 1")
    manifest = _checked_manifest(folder)
    if not manifest["total"]:
        return
    sizes = artefacts.read_npz(pathlib.Path(folder) / SIZES_NAME)
    nodes, edges = sizes["num_nodes"], sizes["num_edges"]
    inner = np.linspace(0, 1, num_buckets + 1)[1:-1]
    boundaries = np.unique(np.quantile(nodes, inner).astype(np.int64)) + 1
    bucket = np.searchsorted(boundaries, nodes, side="right")

    def largest(values: np.ndarray, number: int) -> int:
        return int(np.sort(values[bucket == number])[-batch_size:].sum())

    totals = [(largest(nodes, number) + 1, largest(edges, number)) for number in range(len(boundaries) + 1)]
    families = tf.constant(list(manifest["families"]), tf.string)
    entries = tf.lookup.KeyValueTensorInitializer(families, tf.range(len(families), dtype=tf.int64))
    codes = tf.lookup.StaticHashTable(entries, default_value=-1)
    pad = [
        _padding(
            tfgnn.SizeConstraints(
                total_num_components=batch_size + 1,
                total_num_nodes={OP: total_nodes},
                total_num_edges={FLOW: total_edges},
            )
        )
        for total_nodes, total_edges in totals
    ]
    records = tf.data.TFRecordDataset([str(shard) for shard in _shards(folder, manifest)])
    if seed is not None:
        records = records.shuffle(min(len(nodes), 1 << 14), seed=seed, reshuffle_each_iteration=True)
    size_feature = {f"nodes/{OP}.#size": tf.io.FixedLenFeature([], tf.int64)}

    def with_size(record: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        return record, tf.io.parse_single_example(record, size_feature)[f"nodes/{OP}.#size"]

    def merge(batch: tf.Tensor, node_counts: tf.Tensor) -> tuple[tfgnn.GraphTensor, tf.Tensor]:
        graph = tfgnn.parse_example(training_spec(), batch).merge_batch_to_components()
        label = graph.context["label"]
        features = {"family": codes.lookup(graph.context["family"]), "label": label, "weight": tf.ones_like(label)}
        graph = graph.replace_features(context=features)
        return graph, tf.searchsorted(tf.constant(boundaries, tf.int64), node_counts[:1], side="right")[0]

    batches = records.map(with_size, num_parallel_calls=tf.data.AUTOTUNE).bucket_by_sequence_length(
        lambda _, count: tf.cast(count, tf.int32),
        boundaries.tolist(),
        [batch_size] * (len(boundaries) + 1),
        no_padding=True,
    )
    if seed is not None:
        batches = batches.shuffle(64, seed=seed)
    for graph, place in batches.map(merge, num_parallel_calls=tf.data.AUTOTUNE).prefetch(2):
        yield pad[int(place)](graph)


def _padding(constraints: tfgnn.SizeConstraints) -> Callable[[tfgnn.GraphTensor], tfgnn.GraphTensor]:
    """A compiled function that pads merged graphs of any size to one."""

    @tf.function(reduce_retracing=True)
    def pad(graph: tfgnn.GraphTensor) -> tfgnn.GraphTensor:
        return tfgnn.pad_to_total_sizes(graph, constraints)[0]

    return pad


def _checked_manifest(folder: artefacts.PathLike) -> dict:
    manifest = artefacts.read_manifest(folder, kind=KIND)
    known = list(OPERATORS[: len(manifest["operators"])])
    if manifest["operators"] != known:
        raise MismatchError(f"{folder}: written with operators that this version of tfnas does not know")
    return manifest


def _shards(folder: artefacts.PathLike, manifest: dict) -> list[pathlib.Path]:
    return [pathlib.Path(folder) / name for name in sorted(manifest["files"]) if name.endswith(".tfrecord")]


def require_labels(graphs: PackedGraphs) -> None:
    """Raises ConfigurationError, with the family's name, if a graph has no label."""
    missing = np.flatnonzero(~np.isfinite(graphs.labels))
    if len(missing):
        family = graphs.families[graphs.family[missing[0]]]
        raise ConfigurationError(f"graph {missing[0]}, of family {family!r}, has no label; {len(missing)} have none")
