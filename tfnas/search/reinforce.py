"""REINFORCE in the embedding space: an LSTM walks from one architecture's embedding to the next."""

import functools
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from tfnas.errors import CorruptArtefactError
from tfnas.predictors import adam
from tfnas.search.base import Candidates, Strategy

_DISTANCES = 1 << 25  # numbers in one matrix of distances


class Reinforce(Strategy):
    """A Gaussian policy proposes a point; the nearest candidate not seen yet is scored and becomes the next state.

    Embeddings are standardised, so that the policy's variance means the same for every encoder. Returns are discounted,
    and compared with a baseline.

    Args:
      candidates: what can be suggested.
      seeds: one for each run.
      units: width of the LSTM.
      episode_length: steps between updates of the policy.
      discount: weight of the next return.
      learning_rate: of Adam.
      baseline: what returns are compared with; None for a moving average of earlier returns. (arch2vec sets 0.95 on
        NAS-Bench-101 and 0.4 on NAS-Bench-201.)
      baseline_momentum: weight of the past in the moving average.
      stddev: of the actions around the policy's mean; candidates have 1. (Chosen on Digits-201.)

    References:
      Yan et al. 2020 (arch2vec), section 3.3. The published code discounts nothing and uses a constant baseline.
    """

    name = "reinforce"

    def __init__(
        self,
        candidates: Candidates,
        seeds: Sequence[int],
        units: int = 128,
        episode_length: int = 16,
        discount: float = 0.8,
        learning_rate: float = 1e-2,
        baseline: float | None = None,
        baseline_momentum: float = 0.9,
        stddev: float = 2.0,
    ):
        super().__init__(candidates, seeds)
        self.stddev = stddev
        self.episode_length = episode_length
        self.discount = discount
        self.baseline_momentum = baseline_momentum
        size = candidates.embeddings.shape[1]
        self._policy = Policies(size, units, learning_rate, self.seeds)
        starts = [int(rng.integers(len(candidates))) for rng in self.rngs]
        self._position = candidates.standardised[starts]
        self._memory = self._policy.initial_memory()
        self._fixed_baseline = baseline
        self._baseline = np.full(self.runs, np.nan)
        self._states = np.zeros((self.runs, 0, size), np.float32)
        self._actions = np.zeros((self.runs, 0, size), np.float32)
        self._episode = np.zeros((self.runs, 0), np.int64)
        self._rewards = np.zeros((self.runs, 0))

    def _suggest(self, count: int) -> np.ndarray:
        rows = np.zeros((self.runs, 0), np.int64)
        for _ in range(min(count, self.episode_length - self._states.shape[1])):
            mean, self._memory = self._policy.step(self._position, self._memory)
            noise = np.stack([rng.standard_normal(mean.shape[1], dtype=np.float32) for rng in self.rngs])
            action = mean + self.stddev * noise
            nearest = self._nearest(action, rows)
            self._states = np.concatenate([self._states, self._position[:, None]], axis=1)
            self._actions = np.concatenate([self._actions, action[:, None]], axis=1)
            self._position = self.candidates.standardised[nearest]
            rows = np.concatenate([rows, nearest[:, None]], axis=1)
        self._episode = np.concatenate([self._episode, rows], axis=1)
        self._rewards = np.concatenate([self._rewards, np.full(rows.shape, np.nan)], axis=1)
        return rows

    def _nearest(self, points: np.ndarray, taken: np.ndarray) -> np.ndarray:
        """The closest candidate to each point `[R, D]` that its run was not given yet."""
        table = self._augmented
        asked = np.concatenate([-2 * points, np.ones((len(points), 1), np.float32)], axis=1)
        nearest = np.zeros(self.runs, np.int64)
        width = max(1, _DISTANCES // len(table))
        for start in range(0, self.runs, width):
            part = slice(start, start + width)
            distances = asked[part] @ table.T  # squared, but for the point's own length, which changes no order
            for given in (self.rows[part], taken[part]):
                np.put_along_axis(distances, given, np.inf, axis=1)
            found = distances.argmin(axis=1)
            waiting = np.flatnonzero(self._suggested[part][np.arange(len(found)), found])
            for row in waiting.tolist():  # suggested, but not scored yet
                distances[row, self._suggested[start + row]] = np.inf
                found[row] = distances[row].argmin()
            nearest[part] = found
        return nearest

    @functools.cached_property
    def _augmented(self) -> np.ndarray:
        """The standardised candidates float32 `[N, D + 1]`, their squared lengths at the end."""
        table = self.candidates.standardised
        return np.concatenate([table, (table**2).sum(axis=1, keepdims=True)], axis=1)

    def _learn(self, scores: np.ndarray) -> None:
        told = self._episode[:, :, None] == self.rows[:, None, -scores.shape[1] :]
        self._rewards = np.where(told.any(axis=2), (told * scores[:, None]).sum(axis=2), self._rewards)
        if self._rewards.shape[1] < self.episode_length or np.isnan(self._rewards).any():
            return
        returns = np.zeros_like(self._rewards)
        following = np.zeros(self.runs)
        for step in reversed(range(self.episode_length)):
            returns[:, step] = following = self._rewards[:, step] + self.discount * following
        baseline = self._compared_with(returns.mean(axis=1))
        advantages = ((returns - baseline[:, None]) / self.stddev**2).astype(np.float32)
        self._policy.update(self._states, self._actions, advantages)
        self._memory = self._policy.initial_memory()
        self._states, self._actions = self._states[:, :0], self._actions[:, :0]
        self._episode, self._rewards = self._episode[:, :0], self._rewards[:, :0]

    def _compared_with(self, mean: np.ndarray) -> np.ndarray:
        """The baselines `[R]` of an episode with these mean returns; the moving averages take them up."""
        if self._fixed_baseline is not None:
            return np.full(self.runs, self._fixed_baseline)
        before = np.where(np.isnan(self._baseline), mean, self._baseline)
        self._baseline = self.baseline_momentum * before + (1 - self.baseline_momentum) * mean
        return before

    def state(self) -> dict[str, np.ndarray]:
        own = {
            "position": self._position,
            "memory": self._memory,
            "baseline": self._baseline,
            "states": self._states,
            "actions": self._actions,
            "episode": self._episode,
            "rewards": self._rewards,
        }
        return super().state() | own | self._policy.state()

    def load_state(self, state: Mapping[str, Any]) -> None:
        super().load_state(state)
        try:
            self._position, self._memory, self._baseline = state["position"], state["memory"], state["baseline"]
            self._states, self._actions = state["states"], state["actions"]
            self._episode, self._rewards = state["episode"], state["rewards"]
            self._policy.load_state(state)
        except KeyError as error:
            raise CorruptArtefactError(f"not a state of the strategy {self.name!r} ({error})") from error


class Policies:
    """R LSTM cells, each with a linear layer that gives the mean of a Gaussian with unit variance.

    Args:
      size: D, of states and actions.
      units: U, width of the LSTMs.
      learning_rate: of Adam.
      seeds: one for each policy.
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
        self._weights = [np.stack(part) for part in zip(*drawn, strict=True)]
        self._first = [np.zeros_like(part) for part in self._weights]
        self._second = [np.zeros_like(part) for part in self._weights]
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
            f"{group}_{name}": np.asarray(part)
            for group, parts in groups.items()
            for name, part in zip(self._NAMES, parts, strict=True)
        }
        return arrays | {"updates": np.array(self._updates)}

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Inverse of `state`."""
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


_step = tf.function(_cell)


@tf.function
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
