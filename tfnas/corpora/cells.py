"""Corpora of cells, in the files of `corpora.shards`."""

from collections.abc import Iterator

import numpy as np
import tensorflow as tf
from tqdm import tqdm

from tfnas import artefacts
from tfnas.corpora import shards
from tfnas.errors import CorruptArtefactError, MismatchError
from tfnas.graphs import cells as cell_graphs
from tfnas.spaces import ABSENT, CellTable, Space

KIND = "cell_corpus"
_PARSE_BATCH = 4096


class Facts(shards.Facts):
    """Entries of the manifest of a corpus."""

    space: str
    operations: list[str]


def write_cells(folder: artefacts.PathLike, space: Space, cells: CellTable, *, num_shards: int = 8) -> None:
    """Writes a corpus; cell i goes to shard `i mod num_shards`.

    Args:
      folder: folder of the corpus; replaced as a whole once everything is written.
      space: space of the cells.
      cells: N cells.
      num_shards: number of files.
    """

    def records() -> Iterator[bytes]:
        for row in tqdm(range(len(cells)), desc="Writing cells", leave=False):
            example = cell_graphs.to_example(cells.operations[row], cells.adjacency[row], row)
            yield example.SerializeToString(deterministic=True)

    with artefacts.atomic_folder(folder) as staging:
        counts = shards.write(staging, "cells", records(), num_shards)
        artefacts.write_manifest(
            staging, kind=KIND, space=space.name, operations=list(space.operations), records=counts, total=len(cells)
        )


def load_cells(folder: artefacts.PathLike, space: Space) -> CellTable:
    """The whole corpus as a table, sorted by cell id.

    Args:
      folder: folder of the corpus.
      space: space of the cells.

    Raises:
      CorruptArtefactError: a shard is missing, truncated or changed, the folder is not a corpus, or a record is not a
        cell of the space.
      MismatchError: the corpus is of another space.
    """
    manifest = shards.read_manifest(folder, KIND, Facts)
    if manifest["space"] != space.name or tuple(manifest["operations"]) != space.operations:
        raise MismatchError(f"{folder}: a corpus of {manifest['space']}, expected {space.name}")
    total = manifest["total"]
    operations = np.full((total, space.max_vertices), ABSENT, np.uint8)
    adjacency = np.zeros((total, space.max_vertices, space.max_vertices), np.uint8)
    seen = np.zeros(total, bool)
    records = tf.data.TFRecordDataset([str(path) for path in shards.paths(folder, manifest)])
    try:
        for examples in records.batch(_PARSE_BATCH).prefetch(1):
            graph = cell_graphs.parse_examples(examples)
            ops, edges = cell_graphs.dense_view(graph, space.max_vertices, len(space.operations))
            ids = tf.reshape(graph.context[cell_graphs.CELL_ID], [-1]).numpy()
            present = ops.numpy().any(axis=2)
            operations[ids] = np.where(present, ops.numpy().argmax(axis=2), ABSENT)
            adjacency[ids] = edges.numpy()
            seen[ids] = True
    except (tf.errors.OpError, IndexError) as error:
        reason = str(error).splitlines()[0]
        raise CorruptArtefactError(f"{folder}: a record is not a cell of {space.name} ({reason})") from error
    if not seen.all():
        raise CorruptArtefactError(f"{folder}: cell {int(np.argmin(seen))} is missing, {total} cells were expected")
    table = CellTable(operations, adjacency)
    valid = space.validate_many(table)
    if not valid.all():
        row = int(np.argmin(valid))
        raise CorruptArtefactError(f"{folder}: cell {row} is not a valid {space.name} cell")
    return table
