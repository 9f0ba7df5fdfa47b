"""Two graphs side by side, and many models in a table."""

import csv
import itertools
import json

import onnx
import pytest
from onnx import TensorProto, helper

from tfnas.graphs import importers
from tfnas.graphs.comparison import compare
from tfnas.graphs.computation_graph import ComputationGraph
from tfnas.graphs.operators import CODES
from tfnas.graphs.overviews import overview, overview_table, write_overview


def chain(name, widths, kernel=3):
    """Convolutions on 4 x 4 images."""
    count = len(widths) - 1
    pairs = list(itertools.pairwise(widths))
    operators = [CODES["input"], *[CODES["conv"]] * count, CODES["output"]]
    shapes = [(4, 4, 4, 4, *pair) for pair in [(widths[0], widths[0]), *pairs, (widths[-1], widths[-1])]]
    return ComputationGraph(
        operators=operators,
        shapes=shapes,
        kernels=[(kernel, kernel) if code == CODES["conv"] else (0, 0) for code in operators],
        bias=[0] * len(operators),
        parameters=[0, *(kernel**2 * a * b for a, b in pairs), 0],
        edges=[(node, node + 1) for node in range(count + 1)],
        name=name,
        layers=tuple(f"{name}.{node}" for node in range(len(operators))),
    )


def test_what_differs():
    comparison = compare(chain("a", [3, 8, 8, 8]), chain("b", [3, 8, 8]))
    assert [str(difference) for difference in comparison.only[0]] == [
        "1 conv 3x3, 4x4x8 to 4x4x8, 576 parameters: a.2, a.3"
    ]
    assert comparison.only[1] == ()
    text = str(comparison)
    assert "More in a:\n- 1 conv" in text
    assert "More in b" not in text
    lines = {
        line.split("|")[1].strip(): [cell.strip() for cell in line.split("|")[2:-1]]
        for line in text.splitlines()
        if "|" in line
    }
    assert lines["operators"] == ["5", "4"]
    assert lines["parameters"] == [f"{216 + 2 * 576:,}", f"{216 + 576}"]
    assert lines["inputs"] == ["4x4x3", "4x4x3"]
    assert lines["conv"] == ["3", "2", "1,368", "792", "0.0", "0.0"]


def test_names_that_are_equal_are_numbered():
    text = str(compare(chain("net", [3, 8]), chain("net", [3, 8]).replace(notes=("assumed",))))
    assert "net (1)" in text
    assert text.endswith("All operators agree in kind, kernel, sizes and parameters.\n\nnote: net (2): assumed")
    several = str(compare(chain("a", [3, 8, 8]), chain("b", [3, 8, 8], kernel=1)))
    assert "More in a:\n- 1 conv 3x3, 4x4x8 to 4x4x8, 576 parameters: a.2\n" in several
    assert "More in b:\n- 1 conv 1x1, 4x4x8 to 4x4x8, 64 parameters: b.2\n" in several


@pytest.fixture(scope="module")
def rows(tmp_path_factory):
    """Rows of a model in memory, of an ONNX file of one ReLU whose shape is open, and of a file that is damaged."""
    folder = tmp_path_factory.mktemp("models")
    graph = helper.make_graph(
        [helper.make_node("Relu", ["x"], ["y"])],
        "net",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, "length"])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, "length"])],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)]), str(folder / "net.onnx"))
    (folder / "torn.onnx").write_bytes(b"no model")
    return list(overview([chain("memory", [3, 8]), folder / "net.onnx", folder / "torn.onnx"]))


def test_overview(rows, tmp_path):
    memory, file, torn = rows
    assert memory.totals.parameters == 216
    assert file.totals.operators == 3
    assert (torn.totals, torn.error) == (None, "not an ONNX file, or cut short")
    table = overview_table(rows)
    assert "| not read |" in table
    assert f"\nnote: {file.name}: open shapes of inputs were assumed: x [1, 128]\n" in table
    assert table.endswith(f"\n\nerror: {torn.name}: not an ONNX file, or cut short")
    write_overview(rows, tmp_path / "all.csv")
    with (tmp_path / "all.csv").open() as stream:
        written = list(csv.DictReader(stream))
    assert [row["parameters"] for row in written] == ["216", "0", ""]
    assert written[2]["error"] == torn.error
    write_overview(rows, tmp_path / "all.json")
    assert json.loads((tmp_path / "all.json").read_text())[1]["notes"] == list(file.notes)


def test_a_fault_in_one_model_leaves_the_rest(monkeypatch, tmp_path):
    def broken(path, shapes, **facts):
        raise ZeroDivisionError

    monkeypatch.setitem(importers.FORMATS, ".odd", importers.Format("an .odd file", broken))
    (tmp_path / "net.odd").touch()
    rows = list(overview([tmp_path / "net.odd", chain("memory", [3, 8])]))
    assert [(row.error, row.totals is None) for row in rows] == [("ZeroDivisionError", True), ("", False)]
