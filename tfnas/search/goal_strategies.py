"""Strategies for several objectives: what they share, and random search."""

import abc
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from tfnas.errors import ConfigurationError
from tfnas.predictors.base import BatchedSurrogate
from tfnas.runtime import in_threads
from tfnas.search import pareto
from tfnas.search.base import Strategy
from tfnas.search.candidates import CandidateSet
from tfnas.search.objectives import Goals
from tfnas.search.pools import AllCandidates, Pool

_CHILDREN, _STRANGERS = 100, 200
_PARENTS = 20
_CROSSOVER = 0.3  # share of children with two parents

MakeSurrogate = Callable[[CandidateSet, int], BatchedSurrogate[np.ndarray]]
"""From candidates and the number of runs to a surrogate whose inputs are rows of the candidates."""


class GoalStrategy(Strategy):
    """A strategy that knows all objectives of the rows whose accuracies it was told.

    Args:
      candidates: architectures that the limits allow, see `Goals.within`.
      seeds: seeds of the R runs.
      goals: m objectives and limits.

    Attributes:
      goals: m objectives and limits.
      gains: float64 `[R, n, m]`, objectives of the scored rows, more is better; NaN for an objective without a value.
      feasible: bool `[R, n]`, whether scored rows have all objectives and keep all limits.
    """

    def __init__(self, candidates: CandidateSet, seeds: Sequence[int], goals: Goals):
        super().__init__(candidates, seeds)
        self.goals = goals
        self.gains = np.zeros((self.runs, 0, len(goals.objectives)))
        self.feasible = np.zeros((self.runs, 0), bool)

    @property
    def feasible_gains(self) -> np.ndarray:
        """float64 `[R, n, m]`: `gains` with rows of NaN where they are not feasible."""
        return np.where(self.feasible[..., None], self.gains, np.nan)

    def _learn(self, scores: np.ndarray) -> None:
        known = self.gains.shape[1]
        shape = self.rows[:, known:].shape
        cells, accuracies = self.candidates.cells[self.rows[:, known:].ravel()], self.scores[:, known:].ravel()
        gains, feasible = self.goals.gains(cells, accuracies), self.goals.feasible(cells, accuracies)
        self.gains = np.concatenate([self.gains, gains.reshape(*shape, -1)], axis=1)
        self.feasible = np.concatenate([self.feasible, feasible.reshape(shape)], axis=1)

    def load_state(self, state: Mapping[str, Any]) -> None:
        super().load_state(state)
        self.gains, self.feasible = self.gains[:, :0], self.feasible[:, :0]
        self._learn(self.scores)


class RandomGoals(GoalStrategy):
    """Rows uniformly at random, without replacement."""

    name = "random"

    def _suggest(self, count: int) -> np.ndarray:
        return self._random_rows(count)


class GoalSurrogateSearch(GoalStrategy):
    """Surrogates learn from the queries, judge a pool of candidates, and the best of the pool are queried next.

    Args:
      candidates: architectures that the limits allow.
      seeds: seeds of the R runs.
      goals: m objectives and limits.
      initial: number of random candidates before the first prediction.
      batch: number of suggestions per prediction.

    Raises:
      ConfigurationError: `initial` is below 3 or `batch` below 1.
    """

    def __init__(self, candidates: CandidateSet, seeds: Sequence[int], goals: Goals, *, initial: int, batch: int):
        if initial < 3 or batch < 1:
            raise ConfigurationError(f"initial={initial}, batch={batch}, expected at least 3 and 1")
        super().__init__(candidates, seeds, goals)
        self.initial, self.batch = initial, batch
        self._pool: Pool = AllCandidates() if candidates.embedded else FrontOffspring(_CHILDREN, _STRANGERS)

    def _suggest(self, count: int) -> np.ndarray:
        if self.asked >= self.initial > self.rows.shape[1]:
            return np.zeros((self.runs, 0), np.int64)
        first = self._initial_rows(count, self.initial)
        if first is not None:
            return first
        size = min(count, self.batch)
        judged = self._pool.rows(self, size)
        judged = [rows[~self.suggested[run, rows]] for run, rows in enumerate(judged)]
        self._fit(judged)
        best = in_threads(lambda run: self._best(run, judged[run], size), range(self.runs))
        # Threads draw nothing: candidates that are met on the way get their rows in the order of the runs.
        return np.array([[*rows, *self.draw(run, size - len(rows), rows)] for run, rows in enumerate(best)], np.int64)

    @abc.abstractmethod
    def _fit(self, judged: list[np.ndarray]) -> None:
        """Fits the surrogates to all scores, and prepares to judge rows `[m]` of every run."""

    @abc.abstractmethod
    def _best(self, run: int, rows: np.ndarray, size: int) -> list[int]:
        """At most `size` of the rows `[m]`, the best first; many runs at once."""


class FrontOffspring:
    """Mutants and crosses of the 20 queries of the best ranks, and random candidates.

    Args:
      children: number of mutants and crosses.
      strangers: number of random candidates.
    """

    capacity = None

    def __init__(self, children: int, strangers: int):
        self.children, self.strangers = children, strangers

    def rows(self, search: GoalStrategy, size: int) -> list[np.ndarray]:
        return [self._rows(search, run) for run in range(search.runs)]

    def _rows(self, search: GoalStrategy, run: int) -> np.ndarray:
        rng, candidates, space = search.rngs[run], search.candidates, search.candidates.space
        order = np.argsort(pareto.ranks(search.feasible_gains[run]), kind="stable")[:_PARENTS]
        best = [candidates.architecture(row) for row in search.rows[run, order].tolist()]
        children = []
        for _ in range(self.children):
            first, second = rng.integers(len(best), size=2)
            if rng.random() < _CROSSOVER and first != second:
                children.append(space.crossover(best[first], best[second], rng))
            else:
                children.append(space.mutate(best[first], rng))
        strangers = candidates.rows_of_cells(space.sample(self.strangers, rng))
        rows = np.unique(np.concatenate([candidates.rows(children), strangers]))
        return rows[rows >= 0]
