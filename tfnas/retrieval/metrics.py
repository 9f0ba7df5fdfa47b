"""How good rankings are, with the normalisers of the textbooks.

The published evaluation of neural architecture retrieval counts the query among its own relatives, divides by all
relevant items however short the list is, and never lets the ideal gain fall below 0.3; none of that is done here.

References:
  Manning, Raghavan and Schütze 2008, "Introduction to Information Retrieval", sections 8.4 and 8.5; Järvelin and
  Kekäläinen 2002, "Cumulated Gain-Based Evaluation of IR Techniques".
"""

from collections.abc import Sequence

import numpy as np

from tfnas.errors import ConfigurationError

METRICS = ("mrr", "map", "ndcg", "precision")


def ranking(similarities: np.ndarray, count: int) -> np.ndarray:
    """The most similar items of every query, best first; of equal ones the first in the database.

    Args:
      similarities: float `[Q, N]`; minus infinity for items that may not be found, such as the query itself.
      count: k, at most N.

    Returns:
      int64 `[Q, k]`; -1 where fewer than k items may be found.

    Raises:
      ConfigurationError: k is not in 1 to N, or a similarity is NaN.
    """
    similarities = np.asarray(similarities)
    if similarities.ndim != 2 or not 1 <= count <= similarities.shape[1]:
        raise ConfigurationError(f"count={count}, expected 1 to the number of items of similarities [Q, N]")
    if np.isnan(similarities).any():
        raise ConfigurationError("similarities hold NaN")
    rows = np.argsort(-similarities, axis=1, kind="stable")[:, :count]
    return np.where(np.take_along_axis(similarities, rows, axis=1) > -np.inf, rows, -1)


def scores(relevant: np.ndarray, totals: np.ndarray, count: int) -> dict[str, np.ndarray]:
    """Metrics of every query at k.

    Args:
      relevant: bool `[Q, m]` with m >= k, whether the item at each rank is relevant.
      totals: int `[Q]`, relevant items in the database, the query not counted.
      count: k.

    Returns:
      float64 `[Q]` by name, of `METRICS`: reciprocal rank of the first relevant item (0 if none is among the first k),
      average precision (over the min(total, k) items that could have been found), normalised discounted cumulative gain
      (gain 1, discount log2(rank + 1), ideal of min(total, k) items), precision. NaN for queries that nothing suits.

    Raises:
      ConfigurationError: other shapes, fewer than k ranks, or more relevant items found than there are.
    """
    relevant, totals = np.asarray(relevant, bool), np.asarray(totals)
    if relevant.ndim != 2 or totals.shape != relevant.shape[:1] or not 1 <= count <= relevant.shape[1]:
        raise ConfigurationError(f"relevant {relevant.shape}, totals {totals.shape}, count={count} do not fit together")
    if (relevant.sum(axis=1) > totals).any():
        raise ConfigurationError("a query has more relevant items in its list than in the database")
    hits = relevant[:, :count].astype(np.float64)
    ranks = np.arange(1, count + 1)
    possible = np.minimum(totals, count)
    discounts = 1 / np.log2(ranks + 1)
    ideal = np.append(0.0, np.cumsum(discounts))[possible]
    precisions = np.cumsum(hits, axis=1) / ranks
    with np.errstate(invalid="ignore", divide="ignore"):
        found = {
            "mrr": (hits / ranks).max(axis=1),
            "map": (hits * precisions).sum(axis=1) / possible,
            "ndcg": (hits @ discounts) / ideal,
            "precision": hits.mean(axis=1),
        }
    return {name: np.where(totals > 0, values, np.nan) for name, values in found.items()}


def evaluate(
    queries: np.ndarray,
    query_labels: Sequence[str],
    database: np.ndarray,
    labels: Sequence[str],
    counts: Sequence[int] = (20, 50, 100),
    own_rows: np.ndarray | None = None,
) -> dict[str, float]:
    """Means over queries of retrieval by cosine similarity.

    Args:
      queries: float `[Q, D]`.
      query_labels: what an item must share to be relevant, `[Q]`.
      database: float `[N, D]`.
      labels: of the database `[N]`.
      counts: values of k.
      own_rows: int `[Q]`, the query's own row in the database, which it never finds; -1 or None if it is not there.

    Returns:
      For every metric and k an entry such as `map@20`; queries without relevant items in the database are left out, and
      `queries` says how many were not.

    Raises:
      ConfigurationError: no query has relevant items, or an embedding is not finite.
    """
    return evaluate_similarities(_unit(queries) @ _unit(database).T, query_labels, labels, counts, own_rows)


def evaluate_similarities(
    similarities: np.ndarray,
    query_labels: Sequence[str],
    labels: Sequence[str],
    counts: Sequence[int] = (20, 50, 100),
    own_rows: np.ndarray | None = None,
) -> dict[str, float]:
    """As `evaluate`, from similarities float `[Q, N]`, such as those of a kernel."""
    similarities = np.array(similarities, np.float64)
    same = np.asarray(query_labels)[:, None] == np.asarray(labels)[None]
    if own_rows is not None:
        known = np.flatnonzero(np.asarray(own_rows) >= 0)
        similarities[known, np.asarray(own_rows)[known]] = -np.inf
        same[known, np.asarray(own_rows)[known]] = False
    totals = same.sum(axis=1)
    if not totals.any():
        raise ConfigurationError("no query has a relevant item in the database")
    longest = min(max(counts), similarities.shape[1])
    rows = ranking(similarities, longest)
    relevant = np.take_along_axis(same, np.maximum(rows, 0), axis=1) & (rows >= 0)
    result: dict[str, float] = {"queries": int((totals > 0).sum())}
    for count in counts:
        padded = np.pad(relevant, ((0, 0), (0, max(count - longest, 0))))
        for name, values in scores(padded, totals, count).items():
            result[f"{name}@{count}"] = float(np.nanmean(values))
    return result


def _unit(vectors: np.ndarray) -> np.ndarray:
    """Vectors `[n, D]` of length 1; those of length 0 stay 0."""
    vectors = np.asarray(vectors, np.float64)
    if not np.isfinite(vectors).all():
        raise ConfigurationError("embeddings hold NaN or infinity")
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors / np.where(lengths > 0, lengths, 1.0)
