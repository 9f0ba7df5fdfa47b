"""In what two architectures differ, in the words of the field: depth, widths, kernels, blocks, norm, activation."""

import collections
import dataclasses

import numpy as np

from tfnas.graphs.computation_graph import ComputationGraph
from tfnas.graphs.folding import fold
from tfnas.graphs.operators import ACTIVATIONS, CODES, INPUT, OUTPUT, RECURRENT, WEIGHTED
from tfnas.graphs.structure import STRUCTURE, structure

NORMS = frozenset({"batch_norm", "layer_norm", "group_norm", "rms_norm", "lrn"})
_NAMED = (ACTIVATIONS | NORMS | WEIGHTED | {INPUT, OUTPUT}) - {"conv_transpose"}
_SHOWN_IN_BLOCKS = WEIGHTED | RECURRENT | {"add", "concat", "mul"}
_BLOCK_SHOWN = 8
_OPERATORS_SHOWN = 5


@dataclasses.dataclass(frozen=True)
class Traits:
    """What graphs are compared by, in words.

    Attributes:
      words: depth, widths and kernels of operators with weights, the block that makes up most of the network, norm and
        activation, by name.
      kinds: names of further kinds of operators.

    Example:
      >>> from tfnas.graphs.computation_graph import smallest_graph
      >>> Traits.of(smallest_graph()).words["depth"]
      '0'
    """

    words: dict[str, str]
    kinds: frozenset[str]

    @classmethod
    def of(cls, graph: ComputationGraph) -> "Traits":
        """The traits of a graph of at least one operator."""
        weighted = np.isin(graph.operators, [CODES[name] for name in WEIGHTED])
        # The last operator with weights is the head: its width is the number of classes.
        outputs = graph.shapes[weighted, 5]
        channels = np.unique(outputs[:-1] if len(outputs) > 1 else outputs).tolist()
        kernels = np.unique(graph.kernels[weighted & (graph.kernels.max(axis=1) > 0)], axis=0).tolist()
        words = {
            "depth": f"{int(structure(graph)[STRUCTURE.index('weighted_depth')])}",
            "widths": " to ".join(f"{channel}" for channel in dict.fromkeys(channels[:1] + channels[-1:])) or "none",
            "kernels": ", ".join(f"{height}x{width}" for height, width in kernels) or "none",
            "blocks of": _block(graph),
            "norm": _most_frequent(graph, NORMS),
            "activation": _most_frequent(graph, ACTIVATIONS),
        }
        return cls(words, frozenset(graph.operator_names) - _NAMED)


def differences(query: Traits, other: Traits) -> tuple[str, ...]:
    """In what an architecture differs from a query, a line for each trait; no lines where no trait differs.

    Example:
      >>> from tfnas.graphs.computation_graph import smallest_graph
      >>> differences(Traits.of(smallest_graph()), Traits.of(smallest_graph()))
      ()
    """
    lines = [
        f"{name} {word} instead of {query.words[name]}"
        for name, word in other.words.items()
        if word != query.words[name]
    ]
    alone = {"with": other.kinds - query.kinds, "without": query.kinds - other.kinds}
    return tuple(lines + [f"{word} {_listed(kinds)}" for word, kinds in alone.items() if kinds])


def _most_frequent(graph: ComputationGraph, kinds: frozenset[str]) -> str:
    counts = collections.Counter(name for name in graph.operator_names if name in kinds)
    return counts.most_common(1)[0][0] if counts else "none"


def _block(graph: ComputationGraph) -> str:
    """The operators with weights, and the joints of branches, of the repeated block that makes up most of a graph."""
    names, best, largest = graph.operator_names, "no repetition", 0
    for group in fold(graph):
        nodes = [node for block in group.blocks for node in block]
        words = [
            names[node] + (" {}x{}".format(*graph.kernels[node]) if graph.kernels[node].all() else "")
            for node in nodes
            if names[node] in _SHOWN_IN_BLOCKS
        ]
        if group.repeats > 1 and words and len(nodes) * group.repeats > largest:
            largest = len(nodes) * group.repeats
            best = f"({', '.join(words[:_BLOCK_SHOWN])}{', ...' * (len(words) > _BLOCK_SHOWN)})"
    return best


def _listed(kinds: frozenset[str]) -> str:
    shown = sorted(kinds)[:_OPERATORS_SHOWN]
    return ", ".join(shown) + (f" and {len(kinds) - len(shown)} more" if len(kinds) > len(shown) else "")
