"""Acquisition functions: how much a query of a candidate promises, given what a surrogate predicts of it."""

import dataclasses
from typing import Protocol

import numpy as np
import scipy.special

_LOG_ROOT_TWO_PI = 0.5 * np.log(2 * np.pi)


class Acquisition(Protocol):
    """The larger, the sooner a candidate is queried."""

    def __call__(self, mean: np.ndarray, stddev: np.ndarray, scores: np.ndarray) -> np.ndarray:
        """Merit `[m]` of candidates.

        Args:
          mean: predicted scores `[m]`.
          stddev: standard deviations of the predictions, `[m]`.
          scores: the run's scores so far, `[n]`.
        """


@dataclasses.dataclass(frozen=True)
class ExpectedImprovement:
    """Logarithm of the expected excess over an incumbent.

    Attributes:
      incumbent: score to improve on; None for the best score of the run.

    References:
      Jones et al. 1998, "Efficient Global Optimization of Expensive Black-Box Functions", equation 15.
    """

    incumbent: float | None = None

    def __call__(self, mean: np.ndarray, stddev: np.ndarray, scores: np.ndarray) -> np.ndarray:
        return log_expected_improvement(mean, stddev, scores.max() if self.incumbent is None else self.incumbent)


@dataclasses.dataclass(frozen=True)
class UpperConfidenceBound:
    """Mean plus some standard deviations.

    Attributes:
      optimism: number of standard deviations.

    References:
      Srinivas et al. 2010, "Gaussian Process Optimization in the Bandit Setting".
    """

    optimism: float

    def __call__(self, mean: np.ndarray, stddev: np.ndarray, scores: np.ndarray) -> np.ndarray:
        return mean + self.optimism * stddev


def predicted_mean(mean: np.ndarray, stddev: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """The mean itself; exploration is left to the pool."""
    return mean


def log_expected_improvement(mean: np.ndarray, stddev: np.ndarray, incumbent: float) -> np.ndarray:
    """Logarithm of the expected excess over `incumbent` of a Gaussian, finite where the excess itself underflows to 0.

    Below an excess of -6 standard deviations the tail expansion `phi(u) / u^2` stands in for the difference of two
    nearly equal numbers.

    References:
      Ament et al. 2023, "Unexpected Improvements to Expected Improvement for Bayesian Optimization", section 4.1.
    """
    excess = (np.asarray(mean, np.float64) - incumbent) / stddev
    near = np.maximum(excess, -6.0)
    density = np.exp(-0.5 * near**2 - _LOG_ROOT_TWO_PI)
    direct = np.log(near * scipy.special.ndtr(near) + density)
    far = np.minimum(excess, -6.0)
    tail = -0.5 * far**2 - _LOG_ROOT_TWO_PI - 2 * np.log(-far) + np.log1p(-3 / far**2)
    return np.log(stddev) + np.where(excess > -6.0, direct, tail)
