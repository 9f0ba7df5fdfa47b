"""Sums of computation graphs, and the table of all operators, on networks that are counted by hand."""

import csv
import json

import pytest

from tfnas.graphs.computation_graph import ComputationGraph
from tfnas.graphs.operators import CODES
from tfnas.graphs.summary import operator_rows, totals, totals_text, write_operators


@pytest.fixture(scope="module")
def residual():
    """Two 3 x 3 convolutions from 2 to 4 and from 4 to 4 channels on 5 x 5 images, and a sum around the second."""
    names = ["input", "conv", "conv", "add", "output"]
    channels = [(2, 2), (2, 4), (4, 4), (4, 4), (4, 4)]
    return ComputationGraph(
        operators=[CODES[name] for name in names],
        shapes=[(5, 5, 5, 5, *pair) for pair in channels],
        kernels=[(3, 3) if name == "conv" else (0, 0) for name in names],
        bias=[0, 1, 0, 0, 0],
        parameters=[0, 76, 144, 0, 0],
        edges=[(0, 1), (1, 2), (1, 3), (2, 3), (3, 4)],
        name="residual",
        layers=("x", "stem", "block.conv", "block.sum", ""),
        notes=("the batch is 1",),
        trainable=200,
    )


def test_totals(residual):
    sums = totals(residual)
    assert (sums.operators, sums.edges, sums.depth) == (5, 5, 4)
    assert (sums.parameters, sums.trainable, sums.parameter_bytes) == (220, 200, 880)
    # 25 positions of 72 and 144 products; 25 positions of 2 + 4 + 4 + 4 channels.
    assert sums.multiply_adds == 25 * (72 + 144)
    assert (sums.activations, sums.activation_bytes) == (350, 1400)
    # The sum and its two operands exist at once.
    assert sums.peak_bytes == 4 * 25 * 12


def test_what_the_network_returns_lasts(residual):
    """With the first convolution as a second output, the first convolution lasts as long as the sum."""
    early = residual.replace(
        operators=[CODES[name] for name in ("input", "conv", "output", "conv", "output")],
        edges=[(0, 1), (1, 2), (1, 3), (3, 4)],
        shapes=[(5, 5, 5, 5, *pair) for pair in [(2, 2), (2, 4), (4, 4), (4, 8), (8, 8)]],
    )
    assert totals(early).peak_bytes == 4 * 25 * (4 + 8)


def test_text(residual):
    lines = totals_text(residual).splitlines()
    assert lines == [
        "5 operators, 5 edges, depth 4",
        "220 parameters (200 trainable), 880 bytes in float32",
        "5,400 multiply-adds",
        "350 activations, 1.4 KiB in float32, 1.2 KiB of them at once",
        "most multiply-adds: block.conv 66.7 %, stem 33.3 %",
        "",
        "note: the batch is 1",
    ]
    unknown = residual.replace(operators=[0 if code == CODES["add"] else code for code in residual.operators],
                               unknown=("Blend",), layers=(), trainable=None)  # fmt: skip
    text = totals_text(unknown)
    assert "\noperators without an entry in the vocabulary: 1 Blend\n" in text
    assert "trainable" not in text


def test_names_do_not_steer_a_terminal(residual):
    text = totals_text(residual.replace(layers=("x", "stem\x1b[2J\n", "", "", ""), notes=("\x1b]0;title\x07",)))
    assert "stem?[2J? 33.3 %" in text
    assert text.endswith("note: ?]0;title?")


def test_operators_lead_back_to_layers(residual, tmp_path):
    write_operators(residual, tmp_path / "all.csv")
    with (tmp_path / "all.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert rows[3]["layer"] == "block.sum"
    assert rows[3]["reads"] == "1 2"
    assert (rows[1]["operator"], rows[1]["multiply_adds"], rows[1]["kernel_height"]) == ("conv", "1800", "3")
    write_operators(residual, tmp_path / "all.json")
    written = json.loads((tmp_path / "all.json").read_text())
    assert written["operators"] == operator_rows(residual)
    assert written["totals"]["parameters"] == 220
    assert written["notes"] == ["the batch is 1"]
