"""Search strategies: they suggest rows of a candidate table and learn from the scores of what they suggested."""

import abc
import dataclasses
import functools
import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tfnas.errors import ConfigurationError, CorruptArtefactError
from tfnas.spaces import Architecture, Space
from tfnas.spaces.base import CellTable


@dataclasses.dataclass(frozen=True)
class Candidates:
    """What can be suggested: N architectures of one space and their embeddings.

    Attributes:
      space: the space.
      cells: N architectures.
      embeddings: float32 `[N, D]`.

    Raises:
      ConfigurationError: the two differ in length, or there are none.
    """

    space: Space
    cells: CellTable
    embeddings: np.ndarray

    def __post_init__(self) -> None:
        if len(self.cells) != len(self.embeddings) or not len(self.cells):
            raise ConfigurationError(f"{len(self.cells)} candidates with {len(self.embeddings)} embeddings")

    def __len__(self) -> int:
        return len(self.cells)

    def architecture(self, row: int) -> Architecture:
        """The candidate of that row."""
        return self.space.architecture(self.cells, row)

    def row(self, architecture: Architecture) -> int | None:
        """The row of an architecture that is isomorphic to the given one, or None."""
        key = int(self.space.canonical_hashes(self.space.to_table([architecture]))[0])
        return self._rows.get(key)

    @functools.cached_property
    def _rows(self) -> dict[int, int]:
        hashes = self.space.canonical_hashes(self.cells).tolist()
        return {key: row for row, key in reversed(list(enumerate(hashes)))}

    @functools.cached_property
    def standardised(self) -> np.ndarray:
        """The embeddings float32 `[N, D]`, every dimension with mean 0 and deviation 1 over the candidates."""
        spread = self.embeddings.std(axis=0)
        return ((self.embeddings - self.embeddings.mean(axis=0)) / np.where(spread > 0, spread, 1)).astype(np.float32)


class Strategy(abc.ABC):
    """Ask for rows with `suggest`, answer with `update`. No row is suggested twice.

    Args:
      candidates: what can be suggested.
      seed: decides every suggestion, given the scores.
    """

    name: str

    def __init__(self, candidates: Candidates, seed: int):
        self.candidates = candidates
        self.rng = np.random.default_rng(seed)
        self.rows: list[int] = []
        self.scores: list[float] = []
        self._suggested = np.zeros(len(candidates), bool)

    def suggest(self, count: int) -> list[int]:
        """At most `count` rows to score next; at least one.

        Raises:
          ConfigurationError: `count` is below 1, or every candidate was suggested already.
        """
        if count < 1:
            raise ConfigurationError(f"{count} suggestions were asked for, expected at least 1")
        count = min(count, len(self.candidates) - int(self._suggested.sum()))
        if count == 0:
            raise ConfigurationError(f"all {len(self.candidates)} candidates were suggested; ask for fewer queries")
        rows = self._suggest(count)
        self._suggested[rows] = True
        return rows

    def update(self, rows: Sequence[int], scores: Sequence[float]) -> None:
        """Takes the validation accuracies (in [0, 1]) of suggested rows.

        Raises:
          ConfigurationError: a row was not suggested, or a score is not finite.
        """
        for row, score in zip(rows, scores, strict=True):
            if not self._suggested[row]:
                raise ConfigurationError(f"candidate {row} was scored but never suggested")
            if not np.isfinite(score):
                raise ConfigurationError(f"candidate {row} has score {score}, expected a finite number")
        self.rows.extend(int(row) for row in rows)
        self.scores.extend(float(score) for score in scores)
        self._learn(list(rows), list(scores))

    def state(self) -> dict[str, np.ndarray]:
        """Everything that later suggestions depend on, as plain arrays."""
        return {
            "rng": np.array(json.dumps(self.rng.bit_generator.state)),
            "rows": np.array(self.rows, np.int64),
            "scores": np.array(self.scores, np.float64),
            "suggested": np.flatnonzero(self._suggested),
        }

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Continues from what `state` returned.

        Raises:
          CorruptArtefactError: an entry is missing.
        """
        try:
            self.rng.bit_generator.state = json.loads(str(state["rng"]))
            self.rows, self.scores = state["rows"].tolist(), state["scores"].tolist()
            self._suggested[:] = False
            self._suggested[state["suggested"]] = True
        except (KeyError, IndexError, ValueError) as error:
            raise CorruptArtefactError(f"not a state of the strategy {self.name!r} ({error})") from error

    @abc.abstractmethod
    def _suggest(self, count: int) -> list[int]:
        """1 to `count` distinct rows that were not suggested yet."""

    def _learn(self, rows: list[int], scores: list[float]) -> None:  # noqa: B027 (optional hook)
        """Called after `rows` and `scores` were added to the history."""

    def _random_rows(self, count: int) -> list[int]:
        """Distinct rows that were not suggested yet, uniformly."""
        rows: list[int] = []
        while len(rows) < count:
            row = int(self.rng.integers(len(self.candidates)))
            if not self._suggested[row] and row not in rows:
                rows.append(row)
        return rows


class RandomSearch(Strategy):
    """Uniform without replacement."""

    name = "random"

    def _suggest(self, count: int) -> list[int]:
        return self._random_rows(count)
