"""What a search chooses from: rows of a list of architectures, or of a list that grows while the search goes on."""

import abc
import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from tfnas.errors import ConfigurationError
from tfnas.spaces import Architecture, CellTable, Space


class CandidateSet(abc.ABC):
    """Architectures of one space, each with a row number.

    Attributes:
      space: space of the architectures.
      cells: the architectures by row.
      embedded: whether there are embeddings.
    """

    space: Space
    cells: CellTable
    embedded: bool

    def __len__(self) -> int:
        return len(self.cells)

    def architecture(self, row: int) -> Architecture:
        """The candidate of a row."""
        return self.space.architecture(self.cells, row)

    def rows(self, architectures: Sequence[Architecture]) -> np.ndarray:
        """int64 `[n]`: the row of a candidate isomorphic to each architecture, or -1."""
        return self.rows_of_cells(self.space.to_table(architectures))

    @property
    @abc.abstractmethod
    def met(self) -> int:
        """Number of architectures that had a row so far; an architecture counts each time that it gets a row."""

    @property
    @abc.abstractmethod
    def embeddings(self) -> np.ndarray:
        """float32 `[N, D]`; raises ConfigurationError where nothing is embedded."""

    @property
    @abc.abstractmethod
    def standardised(self) -> np.ndarray:
        """`embeddings` with mean 0 and deviation 1 over the candidates; raises ConfigurationError where they do."""

    @abc.abstractmethod
    def rows_of_cells(self, cells: CellTable) -> np.ndarray:
        """int64 `[n]`: the row of a candidate isomorphic to each of n valid cells, or -1."""

    @property
    @abc.abstractmethod
    def functions_count(self) -> int:
        """Largest number of candidates that compute different functions."""

    @abc.abstractmethod
    def representative(self, rows: np.ndarray) -> np.ndarray:
        """int64 `[n]`: for rows int64 `[n]`, the first row that computes the same function, see `Space`."""

    @abc.abstractmethod
    def draw_many(self, count: int, rng: np.random.Generator) -> np.ndarray:
        """int64 `[count]`: random rows, some maybe several times."""

    @abc.abstractmethod
    def sample(self, count: int, rng: np.random.Generator) -> CellTable:
        """Up to `count` random architectures, for statistics of the space."""

    @abc.abstractmethod
    def draw(self, count: int, rng: np.random.Generator, excluded: Callable[[int], bool]) -> list[int]:
        """Distinct random rows that are not excluded."""

    @abc.abstractmethod
    def require_list(self, purpose: str) -> None:
        """Raises ConfigurationError with the purpose unless every candidate has a row from the start."""

    @abc.abstractmethod
    def keep(self, rows: np.ndarray) -> None:
        """Lets rows, of any shape, stand for their architectures for good."""

    @abc.abstractmethod
    def forget(self) -> None:
        """Frees the rows that are not kept, where architectures get rows on the way."""

    @abc.abstractmethod
    def keys(self, rows: np.ndarray) -> np.ndarray:
        """Integers `[n]` that stand for the architectures of rows int64 `[n]`, whatever becomes of the rows."""

    @abc.abstractmethod
    def state(self) -> dict[str, np.ndarray]:
        """Plain arrays that `load_state` needs to give the kept rows to the same architectures again."""

    @abc.abstractmethod
    def load_state(self, state: Mapping[str, Any]) -> None:
        """Continues from what `state` returned."""


class Candidates(CandidateSet):
    """N architectures of one space and their embeddings.

    >>> from tfnas.spaces import NASBench201
    >>> space = NASBench201()
    >>> cells = space.sample(4, np.random.default_rng(0))
    >>> len(Candidates(space, cells, np.zeros((4, 2), np.float32)))
    4

    Args:
      space: space of the architectures.
      cells: N architectures.
      embeddings: float32 `[N, D]`, or a function that computes them when they are needed for the first time; None for
        candidates that nothing embedded.
      latents: vectors that the embeddings were pooled from, float32 `[N, L]`, or a function that computes them when
        they are needed for the first time; None if they are not known.

    Raises:
      ConfigurationError: cells and embeddings differ in number, or there are none.
    """

    def __init__(
        self,
        space: Space,
        cells: CellTable,
        embeddings: np.ndarray | Callable[[], np.ndarray] | None = None,
        latents: np.ndarray | Callable[[], np.ndarray] | None = None,
    ):
        if not len(cells):
            raise ConfigurationError("0 candidates")
        self.space, self.cells, self.embedded = space, cells, embeddings is not None
        self._embeddings, self._latents = embeddings, latents
        if not callable(embeddings):
            self._check_count(embeddings, "embeddings")

    @property
    def met(self) -> int:
        return len(self)

    @property
    def embeddings(self) -> np.ndarray:
        if self._embeddings is None:
            raise ConfigurationError(
                f"no encoder of {self.space.name} ships with tfnas, and none was given, for a search by embeddings; "
                "pass --encoder, or search by additive, evolution or random"
            )
        if callable(self._embeddings):
            self._embeddings = self._embeddings()
            self._check_count(self._embeddings, "embeddings")
        return self._embeddings

    def _check_count(self, vectors: np.ndarray | None, what: str) -> None:
        if vectors is not None and len(vectors) != len(self):
            raise ConfigurationError(f"{len(self)} candidates with {len(vectors)} {what}")

    @functools.cached_property
    def standardised(self) -> np.ndarray:
        spread = self.embeddings.std(axis=0)
        return ((self.embeddings - self.embeddings.mean(axis=0)) / np.where(spread > 0, spread, 1)).astype(np.float32)

    @functools.cached_property
    def latents(self) -> np.ndarray | None:
        """Vectors that the embeddings were pooled from, float32 `[N, L]`, or None."""
        latents = self._latents() if callable(self._latents) else self._latents
        self._check_count(latents, "latents")
        return latents

    def rows_of_cells(self, cells: CellTable) -> np.ndarray:
        order, ordered = self._index
        hashes = self.space.canonical_hashes(cells)
        nearest = np.minimum(np.searchsorted(ordered, hashes), len(ordered) - 1)
        return np.where(ordered[nearest] == hashes, order[nearest], -1)

    @functools.cached_property
    def _index(self) -> tuple[np.ndarray, np.ndarray]:
        hashes = self.space.canonical_hashes(self.cells)
        order = np.argsort(hashes, kind="stable")
        return order, hashes[order]

    @functools.cached_property
    def functions(self) -> np.ndarray:
        """int64 `[M]`: the first row of every function, ascending."""
        return np.unique(self._representatives)

    @functools.cached_property
    def _representatives(self) -> np.ndarray:
        hashes = self.space.functional_hashes(self.cells)
        _, first, inverse = np.unique(hashes, return_index=True, return_inverse=True)
        return first[inverse]

    @property
    def functions_count(self) -> int:
        return len(self.functions)

    def representative(self, rows: np.ndarray) -> np.ndarray:
        return self._representatives[rows]

    def draw_many(self, count: int, rng: np.random.Generator) -> np.ndarray:
        return rng.integers(len(self), size=count)

    def sample(self, count: int, rng: np.random.Generator) -> CellTable:
        return self.cells[rng.permutation(len(self))[:count]]

    def draw(self, count: int, rng: np.random.Generator, excluded: Callable[[int], bool]) -> list[int]:
        rows: dict[int, None] = {}  # a set that keeps the order
        while len(rows) < count:
            row = int(rng.integers(len(self)))
            if row not in rows and not excluded(row):
                rows[row] = None
        return list(rows)

    def require_list(self, purpose: str) -> None:
        pass

    def keep(self, rows: np.ndarray) -> None:
        pass

    def forget(self) -> None:
        pass

    def keys(self, rows: np.ndarray) -> np.ndarray:
        return rows

    def state(self) -> dict[str, np.ndarray]:
        return {}

    def load_state(self, state: Mapping[str, Any]) -> None:
        pass
