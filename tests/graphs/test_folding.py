"""Blocks and their repetitions."""

import itertools

import networkx as nx
import numpy as np
import pytest

from tests.graphs.isomorphism import to_networkx
from tests.graphs.test_computation_graph import graph
from tfnas.graphs import folding
from tfnas.networks import symbolic
from tfnas.spaces import NASBench201, get_space


def test_blocks_end_where_all_paths_meet(rng):
    """Against networkx: a node that every path passes dominates the end."""
    for name in ("nasbench201", "mobilenetv3", "darts"):
        space = get_space(name)
        network = symbolic.build(space, space.architecture(space.sample(1, rng), 0))
        dominators = nx.immediate_dominators(to_networkx(network), 0)
        cuts, node = [], network.num_nodes - 1
        while node:
            cuts.append(node)
            node = dominators[node]
        assert [block[-1] for block in folding.blocks(network)] == [0, *cuts[::-1]]
        assert list(itertools.chain(*folding.blocks(network))) == list(range(network.num_nodes))


def test_cells_repeat_five_times():
    cell = NASBench201().from_string("|nor_conv_3x3~0|+|none~0|skip_connect~1|+|skip_connect~0|none~1|avg_pool_3x3~2|")
    groups = folding.fold(symbolic.build(get_space("nasbench201"), cell))
    assert sorted(group.repeats for group in groups)[-3:] == [5, 5, 5]
    folded = sum(len(block) * group.repeats for group in groups for block in group.blocks)
    assert folded == symbolic.build(get_space("nasbench201"), cell).num_nodes


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["input", "relu", "relu", "relu", "output"], [(1, 1), (1, 3), (1, 1)]),
        (["input", "conv", "relu", "conv", "relu", "output"], [(1, 1), (2, 2), (1, 1)]),
        (["input", "conv", "relu", "tanh", "output"], [(1, 1)] * 5),
    ],
)
def test_chains(names, expected):
    chain = graph(names, list(itertools.pairwise(range(len(names)))))
    assert [(len(group.blocks), group.repeats) for group in folding.fold(chain)] == expected


def plain(names):
    """Periods and repetitions as a search without hashes has them."""
    folded, start = [], 0
    while start < len(names):
        best = (1, 1)
        for period in range(1, (len(names) - start) // 2 + 1):
            repeats = 1
            while names[start + repeats * period :][:period] == names[start:][:period]:
                repeats += 1
            if repeats > 1 and period * repeats > best[0] * best[1]:
                best = (period, repeats)
        folded.append(best)
        start += best[0] * best[1]
    return folded


def test_random_chains():
    rng = np.random.default_rng(0)
    for _ in range(40):
        body, tail = (rng.choice(["conv", "relu", "tanh"], size).tolist() for size in rng.integers(1, 9, 2))
        names = ["input", *body * rng.integers(1, 5), *tail * rng.integers(1, 4), "output"]
        chain = graph(names, list(itertools.pairwise(range(len(names)))))
        assert [(len(group.blocks), group.repeats) for group in folding.fold(chain)] == plain(names)


def test_two_inputs_are_one_block():
    assert folding.blocks(graph(("input", "input", "add"), [(0, 2), (1, 2)])) == [(0, 1, 2)]
    assert folding.fold(graph((), [], parameters=np.zeros(0))) == []
