"""Search by the expected gain of hypervolume, for two objectives."""

from collections.abc import Sequence

import numpy as np
import scipy.special

from tfnas.errors import ConfigurationError
from tfnas.predictors.additive_gp import normal_scores
from tfnas.search import pareto
from tfnas.search.candidates import CandidateSet
from tfnas.search.goal_strategies import GoalSurrogateSearch, MakeSurrogate
from tfnas.search.goal_surrogates import additive_process
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

    A surrogate predicts every objective that is not known before a query, in normal scores of the run's queries; a
    known objective enters as it is. Of several suggestions per prediction, every suggestion takes its predicted point
    into the front before the next is chosen. The reference point is the limit of an objective, or else the worst query
    of the run, for a known objective the worst of the judged candidates and queries; in both cases a tenth of the range
    worse, so that a candidate that is worst in one objective can be worth a query.

    Args:
      candidates: architectures that the limits allow.
      seeds: seeds of the R runs.
      goals: two objectives and limits.
      surrogate: function that makes a surrogate, which predicts normal scores.
      initial: number of random candidates before the first prediction.
      batch: number of suggestions per prediction.

    Raises:
      ConfigurationError: another number of objectives than two.

    References:
      Emmerich et al. 2011, "Hypervolume-based Expected Improvement: Monotonicity Properties and Exact Computation".
      Ginsbourger et al. 2010, "Kriging is Well-Suited to Parallelize Optimization", for predictions in the front.
    """

    name = "ehvi"

    def __init__(
        self,
        candidates: CandidateSet,
        seeds: Sequence[int],
        goals: Goals,
        *,
        surrogate: MakeSurrogate = additive_process,
        initial: int = 10,
        batch: int = 5,
    ):
        if len(goals.objectives) != 2:
            raise ConfigurationError(f"strategy {self.name!r} takes two objectives, not {', '.join(goals.names)}")
        super().__init__(candidates, seeds, goals, initial=initial, batch=batch)
        self._surrogates = {
            number: surrogate(candidates, len(seeds))
            for number, objective in enumerate(goals.objectives)
            if not objective.known
        }

    def _fit(self, judged: list[np.ndarray]) -> None:
        self._known = [self.goals.known_gains(self.candidates.cells[rows]) for rows in judged]
        self._points, self._references = self.gains.copy(), np.zeros((self.runs, 2))
        for number, objective in enumerate(self.goals.objectives):
            gains = self.gains[..., number]
            if number not in self._surrogates:
                for run, known in enumerate(self._known):
                    self._references[run, number] = _beyond(np.append(gains[run], known[:, number]))
                continue
            gains = np.where(np.isnan(gains), np.nanmin(gains, axis=1, keepdims=True), gains)
            scores = self._points[..., number] = normal_scores(gains)
            self._surrogates[number].fit(self.rows, scores)
            bounds = [objective.gains(limit.bound) for limit in self.goals.limits if limit.objective is objective]
            for run in range(self.runs):
                order = np.argsort(gains[run])
                levels = np.interp(bounds, gains[run, order], scores[run, order])
                self._references[run, number] = max(levels, default=_beyond(scores[run]))

    def _best(self, run: int, rows: np.ndarray, size: int) -> list[int]:
        mean, stddev = self._known[run].copy(), np.zeros((len(rows), 2))
        for number, surrogate in self._surrogates.items():
            mean[:, number], stddev[:, number] = surrogate.predict(rows, run)
        front = self._points[run, self.feasible[run]]
        chosen: list[int] = []
        while len(chosen) < min(size, len(rows)):
            merit = expected_hypervolume_improvement(mean, stddev, front, self._references[run])
            merit[chosen] = -1.0
            chosen.append(int(merit.argmax()))
            front = np.concatenate([front, mean[chosen[-1:]]])
        return rows[chosen].tolist()


def _beyond(gains: np.ndarray) -> float:
    """A value that is worse than all gains `[n]` by a tenth of their range."""
    return float(gains.min() - _MARGIN * np.ptp(gains))
