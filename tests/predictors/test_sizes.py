"""Scores of sizes, networks that can't work, and rankings, on Keras models and numbers worked out by hand."""

import keras
import numpy as np
import pytest

from tfnas.graphs.importers import import_model
from tfnas.predictors.sizes import activation_count, fault, size_scores


def network(*widths, activation="relu", skip=False):
    """A chain of 3 x 3 convolutions on 8 x 8 images, and a classifier; a skip goes around the second convolution."""
    values = inputs = keras.Input((8, 8, 3))
    for number, width in enumerate(widths):
        before = values
        values = keras.layers.Conv2D(width, 3, padding="same", activation=activation)(values)
        if skip and number == 1:
            values = keras.layers.Concatenate()([before, values])
    return import_model(keras.Model(inputs, keras.layers.Dense(10)(keras.layers.Flatten()(values))))


def test_scores_by_hand():
    """Two networks: each number is one deviation above or below its mean."""
    small, large = network(4), network(8, 8)
    assert [activation_count(graph) for graph in (small, large)] == [1, 2]
    np.testing.assert_allclose(size_scores([small, large]), [-2, 2])
    np.testing.assert_allclose(size_scores([small]), [0])
    assert size_scores([]).shape == (0,)


@pytest.mark.parametrize(
    ("graph", "expected"),
    [
        (lambda: network(4, 4), ""),
        (lambda: network(4, 4, activation=None), "no nonlinearity"),
        (lambda: network(4, 1, 4), "all data pass a single channel at "),
        (lambda: network(4, 1, 4, skip=True), ""),  # the skip goes around
    ],
    ids=["good", "linear", "bottleneck", "skip"],
)
def test_faults(graph, expected):
    text = fault(graph())
    assert text.startswith(expected)
    assert bool(text) == bool(expected)


def test_one_output_channel_is_no_bottleneck():
    inputs = keras.Input((8,))
    hidden = keras.layers.Dense(4, activation="relu")(inputs)
    assert fault(import_model(keras.Model(inputs, keras.layers.Dense(1, activation="sigmoid")(hidden)))) == ""
