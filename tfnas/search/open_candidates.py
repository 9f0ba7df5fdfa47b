"""Candidates of a space that nobody can list: an architecture gets its row when the search first meets it."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tfnas.errors import ConfigurationError, CorruptArtefactError
from tfnas.spaces import Architecture, CellTable, Space
from tfnas.spaces.base import ABSENT


class OpenCandidates:
    """Up to `capacity` architectures of a space, in the order in which they were met.

    Args:
      space: the space.
      capacity: room; a search that meets more architectures ends with an error.

    Attributes:
      cells: the architectures, of `capacity` rows; those not met yet are empty.
    """

    def __init__(self, space: Space, capacity: int = 100_000):
        self.space = space
        self.cells = CellTable(
            np.full((capacity, space.max_vertices), ABSENT, np.uint8),
            np.zeros((capacity, space.max_vertices, space.max_vertices), np.uint8),
        )
        self._rows: dict[int, int] = {}

    def __len__(self) -> int:
        return len(self.cells)

    @property
    def met(self) -> int:
        """How many architectures there are so far."""
        return len(self._rows)

    def architecture(self, row: int) -> Architecture:
        """The architecture of that row."""
        return self.space.architecture(self.cells, row)

    def rows(self, architectures: Sequence[Architecture]) -> np.ndarray:
        """int64 `[n]`: the rows of some architectures; isomorphic ones share a row."""
        return self.rows_of_cells(self.space.to_table(architectures))

    def rows_of_cells(self, cells: CellTable) -> np.ndarray:
        """int64 `[n]`: the rows of n valid cells.

        Raises:
          ConfigurationError: there is no room for another one.
        """
        found = []
        for number, key in enumerate(self.space.canonical_hashes(cells).tolist()):
            if key not in self._rows:
                row = len(self._rows)
                if row == len(self.cells):
                    raise ConfigurationError(f"the search met more than {row} architectures; give it more room")
                self._rows[key] = row
                self.cells.operations[row], self.cells.adjacency[row] = (
                    cells.operations[number],
                    cells.adjacency[number],
                )
            found.append(self._rows[key])
        return np.array(found, np.int64)

    def sample(self, count: int, rng: np.random.Generator) -> np.ndarray:
        """int64 `[count]`: rows of random architectures of the space."""
        return self.rows_of_cells(self.space.sample(count, rng))

    def state(self) -> dict[str, np.ndarray]:
        """The architectures met so far, as plain arrays."""
        count = len(self._rows)
        return {"operations": self.cells.operations[:count], "adjacency": self.cells.adjacency[:count]}

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
