"""How good rankings are, with the normalisers of the textbooks.

The published evaluation of neural architecture retrieval counts the query among its own relatives, divides by all
relevant items however short the list is, and never lets the ideal gain fall below 0.3. The metrics of this module do
not.

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
      similarities: float `[Q, N]`; minus infinity for excluded items, such as the query itself.
      count: k, at most N.

    Returns:
      int64 `[Q, k]`, rows of the database; -1 at the end where fewer than k items are allowed.

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
      relevant: bool `[Q, m]` with m >= k, True where the item at a rank is relevant.
      totals: int `[Q]`, relevant items in the database, the query not counted.
      count: k.

    Returns:
      float64 `[Q]` for each of `METRICS`: reciprocal rank of the first relevant item (0 if the first k items are not
      relevant), average precision (over min(total, k) items), normalised discounted cumulative gain (gain 1, discount
      log2(rank + 1), ideal of min(total, k) items) and precision. NaN for queries without relevant items.

    Example:
      >>> scores(np.array([[False, True]]), np.array([1]), 2)["mrr"].tolist()
      [0.5]

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
        metrics = {
            "mrr": (hits / ranks).max(axis=1),
            "map": (hits * precisions).sum(axis=1) / possible,
            "ndcg": (hits @ discounts) / ideal,
            "precision": hits.mean(axis=1),
        }
    return {name: np.where(totals > 0, values, np.nan) for name, values in metrics.items()}


def evaluate(
    similarities: np.ndarray,
    query_labels: Sequence[str],
    labels: Sequence[str],
    counts: Sequence[int],
    own_rows: np.ndarray | None = None,
) -> dict[str, float]:
    """Means over queries of retrieval by any similarity, such as the cosine of embeddings or a kernel.

    Args:
      similarities: float `[Q, N]`.
      query_labels: labels `[Q]`; an item with the query's label is relevant.
      labels: labels `[N]` of the database.
      counts: values of k.
      own_rows: int `[Q]`, the row of each query in the database, which the query never finds; -1 for a query that the
        database lacks; None if it lacks all queries.

    Returns:
      For every metric and k an entry such as `map@20`, and the number of `queries` that have relevant items in the
      database; the means leave all other queries out.

    Raises:
      ConfigurationError: no query has relevant items, or a similarity is NaN.

    Example:
      >>> evaluate([[0.9, 0.1]], ["resnet"], ["resnet", "vit"], [1])["map@1"]
      1.0
    """
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
