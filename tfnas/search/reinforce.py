"""REINFORCE in the embedding space: an LSTM walks from one architecture's embedding to the next."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from tfnas.encoders.layers import FanInUniform, linear
from tfnas.search.base import Candidates, Strategy


class Reinforce(Strategy):
    """A Gaussian policy proposes a point; the nearest candidate not seen yet is scored and becomes the next state.

    Embeddings are standardised, so that the policy's unit variance means the same for every encoder. Returns are
    discounted, and compared with a moving average of earlier returns.

    Args:
      candidates: what can be suggested.
      seed: decides every suggestion, given the scores.
      units: width of the LSTM.
      episode_length: steps between updates of the policy.
      discount: weight of the next return.
      learning_rate: of Adam.
      baseline_momentum: weight of the past in the moving average.

    References:
      Yan et al. 2020 (arch2vec), section 3.3. The published code discounts nothing and uses a constant baseline.
    """

    name = "reinforce"

    def __init__(
        self,
        candidates: Candidates,
        seed: int,
        units: int = 128,
        episode_length: int = 16,
        discount: float = 0.8,
        learning_rate: float = 1e-2,
        baseline_momentum: float = 0.9,
    ):
        super().__init__(candidates, seed)
        self.episode_length = episode_length
        self.discount = discount
        self.baseline_momentum = baseline_momentum
        self._policy = _Policy(candidates.embeddings.shape[1], units, learning_rate, seed)
        self._state = candidates.standardised[int(self.rng.integers(len(candidates)))]
        self._memory = self._policy.initial_memory()
        self._baseline = np.float64("nan")
        size = candidates.embeddings.shape[1]
        self._states, self._actions = np.zeros((0, size), np.float32), np.zeros((0, size), np.float32)
        self._rewards: list[float] = []

    def _suggest(self, count: int) -> list[int]:
        rows: list[int] = []
        for _ in range(min(count, self.episode_length - len(self._states))):
            mean, self._memory = self._policy.step(self._state, self._memory)
            action = mean + self.rng.standard_normal(mean.shape, dtype=np.float32)
            row = self._nearest(action, rows)
            self._states = np.concatenate([self._states, self._state[None]])
            self._actions = np.concatenate([self._actions, action[None]])
            self._state = self.candidates.standardised[row]
            rows.append(row)
        return rows

    def _nearest(self, point: np.ndarray, taken: list[int]) -> int:
        distances = ((self.candidates.standardised - point) ** 2).sum(axis=1)
        distances[self._suggested] = np.inf
        distances[taken] = np.inf
        return int(distances.argmin())

    def _learn(self, rows: list[int], scores: list[float]) -> None:
        self._rewards.extend(scores)
        if len(self._rewards) < self.episode_length:
            return
        returns = np.zeros(self.episode_length)
        following = 0.0
        for step in reversed(range(self.episode_length)):
            returns[step] = following = self._rewards[step] + self.discount * following
        baseline = returns.mean() if np.isnan(self._baseline) else self._baseline
        self._baseline = self.baseline_momentum * baseline + (1 - self.baseline_momentum) * returns.mean()
        self._policy.update(self._states, self._actions, (returns - baseline).astype(np.float32))
        self._memory = self._policy.initial_memory()
        self._states, self._actions, self._rewards = self._states[:0], self._actions[:0], []

    def state(self) -> dict[str, np.ndarray]:
        own = {
            "position": self._state,
            "memory": self._memory,
            "baseline": np.asarray(self._baseline),
            "states": self._states,
            "actions": self._actions,
            "rewards": np.array(self._rewards, np.float64),
        }
        weights = {f"weight_{i:02d}": value for i, value in enumerate(self._policy.get_weights())}
        return super().state() | own | weights

    def load_state(self, state: Mapping[str, Any]) -> None:
        super().load_state(state)
        self._state, self._memory, self._baseline = state["position"], state["memory"], state["baseline"][()]
        self._states, self._actions, self._rewards = state["states"], state["actions"], state["rewards"].tolist()
        self._policy.set_weights([state[name] for name in sorted(state) if name.startswith("weight_")])


class _Policy:
    """LSTM cell and a linear layer that gives the mean of a Gaussian with unit variance."""

    def __init__(self, size: int, units: int, learning_rate: float, seed: int):
        self._units = units
        self._cell = tf.keras.layers.LSTMCell(
            units,
            kernel_initializer=FanInUniform(4000 + seed, units),
            recurrent_initializer=FanInUniform(5000 + seed, units),
        )
        self._head = linear(units, size, 6000 + seed, "mean")
        self._cell.build([None, size])
        self._head.build([None, units])
        self._variables = [*self._cell.trainable_variables, *self._head.trainable_variables]
        self._optimizer = tf.keras.optimizers.Adam(learning_rate, jit_compile=False)
        self._optimizer.build(self._variables)
        self._step = tf.function(self._one_step)
        self._update = tf.function(self._policy_gradient)

    def initial_memory(self) -> np.ndarray:
        """LSTM output and cell state float32 `[2, units]`."""
        return np.zeros((2, self._units), np.float32)

    def step(self, state: np.ndarray, memory: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Mean of the next action `[D]` and the new memory."""
        mean, memory = self._step(tf.constant(state), tf.constant(memory))
        return mean.numpy(), memory.numpy()

    def update(self, states: np.ndarray, actions: np.ndarray, advantages: np.ndarray) -> None:
        """One gradient step on an episode: `[T, D]`, `[T, D]`, `[T]`."""
        self._update(tf.constant(states), tf.constant(actions), tf.constant(advantages))

    def get_weights(self) -> list[np.ndarray]:
        """Weights and optimizer state."""
        return [variable.numpy() for variable in [*self._variables, *self._optimizer.variables]]

    def set_weights(self, values: list[np.ndarray]) -> None:
        """Inverse of `get_weights`."""
        for variable, value in zip([*self._variables, *self._optimizer.variables], values, strict=True):
            variable.assign(value)

    def _one_step(self, state: tf.Tensor, memory: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        output, memory = self._cell(state[None], [memory[:1], memory[1:]])
        return self._head(output)[0], tf.concat(memory, axis=0)

    def _policy_gradient(self, states: tf.Tensor, actions: tf.Tensor, advantages: tf.Tensor) -> None:
        with tf.GradientTape() as tape:
            memory = tf.constant(self.initial_memory())
            means = []
            for state in tf.unstack(states):
                mean, memory = self._one_step(state, memory)
                means.append(mean)
            log_likelihood = -0.5 * tf.reduce_sum((actions - tf.stack(means)) ** 2, axis=1)
            loss = -tf.reduce_mean(log_likelihood * advantages)
        gradients = tape.gradient(loss, self._variables)
        self._optimizer.apply_gradients(zip(gradients, self._variables, strict=True))
