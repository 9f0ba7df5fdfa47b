"""REINFORCE on the architectures themselves: one categorical distribution for every inner vertex."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import scipy.special

from tfnas.errors import ConfigurationError, CorruptArtefactError
from tfnas.search.base import Candidates, Strategy
from tfnas.spaces.fixed_graph import FixedGraphSpace

_ATTEMPTS = 50


class CategoricalReinforce(Strategy):
    """Draws the operation of every vertex independently and follows the policy gradient after every answer.

    Args:
      candidates: of a space whose architectures share one graph; what is drawn outside it, or a second time, is drawn
        again.
      seeds: one for each run.
      learning_rate: of plain gradient ascent on the logits.
      baseline_momentum: weight of the past in the moving average that scores are compared with.

    Raises:
      ConfigurationError: the architectures of the space have different graphs.

    References:
      Ying et al. 2019 (NAS-Bench-101), section 5.1, and Dong and Yang 2020 (NAS-Bench-201), appendix, for the baseline.
    """

    name = "reinforce_discrete"

    def __init__(
        self, candidates: Candidates, seeds: Sequence[int], learning_rate: float = 0.5, baseline_momentum: float = 0.9
    ):
        super().__init__(candidates, seeds)
        space = candidates.space
        if not isinstance(space, FixedGraphSpace):
            raise ConfigurationError(f"{self.name} needs a space of one graph, {space.name} has many")
        self.learning_rate, self.baseline_momentum = learning_rate, baseline_momentum
        self._logits = np.zeros((self.runs, space.max_vertices - 2, len(space.operations) - 2))
        self._baseline = np.full(self.runs, np.nan)
        codes = candidates.cells.operations[:, 1:-1].astype(np.int64) - 1
        self._codes = codes
        self._places = {row.tobytes(): place for place, row in enumerate(codes)}

    def _suggest(self, count: int) -> np.ndarray:
        probabilities = scipy.special.softmax(self._logits, axis=2)
        cumulative = probabilities.cumsum(axis=2)
        rows = np.zeros((self.runs, 1), np.int64)
        for run, rng in enumerate(self.rngs):
            for _ in range(_ATTEMPTS):
                drawn = (rng.random((cumulative.shape[1], 1)) > cumulative[run, :, :-1]).sum(axis=1)
                row = self._places.get(drawn.tobytes())
                if row is not None and not self._suggested[run, row]:
                    break
            else:
                row = self._draw(run, 1, ())[0]
            rows[run] = row
        return rows

    def _learn(self, scores: np.ndarray) -> None:
        for column in range(scores.shape[1]):
            score = scores[:, column]
            chosen = self._codes[self.rows[:, self.rows.shape[1] - scores.shape[1] + column]]
            before = np.where(np.isnan(self._baseline), score, self._baseline)
            one_hot = np.eye(self._logits.shape[2])[chosen]
            gradient = one_hot - scipy.special.softmax(self._logits, axis=2)
            self._logits = self._logits + self.learning_rate * (score - before)[:, None, None] * gradient
            self._baseline = self.baseline_momentum * before + (1 - self.baseline_momentum) * score

    def state(self) -> dict[str, np.ndarray]:
        return super().state() | {"logits": self._logits, "baseline": self._baseline}

    def load_state(self, state: Mapping[str, Any]) -> None:
        super().load_state(state)
        try:
            self._logits, self._baseline = state["logits"], state["baseline"]
        except KeyError as error:
            raise CorruptArtefactError(f"not a state of the strategy {self.name!r} ({error})") from error
