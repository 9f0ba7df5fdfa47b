"""Evolution whose children are ranked by a predictor or a proxy before the best of them are queried.

References:
  Han et al. 2023, section 5.3 (the algorithm is not published in detail).
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tfnas.errors import ConfigurationError, CorruptArtefactError
from tfnas.search.base import Candidates, Strategy
from tfnas.search.guides import Guide
from tfnas.search.open_candidates import OpenCandidates

CHILDREN, STRANGERS = 100, 300
"""Defaults per generation."""

_ATTEMPTS = 100


class GuidedEvolution(Strategy):
    """Mutants and crosses of the best queried architectures, and strangers; the guide picks those to query.

    Args:
      candidates: what can be suggested; children outside it are dropped. `OpenCandidates` have no outside.
      seeds: one for each run.
      guide: ranks candidates; its `labels` are drawn at random first.
      initial: random queries before the first guided one; by default what the guide needs, and at least two.
      batch: queries per generation.
      parents: so many of the best have children.
      children: per generation.
      strangers: random candidates that compete with the children; three times as many in the first generation.
      crossover: share of children that have two parents.
      refit_every: the guide learns again after so many new answers.

    Raises:
      ConfigurationError: a number below 1.

    The number of strangers was chosen on validation accuracies of Digits-201.
    """

    name = "guided_evolution"

    def __init__(
        self,
        candidates: Candidates | OpenCandidates,
        seeds: Sequence[int],
        guide: Guide,
        *,
        initial: int | None = None,
        batch: int = 10,
        parents: int = 20,
        children: int = CHILDREN,
        strangers: int = STRANGERS,
        crossover: float = 0.3,
        refit_every: int = 10,
    ):
        super().__init__(candidates, seeds)
        if min(batch, parents, children, strangers, refit_every) < 1:
            raise ConfigurationError("batch, parents, children, strangers and refit_every must be at least 1")
        self.guide = guide
        self.initial = max(2, guide.labels if initial is None else initial)
        self.batch, self.parents, self.children = batch, parents, children
        self.strangers, self.crossover, self.refit_every = strangers, crossover, refit_every
        self._learned = 0

    def state(self) -> dict[str, np.ndarray]:
        extra = self.candidates.state() if isinstance(self.candidates, OpenCandidates) else {}
        return {**super().state(), "learned": np.array(self._learned), **extra}

    def load_state(self, state: Mapping[str, Any]) -> None:
        if isinstance(self.candidates, OpenCandidates):
            self.candidates.load_state(state)
        super().load_state(state)
        if "learned" not in state:
            raise CorruptArtefactError(f"not a state of the strategy {self.name!r} (learned is missing)")
        self._learned = int(state["learned"])
        if self._learned:
            self.guide.learn(self.rows[:, : self._learned], self.scores[:, : self._learned])

    def _suggest(self, count: int) -> np.ndarray:
        if self._count < self.initial:
            return self._random_rows(min(count, self.initial - self._count))
        known = self.rows.shape[1]
        if known < self.initial:
            return np.zeros((self.runs, 0), np.int64)
        if not self._learned or known - self._learned >= self.refit_every:
            self.guide.learn(self.rows, self.scores)
            self._learned = known
        size = min(count, self.batch)
        return np.stack([self._best(run, size) for run in range(self.runs)])

    def _best(self, run: int, size: int) -> np.ndarray:
        first = self.rows.shape[1] <= self.initial
        rows = np.concatenate([self._offspring(run), self._draw(run, self._number(3 if first else 1), ())])
        rows = np.unique(rows[rows >= 0])
        rows = rows[~self._suggested[run, rows]]
        merit = self.guide.merit(run, rows)
        chosen = rows[np.argsort(-merit, kind="stable")[:size]].tolist()
        return np.array(chosen + self._draw(run, size - len(chosen), chosen), np.int64)

    def _number(self, factor: int) -> int:
        """How many strangers there can be."""
        return min(factor * self.strangers, len(self.candidates) - self._count)

    def _offspring(self, run: int) -> np.ndarray:
        """Candidates' rows of a generation's children, -1 for those that are none."""
        rng, space = self.rngs[run], self.candidates.space
        order = np.argsort(-self.scores[run], kind="stable")[: self.parents]
        best = [self.candidates.architecture(row) for row in self.rows[run, order].tolist()]
        children = []
        for _ in range(self.children):
            first, second = rng.integers(len(best), size=2)
            if rng.random() < self.crossover and first != second:
                children.append(space.crossover(best[first], best[second], rng))
            else:
                children.append(space.mutate(best[first], rng))
        return self.candidates.rows(children)

    def _draw(self, run: int, count: int, taken: Sequence[int]) -> list[int]:
        if not isinstance(self.candidates, OpenCandidates):
            return super()._draw(run, count, taken)
        rows: list[int] = []
        for _ in range(_ATTEMPTS):
            if len(rows) == count:
                return rows
            for row in self.candidates.sample(count, self.rngs[run]).tolist():
                if len(rows) < count and not self._suggested[run, row] and row not in rows and row not in taken:
                    rows.append(row)
        raise ConfigurationError(f"{self.candidates.space.name} has no new architectures left; ask for fewer queries")
