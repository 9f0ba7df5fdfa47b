"""Groups of operators that a reader can fold: by the names of layers, and by repetitions of blocks."""

import dataclasses
import itertools
import re

from tfnas.graphs.computation_graph import ComputationGraph
from tfnas.graphs.folding import fold

_SEPARATORS = re.compile(r"[/.]+")
_SMALLEST_BLOCK = 3


@dataclasses.dataclass(frozen=True)
class Scopes:
    """A forest whose leaves are the operators of a graph.

    Attributes:
      groups: label and number of the enclosing group for every group, -1 for a group at the top; a group has a larger
        number than the group around it.
      home: number of the innermost group of every operator, -1 for an operator at the top.
    """

    groups: tuple[tuple[str, int], ...]
    home: tuple[int, ...]


def name_scopes(graph: ComputationGraph) -> Scopes:
    """Groups of operators whose names begin alike, cut at slashes and dots; a group has at least two members.

    Example:
      >>> from tfnas.graphs.computation_graph import smallest_graph
      >>> name_scopes(smallest_graph().replace(layers=("stem/x", "stem/y"))).groups
      (('stem', -1),)
    """
    members: dict[str, set[object]] = {}
    prefixes = [_prefixes(layer) for layer in graph.layers or ("",) * graph.num_nodes]
    for node, around in enumerate(prefixes):
        for outer, inner in zip(around, [*around[1:], node], strict=True):
            members.setdefault(outer, set()).add(inner)
    numbers: dict[str, int] = {"": -1}
    groups: list[tuple[str, int]] = []
    for around in prefixes:
        for outer, prefix in itertools.pairwise(around):
            if prefix not in numbers and len(members[prefix]) > 1:
                groups.append((prefix, numbers[outer]))
                numbers[prefix] = len(groups) - 1
            numbers.setdefault(prefix, numbers[outer])
    return Scopes(tuple(groups), tuple(numbers[around[-1]] for around in prefixes))


def _prefixes(layer: str) -> list[str]:
    """Names of all groups around a layer, from the outside in; the first is that of the whole graph.

    Example:
      >>> _prefixes("/model.2/conv/Conv")
      ['', 'model', 'model.2', 'model.2/conv']
    """
    name = layer.strip("/.")
    return ["", *(name[: match.start()] for match in _SEPARATORS.finditer(name))]


def repetition_scopes(graph: ComputationGraph) -> Scopes:
    """Groups of blocks that repeat in a row (`folding.fold`), and a group of each repetition.

    Example:
      >>> from tfnas.graphs.computation_graph import smallest_graph
      >>> repetition_scopes(smallest_graph()).home
      (-1, -1)
    """
    groups: list[tuple[str, int]] = []
    home = [-1] * graph.num_nodes
    for group in fold(graph):
        first, size = group.blocks[0][0], sum(map(len, group.blocks))
        if group.repeats == 1 or size < _SMALLEST_BLOCK:
            continue
        outer = len(groups)
        groups.append((f"{group.repeats} blocks of {size} operators", -1))
        for number in range(group.repeats):
            groups.append((f"block {number + 1}", outer))
            start = first + number * size
            home[start : start + size] = [len(groups) - 1] * size
    return Scopes(tuple(groups), tuple(home))
