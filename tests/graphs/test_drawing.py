"""Drawings of computation graphs."""

import numpy as np

from tests.graphs.test_computation_graph import graph
from tfnas.graphs.drawing import draw_computation_graph
from tfnas.networks import symbolic
from tfnas.spaces import NASBench201


def test_repeated_cells_are_drawn_once(tmp_path):
    cell = NASBench201().from_string("|nor_conv_3x3~0|+|nor_conv_1x1~0|skip_connect~1|+|none~0|none~1|avg_pool_3x3~2|")
    network = symbolic.build(NASBench201(), cell, name="mine")
    draw_computation_graph(network, tmp_path / "net.png")
    text = (tmp_path / "net.svg").read_text()
    assert text.count("<!-- x 5 -->") == 3
    assert f"<!-- mine: {network.num_nodes} operators" in text
    assert text.count("<!-- conv 3x3 -->") < network.counts()["conv"] / 3
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
