"""The Gaussian process against scikit-learn's."""

import numpy as np
import pytest
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import RBF, ConstantKernel, WhiteKernel

from reproductions.arch2vec.gaussian_process import GaussianProcess
from tfnas.errors import ConfigurationError


def test_equals_scikit_learn(rng):
    inputs = rng.normal(size=(60, 3)) * [1, 2, 3] + 5
    targets = np.sin(inputs[:, 0]) + 0.3 * inputs[:, 1] + rng.normal(0, 0.2, 60)
    points = rng.normal(size=(20, 3)) * [1, 2, 3] + 5
    model = GaussianProcess().fit(inputs, targets)
    shift, scale = inputs.mean(axis=0), inputs.std(axis=0)
    kernel = ConstantKernel(1.0) * RBF(np.sqrt(3)) + WhiteKernel(0.09)
    oracle = GaussianProcessRegressor(kernel, n_restarts_optimizer=2, random_state=0)
    oracle.fit((inputs - shift) / scale, (targets - targets.mean()) / targets.std())
    constant, noise = oracle.kernel_.k1, oracle.kernel_.k2
    assert model.length_scale == pytest.approx(constant.k2.length_scale, rel=0.02)
    assert model.noise**2 == pytest.approx(noise.noise_level, rel=0.02)
    mean, stddev = oracle.predict((points - shift) / scale, return_std=True)
    ours_mean, ours_stddev = model.predict(points)
    np.testing.assert_allclose(ours_mean, mean * targets.std() + targets.mean(), rtol=1e-2, atol=1e-2)
    np.testing.assert_allclose(ours_stddev, stddev * targets.std(), rtol=2e-2)


@pytest.mark.parametrize(
    ("inputs", "targets"),
    [(np.ones((1, 2)), np.ones(1)), (np.ones((3, 2)), np.ones(2)), (np.full((3, 2), np.nan), np.ones(3))],
)
def test_bad_data(inputs, targets):
    with pytest.raises(ConfigurationError):
        GaussianProcess().fit(inputs, targets)
