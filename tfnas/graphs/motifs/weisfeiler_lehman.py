"""Weisfeiler-Lehman features: how often each neighbourhood of operators occurs in a graph.

References:
  Shervashidze et al. 2011, "Weisfeiler-Lehman Graph Kernels", section 3.
  Ru et al. 2021, "Interpretable Neural Architecture Search via Bayesian Optimisation with Weisfeiler-Lehman Kernels".
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from tfnas.graphs.packed import PackedGraphs

if TYPE_CHECKING:
    import scipy.sparse

_FACTORS = tuple(np.uint64(value) for value in (0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB))
_FEW_EDGES = 4
_BLOCK = 1 << 14
ROUNDS = 4
"""Rounds after which graphs with equal colours count as one structure."""


def colour_counts(
    graphs: PackedGraphs, rounds: int, vocabularies: Sequence[np.ndarray] | None = None
) -> tuple[list[scipy.sparse.csr_array], list[np.ndarray]]:
    """How often each colour occurs.

    A node's first colour is its operator with the height of its kernel; each round joins the colours of the node's
    sources to it, as a 64-bit hash.

    Args:
      graphs: N graphs.
      rounds: r.
      vocabularies: colours to count, per round; other colours are left out. None counts all colours that occur.

    Returns:
      r + 1 matrices int64 `[N, colours]`, one per round, and the vocabularies, uint64 `[colours]` in ascending order.
    """
    import scipy.sparse  # slow to import, for who counts colours

    owner = np.repeat(np.arange(len(graphs)), graphs.num_nodes)
    counts, known = [], []
    for number, colours in enumerate(node_colours(graphs, rounds)):
        names = np.unique(colours) if vocabularies is None else vocabularies[number]
        column = np.minimum(np.searchsorted(names, colours), len(names) - 1)
        listed = names[column] == colours
        shape = (len(graphs), len(names))
        single = np.ones(int(listed.sum()), np.int64)
        counts.append(scipy.sparse.csr_array((single, (owner[listed], column[listed])), shape=shape))
        known.append(names)
    return counts, known


def node_colours(
    graphs: PackedGraphs, rounds: int, ends: tuple[np.ndarray, np.ndarray] | None = None
) -> list[np.ndarray]:
    """The colours of all nodes.

    Args:
      graphs: N graphs.
      rounds: r.
      ends: the nodes that are heard and the nodes that hear, int `[E]` each, counted over all graphs; None for sources
        and targets of the edges.

    Returns:
      r + 1 arrays uint64 `[nodes of all graphs]`; see `colour_counts`.
    """
    heard = HeardSums(*(ends or edge_ends(graphs)))
    kinds = graphs.features[:, 0].astype(np.uint64) * np.uint64(1 << 20) + graphs.features[:, 7].astype(np.uint64)
    colours = [mixed(kinds + np.uint64(1))[graphs.codes]]
    for _ in range(rounds):
        colours.append(mixed(colours[-1] * np.uint64(3) + heard(colours[-1])))
    return colours


def edge_ends(graphs: PackedGraphs) -> tuple[np.ndarray, np.ndarray]:
    """Sources and targets of all edges, int64 `[E]` each, counted over all graphs."""
    starts = np.repeat(graphs.node_offsets[:-1], graphs.num_edges)
    return graphs.edges[:, 0] + starts, graphs.edges[:, 1] + starts


class HeardSums:
    """For every node the sum over incoming edges of hashed colours: one number for a multiset.

    Args:
      sources: int `[E]`, the node at the start of every edge.
      targets: int `[E]`, the node at the end of every edge.

    Example:
      >>> heard = HeardSums(np.array([0, 1, 1]), np.array([2, 2, 3]))
      >>> sums = heard(np.array([7, 7, 1, 1], np.uint64))
      >>> sums[:2].tolist(), bool(sums[2] == sums[3] + sums[3])
      ([0, 0], True)
    """

    def __init__(self, sources: np.ndarray, targets: np.ndarray):
        order = np.argsort(targets, kind="stable")
        sources, targets = sources[order], targets[order]
        firsts = np.flatnonzero(np.diff(targets, prepend=-1))
        heads, counts = targets[firsts], np.diff(firsts, append=len(targets))
        # NumPy sums segments slowly: most nodes have an edge or two, which are added one by one.
        few = counts <= _FEW_EDGES
        self._steps = [
            (heads[nodes], sources[firsts[nodes] + step])
            for step in range(_FEW_EDGES)
            if (nodes := few & (counts > step)).any()
        ]
        self._busy, self._sources = heads[~few], sources[np.repeat(~few, counts)]
        self._firsts = np.cumsum(counts[~few]) - counts[~few]

    def __call__(self, colours: np.ndarray) -> np.ndarray:
        """Sums uint64 `[nodes]` of colours uint64 `[nodes]`."""
        return self.of(summands(colours))

    def of(self, hashed: np.ndarray) -> np.ndarray:
        """Sums uint64 `[nodes]` of the `summands` uint64 `[nodes]` of colours."""
        heard = np.zeros_like(hashed)
        for nodes, sources in self._steps:
            heard[nodes] += hashed[sources]
        if len(self._busy):
            heard[self._busy] = np.add.reduceat(hashed[self._sources], self._firsts)
        return heard


def summands(colours: np.ndarray) -> np.ndarray:
    """What nodes of colours uint64 `[nodes]` add to the sums of those that hear them, uint64 `[nodes]`."""
    return mixed(colours * _FACTORS[0])


def mixed(values: np.ndarray) -> np.ndarray:
    """The finaliser of SplitMix64, a bijection that spreads every bit, of uint64 `[n]`."""
    result = np.empty_like(values)
    shifted = np.empty(min(len(values), _BLOCK), np.uint64)
    for start in range(0, len(values), _BLOCK):  # a block stays in the processor's cache
        block = np.add(values[start : start + _BLOCK], _FACTORS[0], out=result[start : start + _BLOCK])
        spare = shifted[: len(block)]
        for shift, factor in zip((30, 27), _FACTORS[1:], strict=True):
            block ^= np.right_shift(block, np.uint64(shift), out=spare)
            block *= factor
        block ^= np.right_shift(block, np.uint64(31), out=spare)
    return result


def structure_hashes(graphs: PackedGraphs) -> np.ndarray:
    """Numbers that agree for graphs of one structure: operators, heights of kernels and flow, whatever the channels.

    Args:
      graphs: N graphs.

    Returns:
      uint64 `[N]`.
    """
    return np.add.reduceat(mixed(node_colours(graphs, ROUNDS)[-1]), graphs.node_offsets[:-1])


def distinct(graphs: PackedGraphs) -> np.ndarray:
    """Rows of the first graph of each structure; see `structure_hashes`.

    Args:
      graphs: N graphs.

    Returns:
      int64 `[n]`, ascending.
    """
    _, first = np.unique(structure_hashes(graphs), return_index=True)
    return np.sort(first)


def hashed_colours(graphs: PackedGraphs, rounds: int, width: int) -> np.ndarray:
    """The colours that occur, whatever their number, in vectors of a fixed length.

    Every round fills a section of the vector, where each colour adds 1 or -1 at an index that its hash decides, however
    often it occurs. The product of two vectors is about the cosine of the sets of colours, mean over rounds.

    Args:
      graphs: N graphs.
      rounds: r.
      width: H, split evenly over the rounds 0 to r.

    Returns:
      float32 `[N, H]` of length 1 (less if all colours of a round cancel).

    References:
      Weinberger et al. 2009, "Feature Hashing for Large Scale Multitask Learning", section 2.
    """
    counts, names = colour_counts(graphs, rounds)
    size = width // (rounds + 1)
    total = np.zeros((len(graphs), width), np.float32)
    for number, (matrix, colours) in enumerate(zip(counts, names, strict=True)):
        section = total[:, number * size : (number + 1) * size]
        hashes = mixed(colours)
        columns = (hashes % np.uint64(size)).astype(np.int64)
        signs = 1.0 - 2.0 * ((hashes >> np.uint64(40)) & np.uint64(1)).astype(np.float32)
        rows = np.repeat(np.arange(len(graphs)), np.diff(matrix.indptr))
        np.add.at(section, (rows, columns[matrix.indices]), signs[matrix.indices])
        lengths = np.linalg.norm(section, axis=1, keepdims=True)
        section /= np.where(lengths > 0, lengths, 1.0) * np.sqrt(rounds + 1)
    return total
