"""Gaussian-process search: its resumption, and the published variant."""

import numpy as np
import pytest

from reproductions.jacobian.published_search import PublishedSearch
from tfnas.errors import ConfigurationError
from tfnas.search import Candidates
from tfnas.search.gaussian import GaussianSearch
from tfnas.spaces import NASBench201

RNG = np.random.default_rng(0)
SPACE = NASBench201()
POINTS = RNG.normal(size=(60, 3)).astype(np.float32)
CANDIDATES = Candidates(SPACE, SPACE.enumerate()[np.arange(60)], POINTS)
SCORES = 0.9 - 0.01 * ((POINTS - 0.5) ** 2).sum(axis=1)


def published(candidates, seeds):
    return PublishedSearch(candidates, seeds, np.stack([POINTS, POINTS + 0.01], axis=1))


def searched(strategy, queries):
    while strategy.rows.shape[1] < queries:
        rows = strategy.suggest(queries - strategy.rows.shape[1])
        strategy.update(rows, SCORES[rows])
    return strategy


@pytest.mark.parametrize(("make", "share"), [(GaussianSearch, 0.8), (published, 0.5)])  # chance: 25 of 60
def test_search_beats_chance_and_asks_for_nothing_twice(make, share):
    strategy = searched(make(CANDIDATES, range(8)), 25)
    assert all(len(set(rows)) == 25 for rows in strategy.rows.tolist())
    assert np.mean((strategy.rows == np.argmax(SCORES)).any(axis=1)) > share


@pytest.mark.parametrize("make", [GaussianSearch, published])
def test_a_resumed_search_equals_an_uninterrupted_search(make):
    whole = searched(make(CANDIDATES, [1, 2]), 30)
    begun = searched(make(CANDIDATES, [1, 2]), 17)
    resumed = make(CANDIDATES, [5, 6])
    resumed.load_state(begun.state())
    np.testing.assert_array_equal(searched(resumed, 30).rows, whole.rows)


def test_refusals():
    with pytest.raises(ConfigurationError, match=r"expected \[60, A, D\]"):
        PublishedSearch(CANDIDATES, [0], POINTS)
