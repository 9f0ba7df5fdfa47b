"""Encoders as search, prediction and retrieval see them: an exported SavedModel that turns cells into embeddings."""

import concurrent.futures
import os
import pathlib
from typing import Any

import numpy as np
import tensorflow as tf
from tqdm import tqdm

from tfnas import artefacts
from tfnas.errors import ConfigurationError, CorruptArtefactError, MismatchError
from tfnas.saved_models import SHIPPED, load_module
from tfnas.spaces import Space
from tfnas.spaces.base import CellTable

KIND_PREFIX = "encoder/"
TABLE_KIND = "embedding_table"
_CHUNK = 1024


class SavedEncoder:
    """An exported cell encoder.

    Args:
      folder: a folder that `encoders.arch2vec.export` wrote.

    Attributes:
      folder: that folder.
      manifest: its manifest.

    Raises:
      CorruptArtefactError: a file is missing, truncated or changed, or TensorFlow can't load the model.
    """

    def __init__(self, folder: artefacts.PathLike):
        self.folder = pathlib.Path(folder)
        self.manifest: dict[str, Any] = artefacts.read_manifest(folder)
        if not str(self.manifest.get("kind")).startswith(KIND_PREFIX):
            raise CorruptArtefactError(f"{folder}: expected an encoder, found a {self.manifest.get('kind')!r}")
        self._module = load_module(folder)
        operations = len(self.manifest["operations"])

        @tf.function(jit_compile=True)
        def encode(codes: tf.Tensor, adjacency: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            ops = tf.one_hot(tf.cast(codes, tf.int32), operations)
            outputs = self._module.encode(ops, tf.cast(adjacency, tf.float32))
            return outputs["embedding"], tf.reshape(outputs["mean"], [tf.shape(codes)[0], -1])

        self._encode = encode

    @property
    def fingerprint(self) -> str:
        """SHA-256 over the encoder's files."""
        return artefacts.fingerprint(self.manifest)

    def check_space(self, space: Space) -> None:
        """Raises MismatchError if the encoder was trained on another space."""
        if self.manifest["space"] != space.name or tuple(self.manifest["operations"]) != space.operations:
            raise MismatchError(f"{self.folder}: an encoder of {self.manifest['space']}, expected one of {space.name}")

    def embed(self, cells: CellTable, *, progress: bool = False) -> np.ndarray:
        """Embeds N cells on all processors.

        Returns:
          float32 `[N, D]`.
        """
        return self._run(cells, 0, self.manifest["embedding_dim"], progress)

    def latents(self, cells: CellTable, *, progress: bool = False) -> np.ndarray:
        """What the embeddings are pooled from: the means of all vertices side by side.

        Returns:
          float32 `[N, V D]`.
        """
        return self._run(cells, 1, self.manifest["num_vertices"] * self.manifest["embedding_dim"], progress)

    def _run(self, cells: CellTable, output: int, width: int, progress: bool) -> np.ndarray:
        chunk = min(_CHUNK, max(len(cells), 1))
        result = np.empty((len(cells), width), np.float32)

        def run(start: int) -> None:
            rows = slice(start, start + chunk)
            count = min(chunk, len(cells) - start)
            if count < chunk:  # one shape only, or XLA would compile a second program
                rows = np.minimum(np.arange(start, start + chunk), len(cells) - 1)
            parts = self._encode(tf.constant(cells.operations[rows]), tf.constant(cells.adjacency[rows]))
            result[start : start + count] = parts[output].numpy()[:count]

        starts = range(0, len(cells), chunk)
        with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
            futures = [pool.submit(run, start) for start in starts]
            for future in tqdm(futures, desc="Embedding", unit="chunk", disable=not progress):
                future.result()
        return result


def open_encoder(folder: artefacts.PathLike | None, space: Space) -> SavedEncoder:
    """The exported encoder in `folder`, or the arch2vec encoder that ships for the space.

    Raises:
      ConfigurationError: no folder was given, and none ships.
      CorruptArtefactError: see `SavedEncoder`.
      MismatchError: the encoder is of another space.
    """
    if folder is None:
        folder = SHIPPED / f"arch2vec_{space.name}"
        if not folder.is_dir():
            raise ConfigurationError(f"no encoder of {space.name} ships with tfnas ({folder}); pass --encoder")
    encoder = SavedEncoder(folder)
    encoder.check_space(space)
    return encoder


def write_embedding_table(
    folder: artefacts.PathLike, encoder: SavedEncoder, cells: CellTable, values: np.ndarray
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


def read_embedding_table(folder: artefacts.PathLike, encoder: SavedEncoder) -> tuple[CellTable, np.ndarray]:
    """Reads what `write_embedding_table` wrote.

    Raises:
      CorruptArtefactError: a file is damaged, or the table holds NaN.
      MismatchError: another encoder made the table.
    """
    manifest = artefacts.read_manifest(folder, kind=TABLE_KIND)
    if manifest["encoder"] != encoder.fingerprint:
        raise MismatchError(
            f"{folder}: made by the encoder {manifest['encoder'][:12]}, expected {encoder.fingerprint[:12]} "
            f"({encoder.folder}); run trainers.embed again"
        )
    stored = artefacts.read_npz(pathlib.Path(folder) / "embeddings.npz")
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
