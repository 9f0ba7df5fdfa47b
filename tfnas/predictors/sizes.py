"""What the sizes of networks alone say about them: a score without labels, and networks that can't work.

References:
  White et al. 2022, "A Deeper Look at Zero-Cost Proxies for Lightweight NAS", for multiply-adds as a baseline.
"""

from collections.abc import Sequence

import networkx as nx
import numpy as np

from tfnas.graphs.computation_graph import ComputationGraph
from tfnas.graphs.operators import CODES, INPUT, OUTPUT, WEIGHTED

ACTIVATIONS = (
    *(
        "relu",
        "relu6",
        "sigmoid",
        "tanh",
        "swish",
        "gelu",
        "leaky_relu",
        "prelu",
        "elu",
        "selu",
        "softplus",
        "softsign",
    ),
)
"""Operators that count as activation functions."""

_NONLINEARITIES = (
    *ACTIVATIONS,
    *("max_pool", "max", "maximum", "minimum", "clip", "softmax", "abs", "square", "exp", "lstm", "gru", "rnn"),
)
_TINY = 1e-9


def activation_count(graph: ComputationGraph) -> int:
    """The number of activation functions of a network."""
    return int(np.isin(graph.operators, [CODES[name] for name in ACTIVATIONS]).sum())


def size_scores(graphs: Sequence[ComputationGraph]) -> np.ndarray:
    """Scores of networks of one kind without labels: z(log multiply-adds) + z(activation functions).

    z brings a number to mean 0 and deviation 1 over the graphs; a number that does not vary is 0.

    Args:
      graphs: N graphs.

    Returns:
      float64 `[N]`.

    Example:
      >>> from tfnas.networks import symbolic
      >>> from tfnas.spaces import get_space
      >>> space = get_space("nats_size")
      >>> cells = space.sample(3, 0)
      >>> graphs = [symbolic.build(space, space.architecture(cells, row)) for row in range(3)]
      >>> np.argsort(size_scores(graphs)).tolist() == np.argsort([g.multiply_adds.sum() for g in graphs]).tolist()
      True
    """
    if not graphs:
        return np.zeros(0)
    numbers = np.array([[np.log1p(graph.multiply_adds.sum()), activation_count(graph)] for graph in graphs], np.float64)
    spread = numbers.std(axis=0)
    return ((numbers - numbers.mean(axis=0)) / np.where(spread > _TINY, spread, np.inf)).sum(axis=1)


def fault(graph: ComputationGraph) -> str:
    """Why a network can't be good whatever its training, "" for most networks.

    Example:
      >>> from tfnas.graphs.computation_graph import smallest_graph
      >>> fault(smallest_graph())
      'no operator with weights'
    """
    weighted = np.isin(graph.operators, [CODES[name] for name in (*WEIGHTED, "lstm", "gru", "rnn")])
    if not weighted.any():
        return "no operator with weights"
    if not np.isin(graph.operators, [CODES[name] for name in _NONLINEARITIES]).any():
        return "no nonlinearity"
    node = _bottleneck(graph, np.flatnonzero(weighted)[-1])
    if node is None:
        return ""
    layer = f" at {graph.layers[node]}" if graph.layers else ""
    return f"all data pass a single channel{layer}"


def _bottleneck(graph: ComputationGraph, last: int) -> int | None:
    """The first operator before the last one with weights that every path passes and that returns a single channel."""
    narrow = (graph.shapes[:, 5] == 1) & (graph.shapes[:, 4] > 1)
    if not narrow[:last].any():
        return None
    network = nx.DiGraph(graph.edges.tolist())
    start, end = graph.num_nodes, graph.num_nodes + 1
    network.add_edges_from((start, int(node)) for node in np.flatnonzero(graph.operators == CODES[INPUT]))
    network.add_edges_from((int(node), end) for node in np.flatnonzero(graph.operators == CODES[OUTPUT]))
    dominator = nx.immediate_dominators(network, start)
    passed, node = [], end
    while node != start:
        node = dominator[node]
        passed.append(node)
    return min((node for node in passed if node < last and narrow[node]), default=None)
