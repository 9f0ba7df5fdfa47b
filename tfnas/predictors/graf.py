"""Graph features of cells (GRAF): numbers of the subgraphs that subsets of the operations span.

References:
  Kadlecova et al. 2024, "Surprisingly Strong Performance Prediction with Neural Graph Features" (GRAF), section 3.
"""

import itertools
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from tfnas.predictors.live_cells import DEAD, LiveCells, ends_and_inner
from tfnas.spaces import Space

KINDS = ("counts", "chains", "shares", "edges", "outputs", "inputs")
"""Kinds of numbers of a subset.

`counts`: its vertices. `chains`: the most of them on a path. `shares`: their mean number on a path. `edges`: the edges
between them, also per vertex. `outputs`: how many feed an output. `inputs`, for every kind of input: the share of its
paths whose inner vertices lie in the subset, the fewest and the most vertices on such a path, and how many the input
feeds; and once, the logarithm of the number of paths from that input.
"""

_MANY = np.iinfo(np.int16).max
_ALL_SUBSETS = 5  # up to so many operations, every subset has features


class GraphNumbers:
    """Numbers of the subgraphs that subsets of the operations span.

    Args:
      space: space of the cells.
      reference: cells that decide inputs, operations and edges.
      kinds: kinds in `KINDS`.

    Attributes:
      subsets: codes of the operations of every subset.
    """

    def __init__(self, space: Space, reference: LiveCells, kinds: Sequence[str] = KINDS):
        self._ends, inner = ends_and_inner(reference)
        self.subsets = subsets([space.operations[code] for code in inner], inner.tolist())
        self._inputs = np.unique(reference.codes[reference.sources])
        self._edges = np.argwhere(reference.edges.any(axis=0)).tolist()
        self._kinds = tuple(kinds)

    def __call__(self, cells: LiveCells) -> np.ndarray:
        """float32 `[N, numbers]`, subset by subset, kind by kind."""
        return self._numbers(_Columns.of(cells))

    def _numbers(self, cells: "_Columns") -> np.ndarray:
        live = cells.codes != DEAD
        ends = _are(cells.codes, self._ends) & live
        everywhere = [self._paths(cells, cells.sources & (cells.codes == code), live) for code in self._inputs]
        through = self._paths(cells, cells.sources, live) * self._paths_to_outputs(cells, live)  # of each vertex
        total = np.maximum((through * cells.sinks).sum(axis=0), 1)
        columns = []
        if "inputs" in self._kinds:
            columns += [np.log1p((paths * cells.sinks).sum(axis=0)) for paths in everywhere]
        memberships = (_are(cells.codes, subset) for subset in self.subsets)
        for members, kind in itertools.product(memberships, self._kinds):
            if kind == "counts":
                columns.append(members.sum(axis=0))
            elif kind == "chains":
                columns.append(self._extreme(cells, cells.sources, live, members, np.maximum, -1))
            elif kind == "shares":
                columns.append((through * members).sum(axis=0) / total)
            elif kind == "edges":
                inside = (cells.edges & members[:, None] & members).sum(axis=(0, 1))
                columns += [inside, inside / np.maximum(members.sum(axis=0), 1)]
            elif kind == "outputs":
                columns.append((members & (cells.edges & cells.sinks).any(axis=1)).sum(axis=0))
            else:
                columns += self._by_input(cells, members, members | ends, everywhere)
        return np.stack(columns, axis=1).astype(np.float32)

    def _by_input(
        self, cells: "_Columns", members: np.ndarray, allowed: np.ndarray, everywhere: Sequence[np.ndarray]
    ) -> list[np.ndarray]:
        """The kind `inputs`; `everywhere` holds the paths from every kind of input to each vertex."""
        columns = []
        for code, paths in zip(self._inputs, everywhere, strict=True):
            starts = cells.sources & (cells.codes == code)
            within = (self._paths(cells, starts, allowed) * cells.sinks).sum(axis=0)
            columns += [
                within / np.maximum((paths * cells.sinks).sum(axis=0), 1),
                self._extreme(cells, starts, allowed, members, np.minimum, _MANY),
                self._extreme(cells, starts, allowed, members, np.maximum, -1),
                (members & (cells.edges & starts[:, None]).any(axis=0)).sum(axis=0),
            ]
        return columns

    def _paths(self, cells: "_Columns", starts: np.ndarray, allowed: np.ndarray) -> np.ndarray:
        """float64 `[V, N]`: paths from the starts to each vertex through allowed vertices."""
        paths = (starts & allowed).astype(np.float64)
        for source, target in self._edges:
            paths[target] += paths[source] * (cells.edges[source, target] & allowed[target])
        return paths

    def _paths_to_outputs(self, cells: "_Columns", allowed: np.ndarray) -> np.ndarray:
        paths = (cells.sinks & allowed).astype(np.float64)
        for source, target in reversed(self._edges):
            paths[source] += paths[target] * (cells.edges[source, target] & allowed[source])
        return paths

    def _extreme(
        self,
        cells: "_Columns",
        starts: np.ndarray,
        allowed: np.ndarray,
        members: np.ndarray,
        extreme: Callable[[np.ndarray, np.ndarray], np.ndarray],
        worst: int,
    ) -> np.ndarray:
        """int16 `[N]`: fewest or most members on an allowed path from a start to an output; -1 without any path."""
        members, worst = members.astype(np.int16), np.int16(worst)
        values = np.where(starts & allowed, members, worst)
        for source, target in self._edges:
            usable = cells.edges[source, target] & allowed[target] & (values[source] != worst)
            step = np.where(usable, values[source] + members[target], worst)
            values[target] = extreme(values[target], step)
        best = extreme.reduce(np.where(cells.sinks & allowed, values, worst), axis=0)
        return np.where(best == worst, np.int16(-1), best)


class _Columns(NamedTuple):
    """Live cells with the vertices first, so that work on a vertex of all cells runs over contiguous numbers.

    Attributes:
      codes: `[V, N]`.
      edges: bool `[V, V, N]`.
      sources: bool `[V, N]`.
      sinks: bool `[V, N]`.
    """

    codes: np.ndarray
    edges: np.ndarray
    sources: np.ndarray
    sinks: np.ndarray

    @classmethod
    def of(cls, cells: LiveCells) -> "_Columns":
        fields = (cells.codes, cells.edges, cells.sources, cells.sinks)
        return cls(*(np.ascontiguousarray(np.moveaxis(field, 0, -1)) for field in fields))


def _are(codes: np.ndarray, subset: Sequence[int]) -> np.ndarray:
    """Whether codes `[V, N]`, -1 or above, are in a subset."""
    table = np.zeros(256, bool)  # whose last row stands for -1
    table[list(subset)] = True
    return table[codes]


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
