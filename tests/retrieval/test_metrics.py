"""Ranking metrics against scikit-learn, by hand, and their limits."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, ndcg_score

from tfnas.errors import ConfigurationError
from tfnas.retrieval.metrics import evaluate, ranking, scores


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 30), st.integers(1, 40))
def test_equal_to_scikit_learn_with_ties(seed, count, items):
    rng = np.random.default_rng(seed)
    count = min(count, items)
    similarities = rng.integers(0, 5, (4, items)).astype(float)  # many are equal
    labels = rng.integers(0, 2, (4, items)).astype(bool)
    labels[:, 0] = True
    rows = ranking(similarities, items)
    for query, own in enumerate(rows):
        assert own.tolist() == sorted(range(items), key=lambda row, q=query: (-similarities[q, row], row))
    relevant = np.take_along_axis(labels, rows, axis=1)
    found = scores(relevant, labels.sum(axis=1), count)
    strict = np.arange(items, 0, -1.0)
    for query in range(4):
        if items > 1:
            expected = ndcg_score(relevant[query][None].astype(float), strict[None], k=count)
            assert found["ndcg"][query] == pytest.approx(expected, abs=1e-12)
        whole = scores(relevant, labels.sum(axis=1), items)["map"][query]
        assert whole == pytest.approx(average_precision_score(relevant[query], strict), abs=1e-12)


def test_by_hand():
    """Relevant at ranks 2 and 3 of four; three relevant items exist."""
    found = scores(np.array([[False, True, True, False]]), np.array([3]), 4)
    assert found["mrr"] == [0.5]
    assert found["map"] == [pytest.approx((1 / 2 + 2 / 3) / 3)]
    gain = 1 / np.log2(3) + 1 / np.log2(4)
    assert found["ndcg"] == [pytest.approx(gain / (1 + gain))]
    assert found["precision"] == [0.5]
    short = scores(np.array([[False, True, True, False]]), np.array([3]), 2)
    assert short["map"] == [pytest.approx(0.25)]
    assert np.isnan(scores(np.zeros((1, 3), bool), np.array([0]), 2)["map"]).all()


def test_a_query_never_finds_itself():
    points = np.array([[1.0, 0], [0.9, 0.1], [0, 1], [0.1, 0.9]])
    labels = ["a", "a", "b", "b"]
    similarities = points @ points.T
    found = evaluate(similarities, labels, labels, counts=(1, 10), own_rows=np.arange(4))
    assert found["map@1"] == found["ndcg@10"] == 1.0
    assert found["precision@10"] == pytest.approx(0.1)
    assert found["queries"] == 4
    alone = evaluate(similarities[:1, 1:], ["a"], labels[1:], counts=(1,))
    assert alone["mrr@1"] == 1.0


def test_refusals():
    with pytest.raises(ConfigurationError, match="count=5"):
        ranking(np.zeros((1, 4)), 5)
    with pytest.raises(ConfigurationError, match="NaN"):
        ranking(np.full((1, 4), np.nan), 2)
    with pytest.raises(ConfigurationError, match="more relevant items"):
        scores(np.ones((1, 3), bool), np.array([2]), 3)
    with pytest.raises(ConfigurationError, match="no query has a relevant item"):
        evaluate(np.ones((1, 2)), ["a"], ["b", "b"], (1,))
    with pytest.raises(ConfigurationError, match="NaN"):
        evaluate(np.full((1, 2), np.nan), ["a"], ["a", "b"], (1,))
