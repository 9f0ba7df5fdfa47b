"""Sharded TFRecord corpora of cells.

A corpus is a folder of `cells-00000-of-00008.tfrecord` files and a manifest with the record count and the SHA-256 of
every shard. Reading checks both, because a TFRecord reader takes a file cut inside a record header for its end.
"""

import pathlib

import numpy as np
import tensorflow as tf
from tqdm import tqdm

from tfnas import artefacts
from tfnas.errors import CorruptArtefactError, MismatchError
from tfnas.graphs import cells as cell_graphs
from tfnas.spaces import Space
from tfnas.spaces.base import ABSENT, CellTable

KIND = "cell_corpus"
_PARSE_BATCH = 4096


def write_cells(folder: artefacts.PathLike, space: Space, cells: CellTable, *, num_shards: int = 8) -> None:
    """Writes a corpus; cell i goes to shard `i mod num_shards`.

    Args:
      folder: where; replaced as a whole once everything is written.
      space: the space of the cells.
      cells: N cells.
      num_shards: number of files.
    """
    with artefacts.atomic_folder(folder) as staging:
        counts = []
        for shard in tqdm(range(num_shards), desc="Writing shards", leave=False):
            name = staging / f"cells-{shard:05d}-of-{num_shards:05d}.tfrecord"
            rows = range(shard, len(cells), num_shards)
            with tf.io.TFRecordWriter(str(name)) as writer:
                for row in rows:
                    example = cell_graphs.to_example(cells.operations[row], cells.adjacency[row], row)
                    writer.write(example.SerializeToString())
            counts.append(len(rows))
        artefacts.write_manifest(
            staging, kind=KIND, space=space.name, operations=list(space.operations), records=counts, total=len(cells)
        )


def read_graphs(folder: artefacts.PathLike, space: Space, *, batch_size: int) -> tf.data.Dataset:
    """A data set of GraphTensors of shape `[batch_size]` (the last one may be smaller), in shard order.

    Raises:
      CorruptArtefactError: a shard is missing, truncated or changed, or the folder is not a corpus.
      MismatchError: the corpus is of another space.
    """
    shards = _checked_shards(folder, space)
    records = tf.data.TFRecordDataset([str(shard) for shard in shards])
    return records.batch(batch_size).map(cell_graphs.parse_examples, num_parallel_calls=tf.data.AUTOTUNE).prefetch(1)


def load_cells(folder: artefacts.PathLike, space: Space) -> CellTable:
    """The whole corpus as a table, sorted by cell id.

    Raises:
      CorruptArtefactError: as `read_graphs`, or a record that is not a cell of the space.
      MismatchError: the corpus is of another space.
    """
    total = artefacts.read_manifest(folder, kind=KIND)["total"]
    operations = np.full((total, space.max_vertices), ABSENT, np.uint8)
    adjacency = np.zeros((total, space.max_vertices, space.max_vertices), np.uint8)
    seen = np.zeros(total, bool)
    try:
        for graph in read_graphs(folder, space, batch_size=_PARSE_BATCH):
            ops, edges = cell_graphs.dense_view(graph, space.max_vertices, len(space.operations))
            ids = tf.reshape(graph.context[cell_graphs.CELL_ID], [-1]).numpy()
            present = ops.numpy().any(axis=2)
            operations[ids] = np.where(present, ops.numpy().argmax(axis=2), ABSENT)
            adjacency[ids] = edges.numpy()
            seen[ids] = True
    except (tf.errors.OpError, IndexError) as error:
        raise CorruptArtefactError(
            f"{folder}: a record is not a cell of {space.name} ({_first_line(error)})"
        ) from error
    if not seen.all():
        raise CorruptArtefactError(f"{folder}: cell {int(np.argmin(seen))} is missing, {total} cells were expected")
    table = CellTable(operations, adjacency)
    valid = space.validate_many(table)
    if not valid.all():
        row = int(np.argmin(valid))
        raise CorruptArtefactError(f"{folder}: cell {row} is not a valid {space.name} cell")
    return table


def _checked_shards(folder: artefacts.PathLike, space: Space) -> list[pathlib.Path]:
    manifest = artefacts.read_manifest(folder, kind=KIND)
    if manifest["space"] != space.name or tuple(manifest["operations"]) != space.operations:
        raise MismatchError(f"{folder}: a corpus of {manifest['space']}, expected {space.name}")
    return [pathlib.Path(folder) / name for name in sorted(manifest["files"])]


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0]
