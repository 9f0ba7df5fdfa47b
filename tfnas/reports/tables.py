"""Tables as text that is readable in a terminal and is Markdown at the same time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tfnas.graphs.computation_graph import ComputationGraph
    from tfnas.predictors.graph_predictor import Prediction
    from tfnas.retrieval.relatives import Answer

_FAR = 3.0
_LONGEST_MOTIF = 70


def markdown(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """An aligned Markdown table; the first column is aligned left, the others right."""
    widths = [max(len(str(row[i])) for row in [columns, *rows]) for i in range(len(columns))]

    def line(cells: Sequence[str]) -> str:
        padded = [
            cells[0].ljust(widths[0]),
            *(cell.rjust(width) for cell, width in zip(cells[1:], widths[1:], strict=True)),
        ]
        return "| " + " | ".join(padded) + " |"

    rule = "|" + "|".join(["-" * (widths[0] + 2), *("-" * (width + 1) + ":" for width in widths[1:])]) + "|"
    return "\n".join([line(columns), rule, *(line(row) for row in rows)])


def search_table(summary: Mapping[str, Mapping[str, float]]) -> str:
    """What `search.loop.summarise` returned: accuracies in percent, mean and deviation over runs."""
    rows = [
        [
            name,
            f"{row['runs']:.0f}",
            f"{row['queries']:.0f}",
            f"{100 * row['validation_mean']:.2f} ± {100 * row['validation_std']:.2f}",
            f"{100 * row['test_mean']:.2f} ± {100 * row['test_std']:.2f}",
            f"{row['seconds_mean']:.1f}",
        ]
        for name, row in summary.items()
    ]
    columns = ["strategy", "runs", "queries per run", "best validation %", "its test %", "training seconds per run"]
    return markdown(columns, rows)


def operator_table(graph: ComputationGraph) -> str:
    """Operators of a computation graph: how often each occurs, its parameters and multiply-adds for one input."""
    names, multiply_adds = graph.operator_names, graph.multiply_adds
    rows = []
    for name, count in graph.counts().most_common():
        mine = [node for node, other in enumerate(names) if other == name]
        parameters, work = int(graph.parameters[mine].sum()), int(multiply_adds[mine].sum())
        rows.append([name, f"{count}", f"{parameters:,}", f"{work / 1e6:,.1f}"])
    rows.append(["all", f"{graph.num_nodes}", f"{graph.total_parameters:,}", f"{multiply_adds.sum() / 1e6:,.1f}"])
    return markdown(["operator", "nodes", "parameters", "million multiply-adds"], rows)


def prediction_table(prediction: Prediction) -> str:
    """What a predictor says of one network, and a warning where it has seen nothing like it."""
    rows = [
        ["score (deviations from the family's mean)", f"{prediction.score:+.2f} ± {prediction.stddev:.2f}"],
        ["nearest family", prediction.family],
        ["accuracy in that family's units", f"{prediction.accuracy:.2%}"],
        ["better than so many of its known networks", f"{prediction.percentile:.0f} %"],
        ["distance from known networks (usual: 1)", f"{prediction.distance:.1f}"],
    ]
    text = markdown(["prediction", "value"], rows)
    if prediction.distance > _FAR:
        text += "\n\nNothing like this network was seen in training; do not rely on the score."
    return text


def relatives_table(answer: Answer) -> str:
    """What a query found, and the largest motif that it shares with each relative."""
    rows = []
    for rank, relative in enumerate(answer.relatives, start=1):
        match = relative.match
        motif = ", ".join(relative.shared[0].operators) if relative.shared else "none"
        rows.append(
            [
                match.name,
                f"{rank}",
                match.family,
                f"{match.similarity:.3f}",
                f"{100 * relative.covered:.0f} %",
                motif if len(motif) <= _LONGEST_MOTIF else motif[: _LONGEST_MOTIF - 1] + "…",
            ]
        )
    name, nodes = answer.query.names[0], int(answer.query.graphs.num_nodes[0])
    columns = ["architecture", "rank", "family", "similarity", "operators in shared motifs", "largest shared motif"]
    return f"{name}: {nodes:,} operators\n\n{markdown(columns, rows)}"
