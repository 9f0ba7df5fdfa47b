"""Shows computation graphs of models: tables of operators and sums, a drawing, a web page.

  tfnas inspect --model=my_model.keras
  tfnas inspect --model=my_model.onnx --page=my_model.html --table=my_model.csv
  tfnas inspect --model=my_model.keras --model=my_model.onnx --compare
  tfnas inspect --model=my_models

A model is a file such as .keras, .onnx or .tflite, the folder of a SavedModel, or an architecture such as
nasbench201:13714 in any notation that its space reads. A folder of models stands for all models below it. Several
models make a table with a row for each; the exit code is 1 if none of them can be read. Weights are not read and
nothing in a model is executed.
"""

import pathlib
import sys

from absl import flags

from tfnas import flags as tfnas_flags
from tfnas.errors import ConfigurationError

_MODEL = tfnas_flags.define_repeated_path(
    "model", "File or folder of a model, a shipped name, SPACE:ARCHITECTURE, or a folder of models; may be repeated."
)
_COMPARE = flags.DEFINE_boolean("compare", False, "Show the two models of --model side by side.")
_DRAWING = tfnas_flags.define_path(
    "drawing", None, "File of the drawing of a single model; <model>_graph.png in this folder by default."
)
_PAGE = tfnas_flags.define_path(
    "page", None, "File of a web page on which to move through a single model; no page by default."
)
_TABLE = tfnas_flags.define_path(
    "table", None, "File of the table of all operators, or of several models, .csv or .json; no file by default."
)
tfnas_flags.define_import_options()


def main() -> None:
    """Flags -> `tfnas.graphs.importers.import_model`, `summary`, `drawing`, `comparison` and `overviews`."""
    options = tfnas_flags.import_options()
    if _TABLE.value and pathlib.Path(_TABLE.value).suffix not in (".csv", ".json"):
        raise ConfigurationError(f"--table={_TABLE.value}, expected a file that ends in .csv or .json")
    from tfnas.networks.models import named_models

    models = named_models(_MODEL.value)
    if _COMPARE.value:
        _compare(models, options)
    elif len(models) > 1:
        _list(models, options)
    else:
        _show(models[0], options)


def _show(model, options) -> None:
    from tfnas.graphs import importers
    from tfnas.graphs.drawing import draw_computation_graph
    from tfnas.graphs.page import write_page
    from tfnas.graphs.summary import operator_table, totals_text, write_operators

    graph = importers.import_model(model, **options)
    print(f"{operator_table(graph)}\n\n{totals_text(graph)}\n")
    if _TABLE.value:
        write_operators(graph, _TABLE.value)
        print(f"table of all operators in {_TABLE.value}")
    if _PAGE.value:
        write_page(graph, _PAGE.value)
        print(f"page in {_PAGE.value}")
    drawing = pathlib.Path(_DRAWING.value or f"{graph.name}_graph.png")
    try:
        draw_computation_graph(graph, drawing)
    except ConfigurationError as error:
        if _DRAWING.value:
            raise
        print(f"not drawn: {error}")
    else:
        print(f"drawn in {drawing}")


def _compare(models, options) -> None:
    from tfnas.graphs import importers
    from tfnas.graphs.comparison import compare

    if len(models) != 2:
        raise ConfigurationError(f"--compare: {len(models)} models, expected two")
    _refuse_pictures("--compare")
    print(compare(*(importers.import_model(model, **options) for model in models)))


def _list(models, options) -> None:
    from tfnas.graphs.overviews import overview, overview_table, write_overview

    _refuse_pictures("several models")
    rows = list(overview(models, **options))
    print(overview_table(rows))
    if _TABLE.value:
        write_overview(rows, _TABLE.value)
        print(f"\ntable of all models in {_TABLE.value}")
    if all(row.error for row in rows):
        sys.exit(1)


def _refuse_pictures(words: str) -> None:
    for flag, value in (("drawing", _DRAWING.value), ("page", _PAGE.value)):
        if value:
            raise ConfigurationError(f"--{flag}={value}: {words}, expected a single model")


if __name__ == "__main__":
    tfnas_flags.run(main)
