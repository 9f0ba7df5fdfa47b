"""The two forms an architecture takes: one object, or a row of a table."""

import dataclasses
import functools
from collections.abc import Sequence

import numpy as np

from tfnas.errors import InvalidArchitectureError

ABSENT = 255
"""Operation code of a vertex that a smaller cell does not have."""


@dataclasses.dataclass(frozen=True, eq=False)
class Architecture:
    """One cell: a directed acyclic graph with an operation on every vertex.

    Attributes:
      operations: operation name of each of the V vertices, in topological order.
      adjacency: uint8 `[V, V]`, upper triangular; entry (i, j) is 1 where vertex i feeds vertex j. Read-only.

    Raises:
      InvalidArchitectureError: the matrix is not square, binary, strictly upper triangular and of V rows.
    """

    operations: tuple[str, ...]
    adjacency: np.ndarray

    def __post_init__(self) -> None:
        object.__setattr__(self, "operations", tuple(self.operations))
        object.__setattr__(self, "adjacency", check_adjacency(self.adjacency, len(self.operations)))

    @property
    def num_vertices(self) -> int:
        """V."""
        return len(self.operations)

    @property
    def edges(self) -> list[tuple[int, int]]:
        """Pairs (source, target), in row order."""
        return [(int(i), int(j)) for i, j in np.argwhere(self.adjacency)]

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Architecture):
            return NotImplemented
        return self.operations == other.operations and np.array_equal(self.adjacency, other.adjacency)

    def __hash__(self) -> int:
        return hash((self.operations, self.adjacency.tobytes()))


def check_adjacency(adjacency: np.ndarray, num_vertices: int) -> np.ndarray:
    """Returns a read-only uint8 copy of an adjacency matrix after checking it.

    Raises:
      InvalidArchitectureError: not `[V, V]`, not finite, not 0 or 1, or not strictly upper triangular.
    """
    matrix = np.asarray(adjacency)
    if matrix.shape != (num_vertices, num_vertices):
        raise InvalidArchitectureError(
            f"adjacency has shape {matrix.shape}, expected {(num_vertices, num_vertices)} for {num_vertices} operations"
        )
    if matrix.dtype.kind not in "buif":
        raise InvalidArchitectureError(f"adjacency has type {matrix.dtype}, expected numbers")
    if matrix.dtype.kind == "f" and not np.isfinite(matrix).all():
        raise InvalidArchitectureError("adjacency holds NaN or infinity, expected 0 and 1")
    if not ((matrix == 0) | (matrix == 1)).all():
        raise InvalidArchitectureError("adjacency holds values other than 0 and 1")
    if matrix[_lower(num_vertices)].any():
        row, column = np.argwhere(np.tril(matrix))[0]
        raise InvalidArchitectureError(
            f"adjacency is not strictly upper triangular: entry ({row}, {column}) is set; "
            "list vertices in topological order"
        )
    checked = matrix.astype(np.uint8)
    checked.flags.writeable = False
    return checked


@functools.lru_cache(maxsize=64)
def _lower(num_vertices: int) -> np.ndarray:
    """The diagonal and what is below it, bool `[V, V]`."""
    return np.tri(num_vertices, dtype=bool)


@dataclasses.dataclass(frozen=True)
class CellTable:
    """N architectures of one space as arrays, padded at the end to the space's largest cell.

    Attributes:
      operations: uint8 `[N, V]`, index into the space's `operations`, or `ABSENT`.
      adjacency: uint8 `[N, V, V]`, strictly upper triangular, zero in padded rows and columns.
    """

    operations: np.ndarray
    adjacency: np.ndarray

    def __len__(self) -> int:
        return len(self.operations)

    def __getitem__(self, rows: slice | np.ndarray | Sequence[int]) -> "CellTable":
        """The table of some rows (a slice, an index array or a mask)."""
        return CellTable(self.operations[rows], self.adjacency[rows])

    @property
    def vertex_mask(self) -> np.ndarray:
        """bool `[N, V]`, True where the vertex exists."""
        return self.operations != ABSENT

    @property
    def num_vertices(self) -> np.ndarray:
        """int64 `[N]`."""
        return self.vertex_mask.sum(axis=1)

    def one_hot(self, num_operations: int) -> np.ndarray:
        """float32 `[N, V, O]`; rows of absent vertices are zero."""
        return (self.operations[..., None] == np.arange(num_operations, dtype=np.uint8)).astype(np.float32)

    @classmethod
    def of(cls, architectures: Sequence[Architecture], operations: Sequence[str], max_vertices: int) -> "CellTable":
        """The table of some architectures.

        Args:
          architectures: N architectures.
          operations: the O operation names, in the order of their codes.
          max_vertices: V, the width of the table.

        Raises:
          InvalidArchitectureError: an operation that is not listed, or more than V vertices.
        """
        table = cls(
            np.full((len(architectures), max_vertices), ABSENT, np.uint8),
            np.zeros((len(architectures), max_vertices, max_vertices), np.uint8),
        )
        codes = {name: code for code, name in enumerate(operations)}
        for row, architecture in enumerate(architectures):
            count = architecture.num_vertices
            unknown = [name for name in architecture.operations if name not in codes]
            if unknown or count > max_vertices:
                fault = f"unknown operation {unknown[0]!r}" if unknown else f"{count} vertices"
                raise InvalidArchitectureError(
                    f"architecture {row}: {fault}, expected at most {max_vertices} vertices of {', '.join(operations)}"
                )
            table.operations[row, :count] = [codes[name] for name in architecture.operations]
            table.adjacency[row, :count, :count] = architecture.adjacency
        return table

    @classmethod
    def concatenate(cls, tables: Sequence["CellTable"]) -> "CellTable":
        """One table out of several of the same width."""
        return cls(
            np.concatenate([table.operations for table in tables]),
            np.concatenate([table.adjacency for table in tables]),
        )
