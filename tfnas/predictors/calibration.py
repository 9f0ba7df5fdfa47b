"""From scores to intervals in accuracy, and from distances to the threshold beyond which there is no prediction.

References:
  Lei and Wasserman 2014, "Distribution-free Prediction Bands for Non-parametric Regression", for quantiles of labels
  among neighbours.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import scipy.optimize

LEVELS = (0.1, 0.5, 0.9)
"""Quantiles of the accuracy: the ends of an interval of 80 %, and the median between them."""

_KNOTS = 33
_LEAST = 16  # neighbours whose labels give the quantiles
_SHARE = 20  # or a 20th of all


def curves(scores: np.ndarray, labels: np.ndarray) -> dict[str, list[float]]:
    """Quantiles of labels as functions of the score that never fall.

    Args:
      scores: scores `[n]` of networks by models that have not seen these networks.
      labels: accuracies of the networks, `[n]`.

    Returns:
      Ascending scores `score`, and the quantiles `low`, `median` and `high` of the labels there.

    Example:
      >>> scores = np.arange(100.0)
      >>> np.round(quantiles(curves(scores, scores), 50.0)).tolist()
      [43.0, 50.0, 57.0]
    """
    order = np.argsort(scores, kind="stable")
    scores, labels = np.asarray(scores, np.float64)[order], np.asarray(labels, np.float64)[order]
    count = len(scores)
    window = min(count, max(_LEAST, count // _SHARE))
    starts = np.unique(np.linspace(0, count - window, _KNOTS).astype(int))
    knots = np.array([scores[start : start + window].mean() for start in starts])
    levels = np.array([np.quantile(labels[start : start + window], LEVELS, method="weibull") for start in starts])
    names = ("low", "median", "high")
    rising = {name: scipy.optimize.isotonic_regression(column).x for name, column in zip(names, levels.T, strict=True)}
    return {"score": knots.tolist(), **{name: column.tolist() for name, column in rising.items()}}


def quantiles(curve: Mapping[str, Sequence[float]], scores: np.ndarray | float) -> np.ndarray:
    """The quantiles `LEVELS` of the accuracy at N scores, float64 `[N, 3]` (`[3]` for one score)."""
    columns = [np.interp(scores, curve["score"], curve[name]) for name in ("low", "median", "high")]
    return np.stack(columns, axis=-1)


def coverage(scores: np.ndarray, labels: np.ndarray, seed: int) -> float:
    """The share of networks whose label lies in the interval that the other half of the networks gives."""
    half = np.random.default_rng([seed, 6]).permutation(len(scores)) % 2
    covered = np.zeros(len(scores), bool)
    for side in (0, 1):
        low, _, high = quantiles(curves(scores[half != side], labels[half != side]), scores[half == side]).T
        accuracies = labels[half == side]
        covered[half == side] = (low <= accuracies) & (accuracies <= high)
    return float(covered.mean())


def threshold(known: np.ndarray, strangers: np.ndarray) -> float:
    """The distance that tells networks of known families from those of a left-out family with fewest mistakes.

    Mistakes on either side count as shares of that side. Without strangers, 99 % of the known networks are nearer.

    Args:
      known: distances of known networks from the rest of their family, `[n]`.
      strangers: distances of networks from the nearest family other than their own, `[m]`.

    Example:
      >>> threshold(np.array([0.9, 1.0, 1.1]), np.array([2.1, 3.0]))
      1.6
    """
    if not len(strangers):
        return float(np.quantile(known, 0.99))
    values = np.unique(np.concatenate([known, strangers]))
    middles = np.append((values[1:] + values[:-1]) / 2, values[-1])
    refused = 1 - np.searchsorted(np.sort(known), middles, side="right") / len(known)
    accepted = np.searchsorted(np.sort(strangers), middles, side="right") / len(strangers)
    return float(middles[np.argmin(refused + accepted)])
