"""The scale on which labels are learned, against scikit-learn."""

import numpy as np
import pytest
import scipy.stats
from sklearn.preprocessing import PowerTransformer

from tfnas.predictors.label_scores import power_scores, to_labels


def skewed(count=200):
    """Accuracies of which few are far below the others."""
    return 0.94 - np.random.default_rng(0).gamma(1.5, 0.02, count)


def test_scores_are_those_of_yeo_and_johnson():
    labels = skewed()
    standardised = (labels - labels.mean()) / labels.std()
    expected = PowerTransformer().fit_transform(standardised[:, None])[:, 0]
    np.testing.assert_allclose(power_scores(labels), np.clip(expected, -2.5, 2.5), atol=1e-6)
    assert abs(scipy.stats.skew(power_scores(labels))) < 0.3 < abs(scipy.stats.skew(labels))


def test_scores_do_not_depend_on_the_unit():
    labels = skewed()
    np.testing.assert_allclose(power_scores(100 * labels - 3), power_scores(labels), atol=1e-6)


def test_every_set_has_its_own_scores():
    sets = np.stack([skewed(30), np.full(30, 0.1)])
    scores = power_scores(sets)
    np.testing.assert_array_equal(scores[0], power_scores(sets[0]))
    np.testing.assert_array_equal(scores[1], 0)


def test_failed_trainings_do_not_decide():
    labels = np.append(skewed(), [0.1, 0.1])
    scores = power_scores(labels)
    assert scores.min() == pytest.approx(-2.5)
    assert scipy.stats.spearmanr(scores, labels).statistic > 0.999


def test_the_way_back():
    labels = skewed(20)
    scores = power_scores(labels)
    np.testing.assert_allclose(to_labels(scores, scores, labels), labels)
    low, high = to_labels(np.array([-9.0, 9.0]), scores, labels)
    assert (low, high) == (labels.min(), labels.max())
