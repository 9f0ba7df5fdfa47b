"""Two computation graphs side by side: their sums, their kinds of operators, and the operators in which they differ."""

import collections
import dataclasses
from collections.abc import Sequence

from tfnas.graphs.computation_graph import ComputationGraph
from tfnas.graphs.operators import CODES, INPUT, OUTPUT
from tfnas.graphs.summary import Totals, size, totals
from tfnas.reports import tables

_SHOWN, _LAYERS_SHOWN = 10, 3
_SUMS = ("operators", "edges", "depth", "parameters", "trainable", "multiply_adds", "activations", "peak_bytes")


@dataclasses.dataclass(frozen=True)
class Difference:
    """Operators of one kind, kernel, sizes and parameters that one graph has more of than another graph.

    Attributes:
      operator: name of the operator.
      kernel: height and width of the kernel, (0, 0) for none.
      shape: sizes, as in `ComputationGraph.shapes`.
      parameters: numbers that each operator holds.
      count: number of operators that the other graph lacks.
      layers: names of the operators in the source; empty where unknown.
    """

    operator: str
    kernel: tuple[int, int]
    shape: tuple[int, ...]
    parameters: int
    count: int
    layers: tuple[str, ...]

    def __str__(self) -> str:
        """One line, such as `2 conv 3x3, 8x8x16 to 8x8x32, 4,640 parameters each: stem, block.conv`."""
        kernel = f" {'x'.join(map(str, self.kernel))}" if all(self.kernel) else ""
        sides = ["x".join(map(str, self.shape[side::2])) for side in (0, 1)]
        held = f", {self.parameters:,} parameters" if self.parameters else ""
        each = " each" if held and self.count > 1 else ""
        names = [name for name in self.layers[:_LAYERS_SHOWN] if name]
        more = ", ..." if names and len(self.layers) > _LAYERS_SHOWN else ""
        layers = f": {', '.join(names)}{more}" if names else ""
        return tables.printable(f"{self.count} {self.operator}{kernel}, {' to '.join(sides)}{held}{each}{layers}")


@dataclasses.dataclass(frozen=True, eq=False)
class Comparison:
    """Two graphs side by side.

    Attributes:
      graphs: the two graphs.
      totals: sums of each graph.
      only: operators that the first graph has more of, and operators that the second graph has more of, those with the
        most parameters first.
    """

    graphs: tuple[ComputationGraph, ComputationGraph]
    totals: tuple[Totals, Totals]
    only: tuple[tuple[Difference, ...], tuple[Difference, ...]]

    def __str__(self) -> str:
        """The comparison as Markdown tables and lists; see `comparison_text`."""
        return comparison_text(self)


def compare(first: ComputationGraph, second: ComputationGraph) -> Comparison:
    """The sums of two graphs, and the operators in which the graphs differ.

    Operators are compared by kind, kernel, sizes and parameters, wherever in the network they stand.

    Args:
      first: graph.
      second: graph to compare with.

    Example:
      >>> from tfnas.graphs.computation_graph import smallest_graph
      >>> compare(smallest_graph(), smallest_graph()).only
      ((), ())
    """
    sides = [_operators(graph) for graph in (first, second)]
    return Comparison(
        (first, second),
        (totals(first), totals(second)),
        (_surplus(sides[0], sides[1]), _surplus(sides[1], sides[0])),
    )


_Key = tuple[str, tuple[int, int], tuple[int, ...], int]


def _operators(graph: ComputationGraph) -> dict[_Key, list[str]]:
    """Names of the layers of all operators that agree in kind, kernel, sizes and parameters."""
    grouped: dict[_Key, list[str]] = collections.defaultdict(list)
    layers = graph.layers or ("",) * graph.num_nodes
    columns = (graph.kernels.tolist(), graph.shapes.tolist(), graph.parameters.tolist(), layers)
    for name, kernel, shape, parameters, layer in zip(graph.operator_names, *columns, strict=True):
        grouped[name, (kernel[0], kernel[1]), tuple(shape), parameters].append(layer)
    return grouped


def _surplus(some: dict[_Key, list[str]], rest: dict[_Key, list[str]]) -> tuple[Difference, ...]:
    """What the first mapping has more of."""
    counts = {key: len(layers) - len(rest.get(key, ())) for key, layers in some.items()}
    surplus = [Difference(*key, count, tuple(some[key])) for key, count in counts.items() if count > 0]
    return tuple(sorted(surplus, key=lambda difference: -difference.count * difference.parameters))


def comparison_text(comparison: Comparison) -> str:
    """A comparison as a table of sums, a table of operators and lists of the operators that differ, as Markdown."""
    names = _labels(comparison.graphs)
    sums = [
        [name.replace("_", " "), *(_value(name, getattr(side, name)) for side in comparison.totals)] for name in _SUMS
    ]
    for word, operator in (("inputs", INPUT), ("outputs", OUTPUT)):
        sums.append([word, *(_sizes(graph, operator) for graph in comparison.graphs)])
    lines = [tables.markdown(["", *names], sums), "", _operators_table(comparison.graphs, names)]
    for name, differences in zip(names, comparison.only, strict=True):
        if differences:
            lines += ["", f"More in {name}:", *(f"- {difference}" for difference in differences[:_SHOWN])]
            if len(differences) > _SHOWN:
                lines.append(f"- and {len(differences) - _SHOWN} further kinds of operators")
    if not any(comparison.only):
        lines += ["", "All operators agree in kind, kernel, sizes and parameters."]
    notes = [f"{name}: {note}" for name, graph in zip(names, comparison.graphs, strict=True) for note in graph.notes]
    return "\n".join(lines) + tables.notes(notes)


def _labels(graphs: Sequence[ComputationGraph]) -> list[str]:
    """Names that tell the graphs apart."""
    names = [graph.name or "model" for graph in graphs]
    return names if len(set(names)) == len(names) else [f"{name} ({n})" for n, name in enumerate(names, start=1)]


def _value(name: str, value: int | None) -> str:
    if value is None:
        return "unknown"
    return size(value) if name.endswith("bytes") else f"{value:,}"


def _sizes(graph: ComputationGraph, operator: str) -> str:
    shapes = graph.shapes[graph.operators == CODES[operator]][:, [1, 3, 5]].tolist()
    return ", ".join("x".join(map(str, shape)) for shape in shapes[:_LAYERS_SHOWN]) + ", ..." * (
        len(shapes) > _LAYERS_SHOWN
    )


def _operators_table(graphs: Sequence[ComputationGraph], names: Sequence[str]) -> str:
    """Numbers of nodes, parameters and million multiply-adds of each kind of operator in both graphs."""
    sums: list[dict[str, list[int]]] = []
    for graph in graphs:
        kinds: dict[str, list[int]] = collections.defaultdict(lambda: [0, 0, 0])
        columns = zip(graph.operator_names, graph.parameters.tolist(), graph.multiply_adds.tolist(), strict=True)
        for name, parameters, work in columns:
            kinds[name] = [sum(pair) for pair in zip(kinds[name], (1, parameters, work), strict=True)]
        sums.append(kinds)
    kinds_in_order = sorted(set(sums[0]) | set(sums[1]), key=lambda kind: (-sum(side[kind][0] for side in sums), kind))
    rows = [
        [
            kind,
            *(f"{side[kind][0]:,}" for side in sums),
            *(f"{side[kind][1]:,}" for side in sums),
            *(f"{side[kind][2] / 1e6:,.1f}" for side in sums),
        ]
        for kind in kinds_in_order
    ]
    words = ("nodes", "parameters", "million multiply-adds")
    return tables.markdown(["operator", *(f"{word}, {name}" for word in words for name in names)], rows)
