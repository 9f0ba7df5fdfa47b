"""An ensemble for few labels: its weights, its deviations and its refusals."""

import numpy as np
import pytest
from scipy.stats import spearmanr
from sklearn.ensemble import ExtraTreesRegressor

from tfnas.errors import ConfigurationError
from tfnas.predictors.additive_gp import AdditiveGP
from tfnas.predictors.ensemble import LabelEnsemble, Process, Trees
from tfnas.predictors.forest import Forest
from tfnas.predictors.label_scores import power_scores


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
    model = LabelEnsemble([Process([0]), Process([1]), Trees([0, 1])]).fit(
        [block[train] for block in blocks], labels[train]
    )
    assert model.correlations.shape == (1, 3)
    assert model.correlations[0, 0] > 0.8 > 0.5 > model.correlations[0, 1]
    mean, deviation = model.predict([block[rest] for block in blocks])
    alone, _ = AdditiveGP().fit([blocks[0][train]], labels[train]).predict([blocks[0][rest]])
    assert spearmanr(mean, labels[rest]).statistic > spearmanr(alone, labels[rest]).statistic - 0.02
    # Labels of the rest on the scale of the labels that were learned.
    scores = np.interp(labels[rest], np.sort(labels[train]), np.sort(power_scores(labels[train])))
    errors = mean - scores
    assert 0.5 < np.sqrt(np.mean(errors**2)) / deviation.mean() < 1.5


def test_few_labels_say_less_of_members(problem):
    """The weights are shares of correlation ** (16 n / (n + 40)), for predictions of equal spread."""
    blocks, labels = problem
    shares = []
    for count in (10, 60):
        model = LabelEnsemble([Process([0]), Process([1])])
        model.fit([block[:count] for block in blocks], labels[:count])
        trusted = np.maximum(model.correlations[0], 0.01) ** (16 * count / (count + 40))
        np.testing.assert_allclose(model.shares[0], trusted / trusted.sum())
        shares.append(model.shares[0, 0])
    assert shares[1] > 0.9


def test_members_that_have_learned_are_shared(problem):
    """Fitted members give the same ensemble without another fit, and their answers the same prediction."""
    blocks, labels = problem
    rows = np.arange(60).reshape(2, 30)
    members = [Process([0, 1]), Process([0], ["rough"]), Trees([0])]
    whole = LabelEnsemble(members).fit([block[rows] for block in blocks], labels[rows])
    part = LabelEnsemble(members[:2]).weigh(labels[rows])
    alone = LabelEnsemble([Process([0, 1]), Process([0], ["rough"])]).fit([b[rows] for b in blocks], labels[rows])
    for run in range(2):
        np.testing.assert_allclose(part.predict(blocks, run), alone.predict(blocks, run), rtol=1e-9)
        answers = [member.predict(blocks, run) for member in members]
        np.testing.assert_array_equal(whole.combine(answers, run), whole.predict(blocks, run))
    assert whole.shares.shape == (2, 3)


def test_scores_go_back_to_labels(problem):
    blocks, labels = problem
    model = LabelEnsemble([Process([0])]).fit([block[:60] for block in blocks], labels[:60])
    np.testing.assert_allclose(model.to_labels(power_scores(labels[:60])), labels[:60], atol=1e-9)
    assert model.to_labels(np.array([9.0]))[0] == labels[:60].max()


def test_several_sets_are_as_if_alone(problem):
    blocks, labels = problem
    rows = np.arange(60).reshape(2, 30)
    both = LabelEnsemble([Process([0, 1]), Trees([0], seed=3)]).fit([block[rows] for block in blocks], labels[rows])
    for run in range(2):
        alone = LabelEnsemble([Process([0, 1]), Trees([0], seed=3)]).fit(
            [b[rows[run]] for b in blocks], labels[rows[run]]
        )
        for first, second in zip(both.predict(blocks, run), alone.predict(blocks), strict=True):
            np.testing.assert_allclose(first, second, atol=1e-3)
    assert both.correlation.shape == (2,)


def test_labels_that_do_not_vary(problem):
    blocks, _ = problem
    model = LabelEnsemble([Process([0]), Trees([0])]).fit([block[:30] for block in blocks], np.ones(30))
    mean, deviation = model.predict(blocks)
    assert np.isfinite(mean).all()
    assert np.isfinite(deviation).all()


def test_refusals(problem):
    blocks, labels = problem
    with pytest.raises(ConfigurationError, match="without members"):
        LabelEnsemble([])
    with pytest.raises(ConfigurationError, match="9 labels, expected at least 10"):
        LabelEnsemble([Process([0])]).fit([block[:9] for block in blocks], labels[:9])
    with pytest.raises(ConfigurationError, match="NaN"):
        LabelEnsemble([Process([0])]).fit([block[:20] for block in blocks], np.full(20, np.nan))


def test_trees_are_those_of_scikit_learn(rng):
    inputs, targets = rng.normal(size=(2, 30, 8)), rng.normal(size=(2, 30))
    forest, queries = Forest([3, 4], trees=5).fit(inputs, targets), rng.normal(size=(20, 8))
    for run, seed in enumerate((3, 4)):
        expected = ExtraTreesRegressor(5, max_features=0.5, random_state=seed).fit(inputs[run], targets[run])
        np.testing.assert_allclose(forest.predict(queries, run)[0], expected.predict(queries), rtol=1e-12)
