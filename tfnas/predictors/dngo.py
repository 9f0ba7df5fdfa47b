"""Deep networks for global optimisation: a small network whose last hidden layer feeds a Bayesian linear regression.

References:
  Snoek et al. 2015, "Scalable Bayesian Optimization Using Deep Neural Networks", sections 3.1-3.2.
  Bishop 2006, "Pattern Recognition and Machine Learning", equations 3.49-3.59 and 3.86.
"""

import functools
from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from tfnas.predictors import adam
from tfnas.predictors.base import example_sets
from tfnas.runtime import in_threads

_BATCH = 10  # points per update
_CHUNK = 64  # data sets in every run of the compiled training program, so that each is rounded the same way
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
        mean, variance = _predict(tf.cast(inputs, tf.float32), *(tf.constant(array, tf.float32) for array in arrays))
        spread = np.sqrt(variance.numpy() + np.float32(1.0 / self._noise_precision[run]))
        scale, shift = np.float32(self._target_scale[run]), np.float32(self._target_shift[run])
        return mean.numpy() * scale + shift, spread * scale

    def _train_networks(self, inputs: np.ndarray, targets: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Weights `[R, D, units]` and biases `[R, units]` of the hidden layers."""
        count, points, size = inputs.shape
        capacity = max(64, 1 << (points - 1).bit_length())  # few shapes, so few compilations
        padded = np.zeros((count, capacity, size), np.float32)
        padded_targets = np.zeros((count, capacity), np.float32)
        padded[:, :points], padded_targets[:, :points] = inputs, targets
        program = _training_program(self.learning_rate)
        counted = tf.constant(self._batches(np.ones((self.epochs, points), np.float32), capacity))

        def train(start: int) -> tuple[np.ndarray, np.ndarray]:
            chosen = np.arange(start, start + _CHUNK) % count  # the last chunk is filled up from the front
            weights = [self._initial_weights(self.seeds[run], size) for run in chosen]
            orders = [self._order(self.seeds[run], points, capacity) for run in chosen]
            kernel, bias = program(
                [tf.constant(np.stack(layer)) for layer in zip(*weights, strict=True)],
                tf.constant(padded[chosen]),
                tf.constant(padded_targets[chosen]),
                tf.constant(np.stack(orders, axis=1)),
                counted,
                tf.constant(self.epochs * -(-points // _BATCH)),
            )
            return kernel.numpy(), bias.numpy()

        chunks = in_threads(train, range(0, count, _CHUNK))
        kernels, biases = (np.concatenate(layer)[:count].astype(np.float64) for layer in zip(*chunks, strict=True))
        return kernels, biases

    def _initial_weights(self, seed: int, size: int) -> list[np.ndarray]:
        rng = np.random.default_rng(seed)
        shapes = [((size, self.units), size), ((self.units,), size), ((self.units,), self.units), ((), self.units)]
        return [
            rng.uniform(-1 / np.sqrt(fan_in), 1 / np.sqrt(fan_in), shape).astype(np.float32) for shape, fan_in in shapes
        ]

    def _order(self, seed: int, points: int, capacity: int) -> np.ndarray:
        """Row numbers of every update, int32 `[steps, batch]`."""
        order = np.random.default_rng(seed).random((self.epochs, points)).argsort(axis=1)
        return self._batches(order.astype(np.int32), capacity)

    def _batches(self, entries: np.ndarray, capacity: int) -> np.ndarray:
        """Entries `[epochs, points]` by update, `[steps, batch]`, filled with 0 to the steps of `capacity` points."""
        batches = np.pad(entries, ((0, 0), (0, -entries.shape[1] % _BATCH))).reshape(-1, _BATCH)
        return np.pad(batches, ((0, self.epochs * -(-capacity // _BATCH) - len(batches)), (0, 0)))

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


@tf.function(jit_compile=True, reduce_retracing=True)
def _predict(
    inputs: tf.Tensor, kernel: tf.Tensor, bias: tf.Tensor, weights: tf.Tensor, root: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor]:
    """Mean and variance of the noiseless function, `[m]` each."""
    hidden = tf.tanh(inputs @ kernel + bias)
    mean = tf.linalg.matvec(hidden, weights[:-1]) + weights[-1]
    return mean, tf.reduce_sum((hidden @ root[:-1] + root[-1]) ** 2, axis=1)


@functools.cache
def _training_program(learning_rate: float):
    """Adam on the squared error, for all data sets of a chunk in one program."""

    @tf.function(jit_compile=True)
    def train(
        weights: list[tf.Tensor],
        inputs: tf.Tensor,
        targets: tf.Tensor,
        rows: tf.Tensor,
        counted: tf.Tensor,
        steps: tf.Tensor,
    ) -> tuple[tf.Tensor, tf.Tensor]:
        def loss(weights: list[tf.Tensor], done: tf.Tensor) -> tf.Tensor:
            chosen, share = rows[done], counted[done] / tf.reduce_sum(counted[done])
            batch = tf.gather(inputs, chosen, batch_dims=1)
            kernel, bias, output, offset = weights
            hidden = tf.tanh(batch @ kernel + bias[:, None])
            predicted = tf.reduce_sum(hidden * output[:, None], axis=2) + offset[:, None]
            errors = predicted - tf.gather(targets, chosen, batch_dims=1)
            return tf.reduce_sum(share * errors**2)  # the data sets share no weights

        kernel, bias, *_ = adam.minimise(loss, weights, steps, lambda done: learning_rate)
        return kernel, bias

    return train
