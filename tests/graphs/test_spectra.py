"""Spectra against networkx and SciPy."""

import networkx as nx
import numpy as np
import pytest
import threadpoolctl

from tests.graphs.isomorphism import to_networkx
from tfnas.graphs import spectra
from tfnas.networks import symbolic
from tfnas.spaces import get_space


def some_graphs(rng):
    graphs = []
    for name in ("nasbench201", "nats_size", "nasbench301"):
        space = get_space(name)
        cells = space.sample(3, rng)
        graphs += [symbolic.build(space, space.architecture(cells, row)) for row in range(3)]
    return graphs


@pytest.mark.parametrize("dense_limit", [10**6, 0])
def test_equals_networkx(rng, monkeypatch, dense_limit):
    """Both solvers, on networks of 80 to 500 operators."""
    monkeypatch.setattr(spectra, "DENSE_LIMIT", dense_limit)
    graphs = some_graphs(rng)
    found = spectra.spectra(graphs)
    for graph, values in zip(graphs, found, strict=True):
        laplacian = nx.normalized_laplacian_matrix(to_networkx(graph).to_undirected()).toarray()
        np.testing.assert_allclose(values, np.linalg.eigvalsh(laplacian)[:11], atol=1e-9)
    with threadpoolctl.threadpool_limits(1):
        alone = [spectra.smallest_eigenvalues(graph.edges, graph.num_nodes, 11) for graph in graphs]
    np.testing.assert_array_equal(found, alone)


def test_known_spectra():
    """A complete graph of n nodes has 0 and n / (n - 1), a path of three nodes 0, 1, 2; 2 pads."""
    complete = np.array([(i, j) for j in range(5) for i in range(j)])
    np.testing.assert_allclose(spectra.smallest_eigenvalues(complete, 5, 6), [0, *[1.25] * 4, 2], atol=1e-12)
    np.testing.assert_allclose(spectra.smallest_eigenvalues([(0, 1), (1, 2)], 3, 3), [0, 1, 2], atol=1e-12)
    np.testing.assert_array_equal(spectra.smallest_eigenvalues([], 0, 3), [2, 2, 2])


def test_directions_repetitions_and_isolated_nodes():
    """Edges count once in either direction; every part and every isolated node adds an eigenvalue of 0."""
    edges = [(0, 1), (1, 0), (0, 1), (2, 2), (3, 4)]
    values = spectra.smallest_eigenvalues(edges, 6, 6)
    np.testing.assert_allclose(values, [0, 0, 0, 0, 2, 2], atol=1e-12)
