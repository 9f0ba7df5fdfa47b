"""Several objectives at once: which points no other point dominates, and how much the points dominate together.

All functions take gains: objectives of which more is better, so that a cost enters with a minus sign. A point that
holds NaN is infeasible: it dominates nothing, and no front has it.
"""

import numpy as np


def non_dominated(gains: np.ndarray) -> np.ndarray:
    """Points that no other point dominates; the first of equal points stands for all of them.

    A point dominates another if it is at least as good in every objective and better in one.

    Args:
      gains: float `[n, m]`, m objectives of n points.

    Returns:
      bool `[n]`.

    Example:
      >>> non_dominated(np.array([[0.9, -3.0], [0.8, -1.0], [0.8, -2.0], [0.9, -3.0], [0.99, np.nan]])).tolist()
      [True, True, False, False, False]
    """
    feasible = np.flatnonzero(np.isfinite(gains).all(axis=1))
    unique, first = np.unique(gains[feasible], axis=0, return_index=True)
    front = np.zeros(len(gains), bool)
    remaining = np.arange(len(unique))[::-1]  # the largest first objective first, which dominates most
    while len(remaining):
        best, rest = remaining[0], remaining[1:]
        front[feasible[first[best]]] = True
        remaining = rest[(unique[rest] > unique[best]).any(axis=1)]
    return front


def hypervolume(gains: np.ndarray, reference: np.ndarray) -> float:
    """Volume of the region between a reference point and the points: all that a point dominates.

    The last objective is cut into slices between neighbouring values; in every slice the volume of the other objectives
    is that of the points above the slice.

    Args:
      gains: float `[n, m]`; points that are not better than the reference in every objective add nothing.
      reference: float `[m]`.

    References:
      While et al. 2006, "A Faster Algorithm for Calculating Hypervolume", section III (slicing objectives).

    Example:
      >>> hypervolume(np.array([[2.0, 1.0], [1.0, 3.0]]), np.zeros(2))
      4.0
    """
    above = gains[(gains > reference).all(axis=1)] - reference
    if not len(above):
        return 0.0
    return _volume(above[non_dominated(above)])


def _volume(points: np.ndarray) -> float:
    """Volume between the origin and positive points `[n, m]`."""
    if points.shape[1] == 1:
        return float(points.max())
    points = points[np.argsort(-points[:, -1], kind="stable")]
    heights = points[:, -1] - np.append(points[1:, -1], 0.0)
    if points.shape[1] == 2:
        return float(np.maximum.accumulate(points[:, 0]) @ heights)
    return float(sum(height * _volume(points[: n + 1, :-1]) for n, height in enumerate(heights.tolist()) if height > 0))


def hypervolume_curve(gains: np.ndarray, reference: np.ndarray) -> np.ndarray:
    """Hypervolume after each of n points, float64 `[n]`.

    Args:
      gains: float `[n, m]`, points in their order.
      reference: float `[m]`.

    Example:
      >>> hypervolume_curve(np.array([[1.0, 3.0], [1.0, 2.0], [2.0, 1.0]]), np.zeros(2)).tolist()
      [3.0, 3.0, 4.0]
    """
    curve = np.zeros(len(gains))
    front = gains[:0]
    for number, point in enumerate(gains):
        curve[number] = curve[number - 1] if number else 0.0
        if (point > reference).all() and not (front >= point).all(axis=1).any():
            front = np.concatenate([front[~(front <= point).all(axis=1)], point[None]])
            curve[number] = hypervolume(front, reference)
    return curve


def ranks(gains: np.ndarray) -> np.ndarray:
    """int64 `[n]`: 0 for the front, 1 for the front without the points of rank 0, and so on; NaN and equals come last.

    Args:
      gains: float `[n, m]`.

    References:
      Deb et al. 2002 (NSGA-II), section III-A.
    """
    result = np.full(len(gains), len(gains), np.int64)
    remaining = np.arange(len(gains))
    for rank in range(len(gains)):
        front = non_dominated(gains[remaining])
        if not front.any():
            break
        result[remaining[front]] = rank
        remaining = remaining[~front]
    return result
