"""Scores without labels, on numbers worked out by hand."""

import numpy as np

from tests.predictors.test_sizes import network
from tfnas.predictors.prior import INTERVAL, SLOPE, zero_shot


def test_scores_by_hand():
    """Two networks are one deviation apart from their mean in every number."""
    answer = zero_shot([network(4), network(8, 8)])
    np.testing.assert_allclose(answer.score, [-SLOPE, SLOPE])
    np.testing.assert_allclose(answer.low, answer.score + INTERVAL[0])
    np.testing.assert_allclose(answer.high, answer.score + INTERVAL[1])
    for score, reasons in zip(answer.score, answer.reasons, strict=True):
        np.testing.assert_allclose(sum(reasons.values()), score)


def test_nothing_to_compare():
    assert zero_shot([network(4)]).score.tolist() == [0.0]
    assert zero_shot([]).score.shape == (0,)
    assert zero_shot([network(4), network(4)]).score.tolist() == [0.0, 0.0]
