"""Deep networks for global optimisation: a small network whose last hidden layer feeds a Bayesian linear regression.

References:
  Snoek et al. 2015, "Scalable Bayesian Optimization Using Deep Neural Networks", sections 3.1-3.2.
  Bishop 2006, "Pattern Recognition and Machine Learning", equations 3.49-3.59 and 3.86.
"""

import math
from collections.abc import Sequence

import numpy as np

from tfnas.predictors.base import example_sets
from tfnas.runtime import in_threads

_BATCH = 10  # points per update
_CHUNK = 64  # data sets that a thread trains at a time
_ROWS = 4096  # inputs that are predicted at a time
_DECAYS = (0.9, 0.999)  # of Adam's running means of gradients and of their squares
_EPSILON = 1e-7
_LOG_RATIOS = np.linspace(-15.0, 10.0, 51)  # logarithms of the ratio of the precisions of prior and noise
_LOG_NOISE_PRECISION = (-5.0, 10.0)
_GOLDEN = (np.sqrt(5.0) - 1) / 2


class DNGO:
    """Regression with uncertainty, for a data set or for R data sets of one shape at the price of far fewer.

    Inputs and targets are standardised. The network is trained anew by every `fit`, from weights that the seed
    decides. The precisions of prior and noise maximise the marginal likelihood.

    The published settings (128 units, 100 epochs, rate 1e-2) overfit a hundred points. The defaults were chosen by the
    rank correlation that 30 and 100 random cells of Digits-201 give for all other cells, and among equals by speed
    (`perf/dngo.py`).

    >>> inputs = np.linspace(-1.0, 1.0, 12)[:, None]
    >>> mean, stddev = DNGO().fit(inputs, inputs[:, 0]).predict(inputs)
    >>> bool(mean[-1] > mean[0]), bool((stddev > 0).all())
    (True, True)

    Args:
      units: width of the hidden tanh layer; with a constant it makes the basis functions.
      epochs: passes over the data.
      learning_rate: learning rate of Adam.
      seed: seed of initial weights and order, or a seed per data set.
    """

    def __init__(
        self,
        units: int = 32,
        epochs: int = 10,
        learning_rate: float = 3e-3,
        seed: int | Sequence[int] = 0,
    ):
        self.units, self.epochs = units, epochs
        self.learning_rate = learning_rate
        self.seeds = list(seed) if isinstance(seed, Sequence) else [seed]

    def fit(self, inputs: np.ndarray, targets: np.ndarray) -> "DNGO":
        """Fits to float `[n, D]` and `[n]`, or to R data sets `[R, n, D]` and `[R, n]`.

        Raises:
          ConfigurationError: fewer than two points, other shapes, another number of seeds, NaN or infinity.
        """
        inputs, targets = example_sets(inputs, targets, len(self.seeds))
        self._shift, self._scale = inputs.mean(axis=1), _positive(inputs.std(axis=1))
        self._target_shift, self._target_scale = targets.mean(axis=1), _positive(targets.std(axis=1))
        standard = (inputs - self._shift[:, None]) / self._scale[:, None]
        standard_targets = (targets - self._target_shift[:, None]) / self._target_scale[:, None]
        self._kernel, self._bias = self._train_networks(standard, standard_targets)
        hidden = np.tanh(standard @ self._kernel + self._bias[:, None])
        features = np.concatenate([hidden, np.ones((*hidden.shape[:2], 1))], axis=2)
        self._fit_regressions(features, standard_targets)
        return self

    def predict(self, inputs: np.ndarray, run: int = 0) -> tuple[np.ndarray, np.ndarray]:
        """Predictive mean and standard deviation, float32 `[m]` each, in the units of the targets.

        Args:
          inputs: `[m, D]`.
          run: number of the data set whose regression predicts.
        """
        kernel = self._kernel[run] / self._scale[run][:, None]
        bias = self._bias[run] - self._shift[run] @ kernel
        arrays = (kernel, bias, self._weights[run], self._root[run])
        kernel, bias, weights, root = (array.astype(np.float32) for array in arrays)
        inputs = np.asarray(inputs, np.float32)
        mean, variance = np.empty(len(inputs), np.float32), np.empty(len(inputs), np.float32)
        for start in range(0, len(inputs), _ROWS):
            rows = np.s_[start : start + _ROWS]
            hidden = np.tanh(inputs[rows] @ kernel + bias)
            mean[rows] = hidden @ weights[:-1] + weights[-1]
            spread = hidden @ root[:-1] + root[-1]
            variance[rows] = np.einsum("mf,mf->m", spread, spread)
        deviation = np.sqrt(variance + np.float32(1.0 / self._noise_precision[run]))
        scale, shift = np.float32(self._target_scale[run]), np.float32(self._target_shift[run])
        return mean * scale + shift, deviation * scale

    def _train_networks(self, inputs: np.ndarray, targets: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Weights `[R, D, units]` and biases `[R, units]` of the hidden layers."""
        points = inputs.shape[1]
        constant = np.ones((*inputs.shape[:2], 1))
        inputs, targets = np.concatenate([inputs, constant], axis=2, dtype=np.float32), targets.astype(np.float32)

        def train(start: int) -> np.ndarray:
            runs = np.s_[start : start + _CHUNK]
            weights = np.stack([self._initial_weights(seed, inputs.shape[2] - 1) for seed in self.seeds[runs]])
            rngs = [np.random.default_rng(seed) for seed in self.seeds[runs]]
            order = np.stack([rng.random((self.epochs, points)).argsort(axis=1) for rng in rngs])
            return _trained(weights, inputs[runs], targets[runs], order, self.learning_rate)

        kernels = np.concatenate(in_threads(train, range(0, len(inputs), _CHUNK))).astype(np.float64)
        return kernels[:, :-1], kernels[:, -1]

    def _initial_weights(self, seed: int, size: int) -> np.ndarray:
        """Kernel and bias of the hidden layer, then of the output, one after the other, float32 `[W]`."""
        rng = np.random.default_rng(seed)
        layers = (((size, self.units), size), ((self.units,), size), ((self.units,), self.units), ((1,), self.units))
        return np.concatenate(
            [rng.uniform(-1 / np.sqrt(fan_in), 1 / np.sqrt(fan_in), shape).ravel() for shape, fan_in in layers],
            dtype=np.float32,
        )

    def _fit_regressions(self, features: np.ndarray, targets: np.ndarray) -> None:
        """Posterior over the weights of basis functions `[R, n, F]`, at the precisions that explain the targets."""
        points = features.shape[1]
        transposed = features.transpose(0, 2, 1)
        eigenvalues, vectors = np.linalg.eigh(transposed @ features)
        eigenvalues = np.maximum(eigenvalues, 0.0)
        projected = np.einsum("rfg,rf->rg", vectors, np.einsum("rnf,rn->rf", features, targets))
        energy = (targets**2).sum(axis=1)

        def residual(log_ratio: np.ndarray) -> np.ndarray:
            fit = (projected**2 / (np.exp(log_ratio)[:, None] + eigenvalues)).sum(axis=1)
            return np.maximum(energy - fit, 1e-10)

        def negative_evidence(log_ratio: np.ndarray) -> np.ndarray:
            """Of one ratio for each data set, at the noise precision n / residual, which is then the best."""
            determinant = np.log1p(eigenvalues / np.exp(log_ratio)[:, None]).sum(axis=1)
            return points * np.log(residual(log_ratio)) + determinant

        log_ratio = _minimum(negative_evidence, len(features))
        noise = np.clip(points / residual(log_ratio), *np.exp(_LOG_NOISE_PRECISION))
        precision = noise[:, None] * (np.exp(log_ratio)[:, None] + eigenvalues)
        self._noise_precision, self._prior_precision = noise, noise * np.exp(log_ratio)
        self._weights = np.einsum("rfg,rg->rf", vectors, noise[:, None] * projected / precision)
        self._root = vectors / np.sqrt(precision)[:, None, :]  # root root' is the posterior covariance


def _minimum(function, count: int) -> np.ndarray:
    """Where `function`, of one number for each of `count` data sets, is smallest: a grid, then golden sections."""
    values = np.stack([function(np.full(count, ratio)) for ratio in _LOG_RATIOS])
    best = values.argmin(axis=0)
    low, high = _LOG_RATIOS[np.maximum(best - 1, 0)], _LOG_RATIOS[np.minimum(best + 1, len(_LOG_RATIOS) - 1)]
    for _ in range(25):
        left, right = high - _GOLDEN * (high - low), low + _GOLDEN * (high - low)
        keep_left = function(left) < function(right)
        low, high = np.where(keep_left, low, left), np.where(keep_left, right, high)
    return (low + high) / 2


def _positive(deviation: np.ndarray) -> np.ndarray:
    return np.where(deviation > 0, deviation, 1.0)


def _trained(
    weights: np.ndarray, inputs: np.ndarray, targets: np.ndarray, order: np.ndarray, learning_rate: float
) -> np.ndarray:
    """Adam on the mean squared error, a data set beside the other; none depends on its neighbours.

    Args:
      weights: initial weights float32 `[R, W]` of `DNGO._initial_weights`.
      inputs: float32 `[R, n, D + 1]`, the last column ones.
      targets: float32 `[R, n]`.
      order: int `[R, epochs, n]`, row numbers.
      learning_rate: learning rate.

    Returns:
      float32 `[R, D + 1, units]`, kernels of the hidden layers with the biases in the last row.
    """
    count, points, size = inputs.shape
    units = (weights.shape[1] - 1) // (size + 1)
    gradients, first, second, scratch = (np.zeros_like(weights) for _ in range(4))

    def layers(flat: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Views of the kernel with the bias, the output's kernel and its bias."""
        hidden = flat[:, : size * units].reshape(count, size, units)
        return hidden, flat[:, size * units : -1, None], flat[:, -1:]

    (kernel, output, offset), (to_kernel, to_output, to_offset) = layers(weights), layers(gradients)
    done = 0
    for epoch in range(order.shape[1]):
        shuffled = np.take_along_axis(inputs, order[:, epoch, :, None], axis=1)
        shuffled_targets = np.take_along_axis(targets, order[:, epoch], axis=1)
        for start in range(0, points, _BATCH):
            batch = shuffled[:, start : start + _BATCH]
            hidden = np.tanh(batch @ kernel)
            errors = (hidden @ output)[..., 0]
            errors += offset
            errors -= shuffled_targets[:, start : start + _BATCH]
            errors *= 2 / batch.shape[1]
            # The chain rule, from the output to the kernel of the hidden layer.
            np.matmul(hidden.transpose(0, 2, 1), errors[..., None], out=to_output)
            np.sum(errors, axis=1, keepdims=True, out=to_offset)
            np.multiply(hidden, hidden, out=hidden)
            np.subtract(1, hidden, out=hidden)
            hidden *= errors[..., None]
            hidden *= output.transpose(0, 2, 1)
            np.matmul(batch.transpose(0, 2, 1), hidden, out=to_kernel)
            # Adam.
            done += 1
            for mean, decay in ((first, _DECAYS[0]), (second, _DECAYS[1])):
                if mean is second:
                    gradients *= gradients
                mean *= decay
                mean += np.multiply(gradients, 1 - decay, out=scratch)
            np.sqrt(second, out=scratch)
            scratch += _EPSILON
            np.divide(first, scratch, out=scratch)
            scratch *= learning_rate * math.sqrt(1 - _DECAYS[1] ** done) / (1 - _DECAYS[0] ** done)
            weights -= scratch
    return kernel
