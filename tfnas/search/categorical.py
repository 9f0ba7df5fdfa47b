"""REINFORCE on the architectures themselves: one categorical distribution for every choice that makes a cell."""

from collections.abc import Sequence

import numpy as np
import scipy.special

from tfnas.errors import ConfigurationError
from tfnas.search.base import Strategy
from tfnas.search.candidates import CandidateSet
from tfnas.spaces import ABSENT, CellTable, NASBench101
from tfnas.spaces.fixed_graph import FixedGraphSpace

_ATTEMPTS = 50
_LEARNING_RATE = 0.5  # of plain gradient ascent on the logits
_BASELINE_MOMENTUM = 0.9  # weight of the past in the moving average that scores are compared with


class CategoricalReinforce(Strategy):
    """Draws every choice independently and follows the policy gradient after every answer.

    A choice is the operation of a vertex and, on NAS-Bench-101, the presence of an edge of the 7 x 7 matrix.

    Args:
      candidates: architectures of NAS-Bench-101, or of a space whose architectures share one graph; choices that make
        no candidate, or a candidate for the second time, are drawn again.
      seeds: seeds of the R runs.

    Raises:
      ConfigurationError: another space, or candidates that can't be listed.

    References:
      Ying et al. 2019 (NAS-Bench-101), section 5.1, and Dong and Yang 2020 (NAS-Bench-201), appendix, for the baseline.
    """

    name = "categorical_reinforce"
    state_names = ("drawn_rows", "drawn_choices", "logits", "baseline")

    def __init__(self, candidates: CandidateSet, seeds: Sequence[int]):
        super().__init__(candidates, seeds)
        candidates.require_list("a policy of categories")
        if isinstance(candidates.space, NASBench101):
            self._encoding: _FixedGraph | _Matrix = _Matrix(candidates)
        elif isinstance(candidates.space, FixedGraphSpace):
            self._encoding = _FixedGraph(candidates)
        else:
            raise ConfigurationError(
                f"{self.name} needs NAS-Bench-101 or a space of one graph, not {candidates.space.name}"
            )
        options = np.array(self._encoding.options)
        exists = np.arange(options.max()) < options[:, None]
        self._logits = np.tile(np.where(exists, 0.0, -np.inf), (self.runs, 1, 1))
        self._baseline = np.full(self.runs, np.nan)
        self._drawn_rows = np.zeros((self.runs, 0), np.int64)
        self._drawn_choices = np.zeros((self.runs, 0, len(options)), np.int8)

    def _suggest(self, count: int) -> np.ndarray:
        cumulative = scipy.special.softmax(self._logits, axis=2).cumsum(axis=2)[:, :, :-1]
        rows = np.full(self.runs, -1, np.int64)
        choices = np.zeros((self.runs, cumulative.shape[1]), np.int8)
        waiting = np.arange(self.runs)
        for _ in range(_ATTEMPTS):
            deviates = np.stack([self.rngs[run].random((cumulative.shape[1], 1)) for run in waiting.tolist()])
            drawn = (deviates > cumulative[waiting]).sum(axis=2).astype(np.int8)
            candidates = self._encoding.rows(drawn)
            fresh = (candidates >= 0) & (candidates[:, None] != self.suggested[waiting]).all(axis=1)
            rows[waiting[fresh]], choices[waiting[fresh]] = candidates[fresh], drawn[fresh]
            waiting = waiting[~fresh]
            if not len(waiting):
                break
        for run in waiting.tolist():
            rows[run] = self.draw(run, 1)[0]
            choices[run] = self._encoding.choices(rows[run])
        self._drawn_rows = np.concatenate([self._drawn_rows, rows[:, None]], axis=1)
        self._drawn_choices = np.concatenate([self._drawn_choices, choices[:, None]], axis=1)
        return rows[:, None]

    def _learn(self, scores: np.ndarray) -> None:
        for column in range(scores.shape[1]):
            score, row = scores[:, column], self.rows[:, column - scores.shape[1]]
            when = (self._drawn_rows == row[:, None]).argmax(axis=1)
            chosen = self._drawn_choices[np.arange(self.runs), when]
            before = np.where(np.isnan(self._baseline), score, self._baseline)
            gradient = np.eye(self._logits.shape[2])[chosen] - scipy.special.softmax(self._logits, axis=2)
            self._logits = self._logits + _LEARNING_RATE * (score - before)[:, None, None] * gradient
            self._baseline = _BASELINE_MOMENTUM * before + (1 - _BASELINE_MOMENTUM) * score


class _FixedGraph:
    """A choice for every inner vertex.

    Attributes:
      options: number of options of each choice.
    """

    def __init__(self, candidates: CandidateSet):
        space = candidates.space
        self.options = [len(space.operations) - 2] * (space.max_vertices - 2)
        self._codes = candidates.cells.operations[:, 1:-1].astype(np.int8) - 1
        self._rows = {codes.tobytes(): row for row, codes in enumerate(self._codes)}

    def rows(self, choices: np.ndarray) -> np.ndarray:
        """The candidates int64 `[n]` that choices `[n, C]` make, or -1."""
        return np.array([self._rows.get(codes.tobytes(), -1) for codes in choices], np.int64)

    def choices(self, row: int) -> np.ndarray:
        """Choices int8 `[C]` that make a candidate."""
        return self._codes[row]


class _Matrix:
    """NAS-Bench-101: five operations and the 21 entries of the upper triangle; the same methods."""

    def __init__(self, candidates: CandidateSet):
        self._candidates = candidates
        self._width = candidates.space.max_vertices
        self._upper = np.triu_indices(self._width, 1)
        self.options = [3] * (self._width - 2) + [2] * len(self._upper[0])

    def rows(self, choices: np.ndarray) -> np.ndarray:
        operations = np.zeros((len(choices), self._width), np.uint8)
        operations[:, 1:-1] = 1 + choices[:, : self._width - 2]
        operations[:, -1] = 4
        adjacency = np.zeros((len(choices), self._width, self._width), np.uint8)
        adjacency[:, self._upper[0], self._upper[1]] = choices[:, self._width - 2 :]
        cells = CellTable(operations, adjacency)
        rows = np.full(len(choices), -1, np.int64)
        valid = self._candidates.space.validate_many(cells)
        rows[valid] = self._candidates.rows_of_cells(cells[valid])
        return rows

    def choices(self, row: int) -> np.ndarray:
        operations, adjacency = self._candidates.cells.operations[row], self._candidates.cells.adjacency[row].copy()
        last = int((operations != ABSENT).sum()) - 1
        inner = np.zeros(self._width - 2, np.int8)
        inner[: last - 1] = operations[1:last] - 1
        adjacency[:, [last, -1]] = adjacency[:, [-1, last]]
        return np.concatenate([inner, adjacency[self._upper].astype(np.int8)])
