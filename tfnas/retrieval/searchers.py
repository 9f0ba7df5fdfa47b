"""How an index is searched: exactly by TensorFlow or FAISS, or in inverted lists of neighbours."""

import dataclasses
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Protocol

import numpy as np
import tensorflow as tf

from tfnas.errors import ConfigurationError

RECALL = 0.99
"""Share of the ten nearest architectures that a search in lists finds at least, as it is measured."""
_QUERIES_AT_ONCE = 64
_NEAREST = 10
_MEASURED = 500
_LISTS_PER_ROOT, _PER_LIST = 4, 39  # lists per square root of N, and the fewest embeddings per list
_PER_LIST_IN_FIT, _ROUNDS = 64, 10
_TIES = 1e-6


class Searcher(Protocol):
    """A search among N embeddings of length 1."""

    def batches(
        self, queries: np.ndarray, allowed: np.ndarray | None, count: int
    ) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Rows and similarities of one query after the other, best first.

        Args:
          queries: float32 `[Q, D]` of length 1.
          allowed: bool `[N]`; None for all rows.
          count: k, at most the number of allowed rows.
        """


class ExactSearcher(tf.Module):
    """One matrix product and one top-k.

    Args:
      embeddings: float32 `[N, D]` of length 1.
    """

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

    def batches(
        self, queries: np.ndarray, allowed: np.ndarray | None, count: int
    ) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """See `Searcher`."""
        mask = tf.ones(self.embeddings.shape[:1], tf.bool) if allowed is None else tf.constant(allowed)
        for start in range(0, len(queries), _QUERIES_AT_ONCE):
            batch = queries[start : start + _QUERIES_AT_ONCE]
            outcome = self.search(tf.constant(batch), mask, tf.constant(count))
            yield from zip(outcome["rows"].numpy(), outcome["similarities"].numpy(), strict=True)


class FaissSearcher:
    """The inner products of a flat FAISS index.

    Args:
      embeddings: float32 `[N, D]` of length 1.

    Raises:
      ConfigurationError: the package faiss-cpu is not installed.

    References:
      Douze et al. 2024, "The Faiss library".
    """

    def __init__(self, embeddings: np.ndarray):
        self._faiss = _faiss()
        self._index = self._faiss.IndexFlatIP(embeddings.shape[1])
        self._index.add(embeddings)

    def batches(
        self, queries: np.ndarray, allowed: np.ndarray | None, count: int
    ) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """See `Searcher`."""
        parameters = None
        if allowed is not None:
            parameters = self._faiss.SearchParameters(sel=_selector(self._faiss, allowed))
        values, rows = self._index.search(queries, count, params=parameters)
        yield from zip(rows, values, strict=True)


@dataclasses.dataclass(frozen=True, eq=False)
class InvertedLists:
    """A partition of N embeddings into lists of neighbours.

    Attributes:
      centroids: float32 `[L, D]` of length 1, the middles of the lists.
      members: int32 `[N]`, list of every embedding.
      probes: number of lists that a query is compared with, those of the nearest middles.
      recall: share of the ten nearest architectures that the lists find, 0 to 1, measured on up to 500 architectures of
        the index as queries; an architecture does not find itself.

    References:
      Jegou, Douze and Schmid 2011, "Product Quantization for Nearest Neighbor Search", section 4: inverted lists.
    """

    centroids: np.ndarray
    members: np.ndarray
    probes: int
    recall: float

    @classmethod
    def fit(cls, embeddings: np.ndarray, seed: int = 1) -> "InvertedLists":
        """The lists of k-means, and as many probes as reach a recall of `RECALL`.

        Args:
          embeddings: float32 `[N, D]` of length 1, N at least 78.
          seed: seed of k-means.

        Raises:
          ConfigurationError: fewer embeddings, or the package faiss-cpu is not installed.
        """
        faiss = _faiss()
        count = min(int(_LISTS_PER_ROOT * len(embeddings) ** 0.5), len(embeddings) // _PER_LIST)
        if count < 2:
            raise ConfigurationError(f"{len(embeddings)} architectures, expected {2 * _PER_LIST} or more for lists")
        means = faiss.Kmeans(
            embeddings.shape[1],
            count,
            niter=_ROUNDS,
            seed=seed,
            spherical=True,
            max_points_per_centroid=_PER_LIST_IN_FIT,
        )
        means.train(embeddings)
        _, members = means.index.search(embeddings, 1)
        lists = cls(means.centroids, members[:, 0].astype(np.int32), count, 1.0)
        asked = np.unique(np.linspace(0, len(embeddings) - 1, _MEASURED).astype(int))
        nearest = min(_NEAREST + 1, len(embeddings))
        exact = list(ExactSearcher(embeddings).batches(embeddings[asked], None, nearest))
        searcher = ListSearcher(embeddings, lists)
        probes = 1
        while True:
            searcher.probes = min(probes, count)
            recall = _recall(asked, exact, list(searcher.batches(embeddings[asked], None, nearest)))
            if recall >= RECALL or probes >= count:
                return dataclasses.replace(lists, probes=searcher.probes, recall=recall)
            probes *= 2

    def facts(self) -> dict[str, Any]:
        """What a manifest says of the lists."""
        return {"lists": len(self.centroids), "probes": self.probes, "recall": self.recall}

    def arrays(self) -> dict[str, np.ndarray]:
        """The lists as arrays, for a file."""
        return {name: np.asarray(value) for name, value in dataclasses.asdict(self).items()}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray], embeddings: np.ndarray) -> "InvertedLists":
        """Inverse of `arrays`.

        Args:
          arrays: arrays by name.
          embeddings: float32 `[N, D]` that the lists are of.

        Raises:
          ConfigurationError: an array is missing, or is not of lists of these embeddings.
        """
        try:
            centroids, members = np.asarray(arrays["centroids"], np.float32), np.asarray(arrays["members"], np.int32)
            lists = cls(centroids, members, int(arrays["probes"]), float(arrays["recall"]))
        except (KeyError, TypeError, ValueError) as error:
            raise ConfigurationError(f"not arrays of lists: {error}") from error
        count = len(centroids)
        if centroids.shape != (count, embeddings.shape[1]) or members.shape != (len(embeddings),) or not count:
            raise ConfigurationError(f"middles {centroids.shape} and members {members.shape} of other embeddings")
        if not np.isfinite(centroids).all() or members.min() < 0 or members.max() >= count:
            raise ConfigurationError(f"members {members.min()} to {members.max()} of {count} lists")
        if not 1 <= lists.probes <= count or not 0 <= lists.recall <= 1:
            raise ConfigurationError(f"{lists.probes} probes of {count} lists with recall {lists.recall}")
        return lists


class ListSearcher:
    """The inner products with the embeddings of a few lists, by FAISS.

    Args:
      embeddings: float32 `[N, D]` of length 1.
      lists: lists of the embeddings.

    Attributes:
      probes: number of lists that a query is compared with.

    Raises:
      ConfigurationError: the package faiss-cpu is not installed.

    References:
      Douze et al. 2024, "The Faiss library".
    """

    def __init__(self, embeddings: np.ndarray, lists: InvertedLists):
        self._faiss, self.probes = _faiss(), lists.probes
        self._middles = self._faiss.IndexFlatIP(embeddings.shape[1])
        self._middles.add(lists.centroids)
        metric = self._faiss.METRIC_INNER_PRODUCT
        self._index = self._faiss.IndexIVFFlat(self._middles, embeddings.shape[1], len(lists.centroids), metric)
        pointer, members = self._faiss.swig_ptr, lists.members.astype(np.int64)
        self._index.add_core(len(embeddings), pointer(embeddings), None, pointer(members))

    def batches(
        self, queries: np.ndarray, allowed: np.ndarray | None, count: int
    ) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """See `Searcher`; a query finds fewer than k rows where its lists hold fewer."""
        selector = None if allowed is None else _selector(self._faiss, allowed)
        parameters = self._faiss.SearchParametersIVF(nprobe=self.probes, sel=selector)
        values, rows = self._index.search(queries, count, params=parameters)
        for matched, similarities in zip(rows, values, strict=True):
            yield matched[matched >= 0], similarities[matched >= 0]


def _selector(faiss: Any, allowed: np.ndarray) -> Any:
    """What FAISS asks which of the rows bool `[N]` are allowed."""
    return faiss.IDSelectorBitmap(np.packbits(allowed, bitorder="little"))


def _recall(asked: np.ndarray, exact: list[Any], matched: list[Any]) -> float:
    """Share of the nearest rows of rows that ask; a row that is as similar as the last of the nearest is right."""
    shares = []
    for row, (best, similarities), (rows, values) in zip(asked.tolist(), exact, matched, strict=True):
        least = similarities[best != row][:_NEAREST].min()
        right = (values >= least - _TIES) & (rows != row)
        shares.append(min(int(right.sum()), _NEAREST, len(best) - 1) / min(_NEAREST, len(best) - 1))
    return float(np.mean(shares))


def installed() -> bool:
    """Whether the package faiss-cpu is installed."""
    try:
        _faiss()
    except ConfigurationError:
        return False
    return True


def _faiss() -> Any:
    try:
        import faiss
    except ImportError as error:
        raise ConfigurationError("this search needs the package faiss-cpu: pip install faiss-cpu") from error
    return faiss


EXACT: dict[str, Callable[[np.ndarray], Searcher]] = {"tensorflow": ExactSearcher, "faiss": FaissSearcher}
"""Exact searches by name."""
