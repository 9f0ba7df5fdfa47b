"""DNGO: the regression against scikit-learn, the whole against a function it must learn."""

import numpy as np
import pytest
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import DotProduct

from tfnas.errors import ConfigurationError
from tfnas.predictors.dngo import DNGO


def test_regression_equals_the_gaussian_process_with_its_kernel(rng):
    """With precisions alpha and beta, Bayesian linear regression is a GP with the kernel phi(x) phi(y) / alpha."""
    inputs, targets = rng.normal(size=(40, 3)), rng.normal(size=40)
    model = DNGO(units=8, epochs=5).fit(inputs, targets)
    features = model._features(inputs)
    scaled = (targets - targets.mean()) / targets.std()
    precision = model._cholesky @ model._cholesky.T
    alpha = np.linalg.eigvalsh(precision - model._noise_precision * features.T @ features).mean()
    kernel = DotProduct(0.0, "fixed")
    process = GaussianProcessRegressor(kernel, alpha=alpha / model._noise_precision, optimizer=None)
    process.fit(features, scaled)
    points = rng.normal(size=(10, 3))
    mean, stddev = process.predict(model._features(points), return_std=True)
    ours_mean, ours_stddev = model.predict(points)
    np.testing.assert_allclose(ours_mean, mean * targets.std() + targets.mean(), rtol=1e-5)
    variance = stddev**2 / alpha + 1 / model._noise_precision
    np.testing.assert_allclose(ours_stddev, np.sqrt(variance) * targets.std(), rtol=1e-5)


def test_learns_a_smooth_function_and_knows_its_noise(rng):
    inputs = rng.uniform(-2, 2, (300, 2))
    truth = np.sin(inputs[:, 0]) + 0.5 * inputs[:, 1]
    model = DNGO().fit(inputs, truth + rng.normal(0, 0.1, 300))
    points = rng.uniform(-1.8, 1.8, (500, 2))
    mean, stddev = model.predict(points)
    expected = np.sin(points[:, 0]) + 0.5 * points[:, 1]
    assert np.sqrt(np.mean((mean - expected) ** 2)) < 0.08
    assert 0.06 < np.median(stddev) < 0.2
    assert model.predict(np.array([[30.0, -30.0]]))[1] > np.median(stddev)


def test_same_seed_same_fit(rng):
    inputs, targets = rng.normal(size=(20, 3)), rng.normal(size=20)
    first, second = (DNGO(seed=4, epochs=3).fit(inputs, targets).predict(inputs) for _ in range(2))
    np.testing.assert_array_equal(first, second)
    assert (DNGO(seed=5, epochs=3).fit(inputs, targets).predict(inputs)[0] != first[0]).any()


def test_constant_targets_stay_finite(rng):
    mean, stddev = DNGO(epochs=3).fit(rng.normal(size=(12, 2)), np.full(12, 0.7)).predict(rng.normal(size=(5, 2)))
    np.testing.assert_allclose(mean, 0.7, atol=0.05)
    assert np.isfinite(stddev).all()


@pytest.mark.parametrize(
    ("inputs", "targets"),
    [(np.ones((1, 2)), np.ones(1)), (np.ones((3, 2)), np.ones(2)), (np.full((3, 2), np.nan), np.ones(3))],
)
def test_bad_data(inputs, targets):
    with pytest.raises(ConfigurationError):
        DNGO().fit(inputs, targets)
