"""Activation functions of networks, and networks that can't work whatever their training."""

from collections.abc import Iterable

import networkx as nx
import numpy as np

from tfnas.graphs.computation_graph import ComputationGraph
from tfnas.graphs.operators import ACTIVATIONS, CODES, INPUT, OUTPUT, RECURRENT, WEIGHTED

_NONLINEARITIES = (
    *(*ACTIVATIONS, *RECURRENT, "unknown", "max_pool", "max", "min", "maximum", "minimum", "clip", "softmax", "abs"),
    *("log_softmax", "square", "pow", "sqrt", "rsqrt", "exp", "log", "erf", "sin", "cos", "sign", "floor", "mod"),
    *("layer_norm", "rms_norm", "group_norm", "l2_norm", "lrn", "variance", "prod", "embedding", "one_hot"),
    *("argmax", "top_k", "sort", "compare", "logical", "select", "grid_sample", "non_max_suppression"),
)
_PRODUCTS = ("mul", "div", "matmul")  # of two values that depend on data, no linear function


def activation_count(graph: ComputationGraph) -> int:
    """The number of activation functions of a network."""
    return int(np.isin(graph.operators, [CODES[name] for name in ACTIVATIONS]).sum())


def fault(graph: ComputationGraph) -> str:
    """Why a network can't be good whatever its training, "" for most networks.

    A nonlinearity counts if an operator with weights follows: a network that is linear up to its last softmax has no
    nonlinearity. All data pass a single channel where every path leads through an operator that returns one channel of
    several, and later operators with weights read one channel and return several; the pixels of a grey image do not
    count.

    Example:
      >>> from tfnas.graphs.computation_graph import smallest_graph
      >>> fault(smallest_graph())
      'no operator with weights'
    """
    weighted = _is(graph, (*WEIGHTED, *RECURRENT))
    if not weighted.any():
        return "no operator with weights"
    if not (_nonlinear(graph) & (_before(graph, weighted) | _is(graph, RECURRENT))).any():
        return "no nonlinearity"
    node = _bottleneck(graph, weighted)
    if node is None:
        return ""
    layer = f" at {graph.layers[node]}" if graph.layers else ""
    return f"all data pass a single channel{layer}"


def _is(graph: ComputationGraph, names: Iterable[str]) -> np.ndarray:
    return np.isin(graph.operators, [CODES[name] for name in names])


def _nonlinear(graph: ComputationGraph) -> np.ndarray:
    heard = np.bincount(graph.edges[:, 1], minlength=graph.num_nodes)
    return _is(graph, _NONLINEARITIES) | (_is(graph, _PRODUCTS) & (heard > 1))


def _before(graph: ComputationGraph, marked: np.ndarray) -> np.ndarray:
    """Whether a path leads from a node to a marked node behind it."""
    leads = np.zeros(graph.num_nodes, bool)
    for source, target in graph.edges[np.argsort(-graph.edges[:, 0], kind="stable")].tolist():
        leads[source] |= leads[target] | marked[target]
    return leads


def _bottleneck(graph: ComputationGraph, weighted: np.ndarray) -> int | None:
    """The first operator that all data pass as a single channel; see `fault`."""
    narrow = (graph.shapes[:, 5] == 1) & (graph.shapes[:, 4] > 1)
    filters = weighted & (graph.kernels.prod(axis=1) > 1)
    narrow &= (np.cumsum(weighted) - weighted > 0) | filters  # an image that is only made grey keeps its pixels
    if not narrow.any():
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
    return min(
        (node for node in passed if node < start and narrow[node] and _widened(graph, weighted, node)), default=None
    )


def _widened(graph: ComputationGraph, weighted: np.ndarray, node: int) -> bool:
    """Whether operators with weights make several channels of the single channel that a node returns."""
    single = np.zeros(graph.num_nodes, bool)
    single[node] = True
    widens = weighted & (graph.shapes[:, 4] == 1) & (graph.shapes[:, 5] > 1)
    for source, target in graph.edges[np.argsort(graph.edges[:, 0], kind="stable")].tolist():
        if single[source] and widens[target]:
            return True
        single[target] |= single[source] and graph.shapes[target, 5] == 1
    return False
