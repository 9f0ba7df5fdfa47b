"""Labels on a scale on which their distribution is near a normal one, which regressions learn.

References:
  Yeo and Johnson 2000, "A new family of power transformations to improve normality or symmetry".
"""

import numpy as np
import scipy.optimize

_MOST = 2.5  # a score further from the mean is cut off
_FLOAT = np.finfo(np.float64)
_RANGE = ((_FLOAT.tiny, -1), (_FLOAT.max, 1))


def power_scores(labels: np.ndarray) -> np.ndarray:
    """Labels after the power transformation of Yeo and Johnson, with mean 0 and deviation 1.

    A few failed trainings, whose labels lie far below all others, have scores of at least -2.5. Distances between other
    labels stay, which ranks forget.

    Args:
      labels: float `[..., n]`; every set of n labels has a transformation of its own.

    Returns:
      float64 `[..., n]` between -2.5 and 2.5; zeros for equal labels.

    Example:
      >>> power_scores(np.array([0.1, 0.9, 0.91, 0.93, 0.94])).round(1).tolist()
      [-1.9, 0.1, 0.3, 0.7, 0.8]
    """
    labels = np.asarray(labels, np.float64)
    if labels.ndim > 1:
        return np.stack([power_scores(row) for row in labels])
    spread = labels.std()
    if spread <= 1e-12 * max(1.0, np.abs(labels).max()):
        return np.zeros(len(labels))
    standardised = (labels - labels.mean()) / spread
    transformed = _transformed(standardised, _likeliest_power(standardised))
    return np.clip((transformed - transformed.mean()) / transformed.std(), -_MOST, _MOST)


def _likeliest_power(values: np.ndarray) -> float:
    """The power after which values of mean 0 are most likely to be normal, of those that keep their variance finite."""
    slope = float((np.sign(values) * np.log1p(np.abs(values))).sum())

    def surprise(power: float) -> float:
        variance = float(_transformed(values, power).var())
        if not _FLOAT.smallest_normal <= variance < np.inf:
            return np.inf
        return 0.5 * len(values) * np.log(variance) - (power - 1) * slope

    # Values 20 times as large as the largest stay in half of the range of exponents, on both sides of 0.
    reach = np.log1p(20 * np.abs(values).max())
    least, most = ((np.log(limit) + sign * np.log(_FLOAT.eps)) / 2 / reach for limit, sign in _RANGE)
    return float(scipy.optimize.fminbound(surprise, max(2 - most, least), min(2 - least, most), xtol=1e-8))


def _transformed(values: np.ndarray, power: float) -> np.ndarray:
    """Equation 2.1 of Yeo and Johnson; negative values have the power 2 - `power`."""
    powers = np.where(values < 0, 2 - power, power)
    logarithms = np.log1p(np.abs(values))
    powers = np.where(np.abs(powers) < _FLOAT.eps, _FLOAT.eps, powers)  # the limit is the logarithm
    return np.sign(values) * np.expm1(powers * logarithms) / powers


def to_labels(scores: np.ndarray, known: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Scores in the units of the labels, interpolated between labels and constant beyond them.

    Args:
      scores: float `[m]`.
      known: scores of n labels, which grow with the labels, float `[n]`.
      labels: float `[n]`.
    """
    return np.interp(scores, np.sort(known), np.sort(labels))
