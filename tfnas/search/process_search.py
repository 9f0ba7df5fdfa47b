"""What searches with additive Gaussian processes share, for one objective and for several."""

import abc
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tfnas.errors import ConfigurationError
from tfnas.runtime import in_threads
from tfnas.search.additive_process import AdditiveProcess
from tfnas.search.base import Strategy
from tfnas.search.candidates import CandidateSet
from tfnas.search.pools import Pool, given

_SCORES_PER_SUGGESTION = 20
LEAST_SCORES = 3
"""Number of scores that a process needs."""


class ProcessSearch(Strategy):
    """A random start; then processes learn from all scores and judge a pool, and the best of the pool are queried.

    No function is paid for twice: of candidates that compute the same function one is queried. Suggestions that wait
    for scores, and earlier suggestions of the same batch, count as scored with the predicted mean (Kriging believer).

    Args:
      candidates: architectures to choose from.
      seeds: seeds of the R runs.
      processes: processes by a number of their own.
      pool: candidates that are judged.
      initial: number of random candidates before the first prediction.
      batch: number of suggestions per fit; None for a twentieth of the scores so far, and at least one.

    Attributes:
      fitted: number of scores of every run that the processes have learned.
      representatives_only: whether random rows are the first rows of their functions; False where the rows of a
        function differ in an objective, such as a latency.

    Raises:
      ConfigurationError: `initial` or `batch` is below 1.

    References:
      Ginsbourger et al. 2010, "Kriging Is Well-Suited to Parallelize Optimization", section 4.
    """

    representatives_only = True

    def __init__(
        self,
        candidates: CandidateSet,
        seeds: Sequence[int],
        *,
        processes: Mapping[int, AdditiveProcess],
        pool: Pool,
        initial: int,
        batch: int | None,
    ):
        if initial < 1 or (batch is not None and batch < 1):
            raise ConfigurationError(f"initial={initial}, batch={batch}, expected at least 1 each")
        super().__init__(candidates, seeds)
        self.initial, self.batch, self.capacity = initial, batch, candidates.functions_count
        self.fitted = 0
        self._processes, self._pool = processes, pool
        self._targets: dict[int, np.ndarray] = {}  # `[R, fitted]` by number of the process

    def know(self, rows: np.ndarray, scores: np.ndarray) -> None:
        super().know(rows, scores)
        self._learn(scores)

    def _suggest(self, count: int) -> np.ndarray:
        first = self._initial_rows(count, self.initial)
        if first is not None or not self.fitted:
            return self._random_rows(1) if first is None else first
        size = min(count, self.batch or max(1, self.rows.shape[1] // _SCORES_PER_SUGGESTION))
        judged = self._pool.rows(self, size)
        waiting = [np.setdiff1d(self.suggested[run], self.rows[run]) for run in range(self.runs)]
        self._prepare(np.unique(np.concatenate([*judged, *waiting])))

        def best(run: int) -> list[int]:
            return self._best(run, waiting[run], judged[run], min(size, len(judged[run])))

        chosen = in_threads(best, range(self.runs))
        # Threads draw nothing: candidates that are met on the way get their rows in the order of the runs.
        return np.array([[*rows, *self.draw(run, size - len(rows), rows)] for run, rows in enumerate(chosen)], np.int64)

    def _prepare(self, rows: np.ndarray) -> None:
        """Computes what is asked of rows `[m]` of all runs, before the runs judge them in threads."""
        for process in self._processes.values():
            process.prepare(rows)

    @abc.abstractmethod
    def _best(self, run: int, waiting: np.ndarray, rows: np.ndarray, size: int) -> list[int]:
        """`size` of the rows, the best first; called for many runs at once.

        Args:
          run: number of the run.
          waiting: rows `[w]` without scores.
          rows: rows `[m]` to choose from.
          size: number of rows.
        """

    @abc.abstractmethod
    def _new_targets(self) -> dict[int, np.ndarray]:
        """Targets `[R, n]` of all scored rows by number of the process."""

    def _learn(self, scores: np.ndarray) -> None:
        count = self.rows.shape[1]
        if count >= max(LEAST_SCORES, min(self.initial, self.asked)):
            self._targets = self._new_targets()
            for number, process in self._processes.items():
                process.fit(self.rows, self._targets[number])
            self.fitted = count

    def draw(self, run: int, count: int, excluded: Sequence[int] = ()) -> list[int]:
        """Distinct random rows of functions that a run was not given yet and that are not excluded."""
        representative = self.candidates.representative
        taken = {*given(self, run).tolist(), *representative(np.array(excluded, np.int64)).tolist()}

        def unsuitable(row: int) -> bool:
            function = int(representative(np.array([row]))[0])
            return function in taken or (self.representatives_only and function != row)

        return self.candidates.draw(count, self.rngs[run], unsuitable)

    def state(self) -> dict[str, np.ndarray]:
        fits: dict[str, np.ndarray] = {}
        for number, targets in self._targets.items():
            process = self._processes[number]
            fits |= {
                f"targets_{number}": targets,
                f"weights_{number}": process.weights,
                f"noise_{number}": process.noise,
            }
        return {**super().state(), "fitted": np.asarray(self.fitted), **fits}

    def load_state(self, state: Mapping[str, Any]) -> None:
        super().load_state(state)
        self.fitted, self._targets = int(state["fitted"]), {}
        for number, process in self._processes.items() if self.fitted else ():
            self._targets[number] = state[f"targets_{number}"]
            process.restore(
                self.rows[:, : self.fitted],
                self._targets[number],
                state[f"weights_{number}"],
                state[f"noise_{number}"],
            )
