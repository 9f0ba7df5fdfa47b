"""Intervals in accuracy and thresholds of distance."""

import numpy as np
import pytest

from tfnas.predictors.calibration import coverage, curves, quantiles, threshold


def test_intervals_cover_eighty_percent_where_the_noise_grows():
    rng = np.random.default_rng(1)
    scores = rng.normal(size=4000)
    labels = 0.9 + 0.01 * scores + 0.01 * np.exp(-scores / 2) * rng.normal(size=4000)
    assert coverage(scores, labels, 1) == pytest.approx(0.8, abs=0.03)
    low, median, high = quantiles(curves(scores, labels), np.linspace(-3, 3, 50)).T
    assert (low <= median).all()
    assert (median <= high).all()
    assert (np.diff(median) >= 0).all()
    assert high[0] - low[0] > 1.5 * (high[-1] - low[-1])
    assert labels.min() <= low.min()
    assert high.max() <= labels.max()


def test_the_threshold_makes_fewest_mistakes():
    known, strangers = np.array([0.8, 1.0, 1.15, 1.2, 5.0]), np.array([1.1, 3.0, 4.0])
    assert threshold(known, strangers) == pytest.approx(2.1)
    assert threshold(np.linspace(0, 1, 101), np.zeros(0)) == pytest.approx(0.99)
