"""Numbers that the form of a computation graph implies: its size, its work, its depth and its width."""

import numpy as np

from tfnas.errors import InvalidArchitectureError
from tfnas.graphs.computation_graph import ComputationGraph
from tfnas.graphs.operators import CODES, WEIGHTED

STRUCTURE = (
    "log_parameters",
    "log_multiply_adds",
    "log_nodes",
    "log_edges",
    "depth",
    "weighted_depth",
    "mean_depth",
    "mean_weighted_depth",
    "mean_path",
    "mean_weighted_path",
)
"""Names of the numbers that `structure` returns."""

_WEIGHTED_CODES = np.array([CODES[name] for name in WEIGHTED])


def structure(graph: ComputationGraph) -> np.ndarray:
    """Ten numbers about a graph as a whole.

    Depths are longest paths from a source. "Weighted" counts convolutions and matrix products only. Paths are random
    walks from the first node on that take every way out of a node with the same probability, until no way is left.

    Args:
      graph: graph of at least one operator.

    Returns:
      float32 `[10]`, the order is that of `STRUCTURE`.

    Raises:
      InvalidArchitectureError: the graph is empty.
    """
    count = graph.num_nodes
    if not count:
        raise InvalidArchitectureError(f"{graph.name}: an empty graph has no structure")
    weighted = np.isin(graph.operators, _WEIGHTED_CODES).astype(int).tolist()
    sources, targets = (column.tolist() for column in graph.edges[np.argsort(graph.edges[:, 0], kind="stable")].T)
    ways = np.bincount(graph.edges[:, 0], minlength=count).tolist()
    depth, weighted_depth = [1] * count, list(weighted)
    share = [0.0] * count
    share[0] = 1.0
    for source, target in zip(sources, targets, strict=True):  # sources ascend, so their depths are final
        if depth[target] <= depth[source]:
            depth[target] = depth[source] + 1
        if weighted_depth[target] < weighted_depth[source] + weighted[target]:
            weighted_depth[target] = weighted_depth[source] + weighted[target]
        share[target] += share[source] / ways[source]
    return np.array(
        [
            np.log1p(graph.total_parameters),
            np.log1p(graph.multiply_adds.sum()),
            np.log(count),
            np.log1p(graph.num_edges),
            max(depth),
            max(weighted_depth),
            np.mean(depth),
            np.mean(weighted_depth),
            sum(share),
            np.dot(share, weighted),
        ],
        np.float32,
    )
