"""DNGO: the regression against scikit-learn and scipy, the whole against a function it must learn."""

import numpy as np
import pytest
import scipy.optimize
import tensorflow as tf
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import DotProduct

from tfnas.errors import ConfigurationError
from tfnas.predictors import adam
from tfnas.predictors.dngo import DNGO, _trained


def _features(model, inputs, run=0):
    hidden = np.tanh((inputs - model._shift[run]) / model._scale[run] @ model._kernel[run] + model._bias[run])
    return np.concatenate([hidden, np.ones((len(hidden), 1))], axis=1)


def test_regression_equals_the_gaussian_process_with_its_kernel(rng):
    """With precisions alpha and beta, Bayesian linear regression is a GP with the kernel phi(x) phi(y) / alpha."""
    inputs, targets = rng.normal(size=(40, 3)), rng.normal(size=40)
    model = DNGO(units=8, epochs=5).fit(inputs, targets)
    alpha, beta = model._prior_precision[0], model._noise_precision[0]
    process = GaussianProcessRegressor(DotProduct(0.0, "fixed"), alpha=alpha / beta, optimizer=None)
    process.fit(_features(model, inputs), (targets - targets.mean()) / targets.std())
    points = rng.normal(size=(10, 3))
    mean, stddev = process.predict(_features(model, points), return_std=True)
    ours_mean, ours_stddev = model.predict(points)
    np.testing.assert_allclose(ours_mean, mean * targets.std() + targets.mean(), rtol=1e-4)
    np.testing.assert_allclose(ours_stddev, np.sqrt(stddev**2 / alpha + 1 / beta) * targets.std(), rtol=1e-4)


def test_precisions_maximise_the_marginal_likelihood(rng):
    """The log density of the targets under N(0, 1/beta + Phi Phi' / alpha), maximised by scipy."""
    inputs = rng.normal(size=(30, 2))
    targets = np.sin(inputs[:, 0]) + rng.normal(0, 0.3, 30)
    model = DNGO(units=6, epochs=3).fit(inputs, targets)
    features, scaled = _features(model, inputs), (targets - targets.mean()) / targets.std()

    def negative_log_density(logs):
        covariance = np.eye(30) / np.exp(logs[1]) + features @ features.T / np.exp(logs[0])
        return 0.5 * (scaled @ np.linalg.solve(covariance, scaled) + np.linalg.slogdet(covariance)[1])

    found = scipy.optimize.minimize(negative_log_density, [0.0, 1.0], method="Nelder-Mead", options={"xatol": 1e-6})
    ours = np.log([model._prior_precision[0], model._noise_precision[0]])
    np.testing.assert_allclose(ours, found.x, atol=1e-3)


def test_many_data_sets_at_once_equal_one_by_one(rng):
    """More than a chunk, and a number of points that fills neither a batch nor the padding."""
    inputs, targets = rng.normal(size=(70, 23, 3)), rng.normal(size=(70, 23))
    seeds = list(range(100, 170))
    together = DNGO(units=16, epochs=4, seed=seeds).fit(inputs, targets)
    points = rng.normal(size=(9, 3))
    for run in (0, 63, 64, 69):
        alone = DNGO(units=16, epochs=4, seed=seeds[run]).fit(inputs[run], targets[run])
        np.testing.assert_array_equal(together.predict(points, run), alone.predict(points))


def test_training_is_adam_on_the_mean_squared_error(rng):
    """The gradients are those of TensorFlow, within the rounding of single precision."""
    inputs, targets = rng.normal(size=(23, 3)).astype(np.float32), rng.normal(size=23).astype(np.float32)
    inputs = np.concatenate([inputs, np.ones((23, 1), np.float32)], axis=1)
    weights = DNGO(units=8)._initial_weights(5, 3)
    order = rng.permuted(np.tile(np.arange(23), (4, 1)), axis=1)
    batches = [row[start : start + 10] for row in order for start in (0, 10, 20)]

    def loss(layers, done):
        rows = batches[int(done)]
        predicted = tf.tanh(inputs[rows] @ tf.reshape(layers[0][:32], (4, 8))) @ layers[0][32:40, None]
        return tf.reduce_mean((predicted[:, 0] + layers[0][40] - targets[rows]) ** 2)

    (expected,) = adam.minimise(loss, [tf.constant(weights)], tf.constant(12), lambda done: 3e-3)
    (kernel,) = _trained(weights[None].copy(), inputs[None], targets[None], order[None], 3e-3)
    np.testing.assert_allclose(kernel.ravel(), expected.numpy()[:32], atol=1e-5)


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
    [
        (np.ones((1, 2)), np.ones(1)),
        (np.ones((3, 2)), np.ones(2)),
        (np.full((3, 2), np.nan), np.ones(3)),
        (np.ones((2, 3, 2)), np.ones((2, 3))),
    ],
)
def test_bad_data(inputs, targets):
    with pytest.raises(ConfigurationError):
        DNGO().fit(inputs, targets)
