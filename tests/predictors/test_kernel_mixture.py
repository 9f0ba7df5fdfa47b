"""Mixtures of kernels against numerical derivatives and against refits."""

import numpy as np
import pytest
import scipy.optimize

from tfnas.predictors import kernel_mixture
from tfnas.predictors.kernel_mixture import KernelMixture, Prior, normal_scores


def problem(count=30):
    rng = np.random.default_rng(0)
    points = rng.normal(size=(count, 2))
    distances = ((points[:, None] - points) ** 2).sum(axis=-1)
    grams = np.stack([points @ points.T, np.exp(-distances / 2)])
    return grams, normal_scores(points[:, 0] + np.sin(3 * points[:, 1]) + rng.normal(0, 0.1, count))


def test_gradient():
    grams, targets = problem()
    flat = grams.reshape(2, -1)
    for logs in np.random.default_rng(1).normal(-1, 1, (4, 3)):
        error = scipy.optimize.check_grad(
            lambda x: kernel_mixture._loss(x, flat, targets, Prior(0.3, 0.1, 0.5))[0],
            lambda x: kernel_mixture._loss(x, flat, targets, Prior(0.3, 0.1, 0.5))[1],
            logs,
        )
        assert error < 1e-4


def test_the_start_only_saves_iterations():
    grams, targets = problem()
    first = KernelMixture.fit(grams, targets)
    again = KernelMixture.fit(grams, targets, first, iterations=3)
    np.testing.assert_allclose(again.weights, first.weights, rtol=1e-2, atol=1e-3)
    assert again.noise == pytest.approx(first.noise, rel=1e-2)


def test_solution_and_explained_by_inversion():
    grams, targets = problem()
    mixture = KernelMixture.of(grams, targets, np.array([0.3, 0.7]), 0.1)
    covariance = 0.3 * grams[0] + 0.7 * grams[1] + 0.1 * np.eye(len(targets))
    np.testing.assert_allclose(mixture.solution, np.linalg.solve(covariance, targets), rtol=1e-8)
    cross = grams[1][:, :4]
    explained = mixture.explained(cross)
    np.testing.assert_allclose(explained.T @ explained, cross.T @ np.linalg.inv(covariance) @ cross, rtol=1e-7)


def test_examples_left_out_by_refits():
    grams, targets = problem()
    weights, noise = np.array([0.3, 0.7]), 0.1
    means, variances = KernelMixture.of(grams, targets, weights, noise).left_out(targets)
    for out in (0, 7, 29):
        rest = np.delete(np.arange(len(targets)), out)
        mixture = KernelMixture.of(grams[:, rest][:, :, rest], targets[rest], weights, noise)
        cross = weights @ grams[:, rest, out]
        assert means[out] == pytest.approx(cross @ mixture.solution)
        explained = mixture.explained(cross[:, None])
        assert variances[out] == pytest.approx(weights @ grams[:, out, out] + noise - (explained**2).sum())


def test_a_strong_prior_decides_weights_and_noise():
    grams, targets = problem()
    mixture = KernelMixture.fit(grams, targets, prior=Prior(1e6, 0.14, 0.37))
    np.testing.assert_allclose([*mixture.weights, mixture.noise], [0.14, 0.14, 0.37], rtol=1e-2)
