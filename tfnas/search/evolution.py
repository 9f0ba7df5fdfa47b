"""Regularized evolution on the architectures themselves."""

import numpy as np

from tfnas.search.base import Candidates, Strategy

_ATTEMPTS = 50


class RegularizedEvolution(Strategy):
    """The best of a random tournament is mutated; the oldest member of the population dies.

    Args:
      candidates: what can be suggested; mutants outside it are drawn again.
      seed: decides every suggestion, given the scores.
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
        seed: int,
        population_size: int = 20,
        tournament_size: int = 5,
        batch: int = 1,
    ):
        super().__init__(candidates, seed)
        self.batch = batch
        self.population_size = population_size
        self.tournament_size = tournament_size

    def _suggest(self, count: int) -> list[int]:
        waiting = self.population_size - int(self._suggested.sum())
        if waiting > 0 or not self.rows:
            return self._random_rows(min(count, max(waiting, 1)))
        rows: list[int] = []
        while len(rows) < min(count, self.batch):
            rows.append(self._child(rows))
        return rows

    def _child(self, taken: list[int]) -> int:
        population = np.arange(max(0, len(self.rows) - self.population_size), len(self.rows))
        for _ in range(_ATTEMPTS):
            drawn = self.rng.choice(population, min(self.tournament_size, len(population)), replace=False)
            parent = self.rows[max(drawn, key=lambda member: self.scores[member])]
            row = self.candidates.row(self.candidates.space.mutate(self.candidates.architecture(parent), self.rng))
            if row is not None and not self._suggested[row] and row not in taken:
                return row
        return next(row for row in self._random_rows(len(taken) + 1) if row not in taken)
