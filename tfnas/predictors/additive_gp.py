"""Gaussian processes for few labels: a sum of kernels over groups of features, weighted by what the labels say.

References:
  Duvenaud et al. 2011, "Additive Gaussian Processes".
  Rasmussen and Williams 2006, "Gaussian Processes for Machine Learning", equations 2.25, 2.26, 2.30 and 5.9.
"""

from collections.abc import Sequence

import numpy as np
import tensorflow as tf
import tensorflow_probability as tfp
from scipy.spatial.distance import cdist

from tfnas.errors import ConfigurationError
from tfnas.predictors.kernel_mixture import BOUNDS, JITTER, PRIOR, START, normal_scores, plotting_positions

_CHUNK = 4096
Blocks = Sequence[np.ndarray]


class AdditiveGP:
    """R regressions of the same shape in one tensor program.

    Every block of features has a linear and a squared exponential kernel, the latter with the median distance of its
    examples as length scale. Labels enter as normal scores of their ranks, so that a few failed trainings do not decide
    the fit; the weights of the kernels and the noise maximise the marginal likelihood times a broad prior.

    >>> block = np.linspace(-1.0, 1.0, 12)[:, None]
    >>> mean, stddev = AdditiveGP().fit([block], block[:, 0]).predict([block])
    >>> bool((np.diff(mean) > 0).all()), bool((stddev > 0).all())
    (True, True)

    Args:
      iterations: largest number of iterations of L-BFGS.

    Attributes:
      weights: float64 `[R, 2 blocks]`, weights of the linear kernels, then of the smooth kernels; known after `fit`.
      noise: float64 `[R]`, variance of the noise; known after `fit`.
    """

    weights: np.ndarray
    noise: np.ndarray

    def __init__(self, iterations: int = 60):
        self._iterations = tf.constant(iterations)

    def fit(self, inputs: Blocks, targets: np.ndarray) -> "AdditiveGP":
        """Fits to R sets of n labelled examples.

        Args:
          inputs: blocks of features, float `[R, n, D_b]` each, or `[n, D_b]` for a single set; centred, with a mean
            square norm near 1.
          targets: labels, float `[R, n]` or `[n]`.

        Raises:
          ConfigurationError: no blocks, fewer than three examples, other shapes, NaN or infinity.
        """
        targets = np.atleast_2d(np.asarray(targets, np.float64))
        blocks = [np.asarray(block, np.float64) for block in inputs]
        self._examples = [block[None] if block.ndim == 2 else block for block in blocks]
        _check(self._examples, targets)
        self._labels = np.sort(targets, axis=1)
        scores = normal_scores(targets)
        self._scales = [_median_distances(block) for block in self._examples]
        grams = tf.constant(
            np.stack([self._gram(run, [block[run] for block in self._examples]) for run in range(len(targets))])
        )  # [R, kernels, n, n]
        start = np.log(np.append(np.full(grams.shape[1], START[0]), START[1]))
        starts = tf.constant(np.tile(start, (len(targets), 1)))
        logarithms = _maximise(starts, grams, tf.constant(scores), self._iterations).numpy()
        self.weights, self.noise = np.exp(logarithms[:, :-1]), np.exp(logarithms[:, -1]) + JITTER
        covariance = np.einsum("rk,rkij->rij", self.weights, grams.numpy())
        covariance += self.noise[:, None, None] * np.eye(targets.shape[1])
        self._root = np.linalg.cholesky(covariance)
        self._solution = np.linalg.solve(covariance, scores[..., None])[..., 0]
        return self

    def predict(self, inputs: Blocks, run: int = 0) -> tuple[np.ndarray, np.ndarray]:
        """Predictive mean and standard deviation, noise included, in normal scores, float64 `[m]` each.

        Args:
          inputs: blocks of features, float `[m, D_b]` each.
          run: number of the regression that predicts.
        """
        weights, means, deviations = self.weights[run], [np.zeros(0)], [np.zeros(0)]
        for start in range(0, len(inputs[0]), _CHUNK):
            blocks = [np.asarray(block[start : start + _CHUNK], np.float64) for block in inputs]
            cross = np.tensordot(weights, self._gram(run, blocks), 1)
            linear = sum(weight * (block**2).sum(axis=1) for weight, block in zip(weights, blocks, strict=False))
            prior = linear + weights[len(blocks) :].sum()
            explained = np.linalg.solve(self._root[run], cross.T)
            means.append(cross @ self._solution[run])
            deviations.append(np.sqrt(np.maximum(prior - (explained**2).sum(axis=0), 0) + self.noise[run]))
        return np.concatenate(means), np.concatenate(deviations)

    def to_labels(self, scores: np.ndarray, run: int = 0) -> np.ndarray:
        """Normal scores `[m]` in the units of the labels, interpolated between labels and constant beyond them."""
        return np.interp(scores, plotting_positions(self._labels.shape[1]), self._labels[run])

    def _gram(self, run: int, blocks: Blocks) -> np.ndarray:
        """`[kernels, m, n]` between examples and the labelled examples of a run."""
        labelled = [block[run] for block in self._examples]
        linear = [block @ other.T for block, other in zip(blocks, labelled, strict=True)]
        smooth = [
            np.exp(-cdist(block, other, "sqeuclidean") / (2 * scale[run]))
            for block, other, scale in zip(blocks, labelled, self._scales, strict=True)
        ]
        return np.stack(linear + smooth)


def _check(blocks: Blocks, targets: np.ndarray) -> None:
    if not blocks or any(block.shape[:2] != targets.shape for block in blocks) or targets.shape[1] < 3:
        shapes = ", ".join(str(block.shape) for block in blocks) or "none"
        raise ConfigurationError(f"blocks {shapes} and targets {targets.shape}, expected [R, n, D] and [R, n], n >= 3")
    for name, values in [("targets", targets), *((f"block {number}", block) for number, block in enumerate(blocks))]:
        if not np.isfinite(values).all():
            raise ConfigurationError(f"{name}: example {np.argwhere(~np.isfinite(values))[0][1]} holds NaN or infinity")


def _median_distances(block: np.ndarray) -> np.ndarray:
    """`[R]`: median of the positive squared distances, or 1."""
    distances = [cdist(rows, rows, "sqeuclidean") for rows in block]
    return np.array([np.median(row[row > 1e-12]) if (row > 1e-12).any() else 1.0 for row in distances])


@tf.function(reduce_retracing=True)
def _maximise(start: tf.Tensor, grams: tf.Tensor, scores: tf.Tensor, iterations: tf.Tensor) -> tf.Tensor:
    def loss(logs: tf.Tensor) -> tf.Tensor:
        weights, noise = tf.exp(logs[:, :-1]), tf.exp(logs[:, -1]) + JITTER
        covariance = tf.einsum("rk,rkij->rij", weights, grams)
        covariance = tf.linalg.set_diag(covariance, tf.linalg.diag_part(covariance) + noise[:, None])
        root = tf.linalg.cholesky(covariance)
        solved = tf.linalg.triangular_solve(root, scores[..., None])[..., 0]
        evidence = 0.5 * tf.reduce_sum(solved**2, 1) + tf.reduce_sum(tf.math.log(tf.linalg.diag_part(root)), 1)
        return evidence + PRIOR * tf.reduce_sum(logs**2, 1)

    def value_and_gradient(logs: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        return tfp.math.value_and_gradient(loss, tf.clip_by_value(logs, *BOUNDS))

    solution = tfp.optimizer.lbfgs_minimize(value_and_gradient, start, max_iterations=iterations)
    return tf.clip_by_value(solution.position, *BOUNDS)
