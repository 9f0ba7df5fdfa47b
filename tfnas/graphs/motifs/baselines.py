"""Other ways to cut graphs into pieces than recurring motifs, which ablations compare."""

import dataclasses

import numpy as np

from tfnas.graphs.motifs.mining import MacroGraphs, Sequences, crossing, jumps, macro_graphs, sequences
from tfnas.graphs.motifs.weisfeiler_lehman import mixed
from tfnas.graphs.packed import PackedGraphs

_SMALLEST, _LARGEST = 5, 9


def fixed_size(graphs: PackedGraphs, nodes: Sequences, size: int) -> MacroGraphs:
    """Pieces of `size` nodes."""
    within = np.arange(len(nodes.order)) - np.repeat(nodes.offsets[:-1], nodes.sizes)
    return macro_graphs(graphs, nodes, within % size == 0)


def fixed_number(graphs: PackedGraphs, nodes: Sequences, number: int) -> MacroGraphs:
    """`number` pieces of about equal size; fewer pieces in graphs of fewer nodes."""
    sizes = np.repeat(nodes.sizes, nodes.sizes)
    within = np.arange(len(nodes.order)) - np.repeat(nodes.offsets[:-1], nodes.sizes)
    pieces = np.minimum(sizes, number)
    piece = within * pieces // np.maximum(sizes, 1)
    before = (within - 1) * pieces // np.maximum(sizes, 1)
    return macro_graphs(graphs, nodes, (within == 0) | (piece != before))


def random_sizes(graphs: PackedGraphs, nodes: Sequences) -> MacroGraphs:
    """Pieces of 5 to 9 nodes, of random sizes that depend on the graph alone."""
    sizes = nodes.sizes
    within = np.arange(len(nodes.order)) - np.repeat(nodes.offsets[:-1], sizes)
    sums = np.append(np.uint64(0), np.cumsum(mixed(nodes.codes)))
    names = np.repeat(sums[nodes.offsets[1:]] - sums[nodes.offsets[:-1]], sizes)
    drawn = mixed(names + mixed(within.astype(np.uint64))) % np.uint64(_LARGEST - _SMALLEST + 1)
    return macro_graphs(graphs, nodes, jumps(_SMALLEST + drawn.astype(np.int64), nodes.offsets))


def bigram_segments(graphs: PackedGraphs) -> MacroGraphs:
    """The published rule: pieces end where the frequency of a pair of codes differs much from that of the next pair.

    A node's code is the set of distances to its predecessors in the sequence, without operators. The threshold is the
    difference of frequencies, other than 0, that occurs most often in the graph; of equally frequent differences the
    smallest.

    References:
      Pei et al. 2024, published code (commit f3eae2e). Nodes are in the order of `sequences`, not in the order of a
      file.
    """
    nodes = sequences(graphs, 0, operators=False)
    position = np.empty(len(nodes.order), np.int64)
    position[nodes.order] = np.arange(len(nodes.order))
    starts = np.repeat(graphs.node_offsets[:-1], graphs.num_edges)
    sources, targets = (position[graphs.edges[:, side] + starts] for side in (0, 1))
    distances = mixed((targets - sources).astype(np.uint64))
    codes = np.zeros(len(position), np.uint64)
    np.add.at(codes, targets, distances)
    begins = np.zeros(len(position), bool)
    for start, stop in zip(nodes.offsets[:-1].tolist(), nodes.offsets[1:].tolist(), strict=True):
        begins[start:stop] = _bigram_begins(codes[start:stop])
    named = dataclasses.replace(nodes, codes=mixed(codes))
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
    node = 0
    while node < count - 2:
        if abs(frequency[node] - frequency[node + 1]) > threshold:
            if frequency[node] > frequency[node + 1]:  # the next node still belongs to this piece
                node += 1
            begins[node + 1] = True
        node += 1
    return begins


def macro_of_partition(graphs: PackedGraphs, motif: np.ndarray) -> MacroGraphs:
    """The graphs of any pieces; pieces are equal if their nodes have equal operators and equal sources.

    Args:
      graphs: N graphs.
      motif: int64 `[nodes]`, piece of every node, counted over all graphs and graph by graph.
    """
    nodes = sequences(graphs, 1)
    count = int(motif.max(initial=-1)) + 1
    kinds, owners = np.zeros(count, np.uint64), np.zeros(count, np.int64)
    np.add.at(kinds, motif[nodes.order], mixed(nodes.codes))
    owners[motif] = np.repeat(np.arange(len(graphs)), graphs.num_nodes)
    return MacroGraphs(motif, owners, kinds, np.bincount(motif, minlength=count), crossing(graphs, motif))
