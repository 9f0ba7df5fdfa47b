"""Gaussian-process search against scikit-learn's process, and its resumption."""

import numpy as np
import pytest
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import Matern

from tfnas.errors import ConfigurationError
from tfnas.search.base import Candidates
from tfnas.search.gaussian import PUBLISHED, GaussianSearch, GaussianSettings, _distances, _Process
from tfnas.spaces import NASBench201

RNG = np.random.default_rng(0)
SPACE = NASBench201()
POINTS = RNG.normal(size=(60, 3)).astype(np.float32)
CANDIDATES = Candidates(SPACE, SPACE.enumerate()[np.arange(60)], POINTS)
SCORES = 0.9 - 0.01 * ((POINTS - 0.5) ** 2).sum(axis=1)


def searched(strategy, queries):
    while strategy.rows.shape[1] < queries:
        rows = strategy.suggest(queries - strategy.rows.shape[1])
        strategy.update(rows, SCORES[rows])
    return strategy


def test_process_equals_scikit_learn():
    observed = RNG.permutation(60)[:25]
    targets = RNG.normal(size=25)
    ours = _Process(_distances(POINTS), 1.3, 0.05)
    for point, target in zip(observed.tolist(), targets.tolist(), strict=True):
        ours.observe(point, target)
    theirs = GaussianProcessRegressor(Matern(1.3, nu=2.5), alpha=0.05, optimizer=None)
    theirs.fit(POINTS[observed], (targets - 0.3) / 1.7)
    mean, deviation = theirs.predict(POINTS, return_std=True)
    found, variance = ours.predict(np.arange(60), 0.3, 1.7)
    np.testing.assert_allclose(found, mean, atol=1e-4)
    np.testing.assert_allclose(variance, deviation**2, atol=1e-4)


@pytest.mark.parametrize("settings", [GaussianSettings(), PUBLISHED], ids=["fitted", "published"])
def test_search_beats_chance_and_asks_for_nothing_twice(settings):
    views = np.stack([POINTS, POINTS + 0.01], axis=1)
    strategy = searched(GaussianSearch(CANDIDATES, range(8), settings, views), 25)
    assert all(len(set(rows)) == 25 for rows in strategy.rows.tolist())
    best = np.argmax(SCORES)
    found = np.mean((strategy.rows == best).any(axis=1))
    assert found > (0.8 if settings.fitted else 0.5)  # chance: 25 of 60


def test_a_resumed_search_equals_an_uninterrupted_one():
    whole = searched(GaussianSearch(CANDIDATES, [1, 2]), 30)
    begun = searched(GaussianSearch(CANDIDATES, [1, 2]), 17)
    resumed = GaussianSearch(CANDIDATES, [5, 6])
    resumed.load_state(begun.state())
    np.testing.assert_array_equal(searched(resumed, 30).rows, whole.rows)


def test_refusals():
    with pytest.raises(ConfigurationError, match=r"expected \[60, A, D\]"):
        GaussianSearch(CANDIDATES, [0], views=POINTS)
    with pytest.raises(ConfigurationError, match="initial=0"):
        GaussianSettings(initial=0)
