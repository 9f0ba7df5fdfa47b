"""Blocks of a network: what lies between operators that all data passes, and which blocks repeat."""

import dataclasses
import itertools
from collections.abc import Hashable, Mapping, Sequence

from tfnas.graphs.computation_graph import ComputationGraph

_PRIME = 2**61 - 1


@dataclasses.dataclass(frozen=True)
class Group:
    """Consecutive operators that occur `repeats` times in a row, up to names and parameters.

    Attributes:
      blocks: node numbers of the first occurrence, block by block.
      repeats: how often.
    """

    blocks: tuple[tuple[int, ...], ...]
    repeats: int


def blocks(graph: ComputationGraph) -> list[tuple[int, ...]]:
    """The nodes between two operators that every path from an input to an output passes, the latter included.

    A graph with several parts, or several inputs or outputs, may have one block only.
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
    """The network as a sequence of groups of blocks, repetitions in a row told once.

    Blocks count as equal if operators, kernels, sizes of outputs and the flow between them are.
    """
    found = blocks(graph)
    signatures = _signatures(graph, found)
    groups, place = [], 0
    while place < len(found):
        period, repeats = _best_repetition(signatures, place)
        groups.append(Group(tuple(found[place : place + period]), repeats))
        place += period * repeats
    return groups


def _signatures(graph: ComputationGraph, found: list[tuple[int, ...]]) -> list[Hashable]:
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
        for block in found
    ]


def _best_repetition(signatures: list[Hashable], place: int) -> tuple[int, int]:
    """The period and number of repetitions that tell most blocks from `place` on at once; the shortest such period."""
    best = (1, 1)
    for period in range(1, (len(signatures) - place) // 2 + 1):
        if signatures[place + period] != signatures[place]:
            continue
        pattern, repeats = signatures[place : place + period], 1
        while signatures[place + repeats * period : place + (repeats + 1) * period] == pattern:
            repeats += 1
        if repeats > 1 and period * repeats > best[0] * best[1]:
            best = (period, repeats)
    return best


def depths(sources: Mapping[int, Sequence[int]], nodes: Sequence[int]) -> list[int]:
    """The longest path within `nodes`, which are in topological order, that ends at each of them."""
    depth: dict[int, int] = {}
    for node in nodes:
        depth[node] = max((depth[source] + 1 for source in sources.get(node, ()) if source in depth), default=0)
    return list(depth.values())
