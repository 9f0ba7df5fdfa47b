"""Search strategies: they suggest rows of candidates and learn from the scores of the rows that they suggested.

A strategy drives R independent runs in step, each with a seed of its own, so that 500 runs cost a few tensor programs.
"""

import abc
import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tfnas.errors import ConfigurationError, CorruptArtefactError, ExhaustedError
from tfnas.search.candidates import CandidateSet


class Strategy(abc.ABC):
    """Ask for rows with `suggest`, answer with `update`, in any order. No run is given a row twice.

    Args:
      candidates: architectures to choose from.
      seeds: seeds of the R runs; a seed decides the suggestions of its run, given the scores.

    Attributes:
      candidates: architectures to choose from.
      seeds: seeds of the R runs.
      rngs: generators of the R runs.
      rows: int64 `[R, n]`, scored rows in the order of their scores.
      scores: float64 `[R, n]`, validation accuracies.
      picks: int64 `[R, n]`, number of the query that the strategy's model holds for the best, after each score; without
        such a model the best seen.
      suggested: int64 `[R, n]`, rows that a run was given, in the order in which it was given them.
      initial: number of random rows before the strategy's first choice; 0 for a strategy that learns from every score.
      capacity: largest number of rows that a run can be given.
      state_names: names of a subclass's private attributes on which later suggestions depend, without the underscore.
    """

    name: str
    initial: int = 0
    state_names: tuple[str, ...] = ()

    def __init__(self, candidates: CandidateSet, seeds: Sequence[int]):
        self.candidates = candidates
        self.seeds = list(seeds)
        self.rngs = [np.random.default_rng(seed) for seed in self.seeds]
        self.rows = np.zeros((len(self.seeds), 0), np.int64)
        self.scores = np.zeros((len(self.seeds), 0))
        self.picks = np.zeros((len(self.seeds), 0), np.int64)
        self.suggested = np.zeros((len(self.seeds), 0), np.int64)
        self.capacity = len(candidates)

    @property
    def runs(self) -> int:
        """R, the number of runs."""
        return len(self.seeds)

    def suggest(self, count: int) -> np.ndarray:
        """Rows to score next, int64 `[R, k]` with 1 <= k <= `count`; k = 0 says to answer earlier ones first.

        Raises:
          ConfigurationError: `count` is below 1.
          ExhaustedError: every candidate was suggested already.
        """
        if count < 1:
            raise ConfigurationError(f"{count} suggestions were asked for, expected at least 1")
        count = min(count, self.capacity - self.asked)
        if count == 0:
            raise ExhaustedError(f"all {self.capacity} candidates were suggested; ask for fewer queries")
        self.candidates.forget()
        rows = self._suggest(count)
        self.candidates.keep(rows)
        self.suggested = np.concatenate([self.suggested, rows], axis=1)
        return rows

    @property
    def asked(self) -> int:
        """Number of rows that every run was given so far, scored or not."""
        return self.suggested.shape[1]

    def was_suggested(self, run: int, rows: np.ndarray) -> np.ndarray:
        """bool `[m]`: which of the rows int64 `[m]` a run was given."""
        return np.isin(rows, self.suggested[run])

    def update(self, rows: np.ndarray, scores: np.ndarray) -> None:
        """Takes the validation accuracies `[R, k]` (in [0, 1]) of suggested rows.

        Raises:
          ConfigurationError: a row was not suggested, a score is not finite, or the shapes are others.
        """
        rows, scores = np.asarray(rows, np.int64), np.asarray(scores, np.float64)
        if rows.ndim != 2 or len(rows) != self.runs or rows.shape != scores.shape:
            raise ConfigurationError(f"rows {rows.shape} and scores {scores.shape}, expected [{self.runs}, k] both")
        unasked = ~np.stack([self.was_suggested(run, rows[run]) for run in range(self.runs)])
        if unasked.any():
            raise ConfigurationError(f"candidate {rows[unasked][0]} was scored but never suggested")
        if not np.isfinite(scores).all():
            wrong = ~np.isfinite(scores)
            raise ConfigurationError(f"candidate {rows[wrong][0]} has score {scores[wrong][0]}, expected a number")
        self.rows = np.concatenate([self.rows, rows], axis=1)
        self.scores = np.concatenate([self.scores, scores], axis=1)
        self._learn(scores)
        self.picks = np.concatenate([self.picks, self._pick(rows.shape[1])], axis=1)

    def know(self, rows: np.ndarray, scores: np.ndarray) -> None:
        """Takes scores `[R, k]` of rows that were chosen elsewhere, before the first suggestion.

        The rows count as suggested. Strategies that fit a model fit it to them too; policies do not learn from them.

        Raises:
          ConfigurationError: something was suggested already, or the shapes are others.
        """
        if self.asked or rows.ndim != 2 or len(rows) != self.runs or rows.shape != scores.shape:
            raise ConfigurationError(f"rows {rows.shape} and scores {scores.shape} can't be known in advance")
        self.rows, self.scores = rows.astype(np.int64), scores.astype(np.float64)
        self.suggested = self.rows
        self.candidates.keep(self.rows)
        self.picks = self._pick(rows.shape[1])

    def state(self) -> dict[str, np.ndarray]:
        """Everything that later suggestions depend on, as plain arrays."""
        return {
            "seeds": np.array(self.seeds, np.int64),
            "rngs": np.array([json.dumps(rng.bit_generator.state) for rng in self.rngs]),
            "rows": self.rows,
            "scores": self.scores,
            "picks": self.picks,
            "suggested": self.suggested,
            **self.candidates.state(),
            **{name: np.asarray(getattr(self, f"_{name}")) for name in self.state_names},
        }

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Continues from what `state` returned.

        Raises:
          CorruptArtefactError: an entry is missing, or of another number of runs.
        """
        self.candidates.load_state(state)
        try:
            for rng, text in zip(self.rngs, state["rngs"], strict=True):
                rng.bit_generator.state = json.loads(str(text))
            self.seeds = state["seeds"].tolist()
            self.rows, self.scores, self.picks = state["rows"], state["scores"], state["picks"]
            self.suggested = state["suggested"].reshape(self.runs, -1)
            for name in self.state_names:
                setattr(self, f"_{name}", state[name])
        except (KeyError, IndexError, ValueError) as error:
            raise CorruptArtefactError(f"not a state of the strategy {self.name!r} ({error})") from error

    @abc.abstractmethod
    def _suggest(self, count: int) -> np.ndarray:
        """`[R, k]`: up to `count` rows per run, distinct and not suggested yet; none only if some wait for scores."""

    def _learn(self, scores: np.ndarray) -> None:  # noqa: B027 (optional hook)
        """Called after new scores `[R, k]` were added to the history."""

    def _pick(self, count: int) -> np.ndarray:
        """int64 `[R, count]`: `picks` after each of the last scores, by default the best seen."""
        return running_best(self.scores)[:, self.scores.shape[1] - count :]

    def _initial_rows(self, count: int, initial: int) -> np.ndarray | None:
        """Random rows as long as fewer than `initial` were suggested or fewer than two scored; then None."""
        waiting = initial - self.asked
        if waiting <= 0 and self.rows.shape[1] >= 2:
            return None
        return self._random_rows(min(count, max(waiting, 1)))

    def _random_rows(self, count: int) -> np.ndarray:
        """Distinct rows that were not suggested yet, uniformly: `[R, count]`."""
        return np.stack([self.draw(run, count) for run in range(self.runs)])

    def draw(self, run: int, count: int, excluded: Sequence[int] = ()) -> list[int]:
        """Distinct random rows that a run was not given yet and that are not excluded."""
        taken = {*self.suggested[run].tolist(), *excluded}
        return self.candidates.draw(count, self.rngs[run], taken.__contains__)


def running_best(scores: np.ndarray) -> np.ndarray:
    """int64 `[R, n]`: number of the best of the scores `[R, n]` so far, the first of equal scores.

    Example:
      >>> running_best(np.array([[0.2, 0.1, 0.2, 0.5]])).tolist()
      [[0, 0, 0, 3]]
    """
    better = np.ones(scores.shape, bool)
    better[:, 1:] = scores[:, 1:] > np.maximum.accumulate(scores, axis=1)[:, :-1]
    return np.maximum.accumulate(np.where(better, np.arange(scores.shape[1]), 0), axis=1)


class RandomSearch(Strategy):
    """Rows uniformly at random, without replacement.

    >>> from tfnas.search import Candidates
    >>> from tfnas.spaces import NASBench201
    >>> cells = NASBench201().enumerate()
    >>> RandomSearch(Candidates(NASBench201(), cells, np.zeros((len(cells), 1))), seeds=[1, 2]).suggest(3).shape
    (2, 3)
    """

    name = "random"

    def _suggest(self, count: int) -> np.ndarray:
        return self._random_rows(count)
