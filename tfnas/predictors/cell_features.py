"""Features of cells that nothing has to learn: operations by vertex, operation sequences along paths, graph features.

Only live vertices count, see `live_cells`.

References:
  Kadlecova et al. 2024, "Surprisingly Strong Performance Prediction with Neural Graph Features" (GRAF), section 3.
  White et al. 2021, "BANANAS", section 4, for the encoding of paths.
"""

import dataclasses
import functools
import itertools
from collections.abc import Callable, Sequence

import numpy as np

from tfnas.errors import ConfigurationError
from tfnas.predictors import graf
from tfnas.predictors.graf import GraphNumbers
from tfnas.predictors.live_cells import LiveCells
from tfnas.spaces import CellTable, Space

SKIPS = ("skip_connect", "skip", "identity")
"""Names of operations that hand on what they get; sequences along paths leave them out."""

_MOST_PATHS = 4096  # vertex sequences of a space; the paths of a space with more have no features
_MOST_SEQUENCES = 256
_RAREST = 0.002  # share of the reference that must have a sequence
_CHUNK = 16_384
_TINY = 1e-6


class CellFeatures:
    """Blocks of features of a space's cells, whose scale reference cells decide.

    Args:
      space: space of the cells.
      reference: cells that decide scales and vocabulary.
      names: names of blocks in `BLOCKS` or `GRAPH_BLOCKS`; by default all of `BLOCKS`. `operations` says which
        operation stands on every vertex and which edges there are; `paths` counts operation sequences along paths;
        `graph` describes subsets of the operations by the number of their vertices, their paths and their degrees; a
        block of `GRAPH_BLOCKS` holds a single kind of the numbers of `graph`.
      by_component: whether every component of a cell, such as the normal cell of DARTS, gets blocks of its own.

    Attributes:
      names: names of the blocks that vary over the reference, with the number of the component where components have
        blocks of their own.

    Raises:
      ConfigurationError: an unknown name, or no block varies.

    Example:
      >>> from tfnas.spaces import NASBench201
      >>> space = NASBench201()
      >>> CellFeatures(space, space.sample(500, 0), ["operations"]).transform(space.sample(3, 1))[0].shape
      (3, 36)
    """

    def __init__(
        self, space: Space, reference: CellTable, names: Sequence[str] | None = None, *, by_component: bool = False
    ):
        names = tuple(BLOCKS) if names is None else tuple(names)
        makers = BLOCKS | GRAPH_BLOCKS
        unknown = [name for name in names if name not in makers]
        if unknown:
            raise ConfigurationError(f"no features {unknown[0]!r}, expected some of {', '.join(makers)}")
        self._space = space
        cells = self._live(reference)
        self._describers: dict[str, dict[int, Callable[[LiveCells], np.ndarray]]] = {}
        for name, (number, component) in itertools.product(names, enumerate(cells)):
            block = f"{name}_{number}" if by_component and len(cells) > 1 else name
            self._describers.setdefault(block, {})[number] = makers[name](space, component)
        self._scales = {block: Scale.of(self._described(block, cells)) for block in self._describers}
        self.names = tuple(block for block, scale in self._scales.items() if scale.columns.size)
        if not self.names:
            raise ConfigurationError(f"the cells of {space.name} differ in no feature")

    def transform(self, cells: CellTable) -> list[np.ndarray]:
        """Blocks float32 `[N, D_b]` in the order of `names`, with mean 0 and mean square norm 1 over the reference."""
        blocks = [np.empty((len(cells), len(self._scales[name].columns)), np.float32) for name in self.names]
        for start in range(0, len(cells), _CHUNK):
            live = self._live(cells[start : start + _CHUNK])
            for name, block in zip(self.names, blocks, strict=True):
                block[start : start + _CHUNK] = self._scales[name](self._described(name, live))
        return blocks

    def _live(self, cells: CellTable) -> "list[LiveCells]":
        return [LiveCells.of(self._space, component) for component in self._space.components(cells)]

    def _described(self, name: str, cells: "Sequence[LiveCells]") -> np.ndarray:
        columns = [describe(cells[number]) for number, describe in self._describers[name].items()]
        return np.concatenate(columns, axis=1, dtype=np.float32)


@dataclasses.dataclass(frozen=True)
class Scale:
    """Centres and scales a block: the varying columns get deviation 1, the rows a mean square norm of 1.

    Attributes:
      columns: numbers of the D varying columns.
      mean: float32 `[D]`.
      deviation: float32 `[D]`, deviation times the root of D.
    """

    columns: np.ndarray
    mean: np.ndarray
    deviation: np.ndarray

    @classmethod
    def of(cls, block: np.ndarray) -> "Scale":
        """The scale of reference rows `[N, columns]`."""
        mean, deviation = block.mean(axis=0, dtype=np.float64), block.std(axis=0, dtype=np.float64)
        columns = np.flatnonzero(deviation > _TINY)
        width = np.sqrt(len(columns))
        return cls(columns, mean[columns].astype(np.float32), (width * deviation[columns]).astype(np.float32))

    def __call__(self, block: np.ndarray) -> np.ndarray:
        """Rows `[N, columns]` to float32 `[N, D]`."""
        return (block[:, self.columns] - self.mean) / self.deviation


class _Operations:
    """The operation on every vertex, and the edges."""

    def __init__(self, space: Space, reference: LiveCells):
        self._codes = np.arange(len(space.operations))

    def __call__(self, cells: LiveCells) -> np.ndarray:
        vertices = (cells.codes[..., None] == self._codes).reshape(len(cells), -1)
        return np.concatenate([vertices, cells.edges.reshape(len(cells), -1)], axis=1)


class _Paths:
    """Logarithms of one plus the number of paths with the same operations in the same order, skips left out."""

    def __init__(self, space: Space, reference: LiveCells):
        self._skips = [code for code, name in enumerate(space.operations) if name in SKIPS]
        self._paths = _vertex_paths(reference)
        hashes = np.sort(self._hashes(reference), axis=1)
        first = np.diff(hashes, axis=1, prepend=np.uint64(0)) != 0  # of its kind in a cell, and no lack of a path
        sequences, counts = np.unique(hashes[first], return_counts=True)
        common = np.argsort(-counts, kind="stable")[:_MOST_SEQUENCES]
        self._sequences = np.sort(sequences[common[counts[common] >= _RAREST * len(reference)]])

    def __call__(self, cells: LiveCells) -> np.ndarray:
        counts = np.zeros((len(cells), len(self._sequences) + 1), np.float32)
        if len(self._sequences):
            for hashes in self._hashes(cells).T:
                positions = np.minimum(np.searchsorted(self._sequences, hashes), len(self._sequences) - 1)
                positions = np.where(self._sequences[positions] == hashes, positions, len(self._sequences))
                counts[np.arange(len(cells)), positions] += 1
        return np.log1p(counts[:, :-1])

    def _hashes(self, cells: LiveCells) -> np.ndarray:
        """uint64 `[N, paths]`: a hash of the operations along every path, 0 where a cell lacks the path."""
        codes = cells.codes + 1
        skipped = np.isin(cells.codes, self._skips)
        columns = []
        for path in self._paths:
            present = cells.sources[:, path[0]] & cells.sinks[:, path[-1]]
            hashes = np.ones(len(cells), np.uint64)
            for vertex in path:
                mixed = (hashes ^ codes[:, vertex].astype(np.uint64)) * np.uint64(0x9E3779B97F4A7C15)
                hashes = np.where(skipped[:, vertex], hashes, mixed ^ (mixed >> np.uint64(29)))
            for source, target in itertools.pairwise(path):
                present = present & cells.edges[:, source, target]
            columns.append(np.where(present, hashes | np.uint64(1), np.uint64(0)))
        return np.stack(columns, axis=1) if columns else np.zeros((len(cells), 0), np.uint64)


def _vertex_paths(cells: LiveCells) -> list[tuple[int, ...]]:
    """All paths from an input to an output in the union of the graphs; none where they are too many to list."""
    edges, sinks = cells.edges.any(axis=0), cells.sinks.any(axis=0)
    unfinished: list[tuple[int, ...]] = [(int(vertex),) for vertex in np.flatnonzero(cells.sources.any(axis=0))]
    paths: list[tuple[int, ...]] = []
    while unfinished:
        path = unfinished.pop()
        if sinks[path[-1]]:
            paths.append(path)
        unfinished.extend((*path, int(vertex)) for vertex in np.flatnonzero(edges[path[-1]]))
        if len(paths) + len(unfinished) > _MOST_PATHS:
            return []
    return sorted(paths)


BLOCKS: dict[str, Callable[[Space, LiveCells], Callable[[LiveCells], np.ndarray]]] = {
    "operations": _Operations,
    "paths": _Paths,
    "graph": GraphNumbers,
}
"""Makers of the blocks' features from the space and reference cells, by name."""

GRAPH_BLOCKS: dict[str, Callable[[Space, LiveCells], Callable[[LiveCells], np.ndarray]]] = {
    f"graph_{kind}": functools.partial(GraphNumbers, kinds=(kind,)) for kind in graf.KINDS
}
"""The same for the kinds of numbers that `graph` holds together."""
