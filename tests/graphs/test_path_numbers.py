"""Numbers of paths, against every path that networkx lists."""

import networkx as nx
import numpy as np

from tfnas.graphs.computation_graph import ComputationGraph
from tfnas.graphs.operators import CODES
from tfnas.graphs.packed import pack
from tfnas.graphs.path_numbers import KINDS, PathNumbers

OPERATORS = {
    "relu": ("relu", 0),
    "pointwise": ("conv", 1),
    "conv_3": ("conv", 3),
    "conv_wide": ("conv", 5),
    "depthwise_3": ("depthwise_conv", 3),
    "max_pool": ("max_pool", 3),
    "matmul": ("matmul", 0),
}


def random_graph(rng, kinds, count):
    """An input, operators that read one to three nodes before them, and an output that reads all that nothing reads."""
    names = ["input", *rng.choice(kinds, count), "output"]
    edges = set()
    for target in range(1, count + 1):
        edges |= {(int(source), target) for source in rng.integers(0, target, rng.integers(1, 4))}
    edges |= {(source, count + 1) for source in range(count + 1) if source not in {edge[0] for edge in edges}}
    pairs = [OPERATORS.get(name, (name, 0)) for name in names]
    graph = ComputationGraph(
        operators=[CODES[name] for name, _ in pairs],
        shapes=np.ones((count + 2, 6)),
        kernels=[(width, width) for _, width in pairs],
        bias=np.zeros(count + 2),
        parameters=np.zeros(count + 2),
        edges=sorted(edges),
    )
    return graph, names


def expected(graph, names, subset, kinds):
    """Count, most, fewest and mean on a path, and the most on a path without other kinds."""
    network = nx.DiGraph(graph.edges.tolist())
    paths = list(nx.all_simple_paths(network, 0, len(names) - 1))
    on_path = [sum(names[node] in subset for node in path) for path in paths]
    chances = [np.prod([1 / network.out_degree(node) for node in path[:-1]]) for path in paths]
    within = [
        count
        for count, path in zip(on_path, paths, strict=True)
        if not {names[node] for node in path} & (kinds - subset)
    ]
    total = sum(name in subset for name in names)
    return [total, max(on_path), min(on_path), np.dot(on_path, chances), max(within, default=-1)]


def check(kinds, seed, graphs):
    rng = np.random.default_rng(seed)
    drawn = [random_graph(rng, ["relu", *kinds], rng.integers(3, 9)) for _ in range(graphs)]
    packed = pack([graph for graph, _ in drawn])
    numbers = PathNumbers(packed)
    values = numbers.transform(packed).reshape(graphs, 5, -1)
    for row, (graph, names) in enumerate(drawn):
        for column, subset in enumerate(numbers.subsets):
            wanted = expected(graph, names, {KINDS[kind] for kind in subset}, set(kinds))
            np.testing.assert_allclose(values[row, :, column], wanted, rtol=1e-6)
    return numbers


def test_all_subsets_of_few_kinds():
    numbers = check(["pointwise", "conv_3", "max_pool"], seed=0, graphs=40)
    assert len(numbers.subsets) == 7


def test_some_subsets_of_many_kinds():
    """Six kinds: six alone, fifteen pairs, six times all but one, and all."""
    numbers = check([kind for kind in OPERATORS if kind != "relu"], seed=1, graphs=40)
    assert len(numbers.subsets) == 6 + 15 + 6 + 1


def test_graphs_without_varying_kinds():
    graph, _ = random_graph(np.random.default_rng(0), ["relu"], 4)
    packed = pack([graph, graph])
    assert PathNumbers(packed).transform(packed).shape == (2, 0)
