"""The page of a graph stands by itself, and no name in a model gets out of its text; groups of operators."""

import json
import re
import shutil
import subprocess

import numpy as np
import pytest

from tests.fork import ROOT
from tfnas.graphs.computation_graph import ComputationGraph
from tfnas.graphs.operators import CODES
from tfnas.graphs.page import page
from tfnas.graphs.scopes import name_scopes, repetition_scopes

HOSTILE = "</script><img src=x onerror=alert(1)>"


def network(operators, edges, **facts):
    count = len(operators)
    zeros = np.zeros(count)
    return ComputationGraph(
        operators=[CODES[name] for name in operators],
        shapes=np.full((count, 6), 4),
        kernels=np.zeros((count, 2)),
        bias=zeros,
        parameters=zeros,
        edges=edges,
        **facts,
    )


def data_of(text):
    return json.loads(re.search(r"<script>const DATA = (.*);\n", text)[1])


def test_the_page_stands_by_itself():
    graph = network(["input", "conv", "output"], [(0, 1), (1, 2)], name=HOSTILE, layers=("x", f"a/{HOSTILE}", ""),
                    notes=(HOSTILE,))  # fmt: skip
    text = page(graph)
    # The namespace of SVG is a name, not an address that a browser opens.
    assert set(re.findall(r"https?://[^'\"\s]+", text)) == {"http://www.w3.org/2000/svg"}
    assert "<img" not in text
    assert text.count("</script>") == 1
    data = data_of(text)
    assert [node["operator"] for node in data["nodes"]] == ["input", "conv", "output"]
    assert data["nodes"][1]["layer"] == f"a/{HOSTILE}"
    assert data["edges"] == [[0, 1], [1, 2]]
    assert data["first"] == "names of layers"
    assert data["trees"]["nothing"] == {"groups": [], "home": [-1, -1, -1]}


def test_groups_by_names():
    layers = ("x", "net/stem/conv", "net/a.0/conv", "net/a.0/norm", "net/a.1/conv", "net/a.1/norm", "")
    graph = network(["input", *["conv"] * 5, "output"], [(n, n + 1) for n in range(6)], layers=layers)
    scopes = name_scopes(graph)
    # The stem holds a single operator, so it is no group.
    assert scopes.groups == (("net", -1), ("net/a", 0), ("net/a.0", 1), ("net/a.1", 1))
    assert scopes.home == (-1, 0, 2, 2, 3, 3, -1)
    assert name_scopes(graph.replace(layers=())).home == (-1,) * 7


def test_groups_by_repetitions():
    block = ["conv", "batch_norm", "relu"]
    names = ["input", *block, *block, *block, "matmul", "output"]
    graph = network(names, [(n, n + 1) for n in range(len(names) - 1)])
    scopes = repetition_scopes(graph)
    assert scopes.groups == (("3 blocks of 3 operators", -1), *((f"block {n}", 0) for n in (1, 2, 3)))
    assert scopes.home == (-1, *[1] * 3, *[2] * 3, *[3] * 3, -1, -1)
    flat = graph.replace(layers=tuple(f"n{node}" for node in range(len(names))))
    assert data_of(page(flat))["first"] == "names of layers"
    crowd = network(["input", *["relu"] * 80, "output"], [(n, n + 1) for n in range(81)])
    assert data_of(page(crowd))["first"] == "repeated blocks"


@pytest.mark.skipif(not shutil.which("node"), reason="the script runs in browsers, and in node if there is one")
def test_the_layout():
    """Lines run from row to row, boxes of a row stand apart, and a line around a box leaves it room."""
    script = (
        (ROOT / "tfnas" / "graphs" / "viewer" / "layout.js").read_text()
        + """
        const items = Array.from({ length: 6 }, () => ({ w: 80, h: 30, inX: 40, outX: 40 }));
        const edges = [[0, 1], [1, 2], [0, 2], [2, 3], [2, 4], [3, 5], [4, 5], [5, 3]];
        const { width, height, lines } = layered(items, edges);
        console.log(JSON.stringify({ items, width, height, lines, values: isotonic([1, 3, 2, 0, 5], [1, 1, 1, 1, 1])}));
    """
    )
    done = subprocess.run(["node", "-"], input=script, capture_output=True, text=True, check=True)
    answer = json.loads(done.stdout)
    left, top = ([item[key] for item in answer["items"]] for key in ("x", "y"))
    assert top == [0, 60, 120, 180, 180, 240]
    assert abs(left[3] - left[4]) >= 80 + 18
    assert (min(left), answer["height"]) == (0, 270)
    assert max(left) + 80 <= answer["width"]
    around = answer["lines"][2]["points"]
    assert [y for _, y in around] == [30, 60, 90, 120]
    assert not left[1] - 9 < around[1][0] < left[1] + 89
    # Two groups that read each other: the second line goes up.
    assert [line["up"] for line in answer["lines"]] == [False] * 7 + [True]
    np.testing.assert_allclose(answer["values"], [1, 5 / 3, 5 / 3, 5 / 3, 5])
