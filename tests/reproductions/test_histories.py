"""Histories that differ in length, and histories under a budget of time."""

import numpy as np

from reproductions.arch2vec import histories
from tfnas.benchmarks import Scores
from tfnas.search.loop import History


def test_queries_after_the_budget_do_not_count():
    seconds = np.array([[1.0, 2.0, 1.0, 5.0], [4.0, 0.5, 0.5, 1.0]])
    values = np.array([[0.1, 0.2, 0.3, 0.9], [0.1, 0.2, 0.3, 0.9]])
    picks = np.array([[0, 1, 1, 3], [0, 0, 2, 3]])
    history = History(np.tile(np.arange(4), (2, 1)), Scores(values, values / 2, seconds, np.full((2, 4), "")), picks)
    within = histories.within(history, 4.0)
    np.testing.assert_array_equal(within.scores.validation, [[0.1, 0.2, 0.3, 0.0], [0.1, 0.0, 0.0, 0.0]])
    np.testing.assert_array_equal(within.scores.test, within.scores.validation / 2)
    np.testing.assert_array_equal(within.scores.mean_validation, within.scores.validation)
    assert within.best.tolist() == [2, 0]
    assert within.picks.tolist() == [[0, 1, 1, 1], [0, 0, 0, 0]]


def test_histories_of_other_lengths_are_joined():
    searches = []
    for length in (2, 3):
        values = np.tile(np.arange(length), (2, 1))
        searches.append(
            History(values, Scores(values / 10, values / 20, values * 1.0, np.full(values.shape, "")), values)
        )
    joined = histories.joined(searches)
    assert joined.picks.tolist() == joined.rows.tolist()
    assert joined.rows.tolist() == [[0, 1, 1], [0, 1, 1], [0, 1, 2], [0, 1, 2]]
    np.testing.assert_array_equal(joined.scores.test, joined.rows / 20)
    np.testing.assert_array_equal(joined.scores.cost_seconds, joined.rows)
