"""Candidates of a space that nobody can list: a function gets its row when the search first meets it."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from tfnas.errors import ConfigurationError, CorruptArtefactError, ExhaustedError
from tfnas.search.candidates import CandidateSet
from tfnas.spaces import ABSENT, CellTable, Space

_ATTEMPTS = 100


class OpenCandidates(CandidateSet):
    """Up to `capacity` architectures of a space that nobody can list, in the order in which a search meets them.

    Architectures that compute the same function share the row of the first, see `Space.functional_hashes`.

    >>> from tfnas.spaces import MobileNetV3
    >>> candidates = OpenCandidates(MobileNetV3(), capacity=10)
    >>> candidates.draw(2, np.random.default_rng(0), lambda row: False), candidates.met
    ([0, 1], 2)

    Args:
      space: space of the architectures.
      capacity: largest number of architectures, at most the size of the space; a search that meets more ends with an
        error.

    Attributes:
      space: space of the architectures.
      cells: the architectures, `capacity` rows; rows of architectures that were not met yet are empty.
    """

    embedded = False

    def __init__(self, space: Space, capacity: int = 100_000):
        self.space = space
        capacity = min(capacity, space.size or capacity)
        self.cells = CellTable(
            np.full((capacity, space.max_vertices), ABSENT, np.uint8),
            np.zeros((capacity, space.max_vertices, space.max_vertices), np.uint8),
        )
        self._rows: dict[int, int] = {}

    @property
    def met(self) -> int:
        return len(self._rows)

    @property
    def embeddings(self) -> np.ndarray:
        raise self._no_list("a search by embeddings")

    @property
    def standardised(self) -> np.ndarray:
        raise self._no_list("a search by embeddings")

    def require_list(self, purpose: str) -> None:
        raise self._no_list(purpose)

    def _no_list(self, purpose: str) -> ConfigurationError:
        return ConfigurationError(
            f"{self.space.name} can't be listed, which {purpose} needs; additive and evolution need no list"
        )

    def rows_of_cells(self, cells: CellTable) -> np.ndarray:
        """int64 `[n]`: the rows of n valid cells, new ones for cells that were not met before.

        Raises:
          ConfigurationError: there is no room for another architecture.
        """
        rows = []
        for number, key in enumerate(self.space.functional_hashes(cells).tolist()):
            if key not in self._rows:
                row = len(self._rows)
                if row == len(self.cells):
                    raise ConfigurationError(f"the search met more than {row} architectures; give it more room")
                self._rows[key] = row
                self.cells.operations[row] = cells.operations[number]
                self.cells.adjacency[row] = cells.adjacency[number]
            rows.append(self._rows[key])
        return np.array(rows, np.int64)

    @property
    def functions_count(self) -> int:
        return len(self)

    def representative(self, rows: np.ndarray) -> np.ndarray:
        return rows

    def draw_many(self, count: int, rng: np.random.Generator) -> np.ndarray:
        return self.rows_of_cells(self.sample(count, rng))

    def sample(self, count: int, rng: np.random.Generator) -> CellTable:
        return self.space.sample(min(count, self.space.size or count), rng)

    def draw(self, count: int, rng: np.random.Generator, excluded: Callable[[int], bool]) -> list[int]:
        rows: list[int] = []
        for _ in range(_ATTEMPTS):
            if len(rows) == count:
                return rows
            for row in self.rows_of_cells(self.sample(count, rng)).tolist():
                if len(rows) < count and row not in rows and not excluded(row):
                    rows.append(row)
        if len(self.cells) == self.space.size and self.space.enumerable:  # chance does not meet the last ones
            remaining = [row for row in self.rows_of_cells(self.space.enumerate()).tolist() if not excluded(row)]
            if len(remaining) >= count:
                return rng.permutation(remaining)[:count].tolist()
        raise ExhaustedError(f"{self.space.name} has no new architectures left; ask for fewer queries")

    def state(self) -> dict[str, np.ndarray]:
        return {"operations": self.cells.operations[: self.met], "adjacency": self.cells.adjacency[: self.met]}

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Continues from what `state` returned.

        Raises:
          CorruptArtefactError: an entry is missing or of another space.
        """
        try:
            cells = CellTable(state["operations"], state["adjacency"])
            self._rows.clear()
            self.rows_of_cells(cells)
        except (KeyError, ValueError, IndexError) as error:
            raise CorruptArtefactError(f"not the candidates of a search in {self.space.name} ({error})") from error
