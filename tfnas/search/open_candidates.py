"""Candidates of a space that nobody can list: a function gets its row when the search first meets it."""

import heapq
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from tfnas.errors import ConfigurationError, CorruptArtefactError, ExhaustedError
from tfnas.search.candidates import CandidateSet
from tfnas.spaces import ABSENT, CellTable, Space

_ATTEMPTS = 100
_MOST = 1 << 62  # architectures of a space whose size is not known
_ROOM = 1024  # rows that the tables begin with


class OpenCandidates(CandidateSet):
    """Architectures of a space that nobody can list; an architecture has a row from when a search meets it.

    Rows that no run was given are free again before the next suggestions, so that memory grows with the queries, and
    neither with the space nor with the number of architectures that are judged. Architectures that compute the same
    function share a row, see `Space.functional_hashes`.

    >>> from tfnas.spaces import MobileNetV3
    >>> candidates = OpenCandidates(MobileNetV3())
    >>> candidates.draw(2, np.random.default_rng(0), lambda row: False), candidates.met
    ([0, 1], 2)

    Args:
      space: space of the architectures.

    Attributes:
      space: space of the architectures.
      cells: the architectures by row; the table grows, and free rows hold anything.
    """

    embedded = False

    def __init__(self, space: Space):
        self.space = space
        self._met = 0
        self._clear(_ROOM)

    def _clear(self, room: int) -> None:
        """No rows, and tables for as many as `room`."""
        width = self.space.max_vertices
        self.cells = CellTable(np.full((room, width), ABSENT, np.uint8), np.zeros((room, width, width), np.uint8))
        self._hashes, self._lasting = np.zeros(room, np.uint64), np.zeros(room, bool)
        self._rows: dict[int, int] = {}  # by hash
        self._passing: list[int] = []  # rows that were met since the last `forget`
        self._free: list[int] = []  # a heap: the smallest free row is used first
        self._used = 0  # rows below are in use or free, the rows from here on were never used

    def __len__(self) -> int:
        return min(self.space.size or _MOST, _MOST)

    @property
    def met(self) -> int:
        return self._met

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
        """int64 `[n]`: the rows of n valid cells, new ones for cells that have no row."""
        rows = []
        for number, key in enumerate(self.space.functional_hashes(cells).tolist()):
            if key not in self._rows:
                row = self._new_row(key)
                self.cells.operations[row] = cells.operations[number]
                self.cells.adjacency[row] = cells.adjacency[number]
            rows.append(self._rows[key])
        return np.array(rows, np.int64)

    def _new_row(self, key: int) -> int:
        if self._free:
            row = heapq.heappop(self._free)
        else:
            row = self._used
            self._used += 1
            if row == len(self._hashes):
                self._grow()
        self._rows[key] = row
        self._hashes[row] = key
        self._passing.append(row)
        self._met += 1
        return row

    def _grow(self) -> None:
        """Doubles the tables."""
        operations, adjacency, hashes, lasting = (
            np.concatenate([table, np.zeros_like(table)])
            for table in (self.cells.operations, self.cells.adjacency, self._hashes, self._lasting)
        )
        self.cells, self._hashes, self._lasting = CellTable(operations, adjacency), hashes, lasting

    def keep(self, rows: np.ndarray) -> None:
        self._lasting[rows] = True

    def forget(self) -> None:
        for row in self._passing:
            if not self._lasting[row]:
                del self._rows[int(self._hashes[row])]
                heapq.heappush(self._free, row)
        self._passing.clear()

    def keys(self, rows: np.ndarray) -> np.ndarray:
        return self._hashes[rows]

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
        rows: dict[int, None] = {}  # a set that keeps the order
        for _ in range(_ATTEMPTS):
            if len(rows) == count:
                return list(rows)
            for row in self.rows_of_cells(self.sample(count, rng)).tolist():
                if len(rows) < count and not excluded(row):
                    rows[row] = None
        if self.space.enumerable and self.space.size:  # chance does not meet the last ones
            remaining = [row for row in self.rows_of_cells(self.space.enumerate()).tolist() if not excluded(row)]
            if len(remaining) >= count:
                return rng.permutation(remaining)[:count].tolist()
        raise ExhaustedError(f"{self.space.name} has no new architectures left; ask for fewer queries")

    def state(self) -> dict[str, np.ndarray]:
        rows = np.flatnonzero(self._lasting)
        cells = self.cells[rows]
        return {
            "kept": rows,
            "operations": cells.operations,
            "adjacency": cells.adjacency,
            "met": np.asarray(self._met),
        }

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Continues from what `state` returned.

        Raises:
          CorruptArtefactError: an entry is missing or of another space.
        """
        try:
            rows, cells = state["kept"], CellTable(state["operations"], state["adjacency"])
            used = int(rows.max(initial=-1)) + 1
            self._clear(max(used, _ROOM))
            self.cells.operations[rows], self.cells.adjacency[rows] = cells.operations, cells.adjacency
            self._hashes[rows] = self.space.functional_hashes(cells)
            self._rows = dict(zip(self._hashes[rows].tolist(), rows.tolist(), strict=True))
            self._lasting[rows] = True
            self._used, self._met = used, int(state["met"])
            self._free = np.setdiff1d(np.arange(used), rows).tolist()  # ascending, which is a heap
        except (KeyError, ValueError, IndexError) as error:
            raise CorruptArtefactError(f"not the candidates of a search in {self.space.name} ({error})") from error
