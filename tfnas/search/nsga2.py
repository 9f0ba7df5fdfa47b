"""NSGA-II of the library pymoo on architectures.

References:
  Deb et al. 2002, "A Fast and Elitist Multiobjective Genetic Algorithm: NSGA-II".
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tfnas.errors import ConfigurationError
from tfnas.search.candidates import CandidateSet
from tfnas.search.goal_strategies import GoalStrategy
from tfnas.search.objectives import Goals

try:
    from pymoo.algorithms.moo.nsga2 import NSGA2
    from pymoo.core.crossover import Crossover
    from pymoo.core.evaluator import Evaluator
    from pymoo.core.mutation import Mutation
    from pymoo.core.problem import Problem
    from pymoo.core.termination import NoTermination
    from pymoo.problems.static import StaticProblem
except ImportError as error:
    raise ConfigurationError("strategy 'nsga2' needs the package pymoo: pip install 'tfnas[pymoo]'") from error

_ATTEMPTS, _MUTANTS = 10, 4  # per child


class NSGA2Search(GoalStrategy):
    """Generations of NSGA-II, whose members are rows of candidates and whose operators are those of the space.

    Args:
      candidates: architectures that the limits allow; children outside them, and children that the run was given
        before, are mutated again.
      seeds: seeds of the R runs.
      goals: m objectives and limits.
      population_size: number of members, and of children in a generation.
      crossover: share of children with two parents.

    Raises:
      ConfigurationError: a population below 4, or a share outside [0, 1].
    """

    name = "nsga2"

    def __init__(
        self,
        candidates: CandidateSet,
        seeds: Sequence[int],
        goals: Goals,
        *,
        population_size: int = 10,
        crossover: float = 0.5,
    ):
        if population_size < 4 or not 0 <= crossover <= 1:
            raise ConfigurationError(
                f"population_size={population_size}, crossover={crossover:g}, expected at least 4 and a share"
            )
        super().__init__(candidates, seeds, goals)
        self.population_size, self.crossover, self.initial = population_size, crossover, population_size
        self._begin()

    def _begin(self) -> None:
        self._problem = Problem(n_var=1, n_obj=len(self.goals.objectives), n_ieq_constr=1)
        self._algorithms: list[NSGA2] = []
        self._generations: list[Any] = []  # populations of pymoo, one per run, whose scores are awaited
        self._queue = np.zeros((self.runs, 0), np.int64)  # members that were not suggested yet

    def _suggest(self, count: int) -> np.ndarray:
        if not self._queue.shape[1]:
            if self.rows.shape[1] < self.asked:
                return np.zeros((self.runs, 0), np.int64)
            self._breed(min(self.population_size, len(self.candidates) - self.asked))
        rows, self._queue = self._queue[:, :count], self._queue[:, count:]
        return rows

    def _breed(self, size: int) -> None:
        """Tells pymoo the last generation, of which all scores are there, and asks for the next generation."""
        if not self._algorithms:
            self._algorithms = [self._algorithm(run, size) for run in range(self.runs)]
        for run, population in enumerate(self._generations):
            members = population.get("X")[:, 0]
            order = np.argsort(self.rows[run])
            members = order[np.searchsorted(self.rows[run], members, sorter=order)]
            feasible = self.feasible[run, members][:, None]
            costs = np.where(feasible, -self.gains[run, members], 0.0)
            Evaluator().eval(StaticProblem(self._problem, F=costs, G=np.where(feasible, -1.0, 1.0)), population)
            self._algorithms[run].tell(infills=population)
            self._algorithms[run].n_offsprings = size
        self._generations = [algorithm.ask() for algorithm in self._algorithms]
        self._queue = np.stack([population.get("X")[:, 0] for population in self._generations])
        self.candidates.keep(self._queue)

    def _algorithm(self, run: int, size: int) -> NSGA2:
        algorithm = NSGA2(
            pop_size=size,
            sampling=np.array(self.draw(run, size), np.int64)[:, None],
            crossover=_SpaceCrossover(self, run),
            mutation=_SpaceMutation(self, run),
            eliminate_duplicates=False,
        )
        algorithm.setup(self._problem, termination=NoTermination())
        algorithm.random_state = self.rngs[run]
        return algorithm

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Continues from what `state` returned: all generations are bred again, with the scores that they got."""
        super().load_state(state)
        asked, self.suggested = self.asked, self.suggested[:, :0]
        self.rngs = [np.random.default_rng(seed) for seed in self.seeds]
        self._begin()
        while self.asked < asked:
            self.suggest(asked - self.asked)


class _SpaceCrossover(Crossover):
    """One child of two parents by the space's crossover; a child that is no candidate gives way to the first parent."""

    def __init__(self, search: NSGA2Search, run: int):
        super().__init__(n_parents=2, n_offsprings=1, prob=search.crossover)
        self._search, self._run = search, run

    def _do(self, problem: Problem, X: np.ndarray, *_: Any, **__: Any) -> np.ndarray:
        candidates, rng = self._search.candidates, self._search.rngs[self._run]
        parents = X[..., 0].astype(np.int64).T
        rows = candidates.rows(
            [candidates.space.crossover(*map(candidates.architecture, pair), rng) for pair in parents.tolist()]
        )
        return np.where(rows >= 0, rows, parents[:, 0])[None, :, None]


class _SpaceMutation(Mutation):
    """Mutants by the space's mutation, each a candidate that the run was not given yet."""

    def __init__(self, search: NSGA2Search, run: int):
        super().__init__(prob=1.0)
        self._search, self._run = search, run

    def _do(self, problem: Problem, X: np.ndarray, *_: Any, **__: Any) -> np.ndarray:
        children: list[int] = []
        for row in X[:, 0].tolist():
            children.append(self._child(int(row), children))
        return np.array(children, np.int64)[:, None]

    def _child(self, parent: int, siblings: list[int]) -> int:
        search, run = self._search, self._run
        architecture, space = search.candidates.architecture(parent), search.candidates.space
        for _ in range(_ATTEMPTS):
            mutants = [space.mutate(architecture, search.rngs[run]) for _ in range(_MUTANTS)]
            for row in search.candidates.rows(mutants).tolist():
                if row >= 0 and row not in search.suggested[run] and row not in siblings:
                    return row
        return search.draw(run, 1, siblings)[0]
