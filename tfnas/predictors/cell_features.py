"""Features of cells that nothing has to learn: operations by vertex, operation sequences along paths, graph features.

Only live vertices count: vertices on a path from an input to an output of the cell that meets no `none`.

References:
  Kadlecova et al. 2024, "Surprisingly Strong Performance Prediction with Neural Graph Features" (GRAF), section 3.
  White et al. 2021, "BANANAS", section 4, for the encoding of paths.
"""

import dataclasses
import itertools
from collections.abc import Callable, Sequence

import numpy as np

from tfnas.errors import ConfigurationError
from tfnas.spaces import NONE, CellTable, Space

SKIPS = ("skip_connect", "skip", "identity")
"""Names of operations that hand on what they get; sequences along paths leave them out."""

_ALL_SUBSETS = 5  # up to so many operations, every subset has features
_MOST_PATHS = 4096  # vertex sequences of a space; the paths of a space with more have no features
_MOST_SEQUENCES = 256
_RAREST = 0.002  # share of the reference that must have a sequence
_CHUNK = 16_384
_TINY = 1e-6
_DEAD = -1


class CellFeatures:
    """Blocks of features of a space's cells, whose scale reference cells decide.

    Args:
      space: space of the cells.
      reference: cells that decide scales and vocabulary.
      names: names of blocks in `BLOCKS`. `operations` says which operation stands on every vertex and which edges there
        are; `paths` counts operation sequences along paths; `graph` describes subsets of the operations by the number
        of their vertices, their paths and their degrees.
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
        unknown = [name for name in names if name not in BLOCKS]
        if unknown:
            raise ConfigurationError(f"no features {unknown[0]!r}, expected some of {', '.join(BLOCKS)}")
        self._space = space
        cells = self._live(reference)
        self._describers: dict[str, dict[int, Callable[[LiveCells], np.ndarray]]] = {}
        for name, (number, component) in itertools.product(names, enumerate(cells)):
            block = f"{name}_{number}" if by_component and len(cells) > 1 else name
            self._describers.setdefault(block, {})[number] = BLOCKS[name](space, component)
        self._scales = {block: Scale.of(self._described(block, cells)) for block in self._describers}
        self.names = tuple(block for block, scale in self._scales.items() if scale.columns.size)
        if not self.names:
            raise ConfigurationError(f"the cells of {space.name} differ in no feature")

    def transform(self, cells: CellTable) -> list[np.ndarray]:
        """Blocks float32 `[N, D_b]` in the order of `names`, with mean 0 and mean square norm 1 over the reference."""
        chunks = []
        for start in range(0, max(len(cells), 1), _CHUNK):
            live = self._live(cells[start : start + _CHUNK])
            chunks.append([self._scales[name](self._described(name, live)) for name in self.names])
        return [np.concatenate(blocks) for blocks in zip(*chunks, strict=True)]

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
            np.where(live, cells.operations.astype(np.int64), _DEAD),
            edges & live[:, :, None] & live[:, None, :],
            sources & live,
            sinks & live,
        )


def _ends_and_inner(cells: LiveCells) -> tuple[np.ndarray, np.ndarray]:
    """Codes that stand on inputs and outputs alone, and all other codes."""
    live = cells.codes != _DEAD
    inner = np.unique(cells.codes[live & ~cells.sources & ~cells.sinks])
    return np.setdiff1d(cells.codes[live], inner), inner


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
        hashes = self._hashes(reference)
        present = [np.unique(row[row != 0]) for row in hashes]
        sequences, counts = np.unique(np.concatenate([*present, np.zeros(0, np.uint64)]), return_counts=True)
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


class _GraphNumbers:
    """Numbers of the subgraphs that subsets of the operations span.

    For every subset: its vertices, the most of them on a path, their mean number on a path, the edges between them,
    also per vertex, and how many feed an output; and for every kind of input: the share of its paths whose inner
    vertices lie in the subset, the fewest and the most vertices on such a path, and how many the input feeds.
    """

    def __init__(self, space: Space, reference: LiveCells):
        self._ends, inner = _ends_and_inner(reference)
        self._subsets = subsets([space.operations[code] for code in inner], inner.tolist())
        self._inputs = np.unique(reference.codes[reference.sources])
        self._edges = np.argwhere(reference.edges.any(axis=0)).tolist()

    def __call__(self, cells: LiveCells) -> np.ndarray:
        live = cells.codes != _DEAD
        ends = np.isin(cells.codes, self._ends) & live
        everywhere = [self._paths(cells, cells.sources & (cells.codes == code), live) for code in self._inputs]
        all_paths = self._paths(cells, cells.sources, live)
        through = all_paths * self._paths_to_outputs(cells, live)  # paths through each vertex
        total = np.maximum((all_paths * cells.sinks).sum(axis=1), 1)
        columns = [np.log1p((paths * cells.sinks).sum(axis=1)) for paths in everywhere]
        for subset in self._subsets:
            members = np.isin(cells.codes, subset)
            inside = (cells.edges & members[:, :, None] & members[:, None, :]).sum(axis=(1, 2))
            count = members.sum(axis=1)
            columns += [
                count,
                self._extreme(cells, cells.sources, live, members, np.maximum, -1.0),
                (through * members).sum(axis=1) / total,
                inside,
                inside / np.maximum(count, 1),
                (members & (cells.edges & cells.sinks[:, None, :]).any(axis=2)).sum(axis=1),
            ]
            allowed = members | ends
            for code, paths in zip(self._inputs, everywhere, strict=True):
                starts = cells.sources & (cells.codes == code)
                within = (self._paths(cells, starts, allowed) * cells.sinks).sum(axis=1)
                columns += [
                    within / np.maximum((paths * cells.sinks).sum(axis=1), 1),
                    self._extreme(cells, starts, allowed, members, np.minimum, np.inf),
                    self._extreme(cells, starts, allowed, members, np.maximum, -1.0),
                    (members & (cells.edges & starts[:, :, None]).any(axis=1)).sum(axis=1),
                ]
        return np.stack(columns, axis=1).astype(np.float32)

    def _paths(self, cells: LiveCells, starts: np.ndarray, allowed: np.ndarray) -> np.ndarray:
        """float64 `[N, V]`: paths from the starts to each vertex through allowed vertices."""
        paths = (starts & allowed).astype(np.float64)
        for source, target in self._edges:
            paths[:, target] += paths[:, source] * (cells.edges[:, source, target] & allowed[:, target])
        return paths

    def _paths_to_outputs(self, cells: LiveCells, allowed: np.ndarray) -> np.ndarray:
        paths = (cells.sinks & allowed).astype(np.float64)
        for source, target in reversed(self._edges):
            paths[:, source] += paths[:, target] * (cells.edges[:, source, target] & allowed[:, source])
        return paths

    def _extreme(
        self,
        cells: LiveCells,
        starts: np.ndarray,
        allowed: np.ndarray,
        members: np.ndarray,
        extreme: Callable[[np.ndarray, np.ndarray], np.ndarray],
        worst: float,
    ) -> np.ndarray:
        """float64 `[N]`: fewest or most members on an allowed path from a start to an output; -1 without any path."""
        values = np.where(starts & allowed, members.astype(np.float64), worst)
        for source, target in self._edges:
            usable = cells.edges[:, source, target] & allowed[:, target] & (values[:, source] != worst)
            step = np.where(usable, values[:, source] + members[:, target], worst)
            values[:, target] = extreme(values[:, target], step)
        best = extreme.reduce(np.where(cells.sinks & allowed, values, worst), axis=1)
        return np.where(best == worst, -1.0, best)


def subsets(names: Sequence[str], codes: Sequence[int]) -> list[list[int]]:
    """Subsets of operations that have features.

    All subsets of up to five operations. Of more: every operation, all of them, all but one, and the operations whose
    names share a word or two adjacent words, such as `3x3` or `sep_conv`.

    Args:
      names: names of the operations.
      codes: codes of the operations.

    Example:
      >>> subsets(["max_pool_3x3", "skip_connect"], [3, 5])
      [[3], [5], [3, 5]]
    """
    if len(codes) <= _ALL_SUBSETS:
        sizes = range(1, len(codes) + 1)
        return [list(subset) for size in sizes for subset in itertools.combinations(codes, size)]
    chosen = {frozenset([code]) for code in codes} | {frozenset(codes)}
    chosen |= {frozenset(codes) - {code} for code in codes}
    words = [name.replace("-", "_").split("_") for name in names]
    for length in (1, 2):
        phrases = [{tuple(row[start : start + length]) for start in range(len(row) - length + 1)} for row in words]
        for phrase in set().union(*phrases):
            chosen.add(frozenset(code for code, known in zip(codes, phrases, strict=True) if phrase in known))
    return sorted((sorted(subset) for subset in chosen), key=lambda subset: (len(subset), subset))


BLOCKS: dict[str, Callable[[Space, LiveCells], Callable[[LiveCells], np.ndarray]]] = {
    "operations": _Operations,
    "paths": _Paths,
    "graph": _GraphNumbers,
}
"""Makers of the blocks' features from the space and reference cells, by name."""
