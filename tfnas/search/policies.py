"""R Gaussian policies of one shape, each an LSTM cell with a linear layer, in one tensor program."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from tfnas.predictors import adam


class Policies:
    """R LSTM cells, each with a linear layer that gives the mean of a Gaussian with unit variance.

    Args:
      size: D, length of states and actions.
      units: U, width of the LSTMs.
      learning_rate: learning rate of Adam.
      seeds: seeds of the policies.
    """

    _NAMES = ("gates", "gates_bias", "mean", "mean_bias")

    def __init__(self, size: int, units: int, learning_rate: float, seeds: Sequence[int]):
        self._units, self._learning_rate = units, learning_rate
        limit = 1 / np.sqrt(units)
        shapes = [(size + units, 4 * units), (4 * units,), (units, size), (size,)]
        drawn = []
        for seed in seeds:
            rng = np.random.default_rng([seed, 1])
            drawn.append([rng.uniform(-limit, limit, shape).astype(np.float32) for shape in shapes])
        self._weights = [np.stack(weights) for weights in zip(*drawn, strict=True)]
        self._first = [np.zeros_like(weights) for weights in self._weights]
        self._second = [np.zeros_like(weights) for weights in self._weights]
        self._updates = 0

    def initial_memory(self) -> np.ndarray:
        """Outputs and cell states of the LSTMs, float32 `[2, R, U]`."""
        return np.zeros((2, len(self._weights[0]), self._units), np.float32)

    def step(self, states: np.ndarray, memory: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Means of the next actions `[R, D]` and the new memory, from states `[R, D]`."""
        mean, memory = _step(self._weights, tf.constant(states), tf.constant(memory))
        return mean.numpy(), memory.numpy()

    def update(self, states: np.ndarray, actions: np.ndarray, advantages: np.ndarray) -> None:
        """One gradient step on an episode of each policy: `[R, T, D]`, `[R, T, D]`, `[R, T]`."""
        self._updates += 1
        weights, first, second = _policy_gradient(
            self._weights,
            self._first,
            self._second,
            tf.constant(self.initial_memory()),
            tf.constant(states),
            tf.constant(actions),
            tf.constant(advantages),
            tf.constant(float(self._updates)),
            tf.constant(self._learning_rate),
        )
        self._weights, self._first, self._second = weights, first, second

    def state(self) -> dict[str, np.ndarray]:
        """Weights and optimizer state."""
        groups = {"weight": self._weights, "first": self._first, "second": self._second}
        arrays = {
            f"{group}_{name}": np.asarray(array)
            for group, weights in groups.items()
            for name, array in zip(self._NAMES, weights, strict=True)
        }
        return arrays | {"updates": np.array(self._updates)}

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Continues from what `state` returned."""
        self._weights, self._first, self._second = (
            [state[f"{group}_{name}"] for name in self._NAMES] for group in ("weight", "first", "second")
        )
        self._updates = int(state["updates"])


def _cell(weights: list[tf.Tensor], states: tf.Tensor, memory: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    gates, gates_bias, mean, mean_bias = weights
    outputs, cells = memory[0], memory[1]
    values = tf.einsum("rd,rdu->ru", tf.concat([states, outputs], axis=1), gates) + gates_bias
    enter, forget, candidate, leave = tf.split(values, 4, axis=1)
    # The forget gate starts open.
    cells = tf.sigmoid(forget + 1.0) * cells + tf.sigmoid(enter) * tf.tanh(candidate)
    outputs = tf.sigmoid(leave) * tf.tanh(cells)
    return tf.einsum("ru,rud->rd", outputs, mean) + mean_bias, tf.stack([outputs, cells])


_step = tf.function(_cell, autograph=False)


@tf.function(autograph=False)
def _policy_gradient(
    weights: list[tf.Tensor],
    first: list[tf.Tensor],
    second: list[tf.Tensor],
    memory: tf.Tensor,
    states: tf.Tensor,
    actions: tf.Tensor,
    advantages: tf.Tensor,
    updates: tf.Tensor,
    learning_rate: tf.Tensor,
) -> tuple[list[tf.Tensor], list[tf.Tensor], list[tf.Tensor]]:
    """Weights and moments of Adam after one step up the expected return."""
    with tf.GradientTape() as tape:
        tape.watch(weights)
        means = []
        for state in tf.unstack(states, axis=1):
            mean, memory = _cell(weights, state, memory)
            means.append(mean)
        log_likelihood = -0.5 * tf.reduce_sum((actions - tf.stack(means, axis=1)) ** 2, axis=2)
        loss = -tf.reduce_sum(tf.reduce_mean(log_likelihood * advantages, axis=1))  # policies share no weights
    gradients = tape.gradient(loss, weights)
    return adam.step(weights, gradients, first, second, updates, learning_rate)
