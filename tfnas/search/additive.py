"""Bayesian optimisation with an additive Gaussian process on what is known of a cell: the default strategy.

References:
  Jones et al. 1998, "Efficient Global Optimization of Expensive Black-Box Functions".
  Kadlecova et al. 2024, "Surprisingly Strong Performance Prediction with Neural Graph Features" (GRAF).
"""

from collections.abc import Sequence

import numpy as np

from tfnas.runtime import in_threads
from tfnas.search.additive_process import AdditiveProcess
from tfnas.search.candidates import CandidateSet
from tfnas.search.pools import functions_or_vicinity
from tfnas.search.process_search import LEAST_SCORES, ProcessSearch
from tfnas.search.surrogate_search import largest

_PROMISING = 800  # candidates of the best means, whose uncertainty is computed


class AdditiveSearch(ProcessSearch):
    """Expected improvement under an additive Gaussian process over latents and graph features.

    The score to improve on is the best mean that the process predicts of a queried architecture, since the best score
    owes much to its noise. Where nobody lists the candidates, or the list holds more than 8,192 functions, random
    candidates and candidates near the best are judged, see `pools.functions_or_vicinity`.

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
        self._process = AdditiveProcess(candidates, blocks)
        pool = functions_or_vicinity(candidates, self._process.points)
        super().__init__(candidates, seeds, processes={0: self._process}, pool=pool, initial=initial, batch=batch)

    def _new_targets(self) -> dict[int, np.ndarray]:
        return {0: self.scores}

    def _best(self, run: int, waiting: np.ndarray, rows: np.ndarray, size: int) -> list[int]:
        rows = rows[largest(self._process.mean(rows, run), _PROMISING)]
        judged = np.concatenate([waiting, rows])
        incumbent = self._process.mean(self.rows[run], run).max()
        return judged[self._process.posterior(judged, run).improvements(len(waiting), incumbent, size)].tolist()

    def _pick(self, count: int) -> np.ndarray:
        picks = super()._pick(count)
        if self.fitted == self.rows.shape[1]:
            if self.fitted - count >= max(LEAST_SCORES, self.initial):  # the process had learned before these scores
                picks[:] = self.picks[:, -1:]
            means = in_threads(lambda run: self._process.mean(self.rows[run], run), range(self.runs))
            picks[:, -1] = np.argmax(means, axis=1)
        return picks
