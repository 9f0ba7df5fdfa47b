"""Deep networks for global optimisation: a small network whose last hidden layer feeds a Bayesian linear regression.

References:
  Snoek et al. 2015, "Scalable Bayesian Optimization Using Deep Neural Networks", sections 3.1-3.2.
  Bishop 2006, "Pattern Recognition and Machine Learning", equations 3.49-3.59 and 3.86.
"""

import functools

import numpy as np
import scipy.linalg
import scipy.optimize
import tensorflow as tf

from tfnas.encoders.layers import linear
from tfnas.errors import ConfigurationError


class DNGO:
    """Regression with uncertainty.

    Inputs and targets are standardised. The network is trained anew by every `fit`, from weights that the seed
    decides. The precisions of prior and noise maximise the marginal likelihood.

    Args:
      units: width of the hidden tanh layer, which is also the number of basis functions.
      epochs: passes over the data.
      batch_size: points per update.
      learning_rate: of Adam.
      seed: decides initial weights and order.
    """

    def __init__(
        self,
        units: int = 128,
        epochs: int = 100,
        batch_size: int = 10,
        learning_rate: float = 1e-2,
        seed: int = 0,
    ):
        self.units, self.epochs, self.batch_size = units, epochs, batch_size
        self.learning_rate, self.seed = learning_rate, seed

    def fit(self, inputs: np.ndarray, targets: np.ndarray) -> "DNGO":
        """Fits to float `[n, D]` and `[n]`.

        Raises:
          ConfigurationError: fewer than two points, other shapes, NaN or infinity.
        """
        inputs, targets = np.asarray(inputs, np.float64), np.asarray(targets, np.float64)
        if inputs.ndim != 2 or targets.shape != (len(inputs),) or len(inputs) < 2:
            raise ConfigurationError(f"inputs {inputs.shape} and targets {targets.shape}, expected [n, D], [n], n >= 2")
        if not (np.isfinite(inputs).all() and np.isfinite(targets).all()):
            raise ConfigurationError("inputs or targets hold NaN or infinity")
        self._shift, self._scale = inputs.mean(axis=0), _positive(inputs.std(axis=0))
        self._target_shift, self._target_scale = targets.mean(), _positive(targets.std())
        scaled = (targets - self._target_shift) / self._target_scale
        self._train_network((inputs - self._shift) / self._scale, scaled)
        self._fit_regression(self._features(inputs), scaled)
        return self

    def predict(self, inputs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Predictive mean and standard deviation, float64 `[n]` each, in the units of the targets."""
        features = self._features(np.asarray(inputs, np.float64))
        mean = features @ self._weights
        spread = scipy.linalg.solve_triangular(self._cholesky, features.T, lower=True)
        variance = 1.0 / self._noise_precision + (spread**2).sum(axis=0)
        return mean * self._target_scale + self._target_shift, np.sqrt(variance) * self._target_scale

    def _features(self, inputs: np.ndarray) -> np.ndarray:
        hidden = np.tanh((inputs - self._shift) / self._scale @ self._kernel + self._bias)
        return np.concatenate([hidden, np.ones((len(hidden), 1))], axis=1)

    def _train_network(self, inputs: np.ndarray, targets: np.ndarray) -> None:
        count = len(inputs)
        capacity = max(64, 1 << (count - 1).bit_length())  # few shapes, so few compilations
        steps = -(-count // self.batch_size)
        rng = np.random.default_rng(self.seed)
        rows = np.zeros((self.epochs * -(-capacity // self.batch_size), self.batch_size), np.int32)
        weights = np.zeros(rows.shape, np.float32)
        for epoch in range(self.epochs):
            order = np.concatenate([rng.permutation(count), np.zeros(-count % self.batch_size, np.int64)])
            rows[epoch * steps : (epoch + 1) * steps] = order.reshape(steps, -1)
            kept = np.arange(steps * self.batch_size) < count
            weights[epoch * steps : (epoch + 1) * steps] = kept.reshape(steps, -1)
        padded = np.zeros((capacity, inputs.shape[1]), np.float32)
        padded[:count] = inputs
        padded_targets = np.zeros(capacity, np.float32)
        padded_targets[:count] = targets
        trainer = _trainer(inputs.shape[1], self.units, self.learning_rate)
        self._kernel, self._bias = trainer.train(self.seed, padded, padded_targets, rows, weights, self.epochs * steps)

    def _fit_regression(self, features: np.ndarray, targets: np.ndarray) -> None:
        count, size = features.shape
        gram = features.T @ features
        eigenvalues, vectors = scipy.linalg.eigh(gram)
        eigenvalues = np.maximum(eigenvalues, 0.0)
        projected = vectors.T @ (features.T @ targets)
        energy = targets @ targets

        def negative_evidence(logs: np.ndarray) -> float:
            alpha, beta = np.exp(logs)
            precision = alpha + beta * eigenvalues
            fit = beta * energy - beta**2 * (projected**2 / precision).sum()
            return 0.5 * (fit + np.log(precision).sum() - size * logs[0] - count * logs[1])

        found = scipy.optimize.minimize(
            negative_evidence, np.array([0.0, np.log(100.0)]), method="L-BFGS-B", bounds=[(-10, 10), (-5, 10)]
        )
        alpha, beta = np.exp(found.x)
        self._noise_precision = beta
        self._cholesky = scipy.linalg.cholesky(alpha * np.eye(size) + beta * gram, lower=True)
        self._weights = beta * scipy.linalg.cho_solve((self._cholesky, True), features.T @ targets)


def _positive(deviation: np.ndarray) -> np.ndarray:
    return np.where(deviation > 0, deviation, 1.0)


class _Trainer:
    """A network of one shape with its compiled training run, kept for all fits."""

    def __init__(self, size: int, units: int, learning_rate: float):
        self._hidden, self._output = linear(size, units, 0, "hidden"), linear(units, 1, 1, "output")
        self._hidden.build([None, size])
        self._output.build([None, units])
        self._variables = [*self._hidden.trainable_variables, *self._output.trainable_variables]
        self._optimizer = tf.keras.optimizers.Adam(learning_rate, jit_compile=False)
        self._optimizer.build(self._variables)
        self._run = tf.function(self._steps, jit_compile=True)

    def train(
        self, seed: int, inputs: np.ndarray, targets: np.ndarray, rows: np.ndarray, weights: np.ndarray, count: int
    ) -> tuple[np.ndarray, np.ndarray]:
        """Weights `[D, units]` and biases `[units]` of the hidden layer after `count` updates."""
        rng = np.random.default_rng(seed)
        for variable, fan_in in zip(self._variables, [inputs.shape[1]] * 2 + [self._hidden.units] * 2, strict=True):
            limit = 1.0 / np.sqrt(fan_in)
            variable.assign(rng.uniform(-limit, limit, variable.shape).astype(np.float32))
        for variable in self._optimizer.variables:
            if variable is not self._optimizer.learning_rate:
                variable.assign(tf.zeros_like(variable))
        self._run(*(tf.constant(part) for part in (inputs, targets, rows, weights, count)))
        return tuple(variable.numpy().astype(np.float64) for variable in self._hidden.trainable_variables)

    def _steps(
        self, inputs: tf.Tensor, targets: tf.Tensor, rows: tf.Tensor, weights: tf.Tensor, count: tf.Tensor
    ) -> None:
        for step in tf.range(count):
            chosen = rows[step]
            with tf.GradientTape() as tape:
                predicted = self._output(tf.tanh(self._hidden(tf.gather(inputs, chosen))))[:, 0]
                squares = weights[step] * (predicted - tf.gather(targets, chosen)) ** 2
                loss = tf.reduce_sum(squares) / tf.reduce_sum(weights[step])
            gradients = tape.gradient(loss, self._variables)
            self._optimizer.apply_gradients(zip(gradients, self._variables, strict=True))


@functools.cache
def _trainer(size: int, units: int, learning_rate: float) -> _Trainer:
    return _Trainer(size, units, learning_rate)
