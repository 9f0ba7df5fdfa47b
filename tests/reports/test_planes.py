"""The plane of maps, beside scikit-learn."""

import numpy as np
import pytest
from sklearn.decomposition import PCA

from tfnas.reports.planes import PrincipalPlane


@pytest.mark.parametrize("shape", [(30, 8), (8, 30), (2, 2)])
def test_the_plane_is_that_of_scikit_learn(shape, rng):
    vectors = rng.normal(size=shape).astype(np.float32)
    plane = PrincipalPlane(vectors)
    expected = PCA(2, svd_solver="full").fit(vectors.astype(np.float64))
    others = rng.normal(size=(5, shape[1]))
    for values in (vectors, others) if min(shape) > 2 else (vectors,):
        np.testing.assert_allclose(plane.points(values), expected.transform(values), atol=1e-6)


def test_equal_vectors_are_one_point():
    points = PrincipalPlane(np.ones((4, 3))).points(np.ones((4, 3)))
    np.testing.assert_array_equal(points, np.zeros((4, 2)))


@pytest.mark.parametrize("shape", [(1, 3), (3, 1), (1, 1)])
def test_a_single_vector_or_number_has_a_plane_too(shape):
    vectors = np.arange(shape[0] * shape[1], dtype=float).reshape(shape)
    points = PrincipalPlane(vectors).points(vectors)
    assert points.shape == (shape[0], 2)
    assert not points[:, 1].any()
    np.testing.assert_allclose(abs(points[:, 0]), abs(vectors - vectors.mean(axis=0))[:, 0], atol=1e-12)
