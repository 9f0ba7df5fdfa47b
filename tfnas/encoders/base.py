"""What every exported encoder shares: how an export is written, opened and checked."""

import pathlib
from collections.abc import Mapping
from typing import Any, ClassVar, Protocol, TypedDict, cast

import numpy as np
import tensorflow as tf

from tfnas import artefacts
from tfnas.corpora import graphs as graph_corpora
from tfnas.corpora import shards
from tfnas.errors import ConfigurationError, InvalidArchitectureError, MismatchError
from tfnas.graphs.operators import OPERATORS
from tfnas.graphs.packed import PackedGraphs
from tfnas.saved_models import SAVED_MODEL_FILES, load_module, save_module
from tfnas.typed import Natural

KIND_PREFIX = "encoder/"


def export_module(
    module: tf.Module,
    folder: artefacts.PathLike,
    *,
    kind: str,
    signatures: Mapping[str, Any],
    example: bytes | None = None,
    arrays: Mapping[str, Mapping[str, np.ndarray]] | None = None,
    **facts: Any,
) -> dict[str, Any]:
    """Writes an encoder as a SavedModel with a manifest; replaces `folder` as a whole once everything is written.

    Args:
      module: variables and functions of flat tensors. A SavedModel that tracked a Keras model of TF-GNN could not be
        loaded without tensorflow_gnn.
      folder: folder of the export.
      kind: kind in the manifest.
      signatures: functions by name.
      example: serialised tf.train.Example for signatures that take strings; none by default.
      arrays: arrays of further `.npz` files, by file name; no files by default.
      **facts: JSON values for the manifest, such as configuration, seed and metrics.

    Returns:
      The manifest.
    """
    with artefacts.atomic_folder(folder) as staging:
        save_module(module, staging, signatures, example)
        for name, content in (arrays or {}).items():
            artefacts.write_npz(staging / name, **content)
        return artefacts.write_manifest(staging, kind=kind, **facts)


class Facts(TypedDict):
    """Entries of the manifest of every encoder."""

    embedding_dim: Natural


class SavedEncoder:
    """An exported encoder.

    Args:
      folder: folder of the export.
      trust: True to open a SavedModel that may do more than compute; see `saved_models.load_module`.

    Attributes:
      KIND: kind that the manifest must have.
      FACTS: `TypedDict` of the entries that the manifest must have.
      FILES: files that the manifest must name.
      CORPUS_KIND: kind of the corpora on disk that the encoder embeds.
      CORPUS_FACTS: `TypedDict` of the entries that the manifests of such corpora must have.
      SHARED: entries in which the manifests of the encoder and of a corpus must agree.
      FINITE: whether every embedding of a corpus is finite; otherwise an architecture without embedding has NaN.
      folder: folder of the export.
      manifest: content of its manifest.
      module: loaded SavedModel.

    Raises:
      CorruptArtefactError: the folder holds another kind of artefact, a file is missing, truncated or changed, or
        TensorFlow can't load the model.
      UntrustedModelError: see `saved_models.load_module`.
    """

    KIND: ClassVar[str]
    FACTS: ClassVar[type] = Facts
    FILES: ClassVar[tuple[str, ...]] = SAVED_MODEL_FILES
    CORPUS_KIND: ClassVar[str]
    CORPUS_FACTS: ClassVar[type]
    SHARED: ClassVar[tuple[str, ...]]
    FINITE: ClassVar[bool] = True

    def __init__(self, folder: artefacts.PathLike, *, trust: bool = False):
        self.folder = pathlib.Path(folder)
        self.manifest: dict[str, Any] = artefacts.read_manifest(
            self.folder, kind=self.KIND, facts=self.FACTS, files=self.FILES
        )
        self.module = load_module(self.folder, trust=trust)

    @property
    def fingerprint(self) -> str:
        """SHA-256 over the encoder's files."""
        return artefacts.fingerprint(self.manifest)

    def embed_records(self, records: tf.Tensor) -> np.ndarray:
        """Embeddings float32 `[B, D]` of the records, string `[B]`, of a corpus that the encoder embeds."""
        return self.module.signatures["encode_examples"](examples=records)["embedding"].numpy()

    @staticmethod
    def shard_rows(corpus: Mapping[str, Any]) -> list[range]:
        """Numbers in the corpus of the records of each shard.

        Args:
          corpus: manifest of a corpus that the encoder embeds.
        """
        step = len(corpus["records"])
        return [range(shard, shard + count * step, step) for shard, count in enumerate(corpus["records"])]

    @classmethod
    def read_corpus(cls, folder: artefacts.PathLike) -> dict[str, Any]:
        """The manifest of a corpus on disk, whose files are not read.

        Raises:
          CorruptArtefactError: no manifest, or a damaged manifest.
          MismatchError: a corpus of a kind that the encoder does not embed.
        """
        kind = artefacts.manifest_kind(folder)
        if kind != cls.CORPUS_KIND:
            raise MismatchError(f"{folder}: expected a {cls.CORPUS_KIND} for an {cls.KIND}, found a {kind!r}")
        return shards.read_manifest(folder, kind, cls.CORPUS_FACTS, check_files=False)

    @classmethod
    def mismatch(cls, manifest: Mapping[str, Any], corpus: Mapping[str, Any]) -> str | None:
        """Why an encoder does not embed a corpus; None if it does.

        Args:
          manifest: manifest of the encoder.
          corpus: manifest of the corpus.
        """
        for name in cls.SHARED:
            if manifest.get(name) != corpus.get(name):
                return f"{name} {_short(corpus.get(name))}, expected the encoder's {_short(manifest.get(name))}"
        return None


def _short(value: object) -> str:
    """The beginning of a value's text."""
    text = str(value)
    return text if len(text) <= 60 else f"{text[:60]}..."


def check_vocabulary(encoder: SavedEncoder) -> None:
    """Raises MismatchError if an encoder of graphs was trained with operators that this version does not know."""
    operators = encoder.manifest["operators"]
    if operators != list(OPERATORS[: len(operators)]):
        raise MismatchError(f"{encoder.folder}: trained with operators that this version of tfnas does not know")


class GraphEncoder(Protocol):
    """An exported encoder whose `embed` takes computation graphs."""

    folder: pathlib.Path

    @property
    def fingerprint(self) -> str:
        """SHA-256 over the encoder's files."""

    def embed(self, graphs: PackedGraphs) -> np.ndarray:
        """Embeddings float32 `[N, D]` of N graphs."""


def graph_encoder(encoder: SavedEncoder) -> GraphEncoder:
    """An encoder as an encoder of computation graphs.

    Raises:
      ConfigurationError: the encoder embeds something else.
    """
    if encoder.CORPUS_KIND != graph_corpora.KIND:
        raise ConfigurationError(f"{encoder.folder}: embeds a {encoder.CORPUS_KIND}, expected an encoder of graphs")
    return cast(GraphEncoder, encoder)


def check_operators(encoder: SavedEncoder, graphs: PackedGraphs) -> None:
    """Raises InvalidArchitectureError if a graph has an operator that an encoder was not trained with."""
    # Rows of the table of features that no node refers to don't count: a slice of graphs keeps the whole table.
    largest = int(graphs.features[graphs.codes, 0].max(initial=0))
    if largest >= len(encoder.manifest["operators"]):
        raise InvalidArchitectureError(f"{encoder.folder}: trained before there was an operator {OPERATORS[largest]!r}")
