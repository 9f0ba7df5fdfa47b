"""Regularized evolution on the architectures themselves."""

from collections.abc import Sequence

import numpy as np

from tfnas.search.base import Candidates, Strategy
from tfnas.spaces import Architecture

_ATTEMPTS = 50


class RegularizedEvolution(Strategy):
    """The best of a random tournament is mutated; the oldest member of the population dies.

    Args:
      candidates: what can be suggested; mutants outside it are drawn again.
      seeds: one for each run.
      population_size: members kept.
      tournament_size: members drawn for each parent.
      batch: children per suggestion; more than one can be scored side by side, but know nothing of each other.

    The population is the tail of the history, so the state holds nothing else.

    References:
      Real et al. 2019, "Regularized Evolution for Image Classifier Architecture Search", algorithm 1.
    """

    name = "evolution"

    def __init__(
        self,
        candidates: Candidates,
        seeds: Sequence[int],
        population_size: int = 20,
        tournament_size: int = 5,
        batch: int = 1,
    ):
        super().__init__(candidates, seeds)
        self.batch = batch
        self.population_size = population_size
        self.tournament_size = tournament_size

    def _suggest(self, count: int) -> np.ndarray:
        first = self._initial_rows(count, self.population_size)
        if first is not None:
            return first
        rows = np.zeros((self.runs, 0), np.int64)
        while rows.shape[1] < min(count, self.batch):
            rows = np.concatenate([rows, self._children(rows)[:, None]], axis=1)
        return rows

    def _children(self, taken: np.ndarray) -> np.ndarray:
        """One new candidate per run, none of `taken` `[R, t]`."""
        children = np.full(self.runs, -1, np.int64)
        waiting = np.arange(self.runs)
        for _ in range(_ATTEMPTS):
            rows = self.candidates.rows([self._mutant(run) for run in waiting.tolist()])
            fresh = (rows >= 0) & ~self._suggested[waiting, rows] & (rows[:, None] != taken[waiting]).all(axis=1)
            children[waiting[fresh]] = rows[fresh]
            waiting = waiting[~fresh]
            if not len(waiting):
                return children
        for run in waiting.tolist():
            children[run] = self._draw(run, 1, taken[run].tolist())[0]
        return children

    def _mutant(self, run: int) -> Architecture:
        rng, scores = self.rngs[run], self.scores[run]
        first = max(0, len(scores) - self.population_size)
        members = len(scores) - first
        drawn = first + rng.choice(members, min(self.tournament_size, members), replace=False)
        parent = self.rows[run, drawn[scores[drawn].argmax()]]
        return self.candidates.space.mutate(self.candidates.architecture(parent), rng)
