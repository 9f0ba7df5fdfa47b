"""What cells compute: the vertices and edges on paths from an input to an output that meet no `none`."""

import dataclasses

import numpy as np

from tfnas.spaces import NONE, CellTable, Space

DEAD = -1
"""Operation of a vertex that computes nothing."""


@dataclasses.dataclass(frozen=True)
class LiveCells:
    """What a component of N cells computes.

    Attributes:
      codes: int64 `[N, V]`, operation of a live vertex, -1 elsewhere.
      edges: bool `[N, V, V]`, edges between live vertices.
      sources: bool `[N, V]`, live vertices that no vertex feeds.
      sinks: bool `[N, V]`, live vertices that feed no vertex.
    """

    codes: np.ndarray
    edges: np.ndarray
    sources: np.ndarray
    sinks: np.ndarray

    def __len__(self) -> int:
        return len(self.codes)

    @classmethod
    def of(cls, space: Space, cells: CellTable) -> "LiveCells":
        """The live vertices and edges of cells."""
        edges = cells.adjacency.astype(bool)
        sources = cells.vertex_mask & ~edges.any(axis=1)
        sinks = cells.vertex_mask & ~edges.any(axis=2)
        works = cells.vertex_mask
        if NONE in space.operations:
            works = works & (cells.operations != space.operations.index(NONE))
        forward, backward = sources & works, sinks & works
        width = edges.shape[1]
        for vertex in range(width):
            forward[:, vertex] |= works[:, vertex] & (forward & edges[:, :, vertex]).any(axis=1)
        for vertex in reversed(range(width)):
            backward[:, vertex] |= works[:, vertex] & (backward & edges[:, vertex]).any(axis=1)
        live = forward & backward
        return cls(
            np.where(live, cells.operations.astype(np.int64), DEAD),
            edges & live[:, :, None] & live[:, None, :],
            sources & live,
            sinks & live,
        )


def ends_and_inner(cells: LiveCells) -> tuple[np.ndarray, np.ndarray]:
    """Codes that stand on inputs and outputs alone, and all other codes."""
    live = cells.codes != DEAD
    inner = np.unique(cells.codes[live & ~cells.sources & ~cells.sinks])
    return np.setdiff1d(cells.codes[live], inner), inner
