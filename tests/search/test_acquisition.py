"""Expected improvement against its integral, and where it underflows."""

import numpy as np
import pytest
from scipy import integrate, stats

from tfnas.search.acquisition import ExpectedImprovement, UpperConfidenceBound, log_expected_improvement


def test_expected_improvement_by_integration():
    for mean, stddev, best in ((0.5, 0.1, 0.6), (0.9, 0.2, 0.5), (0.0, 1.0, 2.0)):
        expected, _ = integrate.quad(
            lambda y, m=mean, s=stddev, b=best: (y - b) * stats.norm.pdf(y, m, s), best, mean + 12 * stddev
        )
        assert log_expected_improvement(mean, stddev, best) == pytest.approx(np.log(expected), rel=1e-6)


def test_expected_improvement_ranks_where_the_plain_excess_is_zero():
    means = np.linspace(-60, 0.9, 500)
    values = log_expected_improvement(means, np.ones(500), 1.0)
    assert np.isfinite(values).all()
    assert (np.diff(values) > 0).all()


def test_incumbents_and_optimism():
    mean, stddev, scores = np.array([0.1, 0.2]), np.array([0.3, 0.1]), np.array([0.4, 0.6])
    np.testing.assert_array_equal(
        ExpectedImprovement()(mean, stddev, scores), ExpectedImprovement(0.6)(mean, stddev, scores[:1])
    )
    np.testing.assert_allclose(UpperConfidenceBound(2.0)(mean, stddev, scores), [0.7, 0.4])
