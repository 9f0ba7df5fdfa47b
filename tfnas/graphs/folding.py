"""Blocks of a network, between operators that all data passes, and their repetitions."""

import dataclasses
import itertools
from collections.abc import Hashable, Mapping, Sequence

import numpy as np

from tfnas.graphs.computation_graph import ComputationGraph

_PRIME = 2**61 - 1
_BASE = 0x9E3779B97F4A7C15
_LONGEST_PERIOD = 1000


@dataclasses.dataclass(frozen=True)
class Group:
    """Consecutive operators that occur `repeats` times in a row, up to names and parameters.

    Attributes:
      blocks: node numbers of the first occurrence, block by block.
      repeats: number of occurrences in a row.
    """

    blocks: tuple[tuple[int, ...], ...]
    repeats: int


def blocks(graph: ComputationGraph) -> list[tuple[int, ...]]:
    """The nodes between two operators that every path from an input to an output passes, the latter included.

    A graph with several components, inputs or outputs may have a single block.
    """
    count = graph.num_nodes
    if not count:
        return []
    sources: list[list[int]] = [[] for _ in range(count)]
    targets: list[list[int]] = [[] for _ in range(count)]
    for source, target in graph.edges.tolist():
        sources[target].append(source)
        targets[source].append(target)
    # Numbers of paths, modulo a prime; two different numbers agree by chance with probability 2^-61.
    before, after = [0] * count, [0] * count
    for node in range(count):
        before[node] = sum(before[other] for other in sources[node]) % _PRIME if sources[node] else 1
    for node in reversed(range(count)):
        after[node] = sum(after[other] for other in targets[node]) % _PRIME if targets[node] else 1
    total = sum(before[node] for node in range(count) if not targets[node]) % _PRIME
    cuts = [node for node in range(count) if before[node] * after[node] % _PRIME == total]
    # All nodes before a cut have smaller numbers than it, all nodes behind it have larger ones.
    bounds = [-1, *cuts] if cuts and cuts[-1] == count - 1 else [-1, *cuts, count - 1]
    return [tuple(range(first + 1, last + 1)) for first, last in itertools.pairwise(bounds)]


def fold(graph: ComputationGraph) -> list[Group]:
    """The network as a sequence of groups of blocks; repetitions in a row make up a single group.

    Blocks count as equal if operators, kernels, sizes of outputs and the flow between them are. A period has at most
    1,000 blocks.
    """
    sequence = blocks(graph)
    kinds: dict[Hashable, int] = {}
    signatures = [kinds.setdefault(signature, len(kinds)) for signature in _signatures(graph, sequence)]
    numbers, prefixes, powers = _hashed(signatures)
    groups, start = [], 0
    while start < len(sequence):
        most = min((len(sequence) - start) // 2, _LONGEST_PERIOD)
        periods = 1 + np.flatnonzero(numbers[start + 1 : start + most + 1] == numbers[start])
        # Hashes of as many blocks as a period has, from the start on and from behind the period on.
        ends = start + periods
        first = prefixes[ends] - prefixes[start] * powers[periods]
        second = prefixes[ends + periods] - prefixes[ends] * powers[periods]
        periods = periods[first == second]
        period, repeats = _best_repetition(signatures, start, periods.tolist())
        groups.append(Group(tuple(sequence[start : start + period]), repeats))
        start += period * repeats
    return groups


def _signatures(graph: ComputationGraph, sequence: list[tuple[int, ...]]) -> list[Hashable]:
    names, kernels = graph.operator_names, graph.kernels.tolist()
    outputs = graph.shapes[:, [1, 3, 5]].tolist()
    sources: list[list[int]] = [[] for _ in range(graph.num_nodes)]
    for source, target in graph.edges.tolist():
        sources[target].append(source)
    return [
        tuple(
            (names[node], *kernels[node], *outputs[node], *sorted(source - block[0] for source in sources[node]))
            for node in block
        )
        for block in sequence
    ]


def _hashed(signatures: Sequence[int]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Numbers `[n]`, hashes `[n + 1]` of what stands before each of them, and powers `[n + 1]`, modulo 2^64."""
    numbers = np.array(signatures, np.uint64)
    prefixes, powers = [0], [1]
    for number in signatures:
        prefixes.append((prefixes[-1] * _BASE + number + 1) % 2**64)
        powers.append(powers[-1] * _BASE % 2**64)
    return numbers, np.array(prefixes, np.uint64), np.array(powers, np.uint64)


def _best_repetition(signatures: Sequence[int], start: int, periods: Sequence[int]) -> tuple[int, int]:
    """The shortest of some periods, and its number of repetitions, that cover most blocks from `start` on."""
    best = (1, 1)
    for period in periods:
        pattern, repeats = signatures[start : start + period], 1
        while signatures[start + repeats * period : start + (repeats + 1) * period] == pattern:
            repeats += 1
        if repeats > 1 and period * repeats > best[0] * best[1]:
            best = (period, repeats)
    return best


def depths(sources: Mapping[int, Sequence[int]], nodes: Sequence[int]) -> list[int]:
    """The longest path within some nodes that ends at each node.

    Args:
      sources: sources of each node.
      nodes: nodes in topological order.
    """
    depth: dict[int, int] = {}
    for node in nodes:
        depth[node] = max((depth[source] + 1 for source in sources.get(node, ()) if source in depth), default=0)
    return list(depth.values())
