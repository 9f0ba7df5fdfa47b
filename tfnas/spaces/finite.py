"""A search space given by listing it: the short way to a new space."""

import functools
from collections.abc import Iterable

import numpy as np

from tfnas.errors import ConfigurationError, InvalidArchitectureError
from tfnas.spaces import isomorphism
from tfnas.spaces.architecture import ABSENT, Architecture, CellTable
from tfnas.spaces.base import Seed, Space


class FiniteSpace(Space):
    """All architectures of a list; isomorphic ones count once.

    Args:
      name: name of the space in manifests.
      architectures: list of up to some hundred thousand architectures.

    Raises:
      ConfigurationError: the list is empty.

    Example:
      >>> chains = [Architecture(("in", name, "out"), np.eye(3, k=1)) for name in ("small", "large")]
      >>> FiniteSpace("chains", chains).size
      2
    """

    def __init__(self, name: str, architectures: Iterable[Architecture]):
        listed = list(architectures)
        if not listed:
            raise ConfigurationError(f"the space {name!r} has no architecture")
        self.name = name
        self.operations = tuple(dict.fromkeys(operation for cell in listed for operation in cell.operations))
        self.max_vertices = max(cell.num_vertices for cell in listed)
        table = self._encoded(listed)
        _, first = np.unique(self.canonical_hashes(table), return_index=True)
        self._cells = table[np.sort(first)]
        self.size = len(self._cells)

    def enumerate(self) -> CellTable:
        return self._cells

    def sample(self, count: int, seed: Seed) -> CellTable:
        if count > len(self._cells):
            raise ConfigurationError(f"{self.name} holds {len(self._cells)} architectures, {count} were asked for")
        return self._cells[np.random.default_rng(seed).choice(len(self._cells), count, replace=False)]

    def mutate(self, architecture: Architecture, rng: np.random.Generator) -> Architecture:
        """One of the other architectures that differ in the fewest entries of the encoding."""
        self.require_valid(architecture)
        cell = self._encoded([architecture])
        distances = (self._cells.operations != cell.operations).sum(axis=1)
        distances = distances + (self._cells.adjacency != cell.adjacency).sum(axis=(1, 2))
        distances[self.canonical_hashes(self._cells) == self.canonical_hashes(cell)] = np.iinfo(np.int64).max
        if len(self._cells) == 1:
            raise ConfigurationError(f"{self.name} holds one architecture, so that it has no mutants")
        nearest = np.flatnonzero(distances == distances.min())
        return self.architecture(self._cells, int(nearest[rng.integers(len(nearest))]))

    def validate(self, architecture: Architecture) -> str | None:
        if architecture.num_vertices > self.max_vertices:
            return f"{architecture.num_vertices} vertices, expected at most {self.max_vertices}"
        unknown = [name for name in architecture.operations if name not in self.operations]
        if unknown:
            return f"operation {unknown[0]!r}, expected one of {', '.join(self.operations)}"
        if int(self.canonical_hashes(self._encoded([architecture]))[0]) not in self._hashes:
            return "it is not in the list"
        return None

    def validate_many(self, cells: CellTable) -> np.ndarray:
        return np.isin(self.canonical_hashes(cells), self.canonical_hashes(self._cells))

    def canonical_hash(self, architecture: Architecture) -> str:
        self.require_valid(architecture)
        labels = [self.operations.index(name) for name in architecture.operations]
        return isomorphism.module_hash(architecture.adjacency, labels)

    def canonical_hashes(self, cells: CellTable) -> np.ndarray:
        labels = np.where(cells.operations == ABSENT, -1, cells.operations.astype(np.int64))
        return isomorphism.fingerprints(cells.adjacency, labels)

    @functools.cached_property
    def _hashes(self) -> frozenset[int]:
        return frozenset(self.canonical_hashes(self._cells).tolist())

    def _encoded(self, architectures: list[Architecture]) -> CellTable:
        codes = {name: code for code, name in enumerate(self.operations)}
        if len(codes) >= ABSENT:
            raise InvalidArchitectureError(f"{len(codes)} operations, expected fewer than {ABSENT}")
        operations = np.full((len(architectures), self.max_vertices), ABSENT, np.uint8)
        adjacency = np.zeros((len(architectures), self.max_vertices, self.max_vertices), np.uint8)
        for row, cell in enumerate(architectures):
            count = cell.num_vertices
            operations[row, :count] = [codes[name] for name in cell.operations]
            adjacency[row, :count, :count] = cell.adjacency
        return CellTable(operations, adjacency)
