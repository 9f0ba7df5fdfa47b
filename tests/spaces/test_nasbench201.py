"""NAS-Bench-201: the benchmark's order, its strings, its fixed graph."""

import numpy as np
import pytest

from tfnas.errors import InvalidArchitectureError
from tfnas.spaces import Architecture, NASBench201
from tfnas.spaces.nasbench201 import ADJACENCY

SPACE = NASBench201()


def test_order_of_the_benchmark():
    cells = SPACE.enumerate()
    assert len(cells) == 15_625
    assert len(np.unique(SPACE.canonical_hashes(cells))) == 15_625
    known = {
        0: "|avg_pool_3x3~0|+|nor_conv_1x1~0|skip_connect~1|+|nor_conv_1x1~0|skip_connect~1|skip_connect~2|",
        9: "|avg_pool_3x3~0|+|none~0|none~1|+|skip_connect~0|none~1|nor_conv_3x3~2|",
        6111: "|nor_conv_3x3~0|+|nor_conv_3x3~0|nor_conv_3x3~1|+|skip_connect~0|nor_conv_3x3~1|nor_conv_1x1~2|",
    }
    for index, text in known.items():
        assert SPACE.to_string(SPACE.architecture(cells, index)) == text
        assert SPACE.index(SPACE.from_string(text)) == index


@pytest.mark.data
def test_every_string_of_the_benchmark(data_dir):
    table = np.load(data_dir / "nasbench201.npz")["arch"]
    cells = SPACE.enumerate()
    assert [SPACE.to_string(SPACE.architecture(cells, row)) for row in range(15_625)] == table.tolist()


def test_graph_of_arch2vecs_code():
    assert ADJACENCY.tolist() == [
        [0, 1, 1, 0, 1, 0, 0, 0],
        [0, 0, 0, 1, 0, 1, 0, 0],
        [0, 0, 0, 0, 0, 0, 1, 0],
        [0, 0, 0, 0, 0, 0, 1, 0],
        [0, 0, 0, 0, 0, 0, 0, 1],
        [0, 0, 0, 0, 0, 0, 0, 1],
        [0, 0, 0, 0, 0, 0, 0, 1],
        [0, 0, 0, 0, 0, 0, 0, 0],
    ]


@pytest.mark.parametrize(
    "text", ["", "|none~0|", "|none~0|+|none~0|none~1|+|none~0|none~1|none~3|", "|a~0|+|a~0|a~1|+|a~0|a~1|a~2|"]
)
def test_bad_strings(text):
    with pytest.raises(InvalidArchitectureError):
        SPACE.from_string(text)


def test_another_graph_is_refused():
    adjacency = ADJACENCY.copy()
    adjacency[0, 3] = 1
    operations = ("input", *["none"] * 6, "output")
    assert "edge 0 -> 3 is not part of the cell" in SPACE.validate(Architecture(operations, adjacency))
