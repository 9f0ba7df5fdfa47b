"""Similarity of computation graphs, as distances between short vectors, and the nearest graphs of each graph.

References:
  Han et al. 2023, section 4.2 (spectra of the Laplacian).
"""

import numpy as np
import scipy.spatial

from tfnas.errors import ConfigurationError
from tfnas.graphs import spectra
from tfnas.graphs.packed import PackedGraphs

_SAMPLE = 2000


class _Topology:
    def __init__(self, num_nodes: int, edges: np.ndarray):
        self.num_nodes, self.edges = num_nodes, edges


def graph_spectra(graphs: PackedGraphs) -> np.ndarray:
    """The eleven smallest eigenvalues of every graph's Laplacian, float32 `[N, 11]`.

    Graphs that differ only in their operators share one solution.
    """
    number_of: dict[bytes, int] = {}
    distinct, inverse = [], np.empty(len(graphs), np.int64)
    for row, size in enumerate(graphs.num_nodes.tolist()):
        edges = graphs.graph_edges(row)
        key = size.to_bytes(8, "little") + edges.tobytes()
        if key not in number_of:
            number_of[key] = len(distinct)
            distinct.append(_Topology(size, edges))
        inverse[row] = number_of[key]
    return spectra.spectra(distinct)[inverse].astype(np.float32)


def operator_shares(graphs: PackedGraphs) -> np.ndarray:
    """Square roots of the shares of each operator, by kernel height, in a graph, float32 `[N, kinds]`.

    The distance of two rows is the Hellinger distance, but for a constant.
    """
    kinds, kind = np.unique(graphs.features[:, [0, 7]], axis=0, return_inverse=True)
    owner = np.repeat(np.arange(len(graphs)), graphs.num_nodes)
    counts = np.bincount(owner * len(kinds) + kind.ravel()[graphs.codes], minlength=len(graphs) * len(kinds))
    return np.sqrt(counts.reshape(len(graphs), -1) / graphs.num_nodes[:, None]).astype(np.float32)


def descriptors(graphs: PackedGraphs, kind: str, eigenvalues: np.ndarray | None = None) -> np.ndarray:
    """Vectors whose distances measure how alike graphs are.

    Args:
      graphs: N graphs.
      kind: `spectrum`, or `operators` for spectrum and operator shares side by side, each scaled so that two random
        graphs of a family have a distance of 1 in the mean.
      eigenvalues: result of `graph_spectra`; computed by default.

    Returns:
      float32 `[N, K]`.
    """
    if eigenvalues is None:
        eigenvalues = graph_spectra(graphs)
    if kind == "spectrum":
        return eigenvalues
    rng = np.random.default_rng(0)
    rows = rng.integers(len(graphs), size=_SAMPLE)
    members = [np.flatnonzero(graphs.family == family) for family in range(len(graphs.families))]
    relatives = np.array([rng.choice(members[graphs.family[row]]) for row in rows])
    blocks = []
    for block in (eigenvalues, operator_shares(graphs)):
        scale = np.linalg.norm(block[rows] - block[relatives], axis=1).mean()
        blocks.append(block / (scale if scale > 0 else 1.0))
    return np.concatenate(blocks, axis=1).astype(np.float32)


def nearest(points: np.ndarray, graphs: PackedGraphs, count: int) -> np.ndarray:
    """The most similar graphs of the same family.

    Args:
      points: float `[N, K]`, result of `descriptors`.
      graphs: N graphs.
      count: number of neighbours of each graph.

    Returns:
      int32 `[N, count]`, never a graph itself.

    Raises:
      ConfigurationError: a family has no more than `count` graphs.
    """
    result = np.empty((len(graphs), count), np.int32)
    for number, family in enumerate(graphs.families):
        rows = np.flatnonzero(graphs.family == number)
        if len(rows) <= count:
            raise ConfigurationError(f"family {family!r} has {len(rows)} graphs, expected at least {count + 1}")
        _, matches = scipy.spatial.cKDTree(points[rows]).query(points[rows], count + 1, workers=-1)
        # Of several graphs at distance 0 the tree may list the graph itself anywhere, or not at all.
        itself = matches == np.arange(len(rows))[:, None]
        itself[~itself.any(axis=1), -1] = True
        result[rows] = rows[matches[~itself].reshape(len(rows), count)]
    return result
