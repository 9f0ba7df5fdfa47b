"""Functional models of plain Keras 3 answer as the networks of tf_keras that they are made of."""

import json
import re
import zipfile

import keras
import numpy as np
import pytest
import tensorflow as tf
import tf_keras

from tests import plain
from tests.networks.test_symbolic import CELL_201, SMALL_NETWORKS
from tfnas import saved_models
from tfnas.errors import ConfigurationError
from tfnas.networks.darts import DartsNetwork, DartsSkeleton
from tfnas.networks.functional import block_of, settings_of, to_keras
from tfnas.networks.functional_code import python_source
from tfnas.networks.nasbench201 import NASBench201Network, NASBench201Supernet, Skeleton
from tfnas.networks.nats_size import NATSSizeNetwork
from tfnas.spaces import Darts, NASBench201, get_space

MEAN, DEVIATION = (120.0, 110.0, 100.0), (60.0, 62.0, 64.0)


def with_random_weights(network, image_shape, rng):
    """The network with weights and running statistics as after a training, which none starts with."""
    network(tf.zeros([1, *image_shape]))
    for layer in network.submodules:
        if isinstance(layer, tf_keras.layers.BatchNormalization):
            gamma, beta, mean, variance = layer.get_weights()
            noise = rng.normal(0, 0.2, (4, len(gamma)))
            layer.set_weights([gamma + noise[0], beta + noise[1], mean + noise[2], variance * np.exp(noise[3])])
    return network


def assert_equal_logits(actual, expected):
    """Equal to 1e-5, in the unit of the largest logit where it exceeds 1: networks that never learned have such."""
    expected = np.asarray(expected)
    np.testing.assert_allclose(actual, expected, rtol=0, atol=1e-5 * max(1, np.abs(expected).max()))


def built_by(source):
    """The model of a source file."""
    names = {"__name__": "build_model"}
    exec(source, names)
    return names["build"]()


@pytest.mark.parametrize(  # DARTS and NAS-Bench-301 share their network
    "name",
    [pytest.param(name, marks=pytest.mark.slow) if name == "nasbench301" else name for name in SMALL_NETWORKS],
)
def test_equals_the_trained_network(name, rng, tmp_path, small_nasbench101):
    """Model, file and source code, of random architectures, on images of an odd size; layers are counted by kind."""
    skeleton, make = SMALL_NETWORKS[name]
    space = small_nasbench101 if name == "nasbench101" else get_space(name)
    image_shape = (33, 33, 3)
    pixels = rng.integers(0, 256, (3, *image_shape)).astype(np.float32)
    standardised = (pixels - np.float32(MEAN)) / np.float32(DEVIATION)
    count = 2 if name in ("nasbench101", "nasbench201") else 1
    cells = space.sample(count, rng)
    for row in range(count):
        network = with_random_weights(make(skeleton, space.architecture(cells, row)), image_shape, rng)
        expected = network(standardised).numpy()
        block = block_of(network, MEAN, DEVIATION)
        model = to_keras(block, image_shape)
        assert_equal_logits(model(pixels), expected)
        saved_models.save_keras_file(model, tmp_path / "model.keras", outputs="logits")
        twin = built_by(python_source(block, image_shape, expected.shape[1], "A network"))
        assert [(type(layer), layer.output.shape) for layer in twin.layers] == [
            (type(layer), layer.output.shape) for layer in model.layers
        ]
        assert twin.count_params() == model.count_params()
        twin.load_weights(tmp_path / "model.keras")
        assert_equal_logits(twin(pixels), expected)


def test_none_edges():
    """A cell without operations answers with zeros through the norms; edges that vanish leave no layer."""
    for text, additions in (
        ("|none~0|+|none~0|none~1|+|none~0|none~1|none~2|", 0),
        ("|none~0|+|nor_conv_1x1~0|none~1|+|none~0|nor_conv_1x1~1|skip_connect~2|", 1),
    ):
        network = NASBench201Network(Skeleton(channels=4, cells_per_stage=1, stages=1), NASBench201().from_string(text))
        images = np.ones((2, 8, 8, 3), np.float32)
        with_random_weights(network, (8, 8, 3), np.random.default_rng(0))
        model = to_keras(block_of(network), (8, 8, 3))
        assert_equal_logits(model(images), network(images))
        assert sum(isinstance(layer, keras.layers.Add) for layer in model.layers) == additions


@pytest.mark.parametrize("large_images", [False, True])
def test_stems_and_auxiliary_classifier_of_darts(large_images, rng):
    """The auxiliary classifier, whose variables and the two of dropping only training reads, is left out."""
    space = Darts()
    skeleton = DartsSkeleton(3, channels=4, layers=3, large_images=large_images, auxiliary=not large_images)
    network = DartsNetwork(skeleton, space.architecture(space.sample(1, rng), 0))
    with_random_weights(network, (32, 32, 3), rng)
    images = rng.normal(size=(2, 32, 32, 3)).astype(np.float32)
    model = to_keras(block_of(network), (32, 32, 3))
    assert_equal_logits(model(images), network(images))
    if network.auxiliary is not None:
        assert len(network.auxiliary.variables) > 0
        assert network.count_params() - model.count_params() > network.auxiliary.count_params()


@pytest.mark.parametrize("library", [tf_keras, keras], ids=["tf_keras", "keras"])
def test_functional_models_of_a_user(library, rng):
    """Of standard layers, whichever Keras they are of; what plain Keras lacks is named."""
    layers = library.layers
    inputs = library.Input((6, 6, 3))
    value = layers.Conv2D(4, 3, activation="relu")(inputs)
    value = layers.BatchNormalization()(value)
    value = layers.Concatenate()([layers.Flatten()(value), layers.Dropout(0.5)(layers.Flatten()(inputs))])
    model = library.Model(inputs, layers.Dense(2)(value))
    images = rng.normal(size=(3, 6, 6, 3)).astype(np.float32)
    block = block_of(model, [1.0], [2.0])
    functional = to_keras(block, (6, 6, 3))
    assert_equal_logits(functional(1 + 2 * images), model(images))
    assert "layers.Dropout(0.5)" in python_source(block, (6, 6, 3), 2, "A network")
    own = type("Own", (layers.Layer,), {"call": lambda self, inputs: inputs})(name="own")
    with pytest.raises(ConfigurationError, match="layer 'own' is Own, expected a standard layer of Keras"):
        block_of(library.Model(inputs, own(inputs)))
    with pytest.raises(ConfigurationError, match="no functional model with one output"):
        block_of(type("Subclassed", (library.Model,), {})())


PLAIN = """
import sys
import numpy as np
import keras
model = keras.saving.load_model("network.keras")
np.save("outputs.npy", model.predict(np.load("images.npy"), verbose=0))
assert not {"tfnas", "tf_keras"} & set(sys.modules)
"""


def test_save_writes_what_plain_keras_opens(rng, tmp_path):
    """In a process without tfnas; the bytes are the same whenever the file is written."""
    network = with_random_weights(
        NASBench201Network(Skeleton(channels=4, cells_per_stage=1), NASBench201().from_string(CELL_201)), (9, 9, 3), rng
    )
    images = rng.normal(size=(4, 9, 9, 3)).astype(np.float32)
    network.save(tmp_path / "network.keras")
    content = (tmp_path / "network.keras").read_bytes()
    network.save(tmp_path / "network.keras")
    assert (tmp_path / "network.keras").read_bytes() == content
    with zipfile.ZipFile(tmp_path / "network.keras") as archive:
        addresses = re.findall(rb'"shared_object_id": (\d+)', archive.read("config.json"))
    assert set(addresses) <= {b"0", b"1", b"2"}  # no addresses in memory, which the next process would change
    np.save(tmp_path / "images.npy", images)
    plain.run(PLAIN, folder=tmp_path)
    assert_equal_logits(np.load(tmp_path / "outputs.npy"), network(images))


def test_facts_in_the_file(tmp_path):
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    saved_models.save_keras_file(model, tmp_path / "model.keras", outputs="logits")
    with zipfile.ZipFile(tmp_path / "model.keras") as archive:
        assert json.loads(archive.read("metadata.json"))["tfnas"] == {"outputs": "logits"}
    np.testing.assert_array_equal(keras.saving.load_model(tmp_path / "model.keras").weights[0], model.weights[0])


def test_networks_that_cannot_be_saved(tmp_path):
    skeleton = Skeleton(channels=4, cells_per_stage=1, stages=1)
    with pytest.raises(ConfigurationError, match="call the network on images"):
        NASBench201Network(skeleton, NASBench201().from_string(CELL_201)).save(tmp_path / "network.keras")
    with pytest.raises(ConfigurationError, match="network of all cells"):
        NASBench201Supernet(skeleton, (8, 8, 1)).network.save(tmp_path / "network.keras")
    widest = NATSSizeNetwork(None)
    widest(tf.zeros([1, 8, 8, 1]))
    with pytest.raises(ConfigurationError, match="network of all widths"):
        widest.save(tmp_path / "network.keras")


def test_settings_without_defaults():
    layer = tf_keras.layers.Conv2D(4, (1, 3), padding="same", kernel_initializer="he_normal")
    norm = tf_keras.layers.BatchNormalization(momentum=0.9)
    norm(layer(tf.zeros([1, 4, 4, 2])))
    assert settings_of(layer) == {
        "filters": 4,
        "kernel_size": (1, 3),
        "padding": "same",
        "kernel_initializer": "he_normal",
    }
    assert settings_of(norm) == {"momentum": 0.9}
    scaled = tf_keras.layers.Dense(2, kernel_initializer=tf_keras.initializers.RandomUniform(-0.5, 0.5))
    scaled(tf.zeros([1, 3]))
    ours = keras.layers.Dense(**settings_of(scaled))
    assert ours.kernel_initializer.get_config()["maxval"] == 0.5
