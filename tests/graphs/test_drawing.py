"""Drawings of computation graphs."""

import itertools
import pathlib

import matplotlib.pyplot as plt
import numpy as np
import pytest
from hypothesis import given, settings

from tests.graphs.test_computation_graph import graph, graphs
from tests.reports import geometry
from tfnas.errors import ConfigurationError
from tfnas.graphs import drawing
from tfnas.graphs.drawing import Boxes, draw_computation_graph
from tfnas.networks import symbolic
from tfnas.spaces import NASBench201, get_space

TIMES = "\u00d7"


def check(network, monkeypatch, tmp_path):
    """The geometry of the figure that is drawn, with a line per edge between two boxes."""
    figures = []
    monkeypatch.setattr(drawing, "save_figure", lambda figure, path: figures.append(figure))
    draw_computation_graph(network, tmp_path / "network.png")
    geometry.check(figures[0].axes[0], Boxes(network).edges)
    plt.close(figures[0])


@pytest.mark.parametrize(("name", "count"), [("nasbench101", 2), ("nasbench201", 3), ("mobilenetv3", 1)])
def test_edges_of_networks_can_be_seen(name, count, rng, monkeypatch, tmp_path, small_nasbench101):
    space = small_nasbench101 if name == "nasbench101" else get_space(name)
    cells = space.sample(count, rng)
    for row in range(count):
        check(symbolic.build(space, space.architecture(cells, row), name="x"), monkeypatch, tmp_path)


@settings(deadline=None, max_examples=25, derandomize=True)
@given(graphs())
def test_edges_of_any_graph_can_be_seen(network):
    with pytest.MonkeyPatch.context() as monkeypatch:
        check(network, monkeypatch, pathlib.Path("unused"))


def test_every_edge_is_drawn_once(rng):
    """Edges between boxes are those of the graph, up to repetitions."""
    space = NASBench201()
    network = symbolic.build(space, space.architecture(space.sample(1, rng), 0), name="x")
    boxes = Boxes(network)
    assert len(boxes.texts) < network.num_nodes / 2
    assert len(boxes.edges) == len(set(boxes.edges))
    names = [text.split("\n")[0] for text in boxes.texts]
    assert names.count("add") == sum(name == "add" for name in network.operator_names) - sum(
        (repeats - 1) * sum(names[item] == "add" for item in items) for items, repeats in boxes.frames
    )


def test_repeated_cells_are_drawn_once(tmp_path):
    cell = NASBench201().from_string("|nor_conv_3x3~0|+|nor_conv_1x1~0|skip_connect~1|+|none~0|none~1|avg_pool_3x3~2|")
    network = symbolic.build(NASBench201(), cell, name="mine")
    draw_computation_graph(network, tmp_path / "net.png")
    text = (tmp_path / "net.svg").read_text()
    assert text.count(f"<!-- {TIMES} 5 -->") == 3
    assert f"<!-- mine: {network.num_nodes} operators" in text
    assert text.count(f"<!-- conv 3{TIMES}3 -->") < network.counts()["conv"] / 3
    assert (tmp_path / "net.png").stat().st_size > 10_000
    draw_computation_graph(network, tmp_path / "again.png")
    assert (tmp_path / "again.svg").read_bytes() == (tmp_path / "net.svg").read_bytes()


def test_large_blocks_are_counted(tmp_path):
    """A hundred parallel convolutions have no operator that all data passes in between."""
    names = ["input", *["conv"] * 100, "odd operator", "output"]
    edges = [(0, i) for i in range(1, 101)] + [(i, 101) for i in range(1, 101)] + [(101, 102)]
    draw_computation_graph(graph(names, edges), tmp_path / "wide.png")
    text = (tmp_path / "wide.svg").read_text()
    assert "101 operators" in text
    draw_computation_graph(graph((), [], parameters=np.zeros(0)), tmp_path / "empty.png", title="nothing")
    assert "<!-- nothing -->" in (tmp_path / "empty.svg").read_text()


def test_a_picture_that_nobody_could_read(tmp_path):
    names = ["input", *(f"operator {number}" for number in range(drawing.MOST_BOXES)), "output"]
    chain = graph(names, list(itertools.pairwise(range(len(names)))))
    with pytest.raises(ConfigurationError, match=r"can't be read, expected at most 2,000; a page \(--page\)"):
        draw_computation_graph(chain, tmp_path / "long.png")
    assert not any(tmp_path.iterdir())
