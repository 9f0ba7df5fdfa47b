"""Gaussian processes for few labels: a sum of kernels over groups of features, weighted by what the labels say.

References:
  Duvenaud et al. 2011, "Additive Gaussian Processes".
  Rasmussen and Williams 2006, "Gaussian Processes for Machine Learning", equations 2.25, 2.26, 2.30, 5.9 and 5.12.
"""

from collections.abc import Callable, Sequence

import numpy as np

from tfnas.errors import ConfigurationError
from tfnas.predictors import label_scores
from tfnas.predictors.base import block_sets
from tfnas.predictors.block_kernels import BlockKernels, Blocks
from tfnas.predictors.kernel_mixture import BROAD, KernelMixture, Prior, normal_scores
from tfnas.runtime import in_threads

_CHUNK = 4096
_LEAST = 3  # examples


class AdditiveGP:
    """R regressions of the same shape.

    Every block of features has its kernels. The weights of the kernels and the noise maximise the marginal likelihood
    times a prior. By default, labels enter as normal scores of their ranks, so that a few failed trainings do not
    decide the fit.

    >>> block = np.linspace(-1.0, 1.0, 12)[:, None]
    >>> mean, stddev = AdditiveGP().fit([block], block[:, 0]).predict([block])
    >>> bool((np.diff(mean) > 0).all()), bool((stddev > 0).all())
    (True, True)

    Args:
      iterations: largest number of iterations of L-BFGS.
      kernels: names of `block_kernels.KERNELS`.
      scores: increasing function from labels `[R, n]` to what is learned, `[R, n]`, with mean 0 and deviation 1.
      prior: prior of weights and noise.

    Attributes:
      weights: float64 `[R, kernels]`, weights of the kernels of all blocks, kernel by kernel; known after `fit`.
      noise: float64 `[R]`, variance of the noise; known after `fit`.
    """

    weights: np.ndarray
    noise: np.ndarray

    def __init__(
        self,
        iterations: int = 60,
        *,
        kernels: Sequence[str] = ("linear", "smooth"),
        scores: Callable[[np.ndarray], np.ndarray] = normal_scores,
        prior: Prior = BROAD,
    ):
        self._iterations, self._names, self._scale, self._prior = iterations, tuple(kernels), scores, prior

    def fit(self, inputs: Blocks, targets: np.ndarray) -> "AdditiveGP":
        """Fits to R sets of n labelled examples.

        Args:
          inputs: blocks of features, float `[R, n, D_b]` each, or `[n, D_b]` for a single set; centred, with a mean
            square norm near 1.
          targets: labels, float `[R, n]` or `[n]`.

        Raises:
          ConfigurationError: no blocks, fewer than three examples, other shapes, NaN or infinity.
        """
        blocks, self._labels = block_sets(inputs, targets, _LEAST)
        if not blocks:
            raise ConfigurationError("no blocks of features, expected at least one")
        self._scores = self._scale(self._labels)
        examples = [[block[run] for block in blocks] for run in range(len(self._labels))]
        self._kernels = [BlockKernels(example, self._names) for example in examples]

        def fitted(run: int) -> KernelMixture:
            grams = self._kernels[run](examples[run])
            return KernelMixture.fit(grams, self._scores[run], None, self._iterations, self._prior)

        self._mixtures = in_threads(fitted, range(len(examples)))
        self.weights = np.stack([mixture.weights for mixture in self._mixtures])
        self.noise = np.array([mixture.noise for mixture in self._mixtures])
        return self

    def predict(self, inputs: Blocks, run: int = 0) -> tuple[np.ndarray, np.ndarray]:
        """Predictive mean and standard deviation, noise included, in scores of labels, float64 `[m]` each.

        Args:
          inputs: blocks of features, float `[m, D_b]` each.
          run: number of the regression that predicts.
        """
        mixture, kernels = self._mixtures[run], self._kernels[run]
        means, deviations = [np.zeros(0)], [np.zeros(0)]
        for start in range(0, len(inputs[0]), _CHUNK):
            blocks = [np.asarray(block[start : start + _CHUNK], np.float64) for block in inputs]
            cross = np.tensordot(mixture.weights, kernels(blocks), 1)
            explained = (mixture.explained(cross) ** 2).sum(axis=0)
            means.append(mixture.solution @ cross)
            prior = mixture.weights @ kernels.variances(blocks)
            deviations.append(np.sqrt(np.maximum(prior - explained, 0) + mixture.noise))
        return np.concatenate(means), np.concatenate(deviations)

    def left_out(self) -> tuple[np.ndarray, np.ndarray]:
        """Means and standard deviations, noise included, of every example by the others, float64 `[R, n]` each.

        Weights and noise are those of all examples.
        """
        pairs = zip(self._mixtures, self._scores, strict=True)
        means, variances = zip(*(mixture.left_out(scores) for mixture, scores in pairs), strict=True)
        return np.stack(means), np.sqrt(np.stack(variances))

    def to_labels(self, scores: np.ndarray, run: int = 0) -> np.ndarray:
        """Scores `[m]` in the units of the labels, interpolated between labels and constant beyond them."""
        return label_scores.to_labels(scores, self._scores[run], self._labels[run])
