"""Scores without labels, on numbers worked out by hand."""

import keras
import numpy as np
import pytest

from tests.fork import ROOT
from tests.predictors.test_sizes import network
from tfnas.graphs.form_numbers import FORM_NUMBERS
from tfnas.graphs.importers import import_model
from tfnas.graphs.packed import pack
from tfnas.predictors.prior import INTERVAL, SLOPE, TITLES, WEIGHTS, weighted, zero_shot


def test_scores_by_hand():
    """Two networks are one deviation apart from their mean in every number but the share of windows, which is equal."""
    graphs = [network(4, 4), network(8, 8, 8)]
    answer = zero_shot(graphs)
    np.testing.assert_allclose(answer.score, [-SLOPE, SLOPE])
    np.testing.assert_allclose(answer.low, answer.score + INTERVAL[0])
    np.testing.assert_allclose(answer.high, answer.score + INTERVAL[1])
    shares = {"log_multiply_adds": 0.4, "total_fan_in": 0.4, "share_of_spatial": 0.0, "narrowest_trunk": 0.2}
    contributions = {TITLES[name]: share for name, share in shares.items()}
    for sign, reasons in zip((-1, 1), answer.reasons, strict=True):
        assert reasons == pytest.approx({name: sign * SLOPE * share for name, share in contributions.items()})
    np.testing.assert_allclose(zero_shot(pack(graphs)).score, answer.score)


def test_weighted_numbers():
    """The sum over a row has deviation 1 whatever the weights; numbers that do not vary do not count."""
    numbers = np.zeros((4, len(FORM_NUMBERS)))
    numbers[:, FORM_NUMBERS.index("total_fan_in")] = [1, 2, 3, 4]
    numbers[:, FORM_NUMBERS.index("log_multiply_adds")] = 7
    terms = weighted(numbers, {"total_fan_in": 3.0, "log_multiply_adds": 1.0})
    np.testing.assert_allclose(terms.sum(axis=1), np.array([-1.5, -0.5, 0.5, 1.5]) / np.sqrt(1.25))
    assert not terms[:, 1].any()


def test_a_bottleneck_and_pooling_lower_the_score():
    def pooled(layer):
        inputs = keras.Input((8, 8, 3))
        values = keras.layers.Conv2D(8, 3, padding="same", activation="relu")(inputs)
        values = layer(values)
        return keras.Model(inputs, keras.layers.Dense(10)(keras.layers.GlobalAveragePooling2D()(values)))

    convolution = keras.layers.Conv2D(8, 3, padding="same", activation="relu")
    pooling = keras.layers.MaxPooling2D(3, 1, padding="same")
    plain, without_weights = zero_shot([import_model(pooled(layer)) for layer in (convolution, pooling)]).score
    assert plain > without_weights
    wide, narrow = zero_shot([network(8, 8, 8), network(8, 2, 8)]).score
    assert wide > narrow


def test_nothing_to_compare():
    assert zero_shot([network(4)]).score.tolist() == [0.0]
    assert zero_shot([]).score.shape == (0,)
    assert zero_shot([network(4), network(4)]).score.tolist() == [0.0, 0.0]


def test_constants_are_the_experiment_s():
    """The table of the documents states the calibration that the module holds."""
    text = (ROOT / "docs" / "results" / "tables" / "predictor" / "unseen_spaces.md").read_text()
    assert f"slope {SLOPE:.3f}, interval {INTERVAL[0]:.3f} to {INTERVAL[1]:.3f}." in text
    assert set(WEIGHTS) <= set(FORM_NUMBERS)
