"""Exact search among embedded architectures: an artefact whose SavedModel answers in plain TensorFlow.

A query of a few hundred thousand architectures is one matrix product and one top-k, so the search is exact.
"""

import dataclasses
import pathlib
from collections.abc import Iterator, Sequence
from typing import Any, NotRequired, TypedDict

import numpy as np
import tensorflow as tf

from tfnas import artefacts
from tfnas.errors import ConfigurationError, CorruptArtefactError
from tfnas.retrieval.calibration import Calibration, calibrated
from tfnas.retrieval.collection import Collection, read_collection
from tfnas.retrieval.evidence import Surroundings
from tfnas.saved_model_operations import check_operations
from tfnas.saved_models import SAVED_MODEL_FILES, SHIPPED, save_module
from tfnas.typed import Natural

KIND = "architecture_index"
_QUERIES_AT_ONCE = 64
_ITEMS_NAME, _GRAPHS_NAME = "items.npz", "graphs.npz"


class Facts(TypedDict):
    """Entries of the manifest of an index."""

    architectures: Natural
    embedding_dim: Natural
    encoder: NotRequired[str]


@dataclasses.dataclass(frozen=True)
class Match:
    """An architecture of the index that is similar to a query.

    Attributes:
      name: name in the index.
      source: library or project of the architecture.
      family: family of the architecture; empty if the family is not known.
      similarity: cosine of the angle between the embeddings, -1 to 1.
      row: row of the index.
    """

    name: str
    source: str
    family: str
    similarity: float
    row: int


class Index:
    """N embedded architectures by unique name.

    Args:
      embeddings: float `[N, D]`, not 0; stored with length 1.
      names: strings `[N]`, all different.
      sources: strings `[N]`, library or project of each architecture.
      families: strings `[N]`, empty where the family is not known.
      collection: graphs of the architectures in the same order, for pictures and shared motifs; None for an index
        without graphs.
      calibration: meaning of scores in this index; None for fewer than two structures with families.

    Attributes:
      embeddings: float32 `[N, D]` of length 1.
      names: strings `[N]`.
      sources: strings `[N]`.
      families: strings `[N]`.
      collection: graphs of the architectures, or None.
      calibration: meaning of scores, or None.
      manifest: manifest of the folder that the index was read from or written to; empty before.

    Raises:
      ConfigurationError: arrays of different lengths, a name that occurs twice, an embedding that is 0 or not finite.

    Example:
      >>> index = Index(np.eye(3), ["a", "b", "c"], ["mine"] * 3, ["x", "x", "y"])
      >>> [[match.name for match in matches] for matches in index.search([[0.1, 1.0, 0.2]], 2)]
      [['b', 'c']]
    """

    def __init__(
        self,
        embeddings: np.ndarray,
        names: Sequence[str] | np.ndarray,
        sources: Sequence[str] | np.ndarray,
        families: Sequence[str] | np.ndarray,
        collection: Collection | None = None,
        calibration: Calibration | None = None,
    ):
        self.embeddings = _unit(embeddings)
        self.collection, self.calibration = collection, calibration
        self.manifest: dict[str, Any] = {}
        self.names, self.sources, self.families = (np.array(texts, str) for texts in (names, sources, families))
        for label, texts in (("names", self.names), ("sources", self.sources), ("families", self.families)):
            if texts.shape != (len(self.embeddings),):
                raise ConfigurationError(f"{len(texts)} {label} for {len(self.embeddings)} embeddings")
        unique, counts = np.unique(self.names, return_counts=True)
        if (counts > 1).any():
            name = str(unique[counts.argmax()])
            raise ConfigurationError(f"architecture {name!r} occurs {counts.max()} times in the index")
        if collection is not None and collection.names.tolist() != self.names.tolist():
            raise ConfigurationError("the graphs of the index are of other architectures than its embeddings")
        self._searchers: dict[str, _Searcher | _FaissSearcher] = {}

    @classmethod
    def of(cls, embeddings: np.ndarray, collection: Collection, calibration: Calibration | None = None) -> "Index":
        """The index of a collection, with its graphs.

        Args:
          embeddings: float `[N, D]`, not 0.
          collection: N architectures.
          calibration: meaning of scores; None for the calibration on the collection's own pairs.
        """
        index = cls(embeddings, collection.names, collection.sources, collection.families, collection, calibration)
        if calibration is None:
            index.calibration = calibrated(index.embeddings, index.families, Surroundings(collection.graphs))
        return index

    def __len__(self) -> int:
        return len(self.names)

    def row(self, name: str) -> int:
        """The row of an architecture.

        Raises:
          ConfigurationError: the index does not hold the architecture.
        """
        rows = np.flatnonzero(self.names == name)
        if not len(rows):
            raise ConfigurationError(f"the index holds no architecture {name!r}")
        return int(rows[0])

    def remove(self, names: Sequence[str]) -> "Index":
        """The index without some architectures; the scores of the rest mean what they meant.

        Args:
          names: names of the architectures to leave out.

        Raises:
          ConfigurationError: the index does not hold an architecture, or no architecture would be left.
        """
        rows = np.delete(np.arange(len(self)), [self.row(name) for name in names])
        graphs = None if self.collection is None else self.collection[rows]
        facts = (self.names[rows], self.sources[rows], self.families[rows])
        return Index(self.embeddings[rows], *facts, graphs, self.calibration)

    def search(
        self,
        queries: np.ndarray,
        count: int,
        *,
        sources: Sequence[str] | None = None,
        families: Sequence[str] | None = None,
        without: Sequence[str] = (),
        allowed: np.ndarray | None = None,
        backend: str = "tensorflow",
    ) -> list[list[Match]]:
        """The most similar architectures of every query, best first; of equal similarities the first in the index.

        Args:
          queries: embeddings float `[Q, D]`, not 0.
          count: k, the number of matches; fewer matches where filters leave fewer architectures.
          sources: sources that are allowed; None allows every source.
          families: families that are allowed; None allows every family.
          without: names that are not allowed, such as the name of the query.
          allowed: bool `[N]`, architectures that are allowed; None allows all.
          backend: `tensorflow`, or `faiss` for the exact search of the package faiss-cpu, in which the order of equal
            similarities is open.

        Returns:
          Q lists of at most k matches.

        Raises:
          ConfigurationError: queries of another shape, an unknown source, family, name or backend, or filters that no
            architecture passes.
        """
        queries = _unit(queries)
        if queries.shape[1] != self.embeddings.shape[1] or count < 1:
            raise ConfigurationError(
                f"queries {queries.shape}, count={count}, expected [Q, {self.embeddings.shape[1]}], k"
            )
        allowed = np.ones(len(self), bool) if allowed is None else np.array(allowed, bool)
        for label, chosen, values in (("source", sources, self.sources), ("family", families, self.families)):
            if chosen is not None:
                unknown = sorted(set(chosen) - set(values.tolist()))
                if unknown:
                    raise ConfigurationError(f"the index knows no {label} {unknown[0]!r}")
                allowed &= np.isin(values, list(chosen))
        allowed[[self.row(name) for name in without]] = False
        if not allowed.any():
            raise ConfigurationError("no architecture of the index is allowed")
        if backend not in _BACKENDS:
            raise ConfigurationError(f"backend={backend!r}, expected one of {', '.join(_BACKENDS)}")
        if backend not in self._searchers:
            self._searchers[backend] = _BACKENDS[backend](self.embeddings)
        count = min(count, int(allowed.sum()))
        return [
            [self._match(int(row), float(value)) for row, value in zip(rows, values, strict=True)]
            for rows, values in self._searchers[backend].batches(queries, allowed, count)
        ]

    def _match(self, row: int, similarity: float) -> Match:
        return Match(str(self.names[row]), str(self.sources[row]), str(self.families[row]), similarity, row)

    def save(self, folder: artefacts.PathLike, **facts: Any) -> dict[str, Any]:
        """Writes the index; replaces `folder` as a whole once everything is written.

        The SavedModel's signature `search` takes `queries` float32 `[Q, D]` of length 1, `allowed` bool `[N]` and
        `count` int32, and gives `rows` int32 and `similarities` float32, both `[Q, count]`, or with fewer columns where
        fewer rows are allowed.

        Args:
          folder: folder of the index.
          **facts: JSON values for the manifest, such as the encoder's fingerprint.

        Returns:
          The manifest.
        """
        searcher = _Searcher(self.embeddings)
        with artefacts.atomic_folder(folder) as staging:
            save_module(searcher, staging, {"search": searcher.search})
            artefacts.write_npz(
                staging / _ITEMS_NAME,
                embeddings=self.embeddings,
                names=self.names,
                sources=self.sources,
                families=self.families,
                **({} if self.calibration is None else dataclasses.asdict(self.calibration)),
            )
            if self.collection is not None:
                artefacts.write_npz(staging / _GRAPHS_NAME, **self.collection.arrays())
            self.manifest = artefacts.write_manifest(
                staging, kind=KIND, architectures=len(self), embedding_dim=self.embeddings.shape[1], **facts
            )
        return self.manifest

    @classmethod
    def load(cls, folder: artefacts.PathLike | None = None, *, trust: bool = False) -> "Index":
        """Reads an index.

        Args:
          folder: folder that `save` wrote; by default the index that ships with tfnas.
          trust: True to read a folder whose SavedModel may do more than compute, although it is not run here.

        Raises:
          CorruptArtefactError: a file is missing, truncated or changed.
          UntrustedModelError: see `saved_model_operations.check_operations`.
        """
        folder = pathlib.Path(folder or SHIPPED / "architecture_index")
        files = (*SAVED_MODEL_FILES, _ITEMS_NAME)
        manifest = artefacts.read_manifest(folder, kind=KIND, facts=Facts, files=files)
        if not trust:
            check_operations(folder)
        arrays = artefacts.read_npz(folder / _ITEMS_NAME)
        graphs = read_collection(folder / _GRAPHS_NAME) if _GRAPHS_NAME in manifest["files"] else None
        try:
            calibration = Calibration(arrays["scores"], arrays["shares"]) if "scores" in arrays else None
            facts = (arrays["names"], arrays["sources"], arrays["families"])
            index = cls(arrays["embeddings"], *facts, graphs, calibration)
        except (KeyError, ConfigurationError) as error:
            raise CorruptArtefactError(f"{folder / _ITEMS_NAME}: not the items of an index ({error})") from error
        index.manifest = manifest
        return index


class _Searcher(tf.Module):
    """One matrix product and one top-k."""

    def __init__(self, embeddings: np.ndarray):
        super().__init__(name="architecture_index")
        self.embeddings = tf.Variable(embeddings, trainable=False)
        size, width = embeddings.shape

        @tf.function(
            autograph=False,
            input_signature=[
                tf.TensorSpec([None, width], tf.float32, "queries"),
                tf.TensorSpec([size], tf.bool, "allowed"),
                tf.TensorSpec([], tf.int32, "count"),
            ],
        )
        def search(queries: tf.Tensor, allowed: tf.Tensor, count: tf.Tensor) -> dict[str, tf.Tensor]:
            similarities = tf.matmul(queries, self.embeddings, transpose_b=True)
            count = tf.minimum(count, tf.math.count_nonzero(allowed, dtype=tf.int32))
            values, rows = tf.math.top_k(tf.where(allowed[None], similarities, -2.0), count)
            return {"rows": rows, "similarities": values}

        self.search = search

    def batches(self, queries: np.ndarray, allowed: np.ndarray, count: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Rows and similarities of one query after the other."""
        for start in range(0, len(queries), _QUERIES_AT_ONCE):
            batch = queries[start : start + _QUERIES_AT_ONCE]
            outcome = self.search(tf.constant(batch), tf.constant(allowed), tf.constant(count))
            yield from zip(outcome["rows"].numpy(), outcome["similarities"].numpy(), strict=True)


class _FaissSearcher:
    """The inner products of a flat FAISS index.

    References:
      Douze et al. 2024, "The Faiss library".
    """

    def __init__(self, embeddings: np.ndarray):
        try:
            import faiss
        except ImportError as error:
            raise ConfigurationError("backend='faiss' needs the package faiss-cpu: pip install faiss-cpu") from error
        self._faiss: Any = faiss
        self._index = faiss.IndexFlatIP(embeddings.shape[1])
        self._index.add(embeddings)

    def batches(self, queries: np.ndarray, allowed: np.ndarray, count: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Rows and similarities of one query after the other."""
        parameters = None
        if not allowed.all():
            selector = self._faiss.IDSelectorBatch(np.flatnonzero(allowed))
            parameters = self._faiss.SearchParameters(sel=selector)
        values, rows = self._index.search(queries, count, params=parameters)
        yield from zip(rows, values, strict=True)


_BACKENDS: dict[str, type[_Searcher] | type[_FaissSearcher]] = {"tensorflow": _Searcher, "faiss": _FaissSearcher}


def _unit(vectors: np.ndarray) -> np.ndarray:
    """Embeddings as float32 `[n, D]` of length 1."""
    vectors = np.asarray(vectors, np.float64)
    if vectors.ndim != 2 or not len(vectors):
        raise ConfigurationError(f"embeddings {vectors.shape}, expected [n, D] with n >= 1")
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    if not np.isfinite(lengths).all() or not lengths.all():
        raise ConfigurationError("an embedding is 0 or not finite")
    return (vectors / lengths).astype(np.float32)
