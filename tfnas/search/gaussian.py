"""Gaussian-process search over a table of embeddings: exact, for hundreds of runs at once.

Every run keeps L⁻¹ K, where K are the covariances between what it has scored and all candidates and L is the Cholesky
factor of its own covariance. A new score adds a row; means and variances of all candidates follow from sums.

References:
  Rasmussen and Williams 2006, "Gaussian Processes for Machine Learning", algorithm 2.1; Hesslow and Poli 2021.
"""

import dataclasses
from collections.abc import Sequence

import numpy as np
import scipy.linalg

from tfnas.errors import ConfigurationError
from tfnas.search.base import Candidates, Strategy
from tfnas.search.bayesian import log_expected_improvement

_LENGTHS = (0.3, 0.6, 1.0, 1.7, 3.0, 5.0)  # in units of the median distance between candidates
_NOISES = (0.01, 0.05, 0.2)
_REFITS = (10, 20, 40, 80, 160, 320)  # scores after which length scale and noise are fitted again
_SMALLEST = 1e-6
_BLOCK = 64  # rows that are allocated at a time


@dataclasses.dataclass(frozen=True)
class GaussianSettings:
    """The process and the choice of the next candidate.

    Attributes:
      fitted: length scale and noise maximise the marginal likelihood of a run's scores, which are standardised; else
        the process has mean 0, length scale and variance 1, and scores are percentages.
      noise: variance of the noise, if not fitted.
      initial: random candidates before the first prediction.
      pool: so many random candidates are judged in each step; 0 for all.
      offset: the score to improve on lies so far above the best one, in percent.
    """

    fitted: bool = True
    noise: float = 0.1
    initial: int = 10
    pool: int = 0
    offset: float = 0.0

    def __post_init__(self) -> None:
        if self.initial < 1 or self.pool < 0 or self.noise <= 0:
            raise ConfigurationError(
                f"initial={self.initial}, pool={self.pool}, noise={self.noise}, expected at least 1, 0 and above 0"
            )


PUBLISHED = GaussianSettings(fitted=False, noise=0.1, initial=5, pool=20, offset=0.15)
"""As the published code, but that no candidate is paid for twice."""


class GaussianSearch(Strategy):
    """Expected improvement under a Gaussian process with Matérn's kernel (smoothness 5/2).

    Args:
      candidates: what can be suggested.
      seeds: one for each run.
      settings: the process and the choice.
      views: float32 `[N, A, D]`, several embeddings of every candidate, each of which is observed when the candidate
        is scored, and over which predictions are averaged; by default the candidates' standardised embeddings alone.

    Raises:
      ConfigurationError: views of another number of candidates, or NaN among them.
    """

    name = "gp"

    def __init__(
        self,
        candidates: Candidates,
        seeds: Sequence[int],
        settings: GaussianSettings = GaussianSettings(),
        views: np.ndarray | None = None,
    ):
        super().__init__(candidates, seeds)
        self.settings = settings
        points = candidates.standardised[:, None] if views is None else np.asarray(views, np.float32)
        if points.ndim != 3 or len(points) != len(candidates) or not np.isfinite(points).all():
            raise ConfigurationError(f"views {points.shape}, expected [{len(candidates)}, A, D] without NaN")
        self._views = points.shape[1]
        self._distances = _distances(points.reshape(-1, points.shape[2]))
        self._median = float(np.median(self._distances[:: self._views, :: self._views])) or 1.0
        self._processes: list[_Process | None] = [None] * self.runs

    def _suggest(self, count: int) -> np.ndarray:
        first = self._initial_rows(count, self.settings.initial)
        if first is not None:
            return first
        return np.array([[self._best(run)] for run in range(self.runs)])

    def _best(self, run: int) -> int:
        self._catch_up(run)
        judged = np.flatnonzero(~self._suggested[run])
        if 0 < self.settings.pool < len(judged):
            judged = self.rngs[run].choice(judged, self.settings.pool, replace=False)
        scores = 100 * self.scores[run]
        shift, scale = (scores.mean(), scores.std() or 1.0) if self.settings.fitted else (0.0, 1.0)
        points = (judged[:, None] * self._views + np.arange(self._views)).ravel()
        mean, variance = (
            part.reshape(-1, self._views).mean(axis=1) for part in self._processes[run].predict(points, shift, scale)
        )
        incumbent = (scores.max() + self.settings.offset - shift) / scale
        return int(judged[log_expected_improvement(mean, np.sqrt(variance), incumbent).argmax()])

    def _catch_up(self, run: int) -> None:
        """Brings a run's process to all of its scores; length scale and noise follow from the scores so far alone."""
        process, scored = self._processes[run], self.rows.shape[1]
        known = 0 if process is None else process.count // self._views
        if process is None or (self.settings.fitted and any(known < count <= scored for count in _REFITS)):
            length, noise = self._median, self.settings.noise
            if self.settings.fitted:
                used = max((count for count in _REFITS if count <= scored), default=min(scored, self.settings.initial))
                length, noise = self._likeliest(run, used)
            else:
                length = 1.0
            process, known = _Process(self._distances, length, noise), 0
            self._processes[run] = process
        for place in range(known, scored):
            for view in range(self._views):
                process.observe(self.rows[run, place] * self._views + view, 100 * self.scores[run, place])

    def _likeliest(self, run: int, count: int) -> tuple[float, float]:
        """Length scale and noise with the greatest marginal likelihood of a run's first scores."""
        observed = (self.rows[run, :count, None] * self._views + np.arange(self._views)).ravel()
        distances = self._distances[np.ix_(observed, observed)].astype(np.float64)
        scores = self.scores[run, :count]
        targets = np.repeat((scores - scores.mean()) / (scores.std() or 1.0), self._views)
        found = []
        for length in _LENGTHS:
            kernel = _matern(distances / (length * self._median))
            for noise in _NOISES:
                root = scipy.linalg.cholesky(kernel + noise * np.eye(len(kernel)), lower=True, check_finite=False)
                fit = scipy.linalg.solve_triangular(root, targets, lower=True, check_finite=False)
                found.append((-0.5 * fit @ fit - np.log(np.diag(root)).sum(), length * self._median, noise))
        return max(found)[1:]


class _Process:
    """The rows of L⁻¹ K of one run, and what they make of its scores.

    Args:
      distances: float32 `[P, P]` between all points.
      length: scale of the kernel, whose variance is 1.
      noise: variance of the noise.
    """

    def __init__(self, distances: np.ndarray, length: float, noise: float):
        self._distances, self._length, self._noise = distances, length, noise
        self.count = 0
        self._rows = np.zeros((_BLOCK, len(distances)), np.float32)
        self._explained = np.zeros(len(distances), np.float32)
        self._scores, self._ones = np.zeros(_BLOCK), np.zeros(_BLOCK)  # L⁻¹ times the scores, and times ones

    def observe(self, point: int, score: float) -> None:
        """Adds a score of a point."""
        if self.count == len(self._rows):
            self._rows = np.concatenate([self._rows, np.zeros((_BLOCK, self._rows.shape[1]), np.float32)])
            self._scores, self._ones = (np.append(part, np.zeros(_BLOCK)) for part in (self._scores, self._ones))
        rows = self._rows[: self.count]
        column = rows[:, point]
        root = np.sqrt(max(1.0 + self._noise - float(column @ column), self._noise))
        new = (_matern(self._distances[point] / self._length) - column @ rows) / root
        for solved, value in ((self._scores, score), (self._ones, 1.0)):
            solved[self.count] = (value - column @ solved[: self.count]) / root
        self._rows[self.count] = new
        self._explained += new**2
        self.count += 1

    def predict(self, points: np.ndarray, shift: float, scale: float) -> tuple[np.ndarray, np.ndarray]:
        """Mean and variance `[p]` at points, of scores that are shifted by `-shift` and divided by `scale`."""
        solved = (self._scores[: self.count] - shift * self._ones[: self.count]) / scale
        mean = (solved.astype(np.float32) @ self._rows[: self.count])[points]
        return mean.astype(np.float64), np.maximum(1.0 - self._explained[points], _SMALLEST).astype(np.float64)


def _distances(points: np.ndarray) -> np.ndarray:
    """float32 `[P, P]` between the rows of `[P, D]`."""
    points = points - points.mean(axis=0)
    squares = (points**2).sum(axis=1)
    return np.sqrt(np.maximum(squares[:, None] + squares[None] - 2 * points @ points.T, 0))


def _matern(distances: np.ndarray) -> np.ndarray:
    scaled = 5.0**0.5 * distances
    return (1 + scaled + scaled**2 / 3) * np.exp(-scaled)
