"""Activation functions, networks that can't work, and rankings, on Keras models and numbers worked out by hand."""

import keras
import pytest

from tfnas.graphs.importers import import_model
from tfnas.predictors.sizes import activation_count, fault


def network(*widths, activation="relu", skip=False):
    """A chain of 3 x 3 convolutions on 8 x 8 images, and a classifier; a skip goes around the second convolution."""
    values = inputs = keras.Input((8, 8, 3))
    for number, width in enumerate(widths):
        before = values
        values = keras.layers.Conv2D(width, 3, padding="same", activation=activation)(values)
        if skip and number == 1:
            values = keras.layers.Concatenate()([before, values])
    return import_model(keras.Model(inputs, keras.layers.Dense(10)(keras.layers.Flatten()(values))))


def test_activation_functions_are_counted():
    assert [activation_count(graph) for graph in (network(4), network(8, 8))] == [1, 2]


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


layers = keras.layers


def block(values, width=8):
    return layers.Conv2D(width, 3, padding="same", activation="relu")(values)


def head(values):
    return layers.Dense(10, activation="softmax")(layers.GlobalAveragePooling2D()(values))


def squeezed(values):
    """Squeeze and excitation through one channel."""
    gate = layers.GlobalAveragePooling2D(keepdims=True)(values)
    gate = layers.Conv2D(8, 1, activation="sigmoid")(layers.Conv2D(1, 1, activation="relu")(gate))
    return head(block(layers.Multiply()([values, gate])))


def spatial_attention(values):
    """A gate of one channel multiplies all channels."""
    return head(block(layers.Multiply()([values, layers.Conv2D(1, 7, padding="same", activation="sigmoid")(values)])))


def segmentation(values):
    return layers.Conv2D(1, 1, activation="sigmoid")(block(values))


def enlarged_segmentation(values):
    """The only channel is enlarged by weights."""
    return layers.Conv2DTranspose(1, 4, 2, padding="same")(layers.Conv2D(1, 1)(block(values)))


def value_head(values):
    """One channel of 64 positions, which a dense layer reads all."""
    values = layers.Flatten()(layers.Conv2D(1, 1, activation="relu")(values))
    return layers.Dense(1, activation="tanh")(layers.Dense(16, activation="relu")(values))


def pooled_by_attention(values):
    values = layers.Reshape((64, 8))(values)
    weights = layers.Softmax(axis=1)(layers.Dense(1)(values))
    return layers.Dense(10)(layers.Dot(axes=1)([weights, values]))


def one_head(values):
    values = layers.Reshape((64, 8))(values)
    attention = layers.MultiHeadAttention(num_heads=1, key_dim=8)
    return layers.Dense(10)(layers.GlobalAveragePooling1D()(attention(values, values)))


def depthwise(values):
    values = layers.DepthwiseConv2D(3, depth_multiplier=2, padding="same", activation="relu")(values)
    return head(layers.Conv2D(8, 1)(values))


def products(values):
    """Half of the channels times the other half instead of activation functions."""
    return head(block(layers.Multiply()([layers.Conv2D(8, 1)(values), layers.Conv2D(8, 1)(values)])))


def twice_single(values):
    """Two operators in a row return a single channel, which a third makes eight of."""
    return head(block(layers.Conv2D(1, 3, padding="same")(layers.Conv2D(1, 1)(values))))


def pooled_single(values):
    return head(block(layers.MaxPooling2D(2)(layers.ReLU()(layers.Conv2D(1, 1)(values)))))


def single_score(values):
    return layers.Dense(10)(layers.Dense(1, activation="relu")(layers.GlobalAveragePooling2D()(values)))


GOOD = (
    *(squeezed, spatial_attention, segmentation, enlarged_segmentation, value_head, pooled_by_attention, one_head),
    *(depthwise, products),
)
BAD = (twice_single, pooled_single, single_score)


def built(function, first=block):
    inputs = keras.Input((8, 8, 3))
    return import_model(keras.Model(inputs, function(first(inputs))))


@pytest.mark.parametrize("function", GOOD, ids=lambda function: function.__name__)
def test_odd_but_good(function):
    assert fault(built(function)) == ""


@pytest.mark.parametrize("function", BAD, ids=lambda function: function.__name__)
def test_bottlenecks(function):
    assert fault(built(function)).startswith("all data pass a single channel")


def test_a_grey_image_is_no_bottleneck():
    def first(kernel):
        return lambda values: block(layers.Conv2D(1, kernel, padding="same", use_bias=False)(values))

    assert fault(built(head, first(1))) == ""
    assert fault(built(head, first(3))).startswith("all data pass a single channel")  # a single filter


def test_a_softmax_at_the_end_is_no_nonlinearity():
    assert fault(built(head, lambda values: layers.Conv2D(4, 3)(values))) == "no nonlinearity"
    assert fault(built(head, lambda values: layers.MaxPooling2D(2)(layers.Conv2D(4, 3)(values)))) == ""


def test_products_without_activation_functions():
    """A product of two values that depend on data is not linear; a product with a constant is."""
    linear = layers.Conv2D(8, 3)

    def gated(values):
        return layers.Multiply()([layers.Conv2D(8, 1)(values), layers.Conv2D(8, 1)(values)])

    assert fault(built(lambda values: head(gated(values)), linear)) == ""
    assert fault(built(lambda values: head(layers.Rescaling(0.5)(values)), linear)) == "no nonlinearity"


def test_one_output_channel_is_no_bottleneck():
    inputs = keras.Input((8,))
    hidden = keras.layers.Dense(4, activation="relu")(inputs)
    assert fault(import_model(keras.Model(inputs, keras.layers.Dense(1, activation="sigmoid")(hidden)))) == ""


def test_recurrent_networks_have_nonlinearities():
    inputs = keras.Input((16, 4))
    assert fault(import_model(keras.Model(inputs, keras.layers.LSTM(8)(inputs)))) == ""
