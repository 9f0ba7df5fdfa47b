"""Models of Keras 3 from their configuration alone: the same graphs as those of models that Keras builds and traces."""

import dataclasses
import functools

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from keras import layers, ops
from keras.src.applications.convnext import LayerScale
from keras.src.applications.inception_resnet_v2 import CustomScaleLayer

from tfnas.errors import InvalidArchitectureError
from tfnas.graphs.importers import keras_files, keras_operations
from tfnas.graphs.importers.keras_configs import read_configuration
from tfnas.graphs.importers.keras_files import from_keras_file, read_keras_file
from tfnas.graphs.importers.keras_rules import ARITHMETIC, RULES

IMAGE, SEQUENCE, VOLUME, VECTOR = (8, 8, 4), (8, 3), (8, 8, 8, 3), (5,)
NUMBERS = [0.1, 0.2, 0.3, 0.4]


def graphs(path, shapes=None):
    """The graph of a file by its configuration, None for a model that is not known, and the graph by Keras."""
    known = read_configuration(read_keras_file(path).config, input_shapes=shapes)
    with pytest.MonkeyPatch.context() as patch:
        read = None if known is None else from_keras_file(path, input_shapes=shapes)
        patch.setattr(keras_files, "read_configuration", lambda config, **facts: None)
        return read, from_keras_file(path, input_shapes=shapes)


def same(first, second):
    """Whether two graphs are equal in every field: operators, shapes, edges, names and notes, in this order."""
    return all(
        np.array_equal(one, other, equal_nan=True) if isinstance(one, np.ndarray | float) else one == other
        for one, other in (
            (getattr(first, field.name), getattr(second, field.name)) for field in dataclasses.fields(first)
        )
    )


def check(model, folder, shapes=None):
    model.save(folder / "model.keras")
    read, built = graphs(folder / "model.keras", shapes)
    assert read is not None
    assert same(read, built)


def model_of(layer, shape, inputs=1):
    """A model of a layer, and of layers around it that show its place."""
    data = [keras.Input(shape) for _ in range(inputs)]
    before = [layers.ReLU()(tensor) for tensor in data]
    return keras.Model(data, layers.Activation("tanh")(layer(before if inputs > 1 else before[0])))


def windowed(kind, **arguments):
    return [kind(padding=padding, **arguments) for padding in ("same", "valid")]


LAYERS = [
    *((layer, SEQUENCE) for layer in windowed(layers.Conv1D, filters=4, kernel_size=3, strides=2, activation="relu")),
    *((layer, IMAGE) for layer in windowed(layers.Conv2D, filters=5, kernel_size=(3, 2), strides=(2, 1))),
    *((layer, VOLUME) for layer in windowed(layers.Conv3D, filters=4, kernel_size=3, use_bias=False)),
    *((layer, IMAGE) for layer in windowed(layers.DepthwiseConv2D, kernel_size=3, strides=2, depth_multiplier=2)),
    *((layer, IMAGE) for layer in windowed(layers.SeparableConv2D, filters=6, kernel_size=3, activation="gelu")),
    (layers.Conv1D(6, 3, groups=3), SEQUENCE),
    (layers.Conv2D(6, 3, groups=2, activation="swish"), IMAGE),
    (layers.Conv2D(1, 3), IMAGE),
    *((layers.Dense(4, activation=name), shape) for name, shape in (("relu", VECTOR), ("softmax", IMAGE))),
    (layers.Dense(1), SEQUENCE),
    (layers.Dense(3, use_bias=False), VECTOR),
    *((layers.Activation(name), IMAGE) for name in ("linear", "relu6", "elu", "selu", "sigmoid", "leaky_relu")),
    *((layers.Activation(name), IMAGE) for name in ("exponential", "softplus", "softsign", "mish", "hard_silu")),
    *((layers.Activation(name), VECTOR) for name in ("silu", "hard_swish", "hard_sigmoid", "tanh", "softmax")),
    *((layer, IMAGE) for layer in (layers.ReLU(6), layers.ReLU(negative_slope=0.1), layers.LeakyReLU())),
    (layers.Softmax(), IMAGE),
    *(
        (kind(axis=axis, center=center, scale=scale), IMAGE)
        for kind in (layers.BatchNormalization, layers.LayerNormalization)
        for axis, center, scale in ((-1, True, True), (3, True, False), (3, False, True), (-1, False, False))
    ),
    (layers.BatchNormalization(), VECTOR),
    (layers.LayerNormalization(), (8, 8, 1)),
    (layers.Normalization(), IMAGE),
    (layers.Normalization(mean=NUMBERS, variance=NUMBERS[:1] * 4), IMAGE),
    (layers.Rescaling(0.1, offset=2), IMAGE),
    *((kind(0.2), IMAGE) for kind in (layers.Dropout, layers.SpatialDropout2D, layers.GaussianNoise)),
    *((kind(0.2), shape) for kind, shape in ((layers.SpatialDropout1D, SEQUENCE), (layers.SpatialDropout3D, VOLUME))),
    (layers.GaussianDropout(0.2), VECTOR),
    *(
        (layer, shape)
        for rank, shape in ((1, SEQUENCE), (2, IMAGE), (3, VOLUME))
        for kind in ("Max", "Average")
        for layer in (
            *windowed(getattr(layers, f"{kind}Pooling{rank}D"), pool_size=3, strides=2),
            *(getattr(layers, f"Global{kind}Pooling{rank}D")(keepdims=keep) for keep in (True, False)),
        )
    ),
    *((layer, SEQUENCE) for layer in (layers.ZeroPadding1D((1, 2)), layers.Cropping1D((1, 2)))),
    *((layer, IMAGE) for layer in (layers.ZeroPadding2D(((1, 0), (2, 3))), layers.Cropping2D(((1, 0), (0, 3))))),
    *((layer, VOLUME) for layer in (layers.ZeroPadding3D(2), layers.Cropping3D(2))),
    *((layer, IMAGE) for layer in (layers.Flatten(), layers.Reshape((4, -1)), layers.Permute((3, 1, 2)))),
    (LayerScale(1e-6, 4), IMAGE),
]
MERGES = [
    *((kind(), 3) for kind in (layers.Add, layers.Average, layers.Multiply, layers.Maximum, layers.Minimum)),
    *((layer, 2) for layer in (layers.Subtract(), layers.Concatenate(axis=1), CustomScaleLayer(0.3))),
]


@pytest.mark.parametrize(("layer", "shape"), LAYERS, ids=[f"{layer.name}-{len(shape)}" for layer, shape in LAYERS])
def test_layers(layer, shape, tmp_path):
    check(model_of(layer, shape), tmp_path)


@pytest.mark.parametrize(("layer", "inputs"), MERGES, ids=[layer.name for layer, _ in MERGES])
def test_merges(layer, inputs, tmp_path):
    check(model_of(layer, IMAGE, inputs), tmp_path)


def test_every_rule_is_tested():
    assert {type(layer).__name__ for layer, _ in (*LAYERS, *MERGES)} == {name for _, name in RULES}


def test_arithmetic(tmp_path):
    """Functions of keras.ops and numbers stand beside layers."""
    data = keras.Input(IMAGE)
    value = (1.0 - data * 2.0 + 1) * (data - 0.5)
    value = ops.divide(ops.multiply(value, layers.Conv2D(4, 1)(value)), 3.0) / 2 + value
    check(keras.Model(data, value - data), tmp_path)
    assert {name for _, name in ARITHMETIC} == {"Add", "Subtract", "Multiply", "Divide", "TrueDivide"}


@pytest.mark.parametrize("batch", [1, 4])
def test_batches_of_known_size(batch, tmp_path):
    """A given size of the batch changes what Keras computes for a reshape and where it sees a bias."""
    data = keras.Input((None, None, 3))
    hidden = layers.Dense(4)(layers.Conv2D(4, 3)(data))
    means = layers.GlobalAveragePooling2D(keepdims=True)(hidden)
    pooled = layers.GlobalMaxPooling2D()(layers.Add()([hidden, means]) + means)
    model = keras.Model(data, layers.Flatten()(layers.Dense(2)(layers.Reshape((2, -1))(pooled))))
    check(model, tmp_path, (batch, 16, 16, 3))
    fixed = keras.Input(batch_shape=(batch, 16, 16, 3))
    check(keras.Model(fixed, layers.Flatten()(layers.Conv2D(2, 3)(fixed))), tmp_path)


def test_open_shapes(tmp_path):
    data = keras.Input((None, None, 3), name="image")
    model = keras.Model(data, layers.Conv2D(4, 3)(data), name="net")
    check(model, tmp_path)
    assert from_keras_file(tmp_path / "model.keras").notes[0].endswith("image [1, 224, 224, 3]")
    with pytest.raises(InvalidArchitectureError, match="model 'net': axis 3 of input 'image' has the extent 3, not 5"):
        read_configuration(read_keras_file(tmp_path / "model.keras").config, input_shapes=(1, 8, 8, 5))


def sequential(name):
    stack = [layers.Conv2D(3, 3, padding="same", name="conv"), layers.BatchNormalization(name="norm")]
    return keras.Sequential([keras.Input((8, 8, 3)), *stack, layers.ReLU(name="relu")], name=name)


def functional(name, outputs=1):
    data = keras.Input((8, 8, 3))
    hidden = layers.Conv2D(3, 3, padding="same", name="conv")(data)
    output = layers.ReLU(name="relu")(hidden)
    return keras.Model(data, output if outputs == 1 else [output, hidden], name=name)


def test_nested_and_shared_models(tmp_path):
    data, first, second = keras.Input((8, 8, 3)), sequential("first"), functional("second")
    pair, shared = functional("pair", outputs=2), layers.Conv2D(3, 1, name="shared")
    one, other = pair(data)
    sums = layers.Add()([first(first(data)), second(second(data)), shared(one), shared(shared(other))])
    check(keras.Model(data, sums), tmp_path)
    check(keras.Model(data, [second(data), one]), tmp_path)
    check(keras.Model(data, first(second(data))), tmp_path)
    stack = [functional("inner"), sequential("other"), layers.Flatten(), layers.Dense(2)]
    check(keras.Sequential([keras.Input((8, 8, 3)), *stack], name="outer_1"), tmp_path)


def test_several_inputs(tmp_path):
    """Names decide in which order operations of equal depth stand."""
    last, first, middle = (keras.Input((6,), name=name) for name in ("last", "first", "middle"))
    towers = [layers.Dense(3, name="z")(first), layers.Dense(3, name="a")(last), layers.BatchNormalization()(middle)]
    check(keras.Model([last, first, middle], layers.Dense(2)(layers.Concatenate()(towers))), tmp_path)
    check(keras.Model([last, first], layers.Dense(2)(first)), tmp_path)


def test_names(tmp_path):
    """Names of layers that TensorFlow numbers, and names that it refuses."""
    data = hidden = keras.Input((8, 8, 3))
    for name in ("conv", "Conv", "conv_1", "a+b", "größe"):
        hidden = layers.Conv2D(3, 1, name=name)(hidden)
    check(keras.Model(data, hidden, name="net_3"), tmp_path)


def test_weights_that_are_not_trained(tmp_path):
    model = functional("inner")
    data = keras.Input((8, 8, 3))
    outer = keras.Model(data, sequential("stack")(model(data)))
    model.trainable = False
    check(outer, tmp_path)
    assert 0 < from_keras_file(tmp_path / "model.keras").trainable < outer.count_params()
    outer.trainable = False
    check(outer, tmp_path)
    assert from_keras_file(tmp_path / "model.keras").trainable == 0


def test_models_that_are_trained(tmp_path):
    """A loss, an optimizer, regularizers and constraints say nothing about a graph."""
    layer = layers.Conv2D(2, 3, kernel_regularizer="l2", bias_constraint="non_neg")
    model = keras.Sequential([keras.Input((8, 8, 3)), layer, layers.Flatten()])
    model.compile("adam", "mse")
    check(model, tmp_path)


def dictionary():
    data = {name: keras.Input((4,), name=name) for name in ("one", "two")}
    return keras.Model(data, layers.Add()([data["one"], data["two"]]))


def of_type(dtype):
    data = keras.Input((8, 8, 4))
    return keras.Model(data, layers.Conv2D(2, 3, dtype=dtype)(data))


@pytest.mark.parametrize(
    "build",
    [
        dictionary,
        lambda: of_type("mixed_bfloat16"),
        lambda: model_of(layers.Conv2D(2, 3, dilation_rate=2), IMAGE),
        lambda: model_of(layers.Conv2D(2, 3, data_format="channels_first"), IMAGE),
        lambda: model_of(layers.BatchNormalization(axis=1), IMAGE),
        lambda: model_of(layers.GroupNormalization(2), IMAGE),
        lambda: model_of(layers.Conv1D(2, 3, padding="causal"), SEQUENCE),
        lambda: model_of(layers.GRU(2), SEQUENCE),
        lambda: model_of(layers.ReLU(7), IMAGE),
        lambda: model_of(lambda tensors: ops.matmul(*tensors), (4, 4), 2),
    ],
)
def test_unknown_models_are_left_to_keras(build, tmp_path):
    build().save(tmp_path / "model.keras")
    assert read_configuration(read_keras_file(tmp_path / "model.keras").config) is None
    assert from_keras_file(tmp_path / "model.keras").num_nodes > 2


def test_broken_configurations_are_left_to_keras(tmp_path):
    """Values of other types and references to nothing; Keras says what is wrong."""
    model_of(layers.Conv2D(2, 3), IMAGE).save(tmp_path / "model.keras")
    for path, value in (
        (("config", "layers"), 3),
        (("config", "layers", 2, "name"), "other"),
        (("config", "layers", 2, "config", "filters"), "2"),
        (("config", "layers", 2, "config", "strides"), None),
        (("config", "layers", 2, "inbound_nodes", 0, "args", 0, "config", "keras_history", 0), "nobody"),
        (("config", "input_layers"), []),
        (("config", "output_layers"), ["re_lu", 5, 0]),
        (("config",), []),
    ):
        config = read_keras_file(tmp_path / "model.keras").config
        functools.reduce(lambda entry, key: entry[key], path[:-1], config)[path[-1]] = value
        assert read_configuration(config) is None


def test_a_model_that_unfolds_without_end(tmp_path, monkeypatch):
    monkeypatch.setattr(keras_operations, "MAX_OPERATIONS", 100)
    data, inner = keras.Input((8, 8, 3)), functional("inner")
    hidden = data
    for _ in range(20):
        hidden = inner(hidden)
    keras.Model(data, hidden).save(tmp_path / "model.keras")
    with pytest.raises(InvalidArchitectureError, match="more than 100 operations"):
        from_keras_file(tmp_path / "model.keras")


IN_PLACE = [
    lambda: layers.Conv2D(4, 3, padding="same", activation="relu"),
    lambda: layers.Conv2D(4, 1, groups=2, use_bias=False),
    lambda: layers.DepthwiseConv2D(3, padding="same"),
    lambda: layers.SeparableConv2D(4, 3, padding="same"),
    lambda: layers.BatchNormalization(),
    lambda: layers.LayerNormalization(axis=3),
    lambda: layers.Activation("silu"),
    lambda: layers.Activation("hard_silu"),
    lambda: layers.Dense(4, activation="gelu"),
    lambda: layers.MaxPooling2D(3, 1, padding="same"),
    lambda: layers.Dropout(0.5),
    lambda: layers.Rescaling(0.5),
]
"""Layers that keep the shape of images with 4 channels."""


@settings(max_examples=12, deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(0, len(IN_PLACE) - 1), st.integers(0, 3), st.integers(0, 9), st.integers(0, 9)),
        min_size=1,
        max_size=9,
    ),
    st.integers(1, 3),
)
def test_random_models(tmp_path_factory, steps, inputs):
    """Layers, sums, products and second calls of layers on tensors that come before."""
    keras.utils.clear_session(free_memory=False)
    tensors = data = [keras.Input((6, 6, 4)) for _ in range(inputs)]
    known = []
    for kind, way, one, other in steps:
        first, second = tensors[one % len(tensors)], tensors[other % len(tensors)]
        if way == 0:
            tensors = [*tensors, layers.Add()([first, second])]
        elif way == 1:
            tensors = [*tensors, first * second]
        elif way == 2 and known:
            tensors = [*tensors, known[kind % len(known)](first)]
        else:
            known.append(IN_PLACE[kind]())
            tensors = [*tensors, known[-1](first)]
    outputs = [layers.GlobalAveragePooling2D()(tensor) for tensor in tensors[-2:]]
    check(keras.Model(data, outputs), tmp_path_factory.mktemp("random"))


@pytest.mark.parametrize(
    "name",
    [
        "MobileNetV3Small",
        *(
            pytest.param(name, marks=pytest.mark.slow)
            for name in (
                *("ResNet50", "ResNet50V2", "VGG16", "MobileNet", "MobileNetV2", "EfficientNetB0", "EfficientNetV2B0"),
                *("DenseNet121", "InceptionV3", "InceptionResNetV2", "Xception", "ConvNeXtTiny", "NASNetMobile"),
            )
        ),
    ],
)
def test_applications(name, tmp_path):
    check(getattr(keras.applications, name)(weights=None), tmp_path)
