"""Many models in one table: a row for each, with its sums, its notes, or the reason why it can't be read."""

import dataclasses
import os
import pathlib
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Unpack

from tfnas import artefacts
from tfnas.graphs.importers import Model, Options, import_model
from tfnas.graphs.summary import Totals, totals
from tfnas.reports import tables


@dataclasses.dataclass(frozen=True)
class Row:
    """A model of an overview.

    Attributes:
      name: path of the model, or the name of its graph.
      totals: sums of the graph, None for a model that can't be read.
      unknown: number of operators without an entry in the vocabulary.
      notes: lines of the importer.
      error: reason why the model can't be read, empty for a model that is read.
    """

    name: str
    totals: Totals | None
    unknown: int = 0
    notes: tuple[str, ...] = ()
    error: str = ""


def overview(models: Iterable[Model], **options: Unpack[Options]) -> Iterator[Row]:
    """Rows of models, each as soon as its model is read; a graph is dropped once it is summed up.

    Args:
      models: models; see `importers.import_model`.
      **options: options of `importers.import_model`, for every model.

    Example:
      >>> from tfnas.graphs.computation_graph import smallest_graph
      >>> [(row.name, row.totals is None) for row in overview([smallest_graph().replace(name="net"), "no_file.onnx"])]
      [('net', False), ('no_file.onnx', True)]
    """
    for model in models:
        name = os.fspath(model) if isinstance(model, str | os.PathLike) else ""
        try:
            graph = import_model(model, **options)
        except Exception as error:  # a library underneath may raise anything, and other models come after
            yield Row(
                name, None, error=" ".join((str(error) or type(error).__name__).split()).removeprefix(f"{name}: ")
            )
        else:
            yield Row(name or graph.name, totals(graph), len(graph.unknown), graph.notes)


def overview_table(rows: Sequence[Row]) -> str:
    """Rows as a Markdown table, with notes and errors as lines below."""
    cells = []
    for row in rows:
        sums = row.totals
        if sums is None:
            cells.append([row.name, *["-"] * 5, "not read"])
            continue
        numbers = (sums.operators, row.unknown, sums.depth, sums.parameters)
        cells.append(
            [row.name, *(f"{number:,}" for number in numbers), f"{sums.multiply_adds / 1e6:,.1f}", f"{len(row.notes)}"]
        )
    columns = ["model", "operators", "unknown", "depth", "parameters", "million multiply-adds", "notes"]
    lines = [f"{row.name}: {line}" for row in rows for line in row.notes]
    errors = [f"\nerror: {tables.printable(f'{row.name}: {row.error}')}" for row in rows if row.error]
    return tables.markdown(columns, cells) + tables.notes(lines) + "".join(["\n", *errors] if errors else [])


def write_overview(rows: Sequence[Row], path: artefacts.PathLike) -> None:
    """Writes rows as a table: JSON for a file whose name ends in `.json`, CSV otherwise."""
    sums = [field.name for field in dataclasses.fields(Totals)]
    records: list[dict[str, Any]] = []
    for row in rows:
        values = dataclasses.asdict(row.totals) if row.totals else dict.fromkeys(sums)
        records.append(
            {"model": row.name, **values, "unknown": row.unknown, "notes": list(row.notes), "error": row.error}
        )
    if pathlib.Path(path).suffix == ".json":
        artefacts.write_json(path, records)
    else:
        artefacts.write_csv(path, records)
