"""Labels on a scale on which their distribution is near a normal one, which regressions learn.

References:
  Yeo and Johnson 2000, "A new family of power transformations to improve normality or symmetry".
"""

import numpy as np
import scipy.stats

_MOST = 2.5  # a score further from the mean is cut off


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
    return np.clip(scipy.stats.zscore(scipy.stats.yeojohnson(standardised)[0]), -_MOST, _MOST)


def to_labels(scores: np.ndarray, known: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Scores in the units of the labels, interpolated between labels and constant beyond them.

    Args:
      scores: float `[m]`.
      known: scores of n labels, which grow with the labels, float `[n]`.
      labels: float `[n]`.
    """
    return np.interp(scores, np.sort(known), np.sort(labels))
