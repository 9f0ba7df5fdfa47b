"""Search with a surrogate: it judges a pool of candidates, and those of the greatest merit are queried next."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from tfnas.errors import ConfigurationError
from tfnas.predictors.base import BatchedSurrogate
from tfnas.runtime import in_threads
from tfnas.search.acquisition import Acquisition
from tfnas.search.base import Strategy
from tfnas.search.candidates import CandidateSet
from tfnas.search.pools import Pool


class SurrogateSearch(Strategy):
    """Surrogate x acquisition function x pool.

    Args:
      candidates: architectures to choose from.
      seeds: seeds of the R runs.
      surrogate: function that gives the surrogate to fit, whose inputs are rows: int `[R, n]` for `fit`, int `[m]` for
        `predict`. It is called before every fit, and may return the same object each time.
      acquisition: merit of a candidate by its prediction.
      pool: candidates that are judged.
      initial: number of random candidates before the first prediction.
      batch: number of suggestions per prediction.
      refit_every: number of new scores after which the surrogate is fitted again; 0 fits it before every prediction.
      patient: True waits for all initial scores before the first prediction, False for two.

    Raises:
      ConfigurationError: `initial` or `batch` is below 1.
    """

    name = "surrogate"
    state_names = ("learned",)

    def __init__(
        self,
        candidates: CandidateSet,
        seeds: Sequence[int],
        *,
        surrogate: Callable[["SurrogateSearch"], BatchedSurrogate[np.ndarray]],
        acquisition: Acquisition,
        pool: Pool,
        initial: int,
        batch: int,
        refit_every: int = 0,
        patient: bool = False,
    ):
        if initial < 1 or batch < 1:
            raise ConfigurationError(f"initial={initial}, batch={batch}, expected at least 1 each")
        super().__init__(candidates, seeds)
        self.initial, self.batch, self.refit_every, self.patient = initial, batch, refit_every, patient
        self._surrogate, self._acquisition, self._pool = surrogate, acquisition, pool
        self._model: BatchedSurrogate[np.ndarray] | None = None
        self._learned = 0  # scores of every run that the model has seen

    def _suggest(self, count: int) -> np.ndarray:
        scored = self.rows.shape[1]
        if self.patient and self.asked >= self.initial > scored:
            return np.zeros((self.runs, 0), np.int64)
        first = self._initial_rows(count, self.initial)
        if first is not None:
            return first
        size = min(count, self.batch)
        judged = self._pool.rows(self, size)
        if self._model is None or scored - self._learned >= self.refit_every:
            self._fit(scored)
        best = in_threads(lambda run: self._best(run, judged[run], size), range(self.runs))
        # Threads draw nothing: candidates that are met on the way get their rows in the order of the runs.
        return np.array([[*rows, *self.draw(run, size - len(rows), rows)] for run, rows in enumerate(best)], np.int64)

    def _fit(self, count: int) -> None:
        """Fits the surrogate to the first `count` scores of every run."""
        self._model = self._surrogate(self).fit(self.rows[:, :count], self.scores[:, :count])
        self._learned = count

    def _best(self, run: int, rows: np.ndarray, size: int) -> list[int]:
        """The rows of greatest merit that the run was not given yet, at most `size`, the first of equal ones."""
        merit = self._acquisition(*self._model.predict(rows, run), self.scores[run])
        new = np.flatnonzero(~self.was_suggested(run, rows))
        return rows[new[largest(merit[new], size)]].tolist()

    def load_state(self, state: Mapping[str, Any]) -> None:
        super().load_state(state)
        if self.refit_every and self._learned:
            self._fit(int(self._learned))


def largest(merit: np.ndarray, count: int) -> np.ndarray:
    """Positions of the largest numbers, the largest first, the first of equal numbers first."""
    positions = np.arange(len(merit))
    if count < len(merit):
        least = np.partition(merit, len(merit) - count)[len(merit) - count]
        positions = np.flatnonzero(merit >= least)
    return positions[np.argsort(-merit[positions], kind="stable")[:count]]
