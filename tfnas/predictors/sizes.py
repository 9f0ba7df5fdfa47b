"""What the sizes of networks alone say about them: a score without labels, and networks that can't work.

References:
  White et al. 2022, "A Deeper Look at Zero-Cost Proxies for Lightweight NAS", for multiply-adds as a baseline.
"""

from collections.abc import Iterable, Sequence

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
