"""Regularized evolution on the architectures themselves."""

from collections.abc import Sequence

import numpy as np

from tfnas.search.base import Strategy
from tfnas.search.candidates import CandidateSet
from tfnas.spaces import Architecture

_ATTEMPTS = 50


class RegularizedEvolution(Strategy):
    """The best of a random tournament is mutated; the oldest member of the population dies.

    Args:
      candidates: architectures to choose from; mutants outside them are drawn again.
      seeds: seeds of the R runs.
      population_size: number of members.
      tournament_size: number of members drawn for each parent.

    The population is the tail of the history, so the state holds nothing else.

    References:
      Real et al. 2019, "Regularized Evolution for Image Classifier Architecture Search", algorithm 1.
    """

    name = "evolution"

    def __init__(
        self, candidates: CandidateSet, seeds: Sequence[int], *, population_size: int = 20, tournament_size: int = 5
    ):
        super().__init__(candidates, seeds)
        self.population_size, self.tournament_size = population_size, tournament_size
        self.initial = population_size

    def _suggest(self, count: int) -> np.ndarray:
        first = self._initial_rows(count, self.population_size)
        return self._children()[:, None] if first is None else first

    def _children(self) -> np.ndarray:
        """One new candidate per run, int64 `[R]`."""
        children = np.full(self.runs, -1, np.int64)
        waiting = np.arange(self.runs)
        for _ in range(_ATTEMPTS):
            rows = self.candidates.rows([self._mutant(run) for run in waiting.tolist()])
            fresh = (rows >= 0) & (rows[:, None] != self.suggested[waiting]).all(axis=1)
            children[waiting[fresh]] = rows[fresh]
            waiting = waiting[~fresh]
            if not len(waiting):
                return children
        for run in waiting.tolist():
            children[run] = self.draw(run, 1)[0]
        return children

    def _mutant(self, run: int) -> Architecture:
        rng, scores = self.rngs[run], self.scores[run]
        first = max(0, len(scores) - self.population_size)
        members = len(scores) - first
        drawn = first + rng.choice(members, min(self.tournament_size, members), replace=False)
        parent = self.rows[run, drawn[scores[drawn].argmax()]]
        return self.candidates.space.mutate(self.candidates.architecture(parent), rng)
