"""Strategies for several objectives: what they share, and random search."""

import abc
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tfnas.errors import ConfigurationError
from tfnas.runtime import in_threads
from tfnas.search import pareto
from tfnas.search.additive_process import AdditiveProcess
from tfnas.search.base import Strategy
from tfnas.search.candidates import Candidates, CandidateSet
from tfnas.search.objectives import Goals
from tfnas.search.pools import Pool

_LISTED = 8192  # functions up to which all are judged
_PARENTS, _CHILDREN, _STRANGERS = 20, 200, 400
_CROSSOVER = 0.3  # share of children with two parents
_SCORES_PER_SUGGESTION = 20
_LEAST = 3  # scores that a process needs


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
        self._measure()

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


class GoalSurrogateSearch(GoalStrategy):
    """Additive Gaussian processes learn from the queries and judge a pool; the best of the pool are queried next.

    No function is paid for twice. Suggestions that wait for scores, and earlier suggestions of the same batch, count as
    scored with the predicted mean.

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

    References:
      Ginsbourger et al. 2010, "Kriging Is Well-Suited to Parallelize Optimization", section 4.
    """

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
        if initial < 1 or (batch is not None and batch < 1):
            raise ConfigurationError(f"initial={initial}, batch={batch}, expected at least 1 each")
        super().__init__(candidates, seeds, goals)
        self.initial, self.batch = initial, batch
        self._processes = {number: AdditiveProcess(candidates, blocks) for number in learned}
        self._targets: dict[int, np.ndarray] = {}  # `[R, n]`, what the processes have learned
        self._pool = _pool(candidates, goals)
        self.capacity = candidates.functions_count

    def _suggest(self, count: int) -> np.ndarray:
        first = self._initial_rows(count, self.initial)
        if first is not None or not self._targets:
            return self._random_rows(1) if first is None else first
        size = min(count, self.batch or max(1, self.rows.shape[1] // _SCORES_PER_SUGGESTION))
        judged = self._pool.rows(self, size)
        waiting = [np.setdiff1d(np.flatnonzero(self.suggested[run]), self.rows[run]) for run in range(self.runs)]
        every = np.unique(np.concatenate([*judged, *waiting]))
        for process in self._processes.values():
            process.prepare(every)
        known = self.goals.known_gains(self.candidates.cells[every])

        def best(run: int) -> list[int]:
            gains = known[np.searchsorted(every, np.concatenate([waiting[run], judged[run]]))]
            return self._best(run, waiting[run], judged[run], gains, min(size, len(judged[run])))

        chosen = in_threads(best, range(self.runs))
        # Threads draw nothing: candidates that are met on the way get their rows in the order of the runs.
        return np.array([[*rows, *self.draw(run, size - len(rows), rows)] for run, rows in enumerate(chosen)], np.int64)

    @abc.abstractmethod
    def _best(self, run: int, waiting: np.ndarray, rows: np.ndarray, known: np.ndarray, size: int) -> list[int]:
        """`size` of the rows, the best first; called for many runs at once.

        Args:
          run: number of the run.
          waiting: rows `[w]` without scores.
          rows: rows `[m]` to choose from.
          known: gains `[w + m, objectives]` of both, NaN for objectives that are not known.
          size: number of rows.
        """

    @abc.abstractmethod
    def _new_targets(self) -> dict[int, np.ndarray]:
        """Targets `[R, n]` of all scored rows by number of the process."""

    def _learn(self, scores: np.ndarray) -> None:
        super()._learn(scores)
        if self.rows.shape[1] >= max(_LEAST, min(self.initial, self.asked)):
            self._targets = self._new_targets()
            for number, process in self._processes.items():
                process.fit(self.rows, self._targets[number])

    def state(self) -> dict[str, np.ndarray]:
        fits = {}
        for number, targets in self._targets.items():
            process = self._processes[number]
            fits |= {
                f"targets_{number}": targets,
                f"weights_{number}": process.weights,
                f"noise_{number}": process.noise,
            }
        return {**super().state(), **fits}

    def load_state(self, state: Mapping[str, Any]) -> None:
        super().load_state(state)
        self._targets = {}
        for number, process in self._processes.items():
            if f"targets_{number}" in state:
                targets = self._targets[number] = state[f"targets_{number}"]
                rows = self.rows[:, : targets.shape[1]]
                process.restore(rows, targets, state[f"weights_{number}"], state[f"noise_{number}"])

    def draw(self, run: int, count: int, excluded: Sequence[int] = ()) -> list[int]:
        """Distinct random rows of functions that a run was not given yet and that are not excluded."""
        given = {*self.candidates.representative(np.flatnonzero(self.suggested[run])).tolist()}
        given.update(self.candidates.representative(np.array(excluded, np.int64)).tolist())
        representative = self.candidates.representative
        return self.candidates.draw(count, self.rngs[run], lambda row: int(representative(np.array([row]))[0]) in given)


class CheapestFunctions:
    """The cheapest candidate of every function that a run was not given yet.

    Args:
      candidates: listed candidates.
      goals: goals whose known objectives say what is cheap; several known objectives count in their order.
    """

    capacity = None

    def __init__(self, candidates: Candidates, goals: Goals):
        gains = goals.known_gains(candidates.cells)
        known = [column for column in gains.T if np.isfinite(column).all()]
        order = np.lexsort([-column for column in reversed(known)]) if known else np.arange(len(candidates))
        functions = candidates.representative(np.arange(len(candidates)))
        self._functions, first = np.unique(functions[order], return_index=True)
        self._rows = order[first]

    def rows(self, search: Strategy, size: int) -> list[np.ndarray]:
        given = [search.candidates.representative(np.flatnonzero(suggested)) for suggested in search.suggested]
        return [self._rows[~np.isin(self._functions, functions)] for functions in given]


class FrontOffspring:
    """Mutants and crosses of the 20 queries of the best ranks, and random candidates, of functions not given yet."""

    capacity = None

    def rows(self, search: GoalStrategy, size: int) -> list[np.ndarray]:
        return [self._rows(search, run) for run in range(search.runs)]

    def _rows(self, search: GoalStrategy, run: int) -> np.ndarray:
        rng, candidates, space = search.rngs[run], search.candidates, search.candidates.space
        order = np.argsort(pareto.ranks(search.feasible_gains[run]), kind="stable")[:_PARENTS]
        best = [candidates.architecture(row) for row in search.rows[run, order].tolist()]
        children = []
        for _ in range(_CHILDREN):
            first, second = rng.integers(len(best), size=2)
            if rng.random() < _CROSSOVER and first != second:
                children.append(space.crossover(best[first], best[second], rng))
            else:
                children.append(space.mutate(best[first], rng))
        rows = np.unique(np.concatenate([candidates.rows(children), candidates.draw_many(_STRANGERS, rng)]))
        rows = rows[rows >= 0]
        given = candidates.representative(np.flatnonzero(search.suggested[run]))
        return rows[~np.isin(candidates.representative(rows), given)]


def _pool(candidates: CandidateSet, goals: Goals) -> Pool:
    if isinstance(candidates, Candidates) and candidates.functions_count <= _LISTED:
        return CheapestFunctions(candidates, goals)
    return FrontOffspring()
