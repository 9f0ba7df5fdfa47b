"""Spectra of graphs: the smallest eigenvalues of the normalised Laplacian.

References:
  Han et al. 2023, "A General-Purpose Transferable Predictor for Neural Architecture Search", section 3.3.
"""

from collections.abc import Sequence
from typing import Protocol

import joblib
import numpy as np
import scipy.linalg
import scipy.sparse
import scipy.sparse.linalg
import threadpoolctl

NUM_EIGENVALUES = 11
DENSE_LIMIT = 400
"""Graphs with more nodes are solved by Lanczos iterations on the sparse matrix."""
PADDING = 2.0
"""Value of the eigenvalues that a small graph lacks: no eigenvalue is larger."""


class HasEdges(Protocol):
    """A graph of `num_nodes` nodes and `edges` `[E, 2]`."""

    @property
    def num_nodes(self) -> int: ...

    @property
    def edges(self) -> np.ndarray: ...


def normalized_laplacian(edges: np.ndarray, num_nodes: int) -> scipy.sparse.csr_array:
    """I - D^(-1/2) A D^(-1/2) of the undirected graph under directed edges.

    Args:
      edges: int `[E, 2]`; direction, repetition and loops are ignored.
      num_nodes: V.

    Returns:
      float64 `[V, V]`; rows of isolated nodes are zero.
    """
    ends = np.sort(np.asarray(edges, np.int64).reshape(-1, 2), axis=1)
    ends = np.unique(ends[ends[:, 0] < ends[:, 1]], axis=0)
    rows, columns = np.concatenate([ends, ends[:, ::-1]]).T
    degrees = np.bincount(rows, minlength=num_nodes)
    values = -1.0 / np.sqrt(degrees[rows] * degrees[columns])
    diagonal = np.flatnonzero(degrees)
    return scipy.sparse.csr_array(
        (
            np.concatenate([values, np.ones(len(diagonal))]),
            (np.concatenate([rows, diagonal]), np.concatenate([columns, diagonal])),
        ),
        shape=(num_nodes, num_nodes),
    )


def smallest_eigenvalues(edges: np.ndarray, num_nodes: int, k: int) -> np.ndarray:
    """The k smallest eigenvalues of the normalised Laplacian, ascending, the zero included.

    Args:
      edges: int `[E, 2]`.
      num_nodes: V.
      k: number of eigenvalues; a graph with fewer nodes is filled up with `PADDING`.

    Returns:
      float64 `[k]`.

    Example:
      >>> smallest_eigenvalues([(0, 1), (1, 2)], 3, 3).round(6).tolist()
      [0.0, 1.0, 2.0]
    """
    count = min(k, num_nodes)
    spectrum = np.full(k, PADDING)
    if not count:
        return spectrum
    laplacian = normalized_laplacian(edges, num_nodes)
    if num_nodes <= max(DENSE_LIMIT, 2 * k):
        values = scipy.linalg.eigh(
            laplacian.toarray(), eigvals_only=True, subset_by_index=(0, count - 1), check_finite=False
        )
    else:
        # The eigenvalues next to a number just below 0, by inversion; a fixed start makes them reproducible.
        start = np.random.default_rng(0).standard_normal(num_nodes)
        values = scipy.sparse.linalg.eigsh(laplacian.tocsc(), count, sigma=-1e-2, v0=start, return_eigenvectors=False)
    spectrum[:count] = np.clip(np.sort(values), 0.0, 2.0)
    return spectrum


def spectra(graphs: Sequence[HasEdges]) -> np.ndarray:
    """The eleven smallest eigenvalues of many graphs, by all processors.

    Args:
      graphs: N graphs.

    Returns:
      float64 `[N, 11]`.
    """
    chunks = [graphs[start : start + 256] for start in range(0, len(graphs), 256)]

    def solve(chunk: Sequence[HasEdges]) -> np.ndarray:
        return np.stack([smallest_eigenvalues(graph.edges, graph.num_nodes, NUM_EIGENVALUES) for graph in chunk])

    # A solver on several threads would round as their number has it.
    with threadpoolctl.threadpool_limits(1):
        solved = joblib.Parallel(n_jobs=-1, prefer="threads")(joblib.delayed(solve)(chunk) for chunk in chunks)
    return np.concatenate(solved) if solved else np.zeros((0, NUM_EIGENVALUES))
