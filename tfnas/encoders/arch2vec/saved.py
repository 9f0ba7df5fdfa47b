"""Exported encoders of arch2vec, which need nothing but TensorFlow, and tables of the embeddings of cells."""

import os
import pathlib
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypedDict

import numpy as np
import tensorflow as tf
from tqdm import tqdm

from tfnas import artefacts
from tfnas.corpora import cells as cell_corpora
from tfnas.encoders import base
from tfnas.encoders.base import KIND_PREFIX, SavedEncoder
from tfnas.errors import ConfigurationError, CorruptArtefactError, MismatchError
from tfnas.reports import figures
from tfnas.saved_models import SHIPPED
from tfnas.spaces import SPACES, Architecture, CellTable, Space
from tfnas.typed import Natural

KIND = KIND_PREFIX + "arch2vec"
TABLE_KIND = "embedding_table"
_CHUNK = 1024


class Facts(base.Facts):
    """Entries of the manifest of an encoder."""

    num_vertices: Natural
    operations: list[str]
    space: str


class SavedCellEncoder(SavedEncoder):
    """An exported encoder of the cells of a search space.

    Args:
      folder: folder of the export.
      trust: True to open a SavedModel that may do more than compute; see `SavedEncoder`.

    Raises:
      CorruptArtefactError: see `SavedEncoder`.

    Example:
      >>> from tfnas.spaces import NASBench201
      >>> encoder = SavedCellEncoder("saved_models/arch2vec_nasbench201")
      >>> encoder.embed(NASBench201().sample(3, np.random.default_rng(0))).shape
      (3, 16)
    """

    KIND = KIND
    FACTS = Facts
    CORPUS_KIND = cell_corpora.KIND
    CORPUS_FACTS = cell_corpora.Facts
    SHARED = ("space", "operations")

    def __init__(self, folder: artefacts.PathLike, *, trust: bool = False):
        super().__init__(folder, trust=trust)
        operations = len(self.manifest["operations"])

        @tf.function(autograph=False, jit_compile=True)
        def encode(codes: tf.Tensor, adjacency: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            ops = tf.one_hot(tf.cast(codes, tf.int32), operations)
            outputs = self.module.encode(ops, tf.cast(adjacency, tf.float32))
            return outputs["embedding"], tf.reshape(outputs["mean"], [tf.shape(codes)[0], -1])

        self._encode = encode

    def check_space(self, space: Space) -> None:
        """Raises MismatchError if the encoder was trained on another space."""
        if self.manifest["space"] != space.name or tuple(self.manifest["operations"]) != space.operations:
            raise MismatchError(f"{self.folder}: an encoder of {self.manifest['space']}, expected one of {space.name}")

    def embed(self, cells: CellTable | Architecture | Sequence[Architecture], *, progress: bool = False) -> np.ndarray:
        """Embeds N cells on all processors.

        Args:
          cells: N cells as a table, as a list of architectures, or one architecture.
          progress: show a bar; no bar by default.

        Returns:
          float32 `[N, D]`.

        Raises:
          InvalidArchitectureError: an architecture that is not in the space; of a space outside tfnas, an operation
            that the encoder does not know or too many vertices.
        """
        if not isinstance(cells, CellTable):
            cells = self._table([cells] if isinstance(cells, Architecture) else list(cells))
        return self._run(cells, 0, self.manifest["embedding_dim"], progress)

    def latents(self, cells: CellTable, *, progress: bool = False) -> np.ndarray:
        """What the embeddings are pooled from: the means of all vertices side by side.

        Returns:
          float32 `[N, V D]`.
        """
        return self._run(cells, 1, self.manifest["num_vertices"] * self.manifest["embedding_dim"], progress)

    def _table(self, architectures: Sequence[Architecture]) -> CellTable:
        space = self.manifest["space"]
        if space in SPACES:
            return SPACES[space]().to_table(architectures)
        return CellTable.of(architectures, self.manifest["operations"], self.manifest["num_vertices"])

    def _run(self, cells: CellTable, output: int, width: int, progress: bool) -> np.ndarray:
        if not len(cells):
            return np.empty((0, width), np.float32)
        return in_chunks(self._encode, cells, output, min(_CHUNK, len(cells)), progress=progress)


class TableFacts(TypedDict):
    """Entries of the manifest of a table of embeddings."""

    encoder: str
    space: str
    records: Natural
    embedding_dim: Natural


def in_chunks(
    encode: Callable[[tf.Tensor, tf.Tensor], Sequence[tf.Tensor]],
    cells: CellTable,
    output: int,
    size: int,
    *,
    progress: bool = False,
) -> np.ndarray:
    """One output of a compiled encoder for N cells, computed on all processors.

    Args:
      encode: function of operation codes uint8 `[size, V]` and adjacencies uint8 `[size, V, V]`.
      cells: N cells, at least one.
      output: position of the output among those that `encode` returns.
      size: cells in a chunk; the last chunk is filled up, or XLA would compile a second program.
      progress: show a bar; no bar by default.

    Returns:
      The output's rows for the N cells.
    """

    def run(start: int) -> np.ndarray:
        rows = np.minimum(np.arange(start, start + size), len(cells) - 1)
        outputs = encode(tf.constant(cells.operations[rows]), tf.constant(cells.adjacency[rows]))
        return outputs[output].numpy()[: len(cells) - start]

    starts = range(0, len(cells), size)
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        chunks = tqdm(pool.map(run, starts), "Embedding", len(starts), unit="chunk", disable=not progress)
        return np.concatenate(list(chunks))


def open_encoder(folder: artefacts.PathLike | None, space: Space, *, trust: bool = False) -> SavedCellEncoder:
    """The exported encoder in `folder`, or the arch2vec encoder that ships for the space.

    Args:
      folder: folder of the export; None for the encoder that ships.
      space: space of the encoder.
      trust: True to open a SavedModel that may do more than compute; see `SavedEncoder`.

    Raises:
      ConfigurationError: no folder was given, and none ships.
      CorruptArtefactError: see `SavedEncoder`.
      MismatchError: the encoder is of another space.
    """
    if folder is None:
        folder = SHIPPED / f"arch2vec_{space.name}"
        if not folder.is_dir():
            raise ConfigurationError(f"no encoder of {space.name} ships with tfnas ({folder}); pass --encoder")
    encoder = SavedCellEncoder(folder, trust=trust)
    encoder.check_space(space)
    return encoder


def ships(space: Space) -> bool:
    """Whether an arch2vec encoder of the space ships."""
    return (SHIPPED / f"arch2vec_{space.name}").is_dir()


def write_embedding_table(
    folder: artefacts.PathLike, encoder: SavedCellEncoder, cells: CellTable, values: np.ndarray
) -> None:
    """Writes the embeddings `[N, D]` of N cells, the cells themselves, and which encoder made them."""
    with artefacts.atomic_folder(folder) as staging:
        artefacts.write_npz(
            staging / "embeddings.npz", embeddings=values, operations=cells.operations, adjacency=cells.adjacency
        )
        artefacts.write_manifest(
            staging,
            kind=TABLE_KIND,
            space=encoder.manifest["space"],
            encoder=encoder.fingerprint,
            records=len(cells),
            embedding_dim=encoder.manifest["embedding_dim"],
        )


def read_embedding_table(folder: artefacts.PathLike, encoder: SavedCellEncoder) -> tuple[CellTable, np.ndarray]:
    """Reads what `write_embedding_table` wrote.

    Raises:
      CorruptArtefactError: a file is damaged, or the table holds NaN.
      MismatchError: another encoder made the table.
    """
    manifest = artefacts.read_manifest(folder, kind=TABLE_KIND, facts=TableFacts, files=("embeddings.npz",))
    if manifest["encoder"] != encoder.fingerprint:
        raise MismatchError(
            f"{folder}: made by the encoder {manifest['encoder'][:12]}, expected {encoder.fingerprint[:12]} "
            f"({encoder.folder}); run `tfnas embed` again"
        )
    stored = artefacts.read_npz(pathlib.Path(folder) / "embeddings.npz")
    if not stored.keys() >= {"embeddings", "operations", "adjacency"}:
        raise CorruptArtefactError(f"{folder}: arrays {sorted(stored)}, expected adjacency, embeddings and operations")
    values = stored["embeddings"]
    if values.shape != (manifest["records"], manifest["embedding_dim"]):
        raise CorruptArtefactError(
            f"{folder}: embeddings of shape {values.shape}, expected {(manifest['records'], manifest['embedding_dim'])}"
        )
    if not np.isfinite(values).all():
        raise CorruptArtefactError(
            f"{folder}: row {int(np.argwhere(~np.isfinite(values))[0, 0])} holds NaN or infinity"
        )
    return CellTable(stored["operations"], stored["adjacency"]), values


def embed_cells(encoder: SavedCellEncoder, space: Space, cells: CellTable, output_dir: pathlib.Path) -> dict[str, Any]:
    """Embeds every cell.

    Writes `embeddings/` (table and manifest), `map.png`, `metrics.jsonl` and `summary.json`.

    Args:
      encoder: encoder of the same space.
      space: the space of the cells.
      cells: N cells.
      output_dir: an existing folder.

    Returns:
      The summary, with the seconds that compiling the encoder and embedding took.
    """
    started = time.perf_counter()
    encoder.check_space(space)
    values = encoder.embed(cells, progress=True)
    seconds = time.perf_counter() - started
    write_embedding_table(output_dir / "embeddings", encoder, cells, values)
    figures.embedding_map(values, [], [], output_dir / "map.png", title=f"{space.name}: embeddings")
    summary = {
        "space": space.name,
        "cells": len(cells),
        "embedding_dim": values.shape[1],
        "embed_seconds": seconds,
        "cells_per_second": len(cells) / seconds,
        "encoder_sha256": encoder.fingerprint,
    }
    artefacts.write_json_lines(output_dir / "metrics.jsonl", [summary])
    artefacts.write_json(output_dir / "summary.json", summary)
    return summary
