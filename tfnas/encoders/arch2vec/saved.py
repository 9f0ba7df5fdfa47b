"""Exports of arch2vec, which need nothing but TensorFlow, and tables of the embeddings of cells."""

import pathlib
import time
from typing import Any

import numpy as np
import tensorflow as tf

from tfnas import artefacts
from tfnas.corpora import cells as cell_corpora
from tfnas.encoders.arch2vec.model import Arch2Vec, in_chunks
from tfnas.encoders.base import KIND_PREFIX, SavedEncoder, export_module
from tfnas.errors import ConfigurationError, CorruptArtefactError, MismatchError
from tfnas.graphs import cells as cell_graphs
from tfnas.reports import figures
from tfnas.saved_models import SHIPPED
from tfnas.spaces import Space
from tfnas.spaces.base import CellTable

KIND = KIND_PREFIX + "arch2vec"
TABLE_KIND = "embedding_table"
_CHUNK = 1024


class _ServingModule(tf.Module):
    """`encode`, `encode_examples` and `decode` over the model's variables."""

    def __init__(self, model: Arch2Vec):
        super().__init__(name="arch2vec")
        self.weights = list(model.variables)
        vertices, operations, size = model.num_vertices, model.num_operations, model.config.embedding_dim

        def outputs(ops: tf.Tensor, adjacency: tf.Tensor) -> dict[str, tf.Tensor]:
            embedding, posterior = model.embed(ops, adjacency)
            return {"embedding": embedding, "mean": posterior.mean, "log_variance": 2.0 * posterior.log_stddev}

        @tf.function(
            autograph=False,
            input_signature=[
                tf.TensorSpec([None, vertices, operations], tf.float32, "ops"),
                tf.TensorSpec([None, vertices, vertices], tf.float32, "adjacency"),
            ],
        )
        def encode(ops: tf.Tensor, adjacency: tf.Tensor) -> dict[str, tf.Tensor]:
            return outputs(ops, adjacency)

        @tf.function(autograph=False, input_signature=[tf.TensorSpec([None], tf.string, "examples")])
        def encode_examples(examples: tf.Tensor) -> dict[str, tf.Tensor]:
            return outputs(*cell_graphs.dense_view(cell_graphs.parse_examples(examples), vertices, operations))

        @tf.function(autograph=False, input_signature=[tf.TensorSpec([None, vertices, size], tf.float32, "latent")])
        def decode(latent: tf.Tensor) -> dict[str, tf.Tensor]:
            operation_logits, edge_logits = model.decode(latent)
            if model.config.operation_likelihood == "softmax":
                probabilities = tf.nn.softmax(operation_logits)
            else:
                probabilities = tf.sigmoid(operation_logits)
            upper = tf.linalg.band_part(tf.ones([vertices, vertices]), 0, -1) - tf.eye(vertices)
            return {"operations": probabilities, "adjacency": tf.sigmoid(edge_logits) * upper}

        self.encode = encode
        self.encode_examples = encode_examples
        self.decode = decode


def export(model: Arch2Vec, space: Space, folder: artefacts.PathLike, **facts: Any) -> dict[str, Any]:
    """Writes the SavedModel and its manifest; replaces `folder` as a whole once everything is written.

    Signatures: `encode` and `serving_default` (`ops` float32 `[B, V, O]`, `adjacency` float32 `[B, V, V]` ->
    `embedding` `[B, D]`, `mean` and `log_variance` `[B, V, D]`), `encode_examples` (string `[B]`, serialised
    GraphTensor tf.Examples, same outputs), `decode` (`latent` `[B, V, D]` -> probabilities `operations` `[B, V, O]`
    and `adjacency` `[B, V, V]`).

    Args:
      model: the trained model.
      space: the space it was trained on.
      folder: folder of the export.
      **facts: JSON values for the manifest, such as configuration, seed and metrics.

    Returns:
      The manifest.
    """
    module = _ServingModule(model)
    return export_module(
        module,
        folder,
        kind=KIND,
        signatures={
            "serving_default": module.encode,
            "encode": module.encode,
            "encode_examples": module.encode_examples,
            "decode": module.decode,
        },
        example=cell_graphs.smallest_example(),
        space=space.name,
        operations=list(space.operations),
        num_vertices=model.num_vertices,
        embedding_dim=model.config.embedding_dim,
        **facts,
    )


class SavedCellEncoder(SavedEncoder):
    """An exported encoder of the cells of a search space.

    Args:
      folder: folder of the export.

    Raises:
      CorruptArtefactError: see `SavedEncoder`.

    Example:
      >>> from tfnas.spaces import NASBench201
      >>> encoder = SavedCellEncoder("saved_models/arch2vec_nasbench201")
      >>> encoder.embed(NASBench201().sample(3, np.random.default_rng(0))).shape
      (3, 16)
    """

    KIND = KIND
    FACTS = ("embedding_dim", "num_vertices", "operations", "space")
    CORPUS_KIND = cell_corpora.KIND
    SHARED = ("space", "operations")

    def __init__(self, folder: artefacts.PathLike):
        super().__init__(folder)
        operations = len(self.manifest["operations"])

        @tf.function(jit_compile=True)
        def encode(codes: tf.Tensor, adjacency: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            ops = tf.one_hot(tf.cast(codes, tf.int32), operations)
            outputs = self.module.encode(ops, tf.cast(adjacency, tf.float32))
            return outputs["embedding"], tf.reshape(outputs["mean"], [tf.shape(codes)[0], -1])

        self._encode = encode

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

    def embed_records(self, records: tf.Tensor) -> np.ndarray:
        return self.module.signatures["encode_examples"](examples=records)["embedding"].numpy()

    def _run(self, cells: CellTable, output: int, width: int, progress: bool) -> np.ndarray:
        if not len(cells):
            return np.empty((0, width), np.float32)
        return in_chunks(self._encode, cells, output, min(_CHUNK, len(cells)), progress=progress)


def open_encoder(folder: artefacts.PathLike | None, space: Space) -> SavedCellEncoder:
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
    encoder = SavedCellEncoder(folder)
    encoder.check_space(space)
    return encoder


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
