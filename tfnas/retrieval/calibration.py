"""From scores to shares: of all pairs of the index with a score, how many are of one family."""

import dataclasses

import numpy as np
from scipy.optimize import isotonic_regression

from tfnas.retrieval.evidence import Surroundings, score

CANDIDATES = 100
"""Architectures that are compared in full, those with the most similar embeddings."""
_QUERIES = 400
_KNOTS = 100


@dataclasses.dataclass(frozen=True, eq=False)
class Calibration:
    """A function from scores to shares of pairs of one family.

    Attributes:
      scores: float64 `[K]`, in ascending order.
      shares: float64 `[K]`, not descending, 0 to 1; between two scores the share is interpolated.

    Example:
      >>> calibration = Calibration.fit(np.array([0.1, 0.2, 0.8, 0.9]), np.array([False, False, True, True]))
      >>> calibration(np.array([0.0, 0.5, 1.0])).tolist()
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
    """The calibration of an index on its own pairs.

    Every architecture, of more than 400 structures an evenly spread selection, asks for the 100 architectures of
    other structures with the most similar embeddings. Architectures without a family don't count.

    Args:
      embeddings: float32 `[N, D]` of length 1.
      families: strings `[N]`, empty where the family is not known.
      surroundings: surroundings of the N architectures.

    Returns:
      The calibration, or None if no two architectures of different structure have a family.
    """
    _, first = np.unique(surroundings.structures, return_index=True)
    rows = np.sort(first)[families[np.sort(first)] != ""]
    if len(rows) < 2:
        return None
    scores, same = [], []
    for position in np.unique(np.linspace(0, len(rows) - 1, _QUERIES).round().astype(int)).tolist():
        neighbours = np.delete(rows, position)
        similarities = embeddings[neighbours] @ embeddings[rows[position]]
        best = np.argsort(-similarities, kind="stable")[:CANDIDATES]
        scores.append(score(similarities[best], surroundings.shared(int(rows[position]), neighbours[best])))
        same.append(families[neighbours[best]] == families[rows[position]])
    return Calibration.fit(np.concatenate(scores), np.concatenate(same))
