"""From scores to shares: of all pairs of the index with a score, how many are of one family."""

import dataclasses
from collections.abc import Callable, Sequence

import numpy as np

from tfnas.graphs.packed import PackedGraphs
from tfnas.retrieval.evidence import Surroundings, score

CANDIDATES = 100
"""Architectures that are compared in full, those with the most similar embeddings."""
_QUERIES, _FOLDS = 400, 4
_KNOTS = 100

Fit = Callable[[PackedGraphs], Callable[[PackedGraphs], np.ndarray]]
"""Computes an encoder from graphs: a function that embeds graphs."""


@dataclasses.dataclass(frozen=True, eq=False)
class Calibration:
    """A function from scores to shares of pairs of one family.

    Attributes:
      scores: float64 `[K]`, in ascending order.
      shares: float64 `[K]`, not descending, 0 to 1; between two scores the share is interpolated.

    Example:
      >>> calibration = Calibration.fit(np.array([0.1, 0.2, 0.8, 0.9]), np.array([False, False, True, True]))
      >>> calibration(np.array([0.0, 0.5, 1.0])).round(3).tolist()
      [0.0, 0.5, 1.0]
    """

    scores: np.ndarray
    shares: np.ndarray

    def __call__(self, scores: np.ndarray) -> np.ndarray:
        """Shares float64 `[n]` of scores `[n]`."""
        return np.interp(scores, self.scores, self.shares)

    @classmethod
    def fit(cls, scores: np.ndarray, same: np.ndarray) -> "Calibration":
        """The isotonic regression of `same` on scores, at the means of up to 100 groups of equal numbers of pairs.

        Args:
          scores: float `[n]`, n >= 1.
          same: bool `[n]`, True for pairs of one family.

        References:
          Zadrozny and Elkan 2002, "Transforming Classifier Scores into Accurate Multiclass Probability Estimates".
        """
        from scipy.optimize import isotonic_regression  # slow to import, for who builds an index

        order = np.argsort(scores, kind="stable")
        groups = np.array_split(order, min(_KNOTS, len(order)))
        sizes = np.array([len(group) for group in groups])
        means = [np.array([values[group].mean() for group in groups]) for values in (scores, same.astype(float))]
        knots, first = np.unique(means[0], return_index=True)
        shares = isotonic_regression(means[1], weights=sizes).x
        # Groups of equal scores have the share of all of them.
        totals = np.add.reduceat(sizes, first)
        return cls(knots, np.add.reduceat(shares * sizes, first) / totals)


def calibrated(embeddings: np.ndarray, families: np.ndarray, surroundings: Surroundings) -> Calibration | None:
    """The calibration of an index on its own pairs, for an encoder that was made without the index.

    Every architecture asks for the 100 architectures of other structures with the most similar embeddings; of more than
    400 structures an evenly spread selection asks. Architectures without a family don't count.

    Args:
      embeddings: float32 `[N, D]` of length 1.
      families: strings `[N]`, empty where the family is not known.
      surroundings: surroundings of the N architectures.

    Returns:
      The calibration, or None if fewer than two structures have a family.
    """
    rows = _structures(families, surroundings)
    return _fitted([(embeddings, rows, rows)], families, surroundings) if len(rows) > 1 else None


def cross_calibrated(graphs: PackedGraphs, families: np.ndarray, fit: Fit) -> Calibration | None:
    """The calibration of an index whose encoder is computed from its own architectures.

    Among architectures that an encoder has seen, those of one family look more alike than a new architecture looks to
    them. Every fourth structure in turn asks the rest, with an encoder that is computed from the rest alone.

    Args:
      graphs: N graphs.
      families: strings `[N]`, empty where the family is not known.
      fit: function from graphs to a function that embeds graphs, float32 `[n, D]` of length 1.

    Returns:
      The calibration, or None if fewer than eight structures have a family.
    """
    surroundings = Surroundings(graphs)
    rows = _structures(families, surroundings)
    if len(rows) < 2 * _FOLDS:
        return None
    folds = np.random.default_rng(0).permutation(len(rows)) % _FOLDS
    trials = []
    for fold in range(_FOLDS):
        known = rows[folds != fold]
        embeddings = fit(graphs[known])(graphs)
        trials.append((embeddings, rows[folds == fold], known))
    return _fitted(trials, families, surroundings)


def _structures(families: np.ndarray, surroundings: Surroundings) -> np.ndarray:
    """Rows of one architecture of each structure, of those with families."""
    known = np.flatnonzero(families != "")
    _, first = np.unique(surroundings.structures[known], return_index=True)
    return known[np.sort(first)]


def _fitted(
    trials: Sequence[tuple[np.ndarray, np.ndarray, np.ndarray]], families: np.ndarray, surroundings: Surroundings
) -> Calibration:
    """The calibration on pairs of queries and databases.

    Args:
      trials: embeddings `[N, D]`, rows that ask, and rows of the database; no row finds itself.
      families: strings `[N]`.
      surroundings: surroundings of the N architectures.
    """
    scores, same = [], []
    for embeddings, asking, database in trials:
        most = _QUERIES // len(trials)
        for row in asking[np.unique(np.linspace(0, len(asking) - 1, most).round().astype(int))].tolist():
            compared = database[database != row]
            similarities = embeddings[compared] @ embeddings[row]
            best = np.argsort(-similarities, kind="stable")[:CANDIDATES]
            scores.append(score(similarities[best], surroundings.shared(row, compared[best])))
            same.append(families[compared[best]] == families[row])
    return Calibration.fit(np.concatenate(scores), np.concatenate(same))
