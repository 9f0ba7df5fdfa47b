"""Numbers of the form of networks, worked out by hand."""

import keras
import numpy as np
import pytest

from tests.graphs.test_path_numbers import random_graph
from tfnas.graphs.computation_graph import smallest_graph
from tfnas.graphs.form_numbers import FORM_NUMBERS, form_numbers
from tfnas.graphs.importers import import_model
from tfnas.graphs.packed import pack

layers = keras.layers


def numbers(graph):
    return dict(zip(FORM_NUMBERS, form_numbers(pack([graph]))[0].tolist(), strict=True))


@pytest.fixture(scope="module")
def chain():
    """8 x 8 x 3: 3 x 3 to 4 channels, pooled to 4 x 4, depthwise 5 x 5, 1 x 1 to 6 channels beside a skip to 6."""
    inputs = keras.Input((8, 8, 3))
    values = layers.Conv2D(4, 3, padding="same", activation="relu", use_bias=False)(inputs)
    pooled = layers.MaxPooling2D(2)(values)
    inside = layers.DepthwiseConv2D(5, padding="same", use_bias=False)(pooled)
    inside = layers.Conv2D(6, 1, use_bias=False)(layers.ReLU()(inside))
    values = layers.Add()([inside, layers.Conv2D(6, 1, use_bias=False)(pooled)])
    values = layers.Dense(10, use_bias=False)(layers.GlobalAveragePooling2D()(values))
    return numbers(import_model(keras.Model(inputs, values)))


def test_counts_and_paths(chain):
    """Five operators with weights, of which two have windows larger than a pixel, and a pooling window."""
    counts = ("weighted", "spatial", "window", "activation")
    assert [chain[f"total_{kind}"] for kind in counts] == [5, 2, 3, 2]
    assert [chain[f"longest_{kind}"] for kind in counts] == [4, 2, 3, 2]
    assert [chain[f"shortest_{kind}"] for kind in counts] == [3, 1, 2, 1]
    np.testing.assert_allclose([chain[f"mean_{kind}"] for kind in counts], [3.5, 1.5, 2.5, 1.5])  # half of the walks
    assert chain["additions"] == 1
    assert chain["concatenations"] == chain["products"] == chain["normalisations"] == 0
    assert chain["share_of_spatial"] == pytest.approx(2 / 3)


def test_logarithms(chain):
    fans = {"stem": 27, "depthwise": 25, "pointwise": 4, "skip": 4, "dense": 6}
    assert chain["total_fan_in"] == pytest.approx(np.log(list(fans.values())).sum())
    assert chain["longest_fan_in"] == pytest.approx(np.log([27, 25, 4, 6]).sum())
    assert chain["shortest_fan_in"] == pytest.approx(np.log([27, 4, 6]).sum())
    assert chain["total_width"] == pytest.approx(np.log([4, 4, 6, 6, 10]).sum())
    assert [chain["narrowest"], chain["widest"]] == pytest.approx([np.log(4), np.log(10)])
    assert chain["narrowest_trunk"] == pytest.approx(np.log(4))  # the stem; the classifier is behind the trunk
    assert chain["shortcuts"] == pytest.approx(np.log((1 + 3) / (1 + 2)))
    assert chain["log_parameters"] == pytest.approx(np.log1p(108 + 100 + 24 + 24 + 60))
    # Values that operators with weights return.
    assert chain["log_activation_memory"] == pytest.approx(np.log1p(64 * 4 + 16 * (4 + 6 + 6) + 10))
    # 2 pixels of the stem, 1 of the pooling, 4 times 2 of the depthwise convolution.
    assert chain["log_receptive_field"] == pytest.approx(np.log1p(2 + 1 + 4 * 2))


def test_stages(chain):
    full, half, last = 64 * 108, 16 * (100 + 24 + 24), 60
    assert chain["log_multiply_adds"] == pytest.approx(np.log1p(full + half + last))
    stages = [chain[f"log_multiply_adds_{stage}"] for stage in range(4)]
    np.testing.assert_allclose(stages, np.log1p([full, half, 0, last]))


def test_a_gate_is_not_the_trunk():
    """A gate of one channel leaves the trunk as wide as the convolutions around it."""
    inputs = keras.Input((8, 8, 3))
    values = layers.Conv2D(8, 3, padding="same")(inputs)
    gated = layers.Multiply()([values, layers.Conv2D(1, 3, padding="same", activation="sigmoid")(values)])
    for width, narrowest in ((gated, 8), (layers.Conv2D(2, 1)(values), 2)):
        model = keras.Model(inputs, layers.Dense(5)(layers.GlobalAveragePooling2D()(width)))
        assert numbers(import_model(model))["narrowest_trunk"] == pytest.approx(np.log(narrowest))


def test_sequences():
    """Windows and positions of a sequence lie in one direction; a recurrent operator ends the trunk of an embedding."""
    inputs = keras.Input((100, 1))
    values = layers.Conv1D(8, 5, strides=2, padding="same")(inputs)
    values = layers.Conv1D(6, 3, padding="same")(values)
    measured = numbers(import_model(keras.Model(inputs, layers.Dense(2)(layers.GlobalAveragePooling1D()(values)))))
    assert measured["log_receptive_field"] == pytest.approx(np.log1p(4 + 2 * 2))
    assert measured["log_multiply_adds_1"] == pytest.approx(np.log1p(50 * (5 * 8 + 3 * 8 * 6)))
    words = keras.Input((16,), dtype="int32")
    values = layers.LSTM(8)(layers.Embedding(50, 4)(words))
    measured = numbers(import_model(keras.Model(words, layers.Dense(1)(values))))
    assert measured["narrowest_trunk"] == pytest.approx(np.log(8))


def test_an_empty_network():
    assert set(numbers(smallest_graph()).values()) == {0.0, 1.0}  # the share is 1


def test_together_and_alone():
    """A batch has the numbers of its graphs, in their order."""
    rng = np.random.default_rng(0)
    graphs = [random_graph(rng, ["relu", "conv_3", "matmul", "max_pool"], rng.integers(3, 9))[0] for _ in range(9)]
    together = form_numbers(pack(graphs))
    np.testing.assert_allclose(together, [form_numbers(pack([graph]))[0] for graph in graphs])
    assert np.isfinite(together).all()
