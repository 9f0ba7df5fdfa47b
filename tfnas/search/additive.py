"""Bayesian optimisation with an additive Gaussian process on what is known of a cell: the default strategy.

References:
  Jones et al. 1998, "Efficient Global Optimization of Expensive Black-Box Functions".
  Kadlecova et al. 2024, "Surprisingly Strong Performance Prediction with Neural Graph Features" (GRAF).
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tfnas.errors import ConfigurationError
from tfnas.runtime import in_threads
from tfnas.search.acquisition import log_expected_improvement
from tfnas.search.additive_process import AdditiveProcess
from tfnas.search.base import Strategy
from tfnas.search.candidates import CandidateSet
from tfnas.search.pools import functions_or_vicinity
from tfnas.search.surrogate_search import largest

_PROMISING = 800  # candidates of the best means, whose uncertainty is computed
_SCORES_PER_SUGGESTION = 20
_LEAST = 3  # scores that a process needs


class AdditiveSearch(Strategy):
    """Expected improvement under an additive Gaussian process over latents and graph features.

    No function is paid for twice: of candidates that compute the same function one is queried. The score to improve on
    is the best mean that the process predicts of a queried architecture, since the best score owes much to its noise.
    Suggestions that wait for scores, and earlier suggestions of the same batch, count as scored with the predicted mean
    (Kriging believer).

    Where nobody lists the candidates, or the list holds more than 8,192 functions, random candidates and candidates
    near the best are judged, see `pools.functions_or_vicinity`.

    Args:
      candidates: architectures to choose from.
      seeds: seeds of the R runs.
      initial: number of random candidates before the first prediction.
      batch: number of suggestions per fit; by default a twentieth of the scores so far, and at least one.
      blocks: names of `additive_process.BLOCKS`; by default all that the candidates have.

    Raises:
      ConfigurationError: `initial` or `batch` is below 1, or the candidates lack a block.
    """

    name = "additive"

    def __init__(
        self,
        candidates: CandidateSet,
        seeds: Sequence[int],
        *,
        initial: int = 10,
        batch: int | None = None,
        blocks: Sequence[str] | None = None,
    ):
        if initial < 1 or (batch is not None and batch < 1):
            raise ConfigurationError(f"initial={initial}, batch={batch}, expected at least 1 each")
        super().__init__(candidates, seeds)
        self.initial, self.batch = initial, batch
        self._process = AdditiveProcess(candidates, blocks)
        self._pool = functions_or_vicinity(candidates, self._process.points)
        self._fitted = 0  # scores of every run that the process has learned
        self.capacity = candidates.functions_count

    def _suggest(self, count: int) -> np.ndarray:
        first = self._initial_rows(count, self.initial)
        if first is None and not self._fitted:  # all scores so far were known in advance
            self._learn(self.scores)
        if first is not None or not self._fitted:
            return self._random_rows(1) if first is None else first
        size = min(count, self.batch or max(1, self.rows.shape[1] // _SCORES_PER_SUGGESTION))
        judged = self._pool.rows(self, size)
        self._process.prepare(np.concatenate(judged))
        best = in_threads(lambda run: self._best(run, judged[run], size), range(self.runs))
        # Threads draw nothing: candidates that are met on the way get their rows in the order of the runs.
        return np.array([[*rows, *self.draw(run, size - len(rows), rows)] for run, rows in enumerate(best)], np.int64)

    def _best(self, run: int, rows: np.ndarray, size: int) -> list[int]:
        """The rows of greatest expected improvement, one after the other, at most `size`."""
        rows = rows[largest(self._process.mean(rows, run), _PROMISING)]
        waiting = np.setdiff1d(np.flatnonzero(self.suggested[run]), self.rows[run])
        posterior = self._process.posterior(np.concatenate([waiting, rows]), run)
        incumbent = self._process.mean(self.rows[run], run).max()
        open_ = np.arange(len(waiting) + len(rows)) >= len(waiting)
        for number in range(len(waiting)):
            posterior.believe(number)
            incumbent = max(incumbent, posterior.mean[number])
        chosen: list[int] = []
        for _ in range(min(size, len(rows))):
            merit = log_expected_improvement(posterior.mean, posterior.stddev, incumbent)
            number = int(np.where(open_, merit, -np.inf).argmax())
            chosen.append(int(rows[number - len(waiting)]))
            posterior.believe(number)
            open_[number], incumbent = False, max(incumbent, posterior.mean[number])
        return chosen

    def _learn(self, scores: np.ndarray) -> None:
        count = self.rows.shape[1]
        if count >= max(_LEAST, min(self.initial, self.asked)):
            self._process.fit(self.rows, self.scores)
            self._fitted = count

    def _pick(self, count: int) -> np.ndarray:
        picks = super()._pick(count)
        if self._fitted == self.rows.shape[1]:
            if self._fitted - count >= max(_LEAST, self.initial):  # the process had learned before these scores
                picks[:] = self.picks[:, -1:]
            means = in_threads(lambda run: self._process.mean(self.rows[run], run), range(self.runs))
            picks[:, -1] = np.argmax(means, axis=1)
        return picks

    def draw(self, run: int, count: int, excluded: Sequence[int] = ()) -> list[int]:
        """Distinct random rows of functions that a run was not given yet and that are not excluded."""
        representative = self.candidates.representative
        taken = {*representative(np.flatnonzero(self.suggested[run])).tolist()}
        taken.update(representative(np.array(excluded, np.int64)).tolist())

        def known(row: int) -> bool:
            return row in taken or int(representative(np.array([row]))[0]) != row

        return self.candidates.draw(count, self.rngs[run], known)

    def state(self) -> dict[str, np.ndarray]:
        fit = {"weights": self._process.weights, "noise": self._process.noise} if self._fitted else {}
        return {**super().state(), "fitted": np.asarray(self._fitted), **fit}

    def load_state(self, state: Mapping[str, Any]) -> None:
        super().load_state(state)
        self._fitted = int(state["fitted"])
        if self._fitted:
            rows, scores = self.rows[:, : self._fitted], self.scores[:, : self._fitted]
            self._process.restore(rows, scores, state["weights"], state["noise"])
