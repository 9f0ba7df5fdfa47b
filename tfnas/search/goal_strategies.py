"""Strategies for several objectives: what they share, and random search."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tfnas.search import pareto
from tfnas.search.additive_process import AdditiveProcess
from tfnas.search.base import Strategy
from tfnas.search.candidates import Candidates, CandidateSet
from tfnas.search.objectives import Goals
from tfnas.search.pools import BREEDERS, LISTED, Pool, children, given
from tfnas.search.process_search import ProcessSearch

_CHILDREN, _STRANGERS = 200, 400


class GoalStrategy(Strategy):
    """A strategy that knows all objectives of the rows whose accuracies it was told.

    Args:
      candidates: architectures that the limits allow, see `Goals.within`.
      seeds: seeds of the R runs.
      goals: m objectives and limits.
      **settings: settings of a further base class, such as `ProcessSearch`.

    Attributes:
      goals: m objectives and limits.
      gains: float64 `[R, n, m]`, objectives of the scored rows, more is better; NaN for an objective without a value.
      feasible: bool `[R, n]`, whether scored rows have all objectives and keep all limits.
    """

    def __init__(self, candidates: CandidateSet, seeds: Sequence[int], goals: Goals, **settings: Any):
        super().__init__(candidates, seeds, **settings)
        self.goals = goals
        self.gains = np.zeros((self.runs, 0, len(goals.objectives)))
        self.feasible = np.zeros((self.runs, 0), bool)

    @property
    def feasible_gains(self) -> np.ndarray:
        """float64 `[R, n, m]`: `gains` with rows of NaN where they are not feasible."""
        return np.where(self.feasible[..., None], self.gains, np.nan)

    def _learn(self, scores: np.ndarray) -> None:
        self._measure()
        super()._learn(scores)

    def _measure(self) -> None:
        """Adds the objectives of the rows that have none yet."""
        known = self.gains.shape[1]
        shape = self.rows[:, known:].shape
        cells, accuracies = self.candidates.cells[self.rows[:, known:].ravel()], self.scores[:, known:].ravel()
        gains, feasible = self.goals.gains(cells, accuracies), self.goals.feasible(cells, accuracies)
        self.gains = np.concatenate([self.gains, gains.reshape(*shape, -1)], axis=1)
        self.feasible = np.concatenate([self.feasible, feasible.reshape(shape)], axis=1)

    def load_state(self, state: Mapping[str, Any]) -> None:
        super().load_state(state)
        self.gains, self.feasible = self.gains[:, :0], self.feasible[:, :0]
        self._measure()


class RandomGoals(GoalStrategy):
    """Rows uniformly at random, without replacement."""

    name = "random"

    def _suggest(self, count: int) -> np.ndarray:
        return self._random_rows(count)


class GoalSurrogateSearch(GoalStrategy, ProcessSearch):
    """Additive Gaussian processes learn from the queries and judge a pool; the best of the pool are queried next.

    Args:
      candidates: architectures that the limits allow.
      seeds: seeds of the R runs.
      goals: m objectives and limits.
      initial: number of random candidates before the first prediction.
      batch: number of suggestions per fit; None for a twentieth of the scores so far, and at least one.
      blocks: names of `additive_process.BLOCKS`; None for all that the candidates have.
      learned: numbers of the targets that processes learn.

    Raises:
      ConfigurationError: `initial` or `batch` is below 1, or the candidates lack a block.
    """

    representatives_only = False

    def __init__(
        self,
        candidates: CandidateSet,
        seeds: Sequence[int],
        goals: Goals,
        *,
        initial: int,
        batch: int | None,
        blocks: Sequence[str] | None,
        learned: Sequence[int],
    ):
        processes = {number: AdditiveProcess(candidates, blocks) for number in learned}
        pool = _pool(candidates, goals)
        super().__init__(candidates, seeds, goals, processes=processes, pool=pool, initial=initial, batch=batch)


class CheapestFunctions:
    """The cheapest candidate of every function that a run was not given yet.

    Args:
      candidates: listed candidates.
      goals: goals whose known objectives say what is cheap; several known objectives count in their order.
    """

    def __init__(self, candidates: Candidates, goals: Goals):
        gains = goals.known_gains(candidates.cells)
        known = [column for column in gains.T if np.isfinite(column).all()]
        order = np.lexsort([-column for column in reversed(known)]) if known else np.arange(len(candidates))
        functions = candidates.representative(np.arange(len(candidates)))
        self._functions, first = np.unique(functions[order], return_index=True)
        self._rows = order[first]

    def rows(self, search: Strategy, size: int) -> list[np.ndarray]:
        return [self._rows[~np.isin(self._functions, given(search, run))] for run in range(search.runs)]


class FrontOffspring:
    """Mutants and crosses of the 20 queries of the best ranks, and random candidates, of functions not given yet."""

    def rows(self, search: GoalStrategy, size: int) -> list[np.ndarray]:
        return [self._rows(search, run) for run in range(search.runs)]

    def _rows(self, search: GoalStrategy, run: int) -> np.ndarray:
        rng, candidates = search.rngs[run], search.candidates
        order = np.argsort(pareto.ranks(search.feasible_gains[run]), kind="stable")[:BREEDERS]
        bred = children(candidates, search.rows[run, order], _CHILDREN, rng)
        strangers = candidates.draw_many(_STRANGERS, rng)
        rows = np.unique(np.concatenate([bred, strangers[strangers >= 0]]))
        return rows[~np.isin(candidates.representative(rows), given(search, run))]


def _pool(candidates: CandidateSet, goals: Goals) -> Pool:
    if isinstance(candidates, Candidates) and candidates.functions_count <= LISTED:
        return CheapestFunctions(candidates, goals)
    return FrontOffspring()
