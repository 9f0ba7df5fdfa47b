"""Search by random scalarisations, for any number of objectives.

References:
  Knowles 2006, "ParEGO: A Hybrid Algorithm with On-Line Landscape Approximation for Expensive Multiobjective
  Optimization Problems".
"""

from collections.abc import Sequence

import numpy as np

from tfnas.search.candidates import CandidateSet
from tfnas.search.goal_strategies import GoalSurrogateSearch
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
      [-0.525, -0.525, -0.1312]
    """
    best, worst = np.nanmax(gains, axis=0), np.nanmin(gains, axis=0)
    distances = weights * (best - gains) / np.where(best > worst, best - worst, 1.0)
    return -(distances.max(axis=1) + _AUGMENTATION * distances.sum(axis=1))


class ScalarisedSearch(GoalSurrogateSearch):
    """Before every fit each run draws weights; an additive Gaussian process learns the weighted distance from the best.

    Candidates with the largest expected improvement of the weighted distance come next.

    Args:
      candidates: architectures that the limits allow.
      seeds: seeds of the R runs.
      goals: m objectives and limits.
      initial: number of random candidates before the first prediction.
      batch: number of suggestions per fit; by default a twentieth of the scores so far, and at least one.
      blocks: names of `additive_process.BLOCKS`; by default all that the candidates have.

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
        initial: int = 10,
        batch: int | None = None,
        blocks: Sequence[str] | None = None,
    ):
        super().__init__(candidates, seeds, goals, initial=initial, batch=batch, blocks=blocks, learned=[0])

    def _new_targets(self) -> dict[int, np.ndarray]:
        targets = np.zeros(self.scores.shape)
        for run, gains in enumerate(self.feasible_gains):
            weights = self.rngs[run].dirichlet(np.ones(gains.shape[1]))
            if self.feasible[run].any():
                targets[run] = chebyshev(gains, weights)
                targets[run][~self.feasible[run]] = targets[run][self.feasible[run]].min()
        return {0: targets}

    def _best(self, run: int, waiting: np.ndarray, rows: np.ndarray, size: int) -> list[int]:
        process, judged = self._processes[0], np.concatenate([waiting, rows])
        incumbent = process.mean(self.rows[run], run).max()
        return judged[process.posterior(judged, run).improvements(len(waiting), incumbent, size)].tolist()
