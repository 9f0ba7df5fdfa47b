"""Shows the computation graph of a model: a table of its operators, and a drawing.

  tfnas inspect --model=my_model.keras

The model is a .keras file, the folder of a SavedModel, an .onnx file, or an architecture such as nasbench201:13714 in
any notation that its space reads. Its weights are not read and nothing in it is executed.
"""

import pathlib

from tfnas import flags as tfnas_flags

_MODEL = tfnas_flags.define_path(
    "model", None, "File or folder of a model, a shipped name, or SPACE:ARCHITECTURE.", required=True
)
_DRAWING = tfnas_flags.define_path("drawing", None, "File of the drawing; <model>_graph.png in this folder by default.")
_TABLE = tfnas_flags.define_path(
    "table", None, "File of the table of all operators, .csv or .json; no file by default."
)
tfnas_flags.define_import_options()


def main() -> None:
    """Flags -> `tfnas.graphs.importers.import_model` and `tfnas.graphs.drawing`."""
    options = tfnas_flags.import_options()
    from tfnas.graphs import importers
    from tfnas.graphs.drawing import draw_computation_graph
    from tfnas.graphs.summary import operator_table, totals_text, write_operators
    from tfnas.networks.models import named_model

    graph = importers.import_model(named_model(_MODEL.value), **options)
    drawing = pathlib.Path(_DRAWING.value or f"{graph.name}_graph.png")
    draw_computation_graph(graph, drawing)
    print(operator_table(graph))
    print(f"\n{totals_text(graph)}\n\nThe drawing is in {drawing}")
    if _TABLE.value:
        write_operators(graph, _TABLE.value)
        print(f"The table of all operators is in {_TABLE.value}")


if __name__ == "__main__":
    tfnas_flags.run(main)
