"""Spaces whose architectures share one graph and differ by the operations on its inner vertices."""

import numpy as np

from tfnas.errors import ConfigurationError
from tfnas.spaces import isomorphism
from tfnas.spaces.architecture import Architecture, CellTable
from tfnas.spaces.base import Seed, Space


class FixedGraphSpace(Space):
    """Base class: the first operation stands on the first vertex, the last one on the last, any other between them.

    Attributes:
      graph: uint8 `[V, V]`, the adjacency matrix of every architecture.
      size: number of architectures.
    """

    graph: np.ndarray
    size: int

    def sample(self, count: int, seed: Seed) -> CellTable:
        if count > self.size:
            raise ConfigurationError(f"{self.name} holds {self.size} architectures, {count} were asked for")
        return self.enumerate()[np.random.default_rng(seed).choice(self.size, count, replace=False)]

    def mutate(self, architecture: Architecture, rng: np.random.Generator) -> Architecture:
        """Replaces the operation of one inner vertex by another, both drawn uniformly."""
        self.require_valid(architecture)
        operations = list(architecture.operations)
        vertex = 1 + int(rng.integers(self.max_vertices - 2))
        alternatives = [name for name in self.operations[1:-1] if name != operations[vertex]]
        operations[vertex] = alternatives[int(rng.integers(len(alternatives)))]
        return Architecture(tuple(operations), self.graph)

    def validate(self, architecture: Architecture) -> str | None:
        names, first, last = architecture.operations, self.operations[0], self.operations[-1]
        if len(names) != self.max_vertices:
            return f"{len(names)} vertices, expected {self.max_vertices}"
        if names[0] != first or names[-1] != last:
            return f"the ends are {names[0]!r} and {names[-1]!r}, expected {first!r} and {last!r}"
        for vertex, name in enumerate(names[1:-1], start=1):
            if name not in self.operations[1:-1]:
                return f"vertex {vertex} is {name!r}, expected one of {', '.join(self.operations[1:-1])}"
        wrong = np.argwhere(architecture.adjacency != self.graph)
        if len(wrong):
            i, j = wrong[0]
            fault = "missing" if self.graph[i, j] else "not part of the cell"
            return f"edge {i} -> {j} is {fault}; all cells share one graph"
        return None

    def validate_many(self, cells: CellTable) -> np.ndarray:
        inner, last = cells.operations[:, 1:-1], len(self.operations) - 1
        return (
            (cells.operations[:, 0] == 0)
            & (cells.operations[:, -1] == last)
            & ((inner >= 1) & (inner < last)).all(axis=1)
            & (cells.adjacency == self.graph).all(axis=(1, 2))
        )

    def canonical_hash(self, architecture: Architecture) -> str:
        """The hash of the labelled graph."""
        self.require_valid(architecture)
        return isomorphism.module_hash(self.graph, [self.operations.index(name) for name in architecture.operations])

    def canonical_hashes(self, cells: CellTable) -> np.ndarray:
        return isomorphism.fingerprints(cells.adjacency, cells.operations.astype(np.int64))

    def _table(self, inner: np.ndarray) -> CellTable:
        """Architectures from the codes of their inner vertices `[N, V - 2]`."""
        operations = np.empty((len(inner), self.max_vertices), np.uint8)
        operations[:, 0], operations[:, 1:-1], operations[:, -1] = 0, inner, len(self.operations) - 1
        return CellTable(operations, np.broadcast_to(self.graph, (len(inner), *self.graph.shape)).copy())
