"""Spectra of graphs: the smallest eigenvalues of the normalised Laplacian, and distances between them.

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
import scipy.spatial.distance
import threadpoolctl

NUM_EIGENVALUES = 11
DENSE_LIMIT = 400
"""Graphs with more nodes are solved by Lanczos iterations on the sparse matrix."""
PADDING = 2.0
"""What stands for the eigenvalues that a small graph lacks: no eigenvalue is larger."""


class HasEdges(Protocol):
    """What a spectrum is of: `num_nodes`, and `edges` `[E, 2]`."""

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


def smallest_eigenvalues(edges: np.ndarray, num_nodes: int, k: int = NUM_EIGENVALUES) -> np.ndarray:
    """The k smallest eigenvalues of the normalised Laplacian, ascending, the zero included.

    Args:
      edges: int `[E, 2]`.
      num_nodes: V.
      k: how many; a graph with fewer nodes is filled up with `PADDING`.

    Returns:
      float64 `[k]`.
    """
    found = min(k, num_nodes)
    spectrum = np.full(k, PADDING)
    if not found:
        return spectrum
    laplacian = normalized_laplacian(edges, num_nodes)
    if num_nodes <= max(DENSE_LIMIT, 2 * k):
        values = scipy.linalg.eigh(
            laplacian.toarray(), eigvals_only=True, subset_by_index=(0, found - 1), check_finite=False
        )
    else:
        # The eigenvalues next to a number just below 0, by inversion; a fixed start makes them reproducible.
        start = np.random.default_rng(0).standard_normal(num_nodes)
        values = scipy.sparse.linalg.eigsh(laplacian.tocsc(), found, sigma=-1e-2, v0=start, return_eigenvectors=False)
    spectrum[:found] = np.clip(np.sort(values), 0.0, 2.0)
    return spectrum


def spectra(graphs: Sequence[HasEdges], k: int = NUM_EIGENVALUES, *, num_workers: int = -1) -> np.ndarray:
    """The smallest eigenvalues of many graphs.

    Args:
      graphs: N graphs.
      k: how many of each.
      num_workers: threads, -1 for one per processor; the result does not depend on it.

    Returns:
      float64 `[N, k]`.
    """
    chunks = [graphs[start : start + 256] for start in range(0, len(graphs), 256)]

    def solve(chunk: Sequence[HasEdges]) -> np.ndarray:
        return np.stack([smallest_eigenvalues(graph.edges, graph.num_nodes, k) for graph in chunk])

    with threadpoolctl.threadpool_limits(1):
        parts = joblib.Parallel(n_jobs=num_workers, prefer="threads")(joblib.delayed(solve)(chunk) for chunk in chunks)
    return np.concatenate(parts) if parts else np.zeros((0, k))


def spectral_distances(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Euclidean distances between spectra.

    Args:
      first: `[N, k]`.
      second: `[M, k]`.

    Returns:
      float64 `[N, M]`.
    """
    return scipy.spatial.distance.cdist(first, second)
