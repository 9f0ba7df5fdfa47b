"""Exact Gaussian processes over a table of points, for hundreds of runs at once.

Every run stores L⁻¹ K, where K are the covariances between its observed points and all points of the table, and L is
the Cholesky factor of the covariance of its observed points. A new observation adds a row; means and variances of all
points follow from sums. Distances are computed a row at a time.

References:
  Rasmussen and Williams 2006, "Gaussian Processes for Machine Learning", algorithm 2.1.
"""

import numpy as np
import scipy.linalg
from scipy.spatial.distance import cdist, pdist

from tfnas.errors import ConfigurationError
from tfnas.runtime import in_threads

_LENGTHS = (0.3, 0.6, 1.0, 1.7, 3.0, 5.0)  # in units of the median distance between points
_NOISES = (0.01, 0.05, 0.2)
_REFITS = (10, 20, 40, 80, 160, 320)  # observations after which length scale and noise are fitted again
_SMALLEST = 1e-6  # predicted variance
_ROWS = 64  # rows that are allocated at a time
_SOME_POINTS = 2048  # evenly spaced points of a larger table, whose distances have its median


class MaternProcess:
    """R processes with Matérn's kernel (smoothness 5/2) on one table of points; inputs are row numbers of the table.

    Targets are standardised. Length scale and noise maximise the marginal likelihood; they are fitted again whenever
    the number of targets has doubled, to the targets so far.

    >>> points = np.linspace(0.0, 1.0, 20)[:, None]
    >>> process = MaternProcess(points, runs=1).fit(np.array([[0, 9, 19]]), np.array([[0.0, 1.0, 0.0]]))
    >>> mean, stddev = process.predict(np.array([9, 14]))
    >>> bool(mean[0] > mean[1]), bool(stddev[0] < stddev[1])
    (True, True)

    Args:
      points: float `[N, D]`.
      runs: R.

    Raises:
      ConfigurationError: the points are no matrix, or hold NaN or infinity.
    """

    def __init__(self, points: np.ndarray, runs: int):
        self._points = np.asarray(points, np.float64)
        if self._points.ndim != 2 or not np.isfinite(self._points).all():
            raise ConfigurationError(f"points {self._points.shape}, expected [N, D] without NaN or infinity")
        self._median = median_distance(self._points) or 1.0
        self._processes: list[GrowingProcess | None] = [None] * runs
        self._moments = [(0.0, 1.0)] * runs

    def fit(self, rows: np.ndarray, targets: np.ndarray) -> "MaternProcess":
        """Learns targets `[R, n]` of rows int `[R, n]`; those of earlier calls must come first, in the same order."""

        def fit(run: int) -> None:
            process, count = self._processes[run], len(targets[run])
            known = 0 if process is None else process.count
            if process is None or any(known < refit <= count for refit in _REFITS):
                used = max((refit for refit in _REFITS if refit <= count), default=count)
                process, known = self._likeliest(rows[run, :used], targets[run, :used]), 0
                self._processes[run] = process
            for row, target in zip(rows[run, known:].tolist(), targets[run, known:].tolist(), strict=True):
                process.observe(row, target)
            self._moments[run] = targets[run].mean(), targets[run].std() or 1.0

        in_threads(fit, range(len(self._processes)))
        return self

    def predict(self, rows: np.ndarray, run: int = 0) -> tuple[np.ndarray, np.ndarray]:
        """Predictive mean and standard deviation without noise of process `run`, float64 `[m]` each, for rows `[m]`."""
        shift, scale = self._moments[run]
        mean, variance = self._processes[run].predict(rows, shift, scale)
        return mean * scale + shift, np.sqrt(variance) * scale

    def _likeliest(self, rows: np.ndarray, targets: np.ndarray) -> "GrowingProcess":
        """A process without observations, whose length scale and noise have the greatest marginal likelihood."""
        distances = cdist(self._points[rows], self._points[rows])
        standardised = (targets - targets.mean()) / (targets.std() or 1.0)
        fits = []
        for length in _LENGTHS:
            kernel = matern(distances / (length * self._median))
            for noise in _NOISES:
                root = scipy.linalg.cholesky(kernel + noise * np.eye(len(kernel)), lower=True, check_finite=False)
                solved = scipy.linalg.solve_triangular(root, standardised, lower=True, check_finite=False)
                fits.append((-0.5 * solved @ solved - np.log(np.diag(root)).sum(), length * self._median, noise))
        return GrowingProcess(self._points, *max(fits)[1:])


class GrowingProcess:
    """One process with fixed length scale and noise, which takes one observation at a time.

    Args:
      points: float `[N, D]`.
      length: length scale of the kernel, whose variance is 1.
      noise: variance of the noise.

    Attributes:
      count: number of observations.
    """

    def __init__(self, points: np.ndarray, length: float, noise: float):
        self._points, self._length, self._noise = np.asarray(points, np.float64), length, noise
        self.count = 0
        self._rows = np.zeros((_ROWS, len(points)), np.float32)
        self._explained = np.zeros(len(points), np.float32)
        self._targets, self._ones = np.zeros(_ROWS), np.zeros(_ROWS)  # L⁻¹ times the targets, and times ones

    def observe(self, row: int, target: float) -> None:
        """Adds the target of a point."""
        if self.count == len(self._rows):
            self._rows = np.concatenate([self._rows, np.zeros((_ROWS, self._rows.shape[1]), np.float32)])
            self._targets, self._ones = (
                np.append(self._targets, np.zeros(_ROWS)),
                np.append(self._ones, np.zeros(_ROWS)),
            )
        rows = self._rows[: self.count]
        column = rows[:, row]
        root = np.sqrt(max(1.0 + self._noise - float(column @ column), self._noise))
        distances = cdist(self._points[[row]], self._points)[0].astype(np.float32)
        new = (matern(distances / self._length) - column @ rows) / root
        for solved, value in ((self._targets, target), (self._ones, 1.0)):
            solved[self.count] = (value - column @ solved[: self.count]) / root
        self._rows[self.count] = new
        self._explained += new**2
        self.count += 1

    def predict(self, rows: np.ndarray, shift: float, scale: float) -> tuple[np.ndarray, np.ndarray]:
        """Mean and variance `[m]` at rows `[m]`, of targets that are shifted by `-shift` and divided by `scale`."""
        solved = (self._targets[: self.count] - shift * self._ones[: self.count]) / scale
        mean = (solved.astype(np.float32) @ self._rows[: self.count])[rows]
        return mean.astype(np.float64), np.maximum(1.0 - self._explained[rows], _SMALLEST).astype(np.float64)


def median_distance(points: np.ndarray) -> float:
    """Median of the distances between points `[N, D]`; of more than 2,048 points some evenly spaced ones decide it."""
    points = points[:: max(1, -(-len(points) // _SOME_POINTS))]
    count, distances = len(points), pdist(points).astype(np.float32)
    # In the matrix of all distances, which none needs to hold, each pair stands twice beside a diagonal of zeros.
    middle = [rank - count for rank in ((count**2 - 1) // 2, count**2 // 2)]
    positions = [rank // 2 for rank in middle if rank >= 0]
    return float(np.partition(distances, positions)[positions].sum() / 2) if positions else 0.0


def matern(distances: np.ndarray) -> np.ndarray:
    """Matérn's kernel of smoothness 5/2 with length scale 1."""
    scaled = 5.0**0.5 * distances
    return (1 + scaled + scaled**2 / 3) * np.exp(-scaled)
