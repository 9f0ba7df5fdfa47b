"""What a computation graph adds up to: totals, a table of its kinds of operators, a table of all its operators."""

import collections
import dataclasses
import pathlib
from typing import Any

import numpy as np

from tfnas import artefacts
from tfnas.graphs.computation_graph import SHAPE_FIELDS, ComputationGraph
from tfnas.graphs.folding import depths
from tfnas.graphs.operators import CODES, OUTPUT
from tfnas.reports import tables

FLOAT_BYTES = 4
_LARGEST = 3
_COLUMNS = ("node", "layer", "operator", *SHAPE_FIELDS, "kernel_height", "kernel_width", "bias", "parameters")
OPERATOR_COLUMNS = (*_COLUMNS, "multiply_adds", "activations", "reads")
"""Columns of `operator_rows`."""


@dataclasses.dataclass(frozen=True)
class Totals:
    """Sums over the operators of a graph, for one input.

    Attributes:
      operators: number of operators, inputs and outputs included.
      edges: number of edges.
      depth: edges of the longest path from an input to an output.
      parameters: numbers that the network holds.
      trainable: number of the parameters that training changes, None where the source does not tell.
      parameter_bytes: bytes of the parameters in float32.
      multiply_adds: products of convolutions and matrix products.
      activations: numbers that all operators return, inputs included.
      activation_bytes: bytes of the activations in float32.
      peak_bytes: bytes of the activations in float32 that exist at once if operators run in topological order, a
        tensor lasts until its last reader has run, and what the network returns lasts until the end.
    """

    operators: int
    edges: int
    depth: int
    parameters: int
    trainable: int | None
    parameter_bytes: int
    multiply_adds: int
    activations: int
    activation_bytes: int
    peak_bytes: int


def totals(graph: ComputationGraph) -> Totals:
    """The sums of a graph.

    Example:
      >>> from tfnas.graphs.computation_graph import smallest_graph
      >>> totals(smallest_graph()).depth
      1
    """
    numbers = activations(graph)
    return Totals(
        operators=graph.num_nodes,
        edges=graph.num_edges,
        depth=depth(graph),
        parameters=graph.total_parameters,
        trainable=graph.trainable,
        parameter_bytes=FLOAT_BYTES * graph.total_parameters,
        multiply_adds=int(graph.multiply_adds.sum()),
        activations=int(numbers.sum()),
        activation_bytes=FLOAT_BYTES * int(numbers.sum()),
        peak_bytes=FLOAT_BYTES * _peak(graph, numbers),
    )


def activations(graph: ComputationGraph) -> np.ndarray:
    """int64 `[V]`: numbers that every operator returns for one input; 0 for an output, which returns what it reads."""
    return np.where(graph.operators == CODES[OUTPUT], 0, graph.shapes[:, [1, 3, 5]].prod(axis=1))


def depth(graph: ComputationGraph) -> int:
    """Edges of the longest path."""
    return max(depths(_sources(graph), range(graph.num_nodes)), default=0)


def _sources(graph: ComputationGraph) -> dict[int, list[int]]:
    sources: dict[int, list[int]] = collections.defaultdict(list)
    for source, target in graph.edges.tolist():
        sources[target].append(source)
    return sources


def _peak(graph: ComputationGraph, numbers: np.ndarray) -> int:
    """The largest sum of numbers that exist at once."""
    last = np.arange(graph.num_nodes)
    # What the network returns lasts until the end.
    returned = graph.operators[graph.edges[:, 1]] == CODES[OUTPUT]
    np.maximum.at(last, graph.edges[:, 0], np.where(returned, graph.num_nodes - 1, graph.edges[:, 1]))
    change = np.append(numbers, 0)
    np.subtract.at(change, last + 1, numbers)
    return int(change.cumsum().max(initial=0))


def operator_table(graph: ComputationGraph) -> str:
    """The kinds of operators of a graph with numbers of nodes, parameters and multiply-adds for one input, as Markdown.

    Example:
      >>> from tfnas.graphs.computation_graph import smallest_graph
      >>> print(operator_table(smallest_graph()).splitlines()[-1])
      | all        |       2 |            0 |                     0.0 |
    """
    names, multiply_adds = graph.operator_names, graph.multiply_adds
    rows = []
    for name, count in graph.counts().most_common():
        nodes = [node for node, other in enumerate(names) if other == name]
        parameters, work = int(graph.parameters[nodes].sum()), int(multiply_adds[nodes].sum())
        rows.append([name, f"{count}", f"{parameters:,}", f"{work / 1e6:,.1f}"])
    rows.append(["all", f"{graph.num_nodes}", f"{graph.total_parameters:,}", f"{multiply_adds.sum() / 1e6:,.1f}"])
    return tables.markdown(["operator", "nodes", "parameters", "million multiply-adds"], rows)


def totals_text(graph: ComputationGraph) -> str:
    """The totals of a graph, its largest layers and what is not counted, as lines for a reader.

    Example:
      >>> from tfnas.graphs.computation_graph import smallest_graph
      >>> print(totals_text(smallest_graph()).splitlines()[0])
      2 operators, 1 edges, depth 1
    """
    sums = totals(graph)
    trainable = "" if sums.trainable is None else f" ({sums.trainable:,} trainable)"
    lines = [
        f"{sums.operators:,} operators, {sums.edges:,} edges, depth {sums.depth:,}",
        f"{sums.parameters:,} parameters{trainable}, {size(sums.parameter_bytes)} in float32",
        f"{sums.multiply_adds:,} multiply-adds",
        f"{sums.activations:,} activations, {size(sums.activation_bytes)} in float32, "
        f"{size(sums.peak_bytes)} of them at once",
    ]
    if largest := _largest(graph):
        lines.append(f"most multiply-adds: {largest}")
    if graph.unknown:
        counts = collections.Counter(graph.unknown).most_common()
        listed = ", ".join(f"{count} {name}" for name, count in counts)
        lines.append(f"operators without an entry in the vocabulary: {tables.printable(listed)}")
    return "\n".join(lines) + tables.notes(graph.notes)


def _largest(graph: ComputationGraph) -> str:
    """The layers with the most multiply-adds, with their shares of all; empty for a graph without names of layers."""
    work = graph.multiply_adds
    if not graph.layers or not work.any():
        return ""
    nodes = [node for node in np.argsort(-work, kind="stable")[:_LARGEST].tolist() if work[node]]
    return ", ".join(f"{tables.printable(graph.layers[node])} {100 * work[node] / work.sum():.1f} %" for node in nodes)


def size(count: int) -> str:
    """Bytes for a reader.

    Example:
      >>> size(900), size(3 * 2**20)
      ('900 bytes', '3.0 MiB')
    """
    for unit, factor in (("GiB", 2**30), ("MiB", 2**20), ("KiB", 2**10)):
        if count >= factor:
            return f"{count / factor:,.1f} {unit}"
    return f"{count} bytes"


def operator_rows(graph: ComputationGraph) -> list[dict[str, Any]]:
    """Facts of every operator, in topological order; the keys are `OPERATOR_COLUMNS`.

    A `node` is a number from 0, `layer` is the name of the operator in the source, empty where unknown, and `reads` are
    the numbers of the nodes whose results the operator reads.
    """
    sources, names, layers = _sources(graph), graph.operator_names, graph.layers or ("",) * graph.num_nodes
    columns = np.column_stack(
        [graph.shapes, graph.kernels, graph.bias, graph.parameters, graph.multiply_adds, activations(graph)]
    )
    return [
        dict(
            zip(
                OPERATOR_COLUMNS,
                (node, layers[node], names[node], *row, sorted(sources.get(node, []))),
                strict=True,
            )
        )
        for node, row in enumerate(columns.tolist())
    ]


def write_operators(graph: ComputationGraph, path: artefacts.PathLike) -> None:
    """Writes the table of all operators.

    Args:
      graph: graph.
      path: file; JSON with the graph's name, totals and notes if its name ends in `.json`, CSV otherwise.
    """
    rows = operator_rows(graph)
    if pathlib.Path(path).suffix == ".json":
        facts = {"name": graph.name, "totals": dataclasses.asdict(totals(graph)), "notes": graph.notes}
        artefacts.write_json(path, facts | {"operators": rows})
    else:
        artefacts.write_csv(path, rows)
