"""Jacobians against finite differences, loops over images, and Keras networks with the same weights."""

import keras
import numpy as np
import pytest
import tensorflow as tf
import tf_keras

from tests.proxies.test_scores import IMAGES, gradient, layer_pairs, numpy_network, small_model
from tfnas.encoders.jacobian import corpus as jacobian_corpus
from tfnas.encoders.jacobian.data_config import JacobianConfig
from tfnas.encoders.jacobian.program import FINE, NOT_FINITE, ZERO, JacobianProgram, describe
from tfnas.encoders.jacobian.space_programs import BuiltJacobians, SupernetJacobians, weight_seed
from tfnas.errors import ConfigurationError, CorruptArtefactError
from tfnas.networks import rewiring
from tfnas.networks.initialization import draw_weights, fresh_weights
from tfnas.networks.layers import LayerSettings
from tfnas.networks.nasbench201 import Cell, NASBench201Network, NASBench201Supernet, Skeleton, operation_codes
from tfnas.networks.nats_size import NATSSizeNetwork, NATSSizeSupernet
from tfnas.proxies.scores import jacobian_covariance
from tfnas.spaces import NASBench201, NATSSize
from tfnas.spaces.nats_size import widths

SMALL = Skeleton(num_classes=3, channels=4, cells_per_stage=2, stages=2)
CONFIG = JacobianConfig(initializations=2, components=4, shard_size=2)


@pytest.fixture(scope="module")
def cells_network():
    return NASBench201Supernet(SMALL, (8, 8, 3))


@pytest.fixture(scope="module")
def cells_program(cells_network):
    return SupernetJacobians(cells_network, seed=3)


@pytest.mark.parametrize("library", [tf_keras, keras], ids=["keras2", "keras3"])
def test_jacobian_equals_finite_differences(library):
    model = small_model(library)
    weights = [variable.numpy().astype(np.float64) for variable in model.trainable_variables]
    images = IMAGES.astype(np.float64)
    expected = gradient(lambda: numpy_network(weights, images).sum(), images).reshape(4, -1)
    found = JacobianProgram(model, rule=None, compiled=False).jacobian(IMAGES, (0, 0))
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-5 * np.abs(expected).max())
    assert model(IMAGES).shape == (4, 3)  # the model still works


def test_jacobian_equals_a_loop_over_images():
    """Without norms over the batch, an image's row is the gradient of its own logits; classes add up to the sum."""
    model = tf_keras.Sequential(
        [
            tf_keras.layers.Conv2D(4, 3, activation="relu", input_shape=(8, 8, 3)),
            tf_keras.layers.Flatten(),
            tf_keras.layers.Dense(3),
        ]
    )
    found = JacobianProgram(model, rule=None, compiled=False).jacobian(IMAGES, (0, 0))
    for row, image in enumerate(IMAGES):
        with tf.GradientTape() as tape:
            own = tf.constant(image[None])
            tape.watch(own)
            total = tf.reduce_sum(model(own))
        np.testing.assert_allclose(found[row], tf.reshape(tape.gradient(total, own), [-1]), rtol=1e-4, atol=1e-6)
    classes = JacobianProgram(model, rule=None, outputs="classes").jacobian(IMAGES, (0, 0))
    assert classes.shape == (4, 3, 192)
    np.testing.assert_allclose(tf.reduce_sum(classes, axis=1), found, rtol=1e-4, atol=1e-6)


def test_fresh_weights_follow_the_rules():
    layer = tf_keras.layers.Conv2D(64, 3)
    layer.build([None, 8, 8, 16])
    fan_in, fan_out = 9 * 16, 9 * 64
    for rule, bound in (("pytorch", fan_in**-0.5), ("keras", (6 / (fan_in + fan_out)) ** 0.5)):
        values = fresh_weights(layer, (1, 0), rule)
        assert np.abs(values["kernel"]).max() == pytest.approx(bound, rel=0.01)
        assert np.std(values["kernel"]) == pytest.approx(bound / 3**0.5, rel=0.02)
    assert not np.any(values["bias"])
    assert np.abs(fresh_weights(layer, (1, 0), "pytorch")["bias"]).max() > 0.5 * fan_in**-0.5
    model = tf_keras.Sequential([tf_keras.layers.Dense(4, input_shape=(3,)), tf_keras.layers.BatchNormalization()])
    draw_weights(model, 5)
    first = model.layers[0].kernel.numpy()
    draw_weights(model, 5)
    np.testing.assert_array_equal(model.layers[0].kernel, first)


@pytest.mark.parametrize("row", [5, 4000])
def test_program_of_all_cells_equals_a_keras_network(cells_network, cells_program, row):
    """The weights that the program draws, written into the variables of its network."""
    space, network = NASBench201(), cells_network.network
    architecture = space.architecture(space.enumerate(), row)
    codes = tf.constant(operation_codes(architecture))
    seed = weight_seed(3, architecture, 1)
    numbers = {id(layer): 100 * number for number, layer in enumerate(rewiring.all_layers(network))}
    firsts: dict[int, Cell] = {}
    for place, block in enumerate(network.blocks):
        drawn_by = block
        if isinstance(block, Cell):
            drawn_by = firsts.setdefault(block.edges[0].convolutions["nor_conv_3x3"][0].filters, block)
        layers = zip(rewiring.all_layers(drawn_by), rewiring.all_layers(block), strict=True)
        for source, layer in layers:
            own = (seed[0], numbers[id(source)] + 100_000 * place)
            for name, value in fresh_weights(layer, own).items():
                getattr(layer, name).assign(value)
    for layer in (network.stem, network.stem_norm, network.last_norm, network.classifier):
        for name, value in fresh_weights(layer, (seed[0], numbers[id(layer)])).items():
            getattr(layer, name).assign(value)
    images = tf.constant(IMAGES)
    with tf.GradientTape() as tape:
        tape.watch(images)
        total = tf.reduce_sum(network(images, codes, training=True))
    expected = tf.reshape(tape.gradient(total, images), [4, -1])
    found = cells_program(images, architecture, 1)
    assert np.abs(expected).max() > 0
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-5 * np.abs(expected).max())


def test_program_of_all_widths_equals_a_network_of_these_widths():
    space = NATSSize()
    supernet = NATSSizeSupernet((8, 8, 3))
    program = SupernetJacobians(supernet, seed=3)
    architecture = space.architecture(space.sample(1, np.random.default_rng(1)), 0)
    channels = tf.constant(widths(architecture))
    network = NATSSizeNetwork(architecture, settings=LayerSettings("pytorch"))
    network(IMAGES)
    seed = weight_seed(3, architecture, 0)
    numbers = {id(layer): 100 * number for number, layer in enumerate(rewiring.all_layers(supernet.network))}
    for source, layer in layer_pairs(supernet.network, network):
        own = (seed[0], numbers[id(source)])
        for name, value in fresh_weights(source, own, shape=lambda o, n: supernet.shape(o, n, channels)).items():
            getattr(layer, name).assign(value)
    images = tf.constant(IMAGES)
    with tf.GradientTape() as tape:
        tape.watch(images)
        total = tf.reduce_sum(network(images, training=True))
    expected = tf.reshape(tape.gradient(total, images), [4, -1])
    found = program(images, architecture, 0)
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-5 * np.abs(expected).max())


def test_two_encodings_of_one_network_have_one_jacobian():
    """The same convolution on the way over node 1 and over node 2, with the same weights."""
    space = NASBench201()
    texts = (
        "|nor_conv_3x3~0|+|none~0|none~1|+|none~0|skip_connect~1|none~2|",
        "|none~0|+|nor_conv_3x3~0|none~1|+|none~0|none~1|skip_connect~2|",
    )
    first, second = (NASBench201Network(SMALL, space.from_string(text), LayerSettings("pytorch")) for text in texts)
    for network in (first, second):
        network(IMAGES)
    second.set_weights(first.get_weights())
    found = [
        JacobianProgram(network, rule=None, call=lambda x, n=network: n(x, training=False)).jacobian(IMAGES, (0, 0))
        for network in (first, second)
    ]
    assert np.abs(found[0]).max() > 0
    np.testing.assert_allclose(found[0], found[1], rtol=1e-4, atol=1e-7)


def test_seeds_decide(cells_program):
    space = NASBench201()
    first, second = (space.architecture(space.enumerate(), row) for row in (5, 6))
    images = tf.constant(IMAGES)
    np.testing.assert_array_equal(cells_program(images, first, 0), cells_program(images, first, 0))
    assert np.any(cells_program(images, first, 0) != cells_program(images, first, 1))
    assert len({weight_seed(1, first, 0), weight_seed(2, first, 0), weight_seed(1, second, 0)}) == 3


def test_description_equals_numpy():
    rng = np.random.default_rng(0)
    jacobian = rng.normal(size=(6, 48)).astype(np.float32)
    found = describe(jacobian, (4, 4, 3), 3)
    _, values, right = np.linalg.svd(jacobian.astype(np.float64), full_matrices=False)
    np.testing.assert_allclose(found.scales, values[:3], rtol=1e-5)
    np.testing.assert_allclose(np.abs(found.projection), np.abs(jacobian @ right[:3].T), rtol=1e-3, atol=1e-5)
    peaks = np.abs(found.directions).argmax(axis=0)
    assert (found.directions[peaks, range(3)] > 0).all()
    np.testing.assert_allclose(found.correlations, np.linalg.eigvalsh(np.corrcoef(jacobian))[::-1], rtol=1e-4)
    assert jacobian_corpus.covariance_score(found.correlations) == pytest.approx(jacobian_covariance(jacobian), 1e-4)
    assert found.state == FINE
    projected = describe(jacobian, (4, 4, 3), 10, "random", seed=2)
    other = describe(2 * jacobian, (4, 4, 3), 10, "random", seed=2)
    np.testing.assert_allclose(other.projection, 2 * projected.projection, rtol=1e-4, atol=1e-5)
    assert describe(jacobian.reshape(3, 2, 48), (4, 4, 3), 3).directions.shape == (6, 3)


def test_frequencies_of_simple_images():
    constant = describe(np.ones((2, 48), np.float32), (4, 4, 3), 1)
    np.testing.assert_allclose(constant.frequencies, [1, 0, 0], atol=1e-6)
    stripes = np.tile(np.array([1.0, -1, 1, -1])[None, :, None], (4, 1, 3)).ravel()
    np.testing.assert_allclose(describe(np.stack([stripes] * 2), (4, 4, 3), 1).frequencies, [0, 0, 1], atol=1e-6)


def test_unusable_jacobians_are_flagged():
    jacobian = np.zeros((3, 48), np.float32)
    assert describe(jacobian, (4, 4, 3), 2).state == ZERO
    jacobian[0, 0] = np.nan
    found = describe(jacobian, (4, 4, 3), 2)
    assert found.state == NOT_FINITE
    assert not found.projection.any()
    space = NASBench201()
    nothing = space.from_string("|none~0|+|none~0|none~1|+|none~0|none~1|none~2|")
    assert describe(BuiltJacobians(space, image_shape=(8, 8, 3))(IMAGES, nothing), (8, 8, 3), 2).state == ZERO


def test_refusals():
    model = small_model(tf_keras)
    with pytest.raises(ConfigurationError, match="initialization='he', expected one of pytorch, keras"):
        JacobianProgram(model, rule="he")
    with pytest.raises(ConfigurationError, match="outputs='max'"):
        JacobianProgram(model, outputs="max")
    program = JacobianProgram(model, compiled=False)
    with pytest.raises(ConfigurationError, match="N >= 2"):
        program.jacobian(IMAGES[:1], (0, 0))
    with pytest.raises(ConfigurationError, match="NaN"):
        program.jacobian(IMAGES * np.nan, (0, 0))
    with pytest.raises(ConfigurationError, match=r"takes \(8, 8, 3\), images are \(6, 8, 3\)"):
        program.jacobian(IMAGES[:, :6], (0, 0))
    inputs = tf_keras.Input((8, 8, 3))
    dense = tf_keras.Sequential([tf_keras.layers.Dense(3, input_shape=(5,))])
    with pytest.raises(ConfigurationError, match=r"takes \(5,\), images are"):
        JacobianProgram(dense, compiled=False).jacobian(IMAGES, (0, 0))
    with pytest.raises(ConfigurationError, match="no convolution and no matrix product"):
        JacobianProgram(tf_keras.Model(inputs, tf_keras.layers.GlobalAveragePooling2D()(inputs)))
    image = JacobianProgram(tf_keras.Model(inputs, tf_keras.layers.Conv2D(2, 3)(inputs)), compiled=False)
    with pytest.raises(ConfigurationError, match="expected logits"):
        image.jacobian(IMAGES, (0, 0))
    with pytest.raises(ConfigurationError, match="5 components of 4 rows"):
        describe(np.ones((4, 48)), (4, 4, 3), 5)
    with pytest.raises(ConfigurationError, match="expected \\[N, 48\\]"):
        describe(np.ones((4, 47)), (4, 4, 3), 2)
    with pytest.raises(ConfigurationError, match="components=0"):
        JacobianConfig(components=0)
    with pytest.raises(ConfigurationError, match="components=9, expected at most 4"):
        jacobian_corpus.extract(NASBench201(), None, IMAGES, JacobianConfig(components=9), None, seed=0)


def test_corpus_goes_on_where_it_was_cut_and_reports_damage(tmp_path):
    space = NATSSize()
    cells = space.sample(5, np.random.default_rng(0))
    whole, again = tmp_path / "whole", tmp_path / "again"
    totals = jacobian_corpus.extract(space, cells, IMAGES, CONFIG, whole, seed=1)
    assert totals == {"fine": 10, "zero": 0, "not_finite": 0}
    jacobian_corpus.extract(space, cells, IMAGES, CONFIG, again, seed=1, devices=("CPU:0",))
    shards = sorted(path.name for path in whole.glob("*.tfrecord"))
    assert len(shards) == 3
    (again / shards[1]).unlink()
    (again / "manifest.json").unlink()
    jacobian_corpus.extract(space, cells, IMAGES, CONFIG, again, seed=1)
    for name in shards:
        assert (again / name).read_bytes() == (whole / name).read_bytes()
    corpus = jacobian_corpus.load(again)
    assert len(corpus) == 5
    assert corpus.usable.all()
    assert corpus.directions.shape == (5, 2, 4, 4)
    architecture = space.architecture(cells, 3)
    expected = describe(SupernetJacobians(NATSSizeSupernet((8, 8, 3)), 1)(IMAGES, architecture, 1), (8, 8, 3), 4)
    np.testing.assert_allclose(corpus.scales[3, 1], expected.scales, rtol=1e-6)
    np.testing.assert_allclose(corpus.directions[3, 1], expected.directions, atol=1e-3)
    assert np.isfinite(corpus.jacov).all()
    with pytest.raises(ConfigurationError, match="begun with other seed"):
        jacobian_corpus.extract(space, cells, IMAGES, CONFIG, again, seed=2)
    with pytest.raises(ConfigurationError, match="expected each once"):
        jacobian_corpus.extract(space, cells, IMAGES, CONFIG, again, seed=1, devices=("CPU:0", "CPU:0"))
    (again / shards[0]).write_bytes(b"nonsense")
    with pytest.raises(CorruptArtefactError, match=shards[0]):
        jacobian_corpus.load(again)
