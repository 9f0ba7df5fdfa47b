"""An ensemble for few labels: its weights, its deviations and its refusals."""

import numpy as np
import pytest
from scipy.stats import spearmanr

from tfnas.errors import ConfigurationError
from tfnas.predictors.additive_gp import AdditiveGP
from tfnas.predictors.ensemble import LabelEnsemble
from tfnas.predictors.kernel_mixture import normal_scores


@pytest.fixture(scope="module")
def problem():
    """60 examples and 200 more: a block that tells the labels up to noise, and a block of noise."""
    rng = np.random.default_rng(0)
    block = rng.normal(size=(260, 3)) / 3**0.5
    labels = np.tanh(2 * block[:, 0]) + block[:, 1] ** 2 + 0.1 * rng.normal(size=260)
    return [block, rng.normal(size=(260, 3)) / 3**0.5], labels


def test_a_member_that_knows_nothing_hardly_counts(problem):
    blocks, labels = problem
    train, rest = np.arange(60), np.arange(60, 260)
    model = LabelEnsemble([[0], [1]], trees=[0, 1]).fit([block[train] for block in blocks], labels[train])
    assert model.correlations.shape == (1, 3)
    assert model.correlations[0, 0] > 0.8 > 0.5 > model.correlations[0, 1]
    mean, deviation = model.predict([block[rest] for block in blocks])
    alone, _ = AdditiveGP().fit([blocks[0][train]], labels[train]).predict([blocks[0][rest]])
    assert spearmanr(mean, labels[rest]).statistic > spearmanr(alone, labels[rest]).statistic - 0.02
    errors = mean - normal_scores(labels)[rest]
    assert 0.5 < np.sqrt(np.mean(errors**2)) / deviation.mean() < 1.5


def test_twenty_labels_decide_no_weights(problem):
    """The predictions of both members then count alike, once they have the same spread on left-out examples."""
    blocks, labels = problem
    model = LabelEnsemble([[0], [1]]).fit([block[:20] for block in blocks], labels[:20])
    more = LabelEnsemble([[0], [1]]).fit([block[:60] for block in blocks], labels[:60])
    np.testing.assert_allclose(model.shares[0], [0.5, 0.5])
    assert more.shares[0, 0] > 0.9


def test_several_sets_are_as_if_alone(problem):
    blocks, labels = problem
    rows = np.arange(60).reshape(2, 30)
    both = LabelEnsemble([[0, 1]], trees=[0], seed=3).fit([block[rows] for block in blocks], labels[rows])
    for run in range(2):
        alone = LabelEnsemble([[0, 1]], trees=[0], seed=3).fit([b[rows[run]] for b in blocks], labels[rows[run]])
        for first, second in zip(both.predict(blocks, run), alone.predict(blocks), strict=True):
            np.testing.assert_allclose(first, second, atol=1e-3)
    assert both.correlation.shape == (2,)


def test_labels_that_do_not_vary(problem):
    blocks, _ = problem
    mean, deviation = LabelEnsemble([[0]], trees=[0]).fit([block[:30] for block in blocks], np.ones(30)).predict(blocks)
    assert np.isfinite(mean).all()
    assert np.isfinite(deviation).all()


def test_refusals(problem):
    blocks, labels = problem
    with pytest.raises(ConfigurationError, match="without members"):
        LabelEnsemble([])
    with pytest.raises(ConfigurationError, match="9 labels, expected at least 10"):
        LabelEnsemble([[0]]).fit([block[:9] for block in blocks], labels[:9])
    with pytest.raises(ConfigurationError, match="NaN"):
        LabelEnsemble([[0]]).fit([block[:20] for block in blocks], np.full(20, np.nan))
