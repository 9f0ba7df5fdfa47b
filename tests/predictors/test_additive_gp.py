"""Additive processes against scikit-learn, and features against the graphs they describe."""

import numpy as np
import pytest
import scipy.stats
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import RBF, DotProduct, WhiteKernel

from tests.graphs.test_packed import sample
from tfnas.errors import ConfigurationError
from tfnas.graphs.packed import pack
from tfnas.predictors.additive_gp import AdditiveGP
from tfnas.predictors.features import GraphFeatures
from tfnas.predictors.kernel_mixture import normal_scores


def problem(count=40, seed=0):
    rng = np.random.default_rng(seed)
    first, second = rng.normal(0, 0.5, (count, 3)), rng.normal(0, 0.5, (count, 2))
    return [first, second], first[:, 0] + np.sin(3 * second[:, 0]) + rng.normal(0, 0.1, count)


def test_prediction_equals_scikit_learn_with_the_same_weights():
    blocks, targets = problem()
    model = AdditiveGP().fit([blocks[0]], targets)
    linear, smooth = model.weights[0]
    distances = ((blocks[0][:, None] - blocks[0]) ** 2).sum(-1)
    length = np.sqrt(np.median(distances[distances > 1e-12]))
    kernel = linear * DotProduct(0.0, "fixed") + smooth * RBF(length, "fixed") + WhiteKernel(model.noise[0], "fixed")
    oracle = GaussianProcessRegressor(kernel, optimizer=None, alpha=0.0)
    oracle.fit(blocks[0], scipy.stats.norm.ppf((scipy.stats.rankdata(targets) - 0.5) / len(targets)))
    new = np.random.default_rng(5).normal(0, 0.5, (7, 3))
    expected = oracle.predict(new, return_std=True)
    for found, wanted in zip(model.predict([new]), expected, strict=True):
        np.testing.assert_allclose(found, wanted, rtol=1e-6, atol=1e-8)


def test_weights_are_a_maximum():
    """No small change of a weight, within its bounds, has a larger marginal likelihood times prior."""
    blocks, targets = problem()
    model = AdditiveGP().fit(blocks, targets)
    scores = normal_scores(targets[None])[0]
    grams = model._kernels[0](blocks)

    def loss(logs):
        covariance = np.tensordot(np.exp(logs[:-1]), grams, 1) + (np.exp(logs[-1]) + 1e-4) * np.eye(len(scores))
        sign, determinant = np.linalg.slogdet(covariance)
        assert sign > 0
        return 0.5 * (scores @ np.linalg.solve(covariance, scores) + determinant) + 0.02 * np.sum(logs**2)

    found = np.log(np.append(model.weights[0], model.noise[0] - 1e-4))
    for direction in np.concatenate([np.eye(len(found)), -np.eye(len(found))]):
        assert loss(found + 0.05 * direction) > loss(found) - 1e-6


def test_several_sets_equal_single_ones():
    (first, second), targets = problem(60)
    sets = [slice(0, 30), slice(30, 60)]
    both = AdditiveGP().fit(
        [np.stack([b[s] for s in sets]) for b in (first, second)], np.stack([targets[s] for s in sets])
    )
    new = [first[:5], second[:5]]
    for run, rows in enumerate(sets):
        alone = AdditiveGP().fit([first[rows], second[rows]], targets[rows])
        np.testing.assert_allclose(both.predict(new, run), alone.predict(new), rtol=1e-3, atol=1e-4)


def test_normal_scores_and_the_way_back():
    targets = np.array([[0.9, 0.1, 0.5, 0.5]])
    found = normal_scores(targets)
    assert found[0, 2] == found[0, 3]
    np.testing.assert_allclose(found[0, [1, 0]], scipy.stats.norm.ppf([0.125, 0.875]))
    blocks, targets = problem(20)
    model = AdditiveGP().fit(blocks, targets)
    np.testing.assert_allclose(model.to_labels(normal_scores(targets[None])[0]), targets, atol=1e-9)
    assert model.to_labels(np.array([99.0]))[0] == targets.max()


def test_uncertainty_grows_away_from_the_examples():
    blocks, targets = problem()
    model = AdditiveGP().fit(blocks, targets)
    near, far = (model.predict([part[:1] * factor for part in blocks])[1][0] for factor in (1, 30))
    assert far > near


def test_refusals():
    blocks, targets = problem(10)
    with pytest.raises(ConfigurationError, match="no blocks of features, expected at least one"):
        AdditiveGP().fit([], targets)
    with pytest.raises(ConfigurationError, match="2 labels, expected at least 3"):
        AdditiveGP().fit([blocks[0][:2]], targets[:2])
    with pytest.raises(ConfigurationError, match=r"block 1: shape \(1, 9, 2\), expected \[1, 10, D\] as targets have"):
        AdditiveGP().fit([blocks[0], blocks[1][:9]], targets)
    blocks[1][4, 0] = np.inf
    with pytest.raises(ConfigurationError, match="block 1: example 4 holds NaN or infinity"):
        AdditiveGP().fit(blocks, targets)


def test_features_are_centred_and_reproduced():
    graphs = pack(sample(count=30))
    features = GraphFeatures(
        graphs,
        embed=lambda part: part.structure[:, :3],
        names=("structure", "operators", "neighbourhoods", "embedding"),
    )
    assert len(features.blocks) == 1 + 1 + 4 + 1
    for block in features.blocks:
        np.testing.assert_allclose(block.mean(axis=0), 0, atol=1e-9)
        assert (block**2).sum(axis=1).mean() == pytest.approx(1)
    for found, block in zip(features.transform(graphs[np.array([4, 2])]), features.blocks, strict=True):
        np.testing.assert_allclose(found, block[[4, 2]], atol=1e-9)


def test_features_of_equal_graphs_are_zero():
    graph = sample(count=1)[0]
    for block in GraphFeatures(pack([graph, graph])).blocks:
        np.testing.assert_array_equal(block, 0)


def test_unknown_features():
    graphs = pack(sample(count=2))
    with pytest.raises(ConfigurationError, match="no features 'colour'"):
        GraphFeatures(graphs, ["colour"])
    with pytest.raises(ConfigurationError, match="only with an encoder"):
        GraphFeatures(graphs, ["embedding"])
