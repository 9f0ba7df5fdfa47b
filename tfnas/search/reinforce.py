"""REINFORCE in the embedding space: an LSTM walks from one architecture's embedding to the next."""

import functools
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tfnas.errors import CorruptArtefactError
from tfnas.search.base import Strategy
from tfnas.search.candidates import CandidateSet
from tfnas.search.policies import Policies

_DISTANCES = 1 << 25  # numbers in one matrix of distances
_UNITS = 128  # width of the LSTM
_EPISODE = 16  # steps between updates of the policy
_LEARNING_RATE = 1e-2
_BASELINE_MOMENTUM = 0.9  # weight of the past in the moving average of returns
_STDDEV = 2.0  # deviation of the actions around the policy's mean; candidates have 1 (chosen on Digits-201)


class Reinforce(Strategy):
    """A Gaussian policy proposes a point; the nearest candidate not seen yet is scored and becomes the next state.

    Embeddings are standardised, so that the policy's variance means the same for every encoder. Returns are discounted,
    and compared with a baseline.

    Args:
      candidates: architectures with embeddings.
      seeds: seeds of the R runs.
      discount: weight of the next return.
      baseline: number that returns are compared with; None for a moving average of earlier returns. (arch2vec sets
        0.95 on NAS-Bench-101 and 0.4 on NAS-Bench-201.)

    References:
      Yan et al. 2020 (arch2vec), section 3.3. The published code discounts nothing and uses a constant baseline.
    """

    name = "reinforce"
    state_names = ("position", "memory", "baseline", "states", "actions", "episode", "rewards")

    def __init__(
        self,
        candidates: CandidateSet,
        seeds: Sequence[int],
        *,
        discount: float = 0.8,
        baseline: float | None = None,
    ):
        super().__init__(candidates, seeds)
        self.discount = discount
        size = candidates.embeddings.shape[1]
        self._policy = Policies(size, _UNITS, _LEARNING_RATE, self.seeds)
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
        for _ in range(min(count, _EPISODE - self._states.shape[1])):
            mean, self._memory = self._policy.step(self._position, self._memory)
            noise = np.stack([rng.standard_normal(mean.shape[1], dtype=np.float32) for rng in self.rngs])
            action = mean + _STDDEV * noise
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
            runs = slice(start, start + width)
            distances = asked[runs] @ table.T  # squared, without the length of the point, which changes no order
            for given in (self.suggested[runs], taken[runs]):
                np.put_along_axis(distances, given, np.inf, axis=1)
            nearest[runs] = distances.argmin(axis=1)
        return nearest

    @functools.cached_property
    def _augmented(self) -> np.ndarray:
        """The standardised candidates float32 `[N, D + 1]`, their squared lengths at the end."""
        table = self.candidates.standardised
        return np.concatenate([table, (table**2).sum(axis=1, keepdims=True)], axis=1)

    def _learn(self, scores: np.ndarray) -> None:
        told = self._episode[:, :, None] == self.rows[:, None, -scores.shape[1] :]
        self._rewards = np.where(told.any(axis=2), (told * scores[:, None]).sum(axis=2), self._rewards)
        if self._rewards.shape[1] < _EPISODE or np.isnan(self._rewards).any():
            return
        returns = np.zeros_like(self._rewards)
        following = np.zeros(self.runs)
        for step in reversed(range(_EPISODE)):
            returns[:, step] = following = self._rewards[:, step] + self.discount * following
        baseline = self._compared_with(returns.mean(axis=1))
        advantages = ((returns - baseline[:, None]) / _STDDEV**2).astype(np.float32)
        self._policy.update(self._states, self._actions, advantages)
        self._memory = self._policy.initial_memory()
        self._states, self._actions = self._states[:, :0], self._actions[:, :0]
        self._episode, self._rewards = self._episode[:, :0], self._rewards[:, :0]

    def _compared_with(self, mean: np.ndarray) -> np.ndarray:
        """The baselines `[R]` of an episode with these mean returns; the moving averages take them up."""
        if self._fixed_baseline is not None:
            return np.full(self.runs, self._fixed_baseline)
        before = np.where(np.isnan(self._baseline), mean, self._baseline)
        self._baseline = _BASELINE_MOMENTUM * before + (1 - _BASELINE_MOMENTUM) * mean
        return before

    def state(self) -> dict[str, np.ndarray]:
        return super().state() | self._policy.state()

    def load_state(self, state: Mapping[str, Any]) -> None:
        super().load_state(state)
        try:
            self._policy.load_state(state)
        except KeyError as error:
            raise CorruptArtefactError(f"not a state of the strategy {self.name!r} ({error})") from error
