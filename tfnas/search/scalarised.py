"""Search by random scalarisations, for any number of objectives.

References:
  Knowles 2006, "ParEGO: A Hybrid Algorithm with On-Line Landscape Approximation for Expensive Multiobjective
  Optimization Problems".
"""

from collections.abc import Sequence

import numpy as np

from tfnas.predictors.additive_gp import normal_scores
from tfnas.search.acquisition import log_expected_improvement
from tfnas.search.candidates import CandidateSet
from tfnas.search.goal_strategies import GoalSurrogateSearch, MakeSurrogate
from tfnas.search.goal_surrogates import additive_process
from tfnas.search.objectives import Goals

_AUGMENTATION = 0.05  # weight of the sum beside the maximum


def chebyshev(gains: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Augmented Chebyshev scalarisation, more is better.

    Args:
      gains: float `[n, m]`, more is better; the range of every objective counts as 1. A row of NaN gets NaN.
      weights: float `[m]`, not negative.

    Returns:
      float64 `[n]`: minus the largest weighted distance from the best of every objective, and 0.05 of their sum.

    References:
      Knowles 2006, equation 2.

    Example:
      >>> chebyshev(np.array([[1.0, 0.0], [0.0, 4.0], [1.0, 3.0]]), np.array([0.5, 0.5])).round(4).tolist()
      [-0.525, -0.525, -0.1313]
    """
    best, worst = np.nanmax(gains, axis=0), np.nanmin(gains, axis=0)
    distances = weights * (best - gains) / np.where(best > worst, best - worst, 1.0)
    return -(distances.max(axis=1) + _AUGMENTATION * distances.sum(axis=1))


class ScalarisedSearch(GoalSurrogateSearch):
    """Before every prediction each run draws weights; the surrogate learns the weighted distance from the best.

    Candidates with the largest expected improvement of the weighted distance come next.

    Args:
      candidates: architectures that the limits allow.
      seeds: seeds of the R runs.
      goals: m objectives and limits.
      surrogate: function that makes a surrogate, which predicts normal scores.
      initial: number of random candidates before the first prediction.
      batch: number of suggestions per prediction.

    References:
      Knowles 2006 (ParEGO), sections II and III.
    """

    name = "parego"

    def __init__(
        self,
        candidates: CandidateSet,
        seeds: Sequence[int],
        goals: Goals,
        *,
        surrogate: MakeSurrogate = additive_process,
        initial: int = 10,
        batch: int = 1,
    ):
        super().__init__(candidates, seeds, goals, initial=initial, batch=batch)
        self._surrogate = surrogate(candidates, len(seeds))

    def _fit(self, judged: list[np.ndarray]) -> None:
        targets = np.zeros(self.scores.shape)
        for run, gains in enumerate(self.feasible_gains):
            weights = self.rngs[run].dirichlet(np.ones(gains.shape[1]))
            if self.feasible[run].any():
                targets[run] = chebyshev(gains, weights)
                targets[run][~self.feasible[run]] = targets[run][self.feasible[run]].min()
        self._targets = normal_scores(targets)
        self._surrogate.fit(self.rows, self._targets)

    def _best(self, run: int, rows: np.ndarray, size: int) -> list[int]:
        mean, stddev = self._surrogate.predict(rows, run)
        merit = log_expected_improvement(mean, stddev, self._targets[run].max())
        return rows[np.argsort(-merit, kind="stable")[:size]].tolist()
