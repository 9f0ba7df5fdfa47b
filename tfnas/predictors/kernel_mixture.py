"""Gaussian processes whose covariance is a weighted sum of given kernels; the likelihood decides the weights.

References:
  Duvenaud et al. 2011, "Additive Gaussian Processes".
  Rasmussen and Williams 2006, "Gaussian Processes for Machine Learning", equations 2.25, 2.26, 2.30, 5.9 and 5.12.
"""

import dataclasses

import numpy as np
import scipy.linalg
import scipy.optimize
import scipy.stats

JITTER = 1e-4
"""Least variance of the noise."""
START = (0.5, 0.3)
"""Weights of kernels and variance of the noise that the search for a maximum starts from."""
BOUNDS = (-9.0, 5.0)
"""Bounds of the logarithms of weights and noise."""


@dataclasses.dataclass(frozen=True)
class Prior:
    """A normal distribution of the logarithms of weights and noise.

    Attributes:
      strength: half the inverse variance of a logarithm.
      weight: median weight of a kernel.
      noise: median variance of the noise.
    """

    strength: float = 0.02
    weight: float = 1.0
    noise: float = 1.0

    def centres(self, kernels: int) -> np.ndarray:
        """float64 `[kernels + 1]`, means of the logarithms of the weights and of the noise."""
        return np.log(np.append(np.full(kernels, self.weight), self.noise))


BROAD = Prior()
"""Logarithms have a deviation of 5."""
FEW_LABELS = Prior(strength=0.1, weight=0.14, noise=0.37)
"""Logarithms have a deviation of 2.2, for processes with many kernels and few labels."""


@dataclasses.dataclass(frozen=True)
class KernelMixture:
    """A process that has learned n targets.

    Attributes:
      weights: float64 `[K]`, weights of the kernels.
      noise: variance of the noise.
      root: float64 `[n, n]`, lower Cholesky factor of the covariance of the targets.
      solution: float64 `[n]`, inverse covariance times targets.
    """

    weights: np.ndarray
    noise: float
    root: np.ndarray
    solution: np.ndarray

    @classmethod
    def fit(
        cls,
        grams: np.ndarray,
        targets: np.ndarray,
        start: "KernelMixture | None" = None,
        iterations: int = 60,
        prior: Prior = BROAD,
    ) -> "KernelMixture":
        """The process whose weights and noise maximise the marginal likelihood times a prior.

        Args:
          grams: float64 `[K, n, n]`, kernels between the examples.
          targets: float64 `[n]`, with mean 0 and deviation 1.
          start: a process whose weights and noise the search for the maximum starts from; by default 0.5 and 0.3.
          iterations: largest number of iterations of L-BFGS.
          prior: prior of weights and noise.
        """
        flat = grams.reshape(len(grams), -1)
        known = np.append(np.full(len(grams), START[0]), START[1])
        if start is not None:
            known = np.append(start.weights, start.noise)
        solution = scipy.optimize.minimize(
            _loss,
            np.clip(np.log(known), *BOUNDS),
            args=(flat, targets, prior),
            jac=True,
            method="L-BFGS-B",
            bounds=[BOUNDS] * len(known),
            options={"maxiter": iterations},
        )
        weights, noise = np.exp(solution.x[:-1]), float(np.exp(solution.x[-1])) + JITTER
        return cls.of(grams, targets, weights, noise)

    @classmethod
    def of(cls, grams: np.ndarray, targets: np.ndarray, weights: np.ndarray, noise: float) -> "KernelMixture":
        """The process of given weights and noise; see `fit`."""
        covariance = np.tensordot(weights, grams, 1)
        covariance.flat[:: len(targets) + 1] += noise
        root = scipy.linalg.cholesky(covariance, lower=True, check_finite=False)
        return cls(weights, noise, root, scipy.linalg.cho_solve((root, True), targets, check_finite=False))

    def explained(self, cross: np.ndarray) -> np.ndarray:
        """float64 `[n, m]`: the inverse root times covariances `[n, m]` of examples and points.

        The product of two columns is what the targets explain of the covariance of two points.
        """
        return scipy.linalg.solve_triangular(self.root, cross, lower=True, check_finite=False)

    def left_out(self, targets: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """What the process says of every example when it has the other targets alone; weights and noise stay.

        Args:
          targets: float64 `[n]`, the targets that the process has learned.

        Returns:
          Means and variances, noise included, float64 `[n]` each.

        References:
          Rasmussen and Williams 2006, equation 5.12.
        """
        inverse = scipy.linalg.cho_solve((self.root, True), np.eye(len(targets)), check_finite=False)
        precision = np.diag(inverse)
        return targets - self.solution / precision, 1 / precision


def normal_scores(targets: np.ndarray) -> np.ndarray:
    """Normal quantiles at the ranks of targets `[..., n]` along the last axis; equal targets share a rank."""
    ranks = scipy.stats.rankdata(targets, axis=-1)
    return scipy.stats.norm.ppf((ranks - 0.5) / targets.shape[-1])


def _loss(logs: np.ndarray, grams: np.ndarray, targets: np.ndarray, prior: Prior = BROAD) -> tuple[float, np.ndarray]:
    """Negative log posterior of the logarithms of weights and noise, and its gradient."""
    count = len(targets)
    values = np.exp(logs)
    covariance = (values[:-1] @ grams).reshape(count, count)
    covariance.flat[:: count + 1] += values[-1] + JITTER
    root = scipy.linalg.cholesky(covariance, lower=True, check_finite=False)
    inverse, _ = scipy.linalg.lapack.dpotri(root, lower=1)
    lower = np.tril(inverse, -1)
    inverse = lower + lower.T + np.diag(np.diag(inverse))
    solved = inverse @ targets
    away = logs - prior.centres(len(grams))
    loss = 0.5 * targets @ solved + np.log(np.diag(root)).sum() + prior.strength * away @ away
    slope = 0.5 * (inverse - np.outer(solved, solved))
    gradient = np.append(grams @ slope.ravel(), np.trace(slope)) * values
    return float(loss), gradient + 2 * prior.strength * away
