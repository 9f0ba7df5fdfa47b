"""Numbers of paths through computation graphs: how many operators of some kinds lie on them.

References:
  Kadlecova et al. 2024, "Surprisingly Strong Performance Prediction with Neural Graph Features" (GRAF), section 3, has
  the like for cells.
"""

import itertools
from collections.abc import Iterator

import numpy as np

from tfnas.graphs.operators import CODES, CONV, CONV_TRANSPOSE, DEPTHWISE_CONV, MATMUL
from tfnas.graphs.packed import PackedGraphs

KINDS = ("pointwise", "conv_3", "conv_wide", "depthwise_3", "depthwise_wide", "matmul", "max_pool", "avg_pool")
"""Kinds of operators: convolutions by the larger extent of their kernels, of one, of three, and above."""

_MOST_KINDS = 5  # up to so many kinds in the reference, all their subsets have numbers
_CHUNK = 256  # graphs
_NONE = -1


class PathNumbers:
    """Numbers of the paths from inputs to outputs, for subsets of the kinds that vary over reference graphs.

    For every subset: operators of the subset; the most, the fewest and the mean number on a path, where the mean is
    over random walks as in `structure`; and the most on a path that meets no other of the kinds, -1 without such a
    path.

    Args:
      reference: graphs that decide which kinds have numbers.

    Attributes:
      subsets: S subsets of the varying kinds, as indices into `KINDS`: all subsets of up to five kinds; of more kinds
        the single kinds, the pairs, all kinds, and all but one.

    Example:
      >>> from tfnas.networks import symbolic
      >>> from tfnas.networks.symbolic.packing import pack_cells
      >>> from tfnas.spaces import NASBench201
      >>> graphs = pack_cells(NASBench201(), NASBench201().sample(20, 0), layout=symbolic.BENCHMARK)
      >>> PathNumbers(graphs).transform(graphs).shape
      (20, 35)
    """

    def __init__(self, reference: PackedGraphs):
        kinds = _kinds(reference.features)[reference.codes]
        owner = np.repeat(np.arange(len(reference)), reference.num_nodes)
        counts = np.zeros((len(reference), len(KINDS)), np.int64)
        np.add.at(counts, (owner[kinds != _NONE], kinds[kinds != _NONE]), 1)
        varying = np.flatnonzero(np.ptp(counts, axis=0)).tolist()
        every = range(1, len(varying) + 1)
        sizes = every if len(varying) <= _MOST_KINDS else (1, 2, len(varying) - 1, len(varying))
        self.subsets = [subset for size in sizes for subset in itertools.combinations(varying, size)]
        self._kinds = varying

    def transform(self, graphs: PackedGraphs) -> np.ndarray:
        """float32 `[N, 5 S]`, the five numbers of every subset after each other."""
        if not self.subsets:
            return np.zeros((len(graphs), 0), np.float32)
        rows = np.arange(len(graphs))
        return np.concatenate(
            [self._numbers(graphs[rows[start : start + _CHUNK]]) for start in range(0, len(graphs), _CHUNK)]
        )

    def _numbers(self, graphs: PackedGraphs) -> np.ndarray:
        kinds = _kinds(graphs.features)[graphs.codes]
        members = np.stack([np.isin(kinds, subset) for subset in self.subsets], axis=1).astype(np.float32)
        foreign = np.isin(kinds, self._kinds)[:, None] & (members == 0)
        starts = np.repeat(graphs.node_offsets[:-1], graphs.num_edges)
        sources, targets = graphs.edges[:, 0] + starts, graphs.edges[:, 1] + starts
        heard, read = (np.bincount(ends, minlength=len(kinds)) for ends in (targets, sources))
        begins, ends = (heard == 0)[:, None], (read == 0)[:, None]
        most, fewest = np.where(begins, members, -np.inf), np.where(begins, members, np.inf)
        within = np.where(begins & ~foreign, members, -np.inf)
        first_nodes = graphs.node_offsets[:-1]
        share = np.zeros(len(kinds))
        share[first_nodes] = 1.0
        for edges, firsts in edges_by_depth(sources, targets, heard):
            tails, heads = sources[edges], targets[edges[firsts]]
            most[heads] = np.maximum.reduceat(most[tails], firsts) + members[heads]
            fewest[heads] = np.minimum.reduceat(fewest[tails], firsts) + members[heads]
            reached = np.maximum.reduceat(within[tails], firsts) + members[heads]
            within[heads] = np.where(foreign[heads], -np.inf, reached)
            share[heads] += np.add.reduceat(share[tails] / read[tails], firsts)
        columns = [
            np.add.reduceat(members, first_nodes),
            np.maximum.reduceat(np.where(ends, most, -np.inf), first_nodes),
            np.minimum.reduceat(np.where(ends, fewest, np.inf), first_nodes),
            np.add.reduceat(share[:, None] * members, first_nodes),
            np.maximum(np.maximum.reduceat(np.where(ends, within, -np.inf), first_nodes), -1.0),
        ]
        return np.concatenate(columns, axis=1).astype(np.float32)


def _kinds(features: np.ndarray) -> np.ndarray:
    """The kind of every distinct node, -1 for the rest."""
    operator, width = features[:, 0], features[:, 7:9].max(axis=1)
    convolution = np.isin(operator, [CODES[CONV], CODES[CONV_TRANSPOSE]])
    depthwise = operator == CODES[DEPTHWISE_CONV]
    rules = {
        "pointwise": (convolution | depthwise) & (width <= 1),
        "conv_3": convolution & (width > 1) & (width <= 3),
        "conv_wide": convolution & (width > 3),
        "depthwise_3": depthwise & (width > 1) & (width <= 3),
        "depthwise_wide": depthwise & (width > 3),
        "matmul": operator == CODES[MATMUL],
        "max_pool": operator == CODES["max_pool"],
        "avg_pool": operator == CODES["avg_pool"],
    }
    return np.select([rules[name] for name in KINDS], range(len(KINDS)), _NONE)


def edges_by_depth(
    sources: np.ndarray, targets: np.ndarray, heard: np.ndarray
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Edges by the depth of their targets, so that the values of all sources are known.

    Args:
      sources: int `[E]`.
      targets: int `[E]`.
      heard: int `[nodes]`, edges that end at every node.

    Yields:
      Numbers of edges sorted by target, and the positions at which the edges of a new target start.
    """
    depth, waiting = np.zeros(len(heard), np.int64), heard.copy()
    by_source = np.argsort(sources, kind="stable")
    bounds = np.searchsorted(sources[by_source], np.arange(len(heard) + 1))
    frontier, level = np.flatnonzero(waiting == 0), 0
    while len(frontier):
        depth[frontier] = level
        lengths = bounds[frontier + 1] - bounds[frontier]
        offsets = np.repeat(bounds[frontier] - np.cumsum(lengths) + lengths, lengths)
        heads = targets[by_source[offsets + np.arange(len(offsets))]]
        np.subtract.at(waiting, heads, 1)
        frontier, level = np.unique(heads[waiting[heads] == 0]), level + 1
    order = np.lexsort((targets, depth[targets]))
    levels = depth[targets[order]]
    for start, end in itertools.pairwise(np.flatnonzero(np.diff(levels, prepend=-1, append=-1))):
        edges = order[start:end]
        yield edges, np.flatnonzero(np.diff(targets[edges], prepend=-1))
