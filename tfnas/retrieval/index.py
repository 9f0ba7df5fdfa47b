"""Exact search among embedded architectures: an artefact whose SavedModel answers in plain TensorFlow.

The index of a few hundred thousand architectures is one matrix product and one top-k per query, so nothing is
approximated.
"""

import dataclasses
import pathlib
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from tfnas import artefacts
from tfnas.errors import ConfigurationError, CorruptArtefactError
from tfnas.retrieval.collection import Collection, read_collection
from tfnas.saved_models import save_module

KIND = "architecture_index"
_QUERIES_AT_ONCE = 64
_ITEMS_NAME, _GRAPHS_NAME = "items.npz", "graphs.npz"


@dataclasses.dataclass(frozen=True)
class Match:
    """An architecture that was found.

    Attributes:
      name: of the architecture.
      source: where it comes from.
      family: what it is a member of; empty if that is not known.
      similarity: cosine of the angle between the embeddings.
      row: its place in the index.
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
      names: `[N]`, all different.
      sources: `[N]`.
      families: `[N]`.
      collection: their graphs, for pictures and shared motifs, in the same order; None if they are not kept.

    Attributes:
      embeddings: float32 `[N, D]` of length 1.
      names: `[N]` strings.
      sources: `[N]` strings.
      families: `[N]` strings.
      collection: the graphs, or None.
      manifest: of the folder that the index was read from or written to; empty before.

    Raises:
      ConfigurationError: parts of different lengths, a name that occurs twice, an embedding that is 0 or not finite.
    """

    def __init__(
        self,
        embeddings: np.ndarray,
        names: Sequence[str],
        sources: Sequence[str],
        families: Sequence[str],
        collection: Collection | None = None,
    ):
        self.embeddings = _unit(embeddings)
        self.collection = collection
        self.manifest: dict[str, Any] = {}
        self.names, self.sources, self.families = (np.array(part, str) for part in (names, sources, families))
        for label, part in (("names", self.names), ("sources", self.sources), ("families", self.families)):
            if part.shape != (len(self.embeddings),):
                raise ConfigurationError(f"{len(part)} {label} for {len(self.embeddings)} embeddings")
        unique, counts = np.unique(self.names, return_counts=True)
        if (counts > 1).any():
            name = str(unique[counts.argmax()])
            raise ConfigurationError(f"architecture {name!r} occurs {counts.max()} times in the index")
        if collection is not None and collection.names.tolist() != self.names.tolist():
            raise ConfigurationError("the graphs of the index are of other architectures than its embeddings")
        self._searchers: dict[str, _Searcher | _FaissSearcher] = {}

    @classmethod
    def of(cls, embeddings: np.ndarray, collection: Collection) -> "Index":
        """The index of a collection, with its graphs."""
        return cls(embeddings, collection.names, collection.sources, collection.families, collection)

    def __len__(self) -> int:
        return len(self.names)

    def row(self, name: str) -> int:
        """The place of an architecture.

        Raises:
          ConfigurationError: the index does not hold it.
        """
        found = np.flatnonzero(self.names == name)
        if not len(found):
            raise ConfigurationError(f"the index holds no architecture {name!r}")
        return int(found[0])

    def add(
        self,
        embeddings: np.ndarray,
        names: Sequence[str],
        sources: Sequence[str],
        families: Sequence[str],
        collection: Collection | None = None,
    ) -> "Index":
        """The index with more architectures; see the class. It keeps graphs if old and new ones have them."""
        if np.ndim(embeddings) != 2 or np.shape(embeddings)[1] != self.embeddings.shape[1]:
            raise ConfigurationError(f"embeddings {np.shape(embeddings)}, expected [n, {self.embeddings.shape[1]}]")
        both = None
        if self.collection is not None and collection is not None:
            both = Collection.concatenate([self.collection, collection])
        return Index(
            np.concatenate([self.embeddings, embeddings]),
            [*self.names, *names],
            [*self.sources, *sources],
            [*self.families, *families],
            both,
        )

    def remove(self, names: Sequence[str]) -> "Index":
        """The index without some architectures.

        Raises:
          ConfigurationError: it does not hold one of them, or nothing would be left.
        """
        kept = np.delete(np.arange(len(self)), [self.row(name) for name in names])
        graphs = None if self.collection is None else self.collection[kept]
        return Index(self.embeddings[kept], self.names[kept], self.sources[kept], self.families[kept], graphs)

    def search(
        self,
        queries: np.ndarray,
        count: int,
        *,
        sources: Sequence[str] | None = None,
        families: Sequence[str] | None = None,
        without: Sequence[str] = (),
        backend: str = "tensorflow",
    ) -> list[list[Match]]:
        """The most similar architectures of every query, best first; of equal ones the first in the index.

        Args:
          queries: float `[Q, D]`, not 0.
          count: k; fewer are returned where fewer are allowed.
          sources: allow these alone.
          families: allow these alone.
          without: names that are not allowed, such as the query's own.
          backend: `tensorflow`, or `faiss`: the exact search of that package, if it is installed; it orders equal ones
            as it likes.

        Raises:
          ConfigurationError: other shapes, an unknown source, family, name or backend, or none is allowed.
        """
        queries = _unit(queries)
        if queries.shape[1] != self.embeddings.shape[1] or count < 1:
            raise ConfigurationError(
                f"queries {queries.shape}, count={count}, expected [Q, {self.embeddings.shape[1]}], k"
            )
        allowed = np.ones(len(self), bool)
        for label, wanted, own in (("source", sources, self.sources), ("family", families, self.families)):
            if wanted is not None:
                unknown = sorted(set(wanted) - set(own.tolist()))
                if unknown:
                    raise ConfigurationError(f"the index knows no {label} {unknown[0]!r}")
                allowed &= np.isin(own, list(wanted))
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
        `count` int32, and gives `rows` int32 and `similarities` float32, both `[Q, count]`.

        Args:
          folder: where.
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
            )
            if self.collection is not None:
                artefacts.write_npz(staging / _GRAPHS_NAME, **self.collection.arrays())
            self.manifest = artefacts.write_manifest(
                staging, kind=KIND, architectures=len(self), embedding_dim=self.embeddings.shape[1], **facts
            )
        return self.manifest

    @classmethod
    def load(cls, folder: artefacts.PathLike) -> "Index":
        """Reads what `save` wrote.

        Raises:
          CorruptArtefactError: a file is missing, truncated or changed.
        """
        folder = pathlib.Path(folder)
        manifest = artefacts.read_manifest(folder, kind=KIND)
        arrays = artefacts.read_npz(folder / _ITEMS_NAME)
        graphs = read_collection(folder / _GRAPHS_NAME) if _GRAPHS_NAME in manifest["files"] else None
        try:
            index = cls(arrays["embeddings"], arrays["names"], arrays["sources"], arrays["families"], graphs)
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
            input_signature=[
                tf.TensorSpec([None, width], tf.float32, "queries"),
                tf.TensorSpec([size], tf.bool, "allowed"),
                tf.TensorSpec([], tf.int32, "count"),
            ]
        )
        def search(queries: tf.Tensor, allowed: tf.Tensor, count: tf.Tensor) -> dict[str, tf.Tensor]:
            similarities = tf.matmul(queries, self.embeddings, transpose_b=True)
            values, rows = tf.math.top_k(tf.where(allowed[None], similarities, -2.0), count)
            return {"rows": rows, "similarities": values}

        self.search = search

    def batches(self, queries: np.ndarray, allowed: np.ndarray, count: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Rows and similarities of one query after the other."""
        for start in range(0, len(queries), _QUERIES_AT_ONCE):
            part = queries[start : start + _QUERIES_AT_ONCE]
            outcome = self.search(tf.constant(part), tf.constant(allowed), tf.constant(count))
            yield from zip(outcome["rows"].numpy(), outcome["similarities"].numpy(), strict=True)


class _FaissSearcher:
    """The same by FAISS.

    References:
      Douze et al. 2024, "The Faiss library".
    """

    def __init__(self, embeddings: np.ndarray):
        try:
            import faiss
        except ImportError as error:
            raise ConfigurationError("backend='faiss' needs the package faiss-cpu: pip install faiss-cpu") from error
        self._faiss = faiss
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


_BACKENDS = {"tensorflow": _Searcher, "faiss": _FaissSearcher}


def _unit(vectors: np.ndarray) -> np.ndarray:
    """float32 `[n, D]` of length 1."""
    vectors = np.asarray(vectors, np.float64)
    if vectors.ndim != 2 or not len(vectors):
        raise ConfigurationError(f"embeddings {vectors.shape}, expected [n, D] with n >= 1")
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    if not np.isfinite(lengths).all() or not lengths.all():
        raise ConfigurationError("an embedding is 0 or not finite")
    return (vectors / lengths).astype(np.float32)
