"""Ensembles of small networks that are trained on many labels of other spaces and fine-tuned on few of a new one.

All members of all ensembles are one tensor program.

References:
  Han et al. 2023, "A General-Purpose Transferable Predictor for Neural Architecture Search", section 4.3.
  Lakshminarayanan et al. 2017, "Simple and Scalable Predictive Uncertainty Estimation using Deep Ensembles".
"""

import functools
import itertools
import math

import numpy as np
import tensorflow as tf

from tfnas.errors import ConfigurationError
from tfnas.predictors import adam
from tfnas.predictors.config import MLPConfig

_FOLDS = 5
_CHUNK = 8192
Weights = list[np.ndarray]


class MLPEnsemble:
    """R ensembles of one architecture of networks.

    >>> config = MLPConfig(hidden=(8,), members=2, epochs=100, learning_rate=0.01)
    >>> inputs = np.linspace(-1.0, 1.0, 16)[:, None]
    >>> mean, stddev = MLPEnsemble(config).fit(inputs, inputs[:, 0]).predict(inputs)
    >>> bool(mean[-1] > mean[0]), stddev.shape
    (True, (16,))

    Args:
      config: networks and schedules.
      seed: seed of initial weights and orders.

    Attributes:
      weights: weights `[R M, fan-in, fan-out]` and biases `[R M, fan-out]` of all members, layer by layer.
      scale: factor of the deviation over members, float64 `[R]`; 1 until `fine_tune` calibrates it.
    """

    def __init__(self, config: MLPConfig, seed: int = 0):
        self.config = config
        self.seed = seed
        self.weights: Weights = []
        self.scale = np.ones(1)

    def fit(self, inputs: np.ndarray, targets: np.ndarray) -> "MLPEnsemble":
        """Trains one ensemble from fresh weights.

        Args:
          inputs: float `[n, D]`; their scale should be near 1.
          targets: float `[n]`, with a scale near 1.

        Raises:
          ConfigurationError: fewer than two examples, other shapes, NaN or infinity.
        """
        inputs, targets = _checked(inputs, targets)
        config = self.start(inputs.shape[1]).config
        self.weights = _train(
            self.weights,
            inputs,
            targets,
            config.members,
            config.epochs,
            config.batch_size,
            config.learning_rate,
            self.seed,
        )
        return self

    def start(self, size: int) -> "MLPEnsemble":
        """Draws fresh weights for inputs of D = `size` features; `fine_tune` may follow without any source labels."""
        self.weights, self.scale = self._initial(size), np.ones(1)
        return self

    def fine_tune(self, inputs: np.ndarray, targets: np.ndarray, *, calibrate: bool = True) -> "MLPEnsemble":
        """R new ensembles, each trained further from the members of this one on a set of labels.

        The deviations are calibrated by cross-validation: they are scaled so that the squared errors on left-out labels
        are as large in the mean as the squared deviations say.

        Args:
          inputs: float `[R, n, D]`.
          targets: float `[R, n]`.
          calibrate: False leaves out the calibration, five sixths of the work.

        Raises:
          ConfigurationError: this is not one fitted ensemble, fewer than two examples, NaN or infinity.
        """
        if not self.weights or len(self.scale) != 1:
            raise ConfigurationError("fine-tuning starts from one fitted or started ensemble")
        runs = len(inputs)
        inputs, targets = (np.stack(arrays) for arrays in zip(*map(_checked, inputs, targets), strict=True))
        tuned = self._tuned(inputs, targets)
        if calibrate:
            folds = min(_FOLDS, inputs.shape[1])
            fold = np.random.default_rng(self.seed).permutation(inputs.shape[1]) % folds
            squares = np.zeros((runs, inputs.shape[1]))
            for number in range(folds):
                used, left_out = fold != number, fold == number
                partial = self._tuned(inputs[:, used], targets[:, used])
                for run in range(runs):
                    mean, deviation = partial.predict(inputs[run, left_out], run)
                    squares[run, left_out] = ((mean - targets[run, left_out]) / np.maximum(deviation, 1e-6)) ** 2
            tuned.scale = np.sqrt(squares.mean(axis=1))
        return tuned

    def predict(self, inputs: np.ndarray, run: int = 0) -> tuple[np.ndarray, np.ndarray]:
        """Mean over members and calibrated deviation, float32 `[m]` each.

        Args:
          inputs: float `[m, D]`.
          run: number of the ensemble that predicts.
        """
        members = slice(run * self.config.members, (run + 1) * self.config.members)
        weights = [tf.constant(array[members]) for array in self.weights]
        inputs = np.asarray(inputs, np.float32)
        chunks = [
            _forward(weights, tf.constant(inputs[start : start + _CHUNK])).numpy()
            for start in range(0, len(inputs), _CHUNK)
        ]
        values = np.concatenate(chunks, axis=1) if chunks else np.zeros((self.config.members, 0), np.float32)
        return values.mean(axis=0), (values.std(axis=0) * self.scale[run]).astype(np.float32)

    def _tuned(self, inputs: np.ndarray, targets: np.ndarray) -> "MLPEnsemble":
        """R ensembles without calibration."""
        config, runs = self.config, len(inputs)
        tuned = MLPEnsemble(config, self.seed)
        tuned.weights = _train(
            [np.tile(array, (runs, *[1] * (array.ndim - 1))) for array in self.weights],
            np.repeat(inputs, config.members, 0),
            np.repeat(targets, config.members, 0),
            runs * config.members,
            config.tune_epochs,
            config.tune_batch_size,
            config.tune_learning_rate,
            self.seed,
        )
        tuned.scale = np.ones(runs)
        return tuned

    def _initial(self, size: int) -> Weights:
        widths = (size, *self.config.hidden, 1)
        weights: Weights = []
        for layer, (fan_in, fan_out) in enumerate(itertools.pairwise(widths)):
            deviation = math.sqrt(2.0 / fan_in) if fan_out > 1 else math.sqrt(1.0 / fan_in)
            draws = [
                np.random.default_rng([self.seed, member, layer]).normal(0, deviation, (fan_in, fan_out))
                for member in range(self.config.members)
            ]
            weights += [np.stack(draws).astype(np.float32), np.zeros((self.config.members, fan_out), np.float32)]
        return weights


def _checked(inputs: np.ndarray, targets: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    inputs, targets = np.asarray(inputs, np.float32), np.asarray(targets, np.float32)
    if inputs.ndim != 2 or targets.shape != inputs.shape[:1] or len(inputs) < 2:
        raise ConfigurationError(f"inputs {inputs.shape} and targets {targets.shape}, expected [n, D], [n], n >= 2")
    if not (np.isfinite(inputs).all() and np.isfinite(targets).all()):
        wrong = np.flatnonzero(~np.isfinite(inputs).all(axis=1) | ~np.isfinite(targets))
        raise ConfigurationError(
            f"example {wrong[0]} of {len(inputs)} holds NaN or infinity; leave out what has no label"
        )
    return inputs, targets


def outputs(weights: list[tf.Tensor], inputs: tf.Tensor) -> tf.Tensor:
    """Outputs float32 `[K, b]` of K networks with the weights of `MLPEnsemble.weights`, for inputs `[K, b, D]`."""
    hidden = inputs
    for layer in range(0, len(weights), 2):
        hidden = tf.matmul(hidden, weights[layer]) + weights[layer + 1][:, None]
        if layer + 2 < len(weights):
            hidden = tf.nn.relu(hidden)
    return hidden[..., 0]


@tf.function(autograph=False, jit_compile=True, reduce_retracing=True)
def _forward(weights: list[tf.Tensor], inputs: tf.Tensor) -> tf.Tensor:
    return outputs(weights, tf.repeat(inputs[None], tf.shape(weights[0])[0], 0))


def _train(
    weights: Weights,
    inputs: np.ndarray,
    targets: np.ndarray,
    count: int,
    epochs: int,
    batch_size: int,
    learning_rate: float,
    seed: int,
) -> Weights:
    """Adam on the squared error of K networks, each in its own order; they share examples `[n, D]`, not `[K, n, D]`."""
    examples = targets.shape[-1]
    size = min(batch_size, examples)
    steps = epochs * (examples // size)
    orders = [
        np.concatenate([np.random.default_rng([seed, net, epoch]).permutation(examples) for epoch in range(epochs)])
        for net in range(count)
    ]
    rows = np.stack([order.reshape(epochs, -1)[:, : examples // size * size] for order in orders], 0)
    rows = rows.reshape(count, steps, size).transpose(1, 0, 2).astype(np.int32)
    program = _training_program(learning_rate)
    trained = program(
        [tf.constant(array) for array in weights], tf.constant(inputs), tf.constant(targets), tf.constant(rows)
    )
    return [array.numpy() for array in trained]


@functools.cache
def _training_program(learning_rate: float):
    @tf.function(jit_compile=True)
    def train(weights: list[tf.Tensor], inputs: tf.Tensor, targets: tf.Tensor, rows: tf.Tensor) -> list[tf.Tensor]:
        steps = tf.shape(rows)[0]
        each = targets.shape.rank - 1  # 1 if every network has examples of its own

        def loss(weights: list[tf.Tensor], done: tf.Tensor) -> tf.Tensor:
            batch, values = (tf.gather(array, rows[done], axis=each, batch_dims=each) for array in (inputs, targets))
            errors = outputs(weights, batch) - values
            return tf.reduce_sum(tf.reduce_mean(errors**2, axis=1))  # the networks share no weights

        def rate(done: tf.Tensor) -> tf.Tensor:
            share = tf.cast(done, tf.float32) / tf.cast(steps, tf.float32)
            return learning_rate * (0.5 * (1 + tf.cos(math.pi * share)))

        return adam.minimise(loss, weights, steps, rate, epsilon=1e-8)

    return train
