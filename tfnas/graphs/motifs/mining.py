"""Motifs: recurring pieces of computation graphs, and the graph of motifs.

A graph becomes a sequence of nodes, every node a code of what feeds it; subsequences of codes that recur in many graphs
are motifs. Each graph is cut, from its inputs to its outputs, into the longest motifs that fit.

References:
  Pei et al. 2024, "Neural Architecture Retrieval", section 3.2. The published code sees one step and no operators, and
  cuts by the frequencies of pairs: `bigram_segments`.
"""

import dataclasses
from collections.abc import Mapping

import numpy as np

from tfnas.errors import ConfigurationError
from tfnas.graphs.motifs.config import MotifConfig
from tfnas.graphs.motifs.weisfeiler_lehman import heard_sums, mixed
from tfnas.graphs.packed import PackedGraphs

_ORDER_ROUNDS = 6


@dataclasses.dataclass(frozen=True)
class Sequences:
    """Nodes of N graphs in order.

    Attributes:
      order: int64 `[nodes]`, numbers of nodes (counted over all graphs), graph by graph from inputs to outputs.
      codes: uint64 `[nodes]`, the codes in that order.
      offsets: int64 `[N + 1]`, graph g owns the places from `offsets[g]` to `offsets[g + 1]`.
    """

    order: np.ndarray
    codes: np.ndarray
    offsets: np.ndarray


@dataclasses.dataclass(frozen=True)
class MacroGraphs:
    """N graphs whose nodes are motifs.

    Attributes:
      motif: int64 `[nodes]`, the motif of every node of the original graphs, counted over all graphs.
      graph: int64 `[M]`, the graph of every motif.
      kind: uint64 `[M]`, equal for motifs of equal codes.
      size: int64 `[M]`, nodes.
      edges: int64 `[E, 2]`, pairs of motifs that share an edge of the original graph, the earlier motif first.
    """

    motif: np.ndarray
    graph: np.ndarray
    kind: np.ndarray
    size: np.ndarray
    edges: np.ndarray


def sequences(graphs: PackedGraphs, steps: int, operators: bool = True) -> Sequences:
    """Nodes in an order that does not depend on their numbers, and their codes.

    The order is topological and follows branches: of the nodes that could come next, the successors of the last one
    come first, by depth, height and their neighbourhoods of six steps in both directions. Nodes that agree in all of
    that are taken as interchangeable.

    Args:
      graphs: N acyclic graphs.
      steps: s, how many edges upstream a code reaches.
      operators: codes begin with operator and kernel.

    Raises:
      ConfigurationError: a graph has a cycle.
    """
    starts = np.repeat(graphs.node_offsets[:-1], graphs.num_edges)
    sources, targets = graphs.edges[:, 0] + starts, graphs.edges[:, 1] + starts
    kinds = graphs.features[:, 0].astype(np.uint64) * np.uint64(1 << 20) + graphs.features[:, 7].astype(np.uint64)
    kinds = mixed(kinds + np.uint64(1))[graphs.codes]
    successors = _Successors(sources, targets, len(kinds))
    first = successors.topological(graphs.node_offsets, kinds)
    depth, height = successors.longest_paths(first)
    colours = mixed(kinds + mixed(depth.astype(np.uint64)) + mixed(height.astype(np.uint64) * np.uint64(7)))
    for _ in range(_ORDER_ROUNDS):
        before, after = (heard_sums(colours, *ends) for ends in ((sources, targets), (targets, sources)))
        colours = mixed(colours * np.uint64(3) + before + mixed(after))
    order = successors.topological(graphs.node_offsets, colours)
    codes = kinds if operators else np.full(len(kinds), mixed(np.ones(1, np.uint64))[0])
    for _ in range(steps):
        codes = mixed(codes * np.uint64(3) + heard_sums(codes, sources, targets))
    return Sequences(order, codes[order], graphs.node_offsets)


class _Successors:
    """Which nodes each node feeds."""

    def __init__(self, sources: np.ndarray, targets: np.ndarray, count: int):
        by_source = np.argsort(sources, kind="stable")
        self._targets, self._incoming = targets[by_source], np.bincount(targets, minlength=count)
        self._bounds = np.searchsorted(sources[by_source], np.arange(count + 1)).tolist()
        self._owners = sources[by_source]

    def topological(self, offsets: np.ndarray, colours: np.ndarray) -> np.ndarray:
        """Depth-first topological order int64 `[nodes]`, ties broken by colour.

        Raises:
          ConfigurationError: a graph has a cycle.
        """
        waiting, bounds = self._incoming.tolist(), self._bounds
        successors = self._targets[np.lexsort((colours[self._targets], self._owners))].tolist()
        ranks = np.argsort(np.argsort(colours, kind="stable"), kind="stable").tolist()
        order: list[int] = []
        for start, stop in zip(offsets[:-1].tolist(), offsets[1:].tolist(), strict=True):
            roots = [node for node in range(start, stop) if not waiting[node]]
            stack = sorted(roots, key=ranks.__getitem__, reverse=True)
            while stack:
                node = stack.pop()
                order.append(node)
                for successor in reversed(successors[bounds[node] : bounds[node + 1]]):
                    waiting[successor] -= 1
                    if not waiting[successor]:
                        stack.append(successor)
            if len(order) != stop:
                raise ConfigurationError("a graph has a cycle; motifs are found in acyclic graphs")
        return np.array(order, np.int64)

    def longest_paths(self, order: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Edges of the longest path from an input to every node, and from it to an output, int64 `[nodes]` each."""
        targets, bounds = self._targets.tolist(), self._bounds
        depth, height = [0] * len(order), [0] * len(order)
        nodes = order.tolist()
        for node in nodes:
            beyond = depth[node] + 1
            for target in targets[bounds[node] : bounds[node + 1]]:
                if depth[target] < beyond:
                    depth[target] = beyond
        for node in reversed(nodes):
            if bounds[node] < bounds[node + 1]:
                height[node] = 1 + max(height[target] for target in targets[bounds[node] : bounds[node + 1]])
        return np.array(depth, np.int64), np.array(height, np.int64)


class MotifVocabulary:
    """Code sequences that recur.

    Args:
      config: how motifs are found.
      kinds: by length, uint64 in ascending order, the identities of the motifs.
    """

    def __init__(self, config: MotifConfig, kinds: dict[int, np.ndarray]):
        self.config = config
        self.kinds = kinds

    @classmethod
    def mined(cls, config: MotifConfig, graphs: PackedGraphs) -> "MotifVocabulary":
        """The sequences that occur in at least `config.min_graphs` of some graphs."""
        found = sequences(graphs, config.steps, config.operators)
        owner = np.repeat(np.arange(len(graphs)), np.diff(found.offsets))
        kinds: dict[int, np.ndarray] = {}
        for length in range(config.min_length, config.max_length + 1):
            hashes, inside = windows(found, owner, length)
            frequent = _in_graphs(hashes[inside], owner[inside], config.min_graphs)
            if not len(frequent):
                break
            kinds[length] = frequent
        return cls(config, kinds)

    def arrays(self) -> dict[str, np.ndarray]:
        """The motifs as arrays `motifs_2`, `motifs_3`, ..., one per length, for a file."""
        return {f"motifs_{length}": kinds for length, kinds in self.kinds.items()}

    @classmethod
    def from_arrays(cls, config: MotifConfig, arrays: Mapping[str, np.ndarray]) -> "MotifVocabulary":
        """Inverse of `arrays`; lengths that are missing have no motifs."""
        lengths = range(config.min_length, config.max_length + 1)
        names = {length: f"motifs_{length}" for length in lengths}
        return cls(config, {length: arrays[name] for length, name in names.items() if name in arrays})

    def split(self, graphs: PackedGraphs) -> MacroGraphs:
        """Cuts graphs into the longest motifs that fit, from the inputs on; what fits none is a motif of one node."""
        found = sequences(graphs, self.config.steps, self.config.operators)
        owner = np.repeat(np.arange(len(graphs)), np.diff(found.offsets))
        longest = np.ones(len(owner), np.int64)
        for length, kinds in self.kinds.items():
            hashes, inside = windows(found, owner, length)
            place = np.minimum(np.searchsorted(kinds, hashes), len(kinds) - 1)
            longest[inside & (kinds[place] == hashes)] = length
        return macro_graphs(graphs, found, _jumps(longest, found.offsets))


def _in_graphs(kinds: np.ndarray, owner: np.ndarray, least: int) -> np.ndarray:
    """The kinds, in ascending order, that at least so many owners hold; the owners ascend."""
    if not len(kinds):
        return kinds
    order = np.argsort(kinds, kind="stable")
    kinds, owner = kinds[order], owner[order]
    new_kind = np.append(True, kinds[1:] != kinds[:-1])
    new_pair = new_kind | np.append(True, owner[1:] != owner[:-1])
    firsts = np.flatnonzero(new_kind)
    return kinds[firsts][np.add.reduceat(new_pair.astype(np.int64), firsts) >= least]


def windows(found: Sequences, owner: np.ndarray, length: int) -> tuple[np.ndarray, np.ndarray]:
    """The identities of all sequences of one length.

    Args:
      found: N graphs as sequences.
      owner: int `[nodes]`, the graph of every place.
      length: number of codes.

    Returns:
      uint64 `[nodes]`, a hash of the codes from every place on, and bool `[nodes]`, whether they lie in one graph.
    """
    count = len(owner)
    hashes = np.zeros(count, np.uint64)
    for step in range(length):
        shifted = np.zeros(count, np.uint64)
        shifted[: max(count - step, 0)] = found.codes[step:]
        hashes = mixed(hashes * np.uint64(5) + shifted)
    ends = np.arange(count) + length - 1
    inside = ends < count
    inside[inside] = owner[ends[inside]] == owner[inside]
    return hashes, inside


def _jumps(longest: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    """bool `[nodes]`: where pieces begin when each is as long as `longest` says at its first place."""
    begins = np.zeros(len(longest), bool)
    places = offsets[:-1][np.diff(offsets) > 0]
    ends = offsets[1:][np.diff(offsets) > 0]
    while len(places):
        begins[places] = True
        places = places + longest[places]
        going = places < ends
        places, ends = places[going], ends[going]
    return begins


def macro_graphs(graphs: PackedGraphs, found: Sequences, begins: np.ndarray) -> MacroGraphs:
    """The graphs of pieces that begin at some places of the sequences.

    Args:
      graphs: N graphs.
      found: their sequences.
      begins: bool `[nodes]`; the first place of every graph is one.
    """
    piece = np.cumsum(begins) - 1
    owner = np.repeat(np.arange(len(graphs)), np.diff(found.offsets))
    firsts = np.flatnonzero(begins)
    sizes = np.diff(np.append(firsts, len(begins)))
    within = np.arange(len(begins)) - firsts[piece] if len(begins) else np.zeros(0, np.int64)
    terms = mixed(found.codes + mixed(within.astype(np.uint64)))
    kinds = np.add.reduceat(terms, firsts) if len(firsts) else np.zeros(0, np.uint64)
    motif = np.empty(len(begins), np.int64)
    motif[found.order] = piece
    return MacroGraphs(motif, owner[firsts], kinds, sizes, _crossing(graphs, motif))


def macro_of_partition(graphs: PackedGraphs, motif: np.ndarray) -> MacroGraphs:
    """The graphs of any pieces; equal are those whose nodes have the same operators and hear the same.

    Args:
      graphs: N graphs.
      motif: int64 `[nodes]`, the piece of every node, counted over all graphs and graph by graph.
    """
    found = sequences(graphs, 1)
    count = int(motif.max(initial=-1)) + 1
    kinds, owners = np.zeros(count, np.uint64), np.zeros(count, np.int64)
    np.add.at(kinds, motif[found.order], mixed(found.codes))
    owners[motif] = np.repeat(np.arange(len(graphs)), graphs.num_nodes)
    return MacroGraphs(motif, owners, kinds, np.bincount(motif, minlength=count), _crossing(graphs, motif))


def _crossing(graphs: PackedGraphs, motif: np.ndarray) -> np.ndarray:
    """int64 `[E, 2]`, the distinct pairs of pieces that an edge joins."""
    starts = np.repeat(graphs.node_offsets[:-1], graphs.num_edges)
    ends = motif[graphs.edges + starts[:, None]] if len(graphs.edges) else np.zeros((0, 2), np.int64)
    crossing = np.sort(ends[ends[:, 0] != ends[:, 1]], axis=1)
    count = max(len(motif), 1)
    return np.stack(np.divmod(np.unique(crossing @ (count, 1)), count), axis=1)


def fixed_size(graphs: PackedGraphs, found: Sequences, size: int) -> MacroGraphs:
    """Baseline: pieces of `size` nodes."""
    within = np.arange(len(found.order)) - np.repeat(found.offsets[:-1], np.diff(found.offsets))
    return macro_graphs(graphs, found, within % size == 0)


def fixed_number(graphs: PackedGraphs, found: Sequences, number: int) -> MacroGraphs:
    """Baseline: `number` pieces of about equal size; fewer in graphs of fewer nodes."""
    sizes = np.repeat(np.diff(found.offsets), np.diff(found.offsets))
    within = np.arange(len(found.order)) - np.repeat(found.offsets[:-1], np.diff(found.offsets))
    pieces = np.minimum(sizes, number)
    piece = within * pieces // np.maximum(sizes, 1)
    before = (within - 1) * pieces // np.maximum(sizes, 1)
    return macro_graphs(graphs, found, (within == 0) | (piece != before))


def random_sizes(graphs: PackedGraphs, found: Sequences, smallest: int = 5, largest: int = 9) -> MacroGraphs:
    """Baseline: pieces of random sizes, which depend on nothing but the graph."""
    sizes = np.diff(found.offsets)
    within = np.arange(len(found.order)) - np.repeat(found.offsets[:-1], sizes)
    sums = np.append(np.uint64(0), np.cumsum(mixed(found.codes)))
    names = np.repeat(sums[found.offsets[1:]] - sums[found.offsets[:-1]], sizes)
    drawn = mixed(names + mixed(within.astype(np.uint64))) % np.uint64(largest - smallest + 1)
    return macro_graphs(graphs, found, _jumps(smallest + drawn.astype(np.int64), found.offsets))


def bigram_segments(graphs: PackedGraphs) -> MacroGraphs:
    """The published rule: pieces end where the frequency of a pair of codes differs much from that of the next pair.

    A node's code is the set of distances to its predecessors in the sequence, without operators. The threshold is the
    difference of frequencies, other than 0, that occurs most often in the graph (the smallest of several).

    References:
      Pei et al. 2024, published code (commit f3eae2e). Nodes are in `sequences`' order, not in that of a file.
    """
    found = sequences(graphs, 0, operators=False)
    place = np.empty(len(found.order), np.int64)
    place[found.order] = np.arange(len(found.order))
    starts = np.repeat(graphs.node_offsets[:-1], graphs.num_edges)
    sources, targets = (place[graphs.edges[:, side] + starts] for side in (0, 1))
    distances = mixed((targets - sources).astype(np.uint64))
    codes = np.zeros(len(place), np.uint64)
    np.add.at(codes, targets, distances)
    begins = np.zeros(len(place), bool)
    for start, stop in zip(found.offsets[:-1].tolist(), found.offsets[1:].tolist(), strict=True):
        begins[start:stop] = _bigram_begins(codes[start:stop])
    named = dataclasses.replace(found, codes=mixed(codes))
    return macro_graphs(graphs, named, begins)


def _bigram_begins(codes: np.ndarray) -> list[bool]:
    count = len(codes)
    begins = [False] * count
    if count:
        begins[0] = True
    if count < 3:
        return begins
    pairs = mixed(codes[:-1]) + codes[1:]
    _, inverse, counts = np.unique(pairs, return_inverse=True, return_counts=True)
    frequency = counts[inverse.ravel()].tolist()
    steps = np.abs(np.diff(frequency))
    values, often = np.unique(steps[steps > 0], return_counts=True)
    threshold = int(values[often.argmax()]) if len(values) else 0
    place = 0
    while place < count - 2:
        if abs(frequency[place] - frequency[place + 1]) > threshold:
            if frequency[place] > frequency[place + 1]:  # the next node still belongs to this piece
                place += 1
            begins[place + 1] = True
        place += 1
    return begins
