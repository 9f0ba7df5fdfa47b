"""Search by the expected gain of hypervolume, for two objectives."""

from collections.abc import Sequence

import numpy as np
import scipy.special

from tfnas.errors import ConfigurationError
from tfnas.predictors.kernel_mixture import normal_scores
from tfnas.search import pareto
from tfnas.search.candidates import CandidateSet
from tfnas.search.goal_strategies import GoalSurrogateSearch
from tfnas.search.objectives import Goals

_ROOT_TWO_PI = (2 * np.pi) ** 0.5
_MARGIN = 0.1  # of the range of an objective, between its worst value and the reference


def expected_excess(mean: np.ndarray, stddev: np.ndarray, threshold: float) -> np.ndarray:
    """Expected excess of Gaussians over a threshold, `[n]`; a deviation of 0 is that of a number that is known.

    References:
      Jones et al. 1998, "Efficient Global Optimization of Expensive Black-Box Functions", equation 15.
    """
    excess = mean - threshold
    ratio = np.divide(excess, stddev, out=np.zeros_like(excess), where=stddev > 0)
    density = np.exp(-0.5 * ratio**2) / _ROOT_TWO_PI
    return np.where(stddev > 0, excess * scipy.special.ndtr(ratio) + stddev * density, np.maximum(excess, 0.0))


def expected_hypervolume_improvement(
    mean: np.ndarray, stddev: np.ndarray, front: np.ndarray, reference: np.ndarray
) -> np.ndarray:
    """Expected gain of hypervolume by a point whose two objectives are independent Gaussians, in closed form.

    Between two neighbouring points of the front, a new point adds a rectangle. Its width is the excess over the left
    bound less the excess over the right bound; its height is the excess over the right point of the two.

    Args:
      mean: float `[n, 2]`, more is better.
      stddev: float `[n, 2]`; 0 for an objective that is known.
      front: float `[k, 2]`; points that are dominated or not above the reference are left out.
      reference: float `[2]`.

    Returns:
      float64 `[n]`.

    References:
      Emmerich et al. 2011, "Hypervolume-based Expected Improvement: Monotonicity Properties and Exact Computation".

    Example:
      >>> front, known = np.array([[1.0, 3.0], [2.0, 1.0]]), np.zeros((1, 2))
      >>> expected_hypervolume_improvement(np.array([[3.0, 2.0]]), known, front, np.zeros(2)).tolist()
      [3.0]
    """
    front = front[(front > reference).all(axis=1)]
    front = front[pareto.non_dominated(front)]
    front = front[np.argsort(front[:, 0])]
    bounds, heights = np.append(reference[0], front[:, 0]), np.append(front[:, 1], reference[1])
    excesses = [expected_excess(mean[:, 0], stddev[:, 0], bound) for bound in bounds.tolist()]
    excesses.append(np.zeros(len(mean)))
    return sum(
        (excesses[strip] - excesses[strip + 1]) * expected_excess(mean[:, 1], stddev[:, 1], height)
        for strip, height in enumerate(heights.tolist())
    )


class HypervolumeSearch(GoalSurrogateSearch):
    """Two objectives: candidates with the largest expected gain of hypervolume come next.

    An additive Gaussian process predicts every objective that is not known before a query, in normal scores of the
    run's queries; a known objective enters as it is. Every suggestion that waits for its score takes its predicted
    point into the front before the next is chosen. The reference point is the limit of an objective, or else the worst
    query of the run, for a known objective the worst of the judged candidates and queries; without a limit a tenth of
    the range worse, so that a candidate that is worst in one objective can be worth a query.

    Args:
      candidates: architectures that the limits allow.
      seeds: seeds of the R runs.
      goals: two objectives and limits.
      initial: number of random candidates before the first prediction.
      batch: number of suggestions per fit; by default a twentieth of the scores so far, and at least one.
      blocks: names of `additive_process.BLOCKS`; by default all that the candidates have.

    Raises:
      ConfigurationError: another number of objectives than two.

    References:
      Emmerich et al. 2011, "Hypervolume-based Expected Improvement: Monotonicity Properties and Exact Computation".
    """

    name = "ehvi"

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
        if len(goals.objectives) != 2:
            raise ConfigurationError(f"strategy {self.name!r} takes two objectives, not {', '.join(goals.names)}")
        unknown = [number for number, objective in enumerate(goals.objectives) if not objective.known]
        super().__init__(candidates, seeds, goals, initial=initial, batch=batch, blocks=blocks, learned=unknown)

    def _new_targets(self) -> dict[int, np.ndarray]:
        return {number: _without_gaps(self.gains[..., number]) for number in self._processes}

    def _prepare(self, rows: np.ndarray) -> None:
        super()._prepare(rows)
        self._prepared, self._known = rows, self.goals.known_gains(self.candidates.cells[rows])

    def _best(self, run: int, waiting: np.ndarray, rows: np.ndarray, size: int) -> list[int]:
        every = np.concatenate([waiting, rows])
        known = self._known[np.searchsorted(self._prepared, every)]
        posteriors = {number: process.posterior(every, run) for number, process in self._processes.items()}
        mean, points, reference = known.copy(), self.gains[run, : self.fitted].copy(), np.zeros(2)
        for number, objective in enumerate(self.goals.objectives):
            if number not in posteriors:
                reference[number] = _beyond(np.append(points[:, number], known[:, number]))
                continue
            mean[:, number] = posteriors[number].mean
            targets = self._targets[number][run]
            points[:, number] = normal_scores(targets[None])[0]
            bounds = [objective.gains(limit.bound) for limit in self.goals.limits if limit.objective is objective]
            order = np.argsort(targets)
            levels = np.interp(bounds, targets[order], points[order, number]).tolist()
            reference[number] = max(levels, default=_beyond(points[:, number]))
        front = np.concatenate([points[self.feasible[run, : self.fitted]], mean[: len(waiting)]])
        taken = list(range(len(waiting)))
        for number in taken:
            for posterior in posteriors.values():
                posterior.believe(number)
        while len(taken) < len(waiting) + size:
            deviations = [posteriors[n].stddev if n in posteriors else np.zeros(len(every)) for n in range(2)]
            merit = expected_hypervolume_improvement(mean, np.stack(deviations, axis=1), front, reference)
            merit[taken] = -1.0
            taken.append(int(merit.argmax()))
            front = np.concatenate([front, mean[taken[-1:]]])
            for posterior in posteriors.values():
                posterior.believe(taken[-1])
        return every[taken[len(waiting) :]].tolist()


def _without_gaps(gains: np.ndarray) -> np.ndarray:
    """Gains `[R, n]` with the worst of the run in the stead of NaN; 0 in runs that have nothing else."""
    worst = np.where(np.isnan(gains), np.inf, gains).min(axis=1, keepdims=True)
    return np.where(np.isnan(gains), np.where(np.isfinite(worst), worst, 0.0), gains)


def _beyond(gains: np.ndarray) -> float:
    """A value that is worse than all gains `[n]` by a tenth of their range."""
    return float(gains.min() - _MARGIN * np.ptp(gains))
