"""Exact processes over a table of points against scikit-learn's process."""

import numpy as np
import pytest
from scipy.spatial.distance import cdist
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import Matern

from tfnas.errors import ConfigurationError
from tfnas.predictors import exact_gp
from tfnas.predictors.exact_gp import GrowingProcess, MaternProcess

RNG = np.random.default_rng(0)
POINTS = RNG.normal(size=(60, 3)).astype(np.float32)


def test_process_equals_scikit_learn():
    observed = RNG.permutation(60)[:25]
    targets = RNG.normal(size=25)
    process = GrowingProcess(POINTS, 1.3, 0.05)
    for point, target in zip(observed.tolist(), targets.tolist(), strict=True):
        process.observe(point, target)
    oracle = GaussianProcessRegressor(Matern(1.3, nu=2.5), alpha=0.05, optimizer=None)
    oracle.fit(POINTS[observed], (targets - 0.3) / 1.7)
    expected_mean, expected_deviation = oracle.predict(POINTS, return_std=True)
    mean, variance = process.predict(np.arange(60), 0.3, 1.7)
    np.testing.assert_allclose(mean, expected_mean, atol=1e-4)
    np.testing.assert_allclose(variance, expected_deviation**2, atol=1e-4)


def test_growing_fits_equal_a_single_fit():
    rows = np.stack([RNG.permutation(60)[:45] for _ in range(2)])
    targets = np.sin(POINTS[rows, 0]) + 3.0
    grown = MaternProcess(POINTS, 2)
    for count in (10, 11, 25, 45):
        grown.fit(rows[:, :count], targets[:, :count])
    whole = MaternProcess(POINTS, 2).fit(rows, targets)
    for run in range(2):
        for grown_values, values in zip(
            grown.predict(np.arange(60), run), whole.predict(np.arange(60), run), strict=True
        ):
            np.testing.assert_array_equal(grown_values, values)
        mean, _ = whole.predict(np.arange(60), run)
        assert np.corrcoef(mean, np.sin(POINTS[:, 0]))[0, 1] > 0.9


def test_rows_of_distances_equal_the_matrix_of_all():
    """Products of matrices in single precision, which need memory for all pairs, agree within their rounding."""
    points = POINTS - POINTS.mean(axis=0)
    squares = (points**2).sum(axis=1)
    distances = np.sqrt(np.maximum(squares[:, None] + squares[None] - 2 * points @ points.T, 0))
    assert exact_gp.median_distance(POINTS) == pytest.approx(float(np.median(distances)), rel=1e-5)
    process = GrowingProcess(POINTS, 1.3, 0.05)
    process.observe(7, 1.0)
    mean, _ = process.predict(np.arange(60), 0.0, 1.0)
    np.testing.assert_allclose(mean, exact_gp.matern(distances[7] / 1.3) / 1.05, atol=1e-5)


def test_the_median_of_many_points_comes_from_some():
    points = RNG.normal(size=(9000, 2))
    assert exact_gp.median_distance(points) == exact_gp.median_distance(points[::5])
    for count in (1, 2, 3, 4, 61):
        matrix = cdist(points[:count], points[:count]).astype(np.float32)
        assert exact_gp.median_distance(points[:count]) == np.median(matrix)
    assert exact_gp.median_distance(points) == pytest.approx(exact_gp.median_distance(points[1::5]), rel=0.05)


def test_refusals():
    with pytest.raises(ConfigurationError, match="without NaN"):
        MaternProcess(np.full((3, 2), np.nan), 1)
