"""The Jacobian encoder: invariances, training, export."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf
import tf_keras

from tests import fork
from tests.proxies.test_scores import IMAGES, small_model
from tfnas.encoders.jacobian import config as presets
from tfnas.encoders.jacobian import models
from tfnas.encoders.jacobian.corpus import JacobianCorpus
from tfnas.encoders.jacobian.data_config import JacobianConfig
from tfnas.encoders.jacobian.export import export
from tfnas.encoders.jacobian.model import JacobianEncoder
from tfnas.encoders.jacobian.models import ModelJacobians
from tfnas.encoders.jacobian.program import Inputs, describe
from tfnas.encoders.jacobian.saved import SavedJacobianEncoder
from tfnas.encoders.jacobian.task import InitializationTask, JacobianPretraining, flat_inputs, joined
from tfnas.errors import ConfigurationError, CorruptArtefactError, MismatchError
from tfnas.graphs.computation_graph import smallest_graph
from tfnas.spaces import NATSSize, nats_size

COUNT, ROWS = 24, 6
SMALL = {"width": 16, "batch_size": 8, "embedding_dim": 8, "correlations": True}


def make_corpus():
    """Every architecture has a spectrum of its own; initialisations add noise."""
    rng = np.random.default_rng(0)
    space = NATSSize()
    found = []
    for _ in range(COUNT):
        basis = rng.normal(size=(ROWS, 48)) * np.exp(rng.normal(size=(ROWS, 1)))
        found.append([describe(basis + 0.1 * rng.normal(size=basis.shape), (4, 4, 3), 5) for _ in range(3)])

    def stack(name):
        return np.array([[getattr(one, name) for one in own] for own in found])

    return JacobianCorpus(
        space=space,
        config=JacobianConfig(initializations=3, components=5),
        cells=space.sample(COUNT, rng),
        images=rng.normal(size=(ROWS, 4, 4, 3)).astype(np.float32),
        directions=stack("directions").astype(np.float16),
        scales=stack("scales"),
        correlations=stack("correlations"),
        frequencies=stack("frequencies"),
        state=stack("state").astype(np.int8),
    )


@pytest.fixture(scope="module")
def corpus():
    return make_corpus()


def model_for(corpus, **changes):
    config = presets.preset("tfnas", **SMALL, magnitudes=True, **changes)
    model = JacobianEncoder(config, ROWS, 5, corpus.frequencies.shape[-1], 0)
    model.adapt(flat_inputs(corpus))
    return model


@pytest.mark.parametrize("projection", [False, True], ids=["tfnas", "paper"])
def test_order_of_images_makes_no_difference(corpus, projection):
    model = model_for(corpus, projection=projection)
    inputs = flat_inputs(corpus)
    order = np.random.default_rng(1).permutation(ROWS)
    permuted = inputs._replace(directions=tf.gather(inputs.directions, order, axis=1))
    np.testing.assert_allclose(model.encode(permuted), model.encode(inputs), rtol=1e-4, atol=1e-5)


def test_signs_make_a_difference_to_the_published_input_only(corpus):
    inputs = flat_inputs(corpus)
    flipped = inputs._replace(directions=inputs.directions * tf.constant([1, -1, 1, -1, -1], tf.float16))
    model = model_for(corpus)
    np.testing.assert_array_equal(model.encode(flipped), model.encode(inputs))
    model = model_for(corpus, projection=True)
    assert np.abs(model.encode(flipped) - model.encode(inputs)).max() > 1e-4


def test_published_network_has_the_published_size():
    config = presets.preset("paper")
    model = JacobianEncoder(config, 256, 128, 17, 0)
    assert sum(int(np.prod(variable.shape)) for variable in model.trainable_variables) == 559_360


def test_training_finds_the_other_initialisation(corpus, tmp_path):
    config = presets.preset("tfnas", **SMALL)
    summary = JacobianPretraining(config, [corpus]).run(tmp_path, epochs=30, seed=1)
    chance = np.log(2 * 8 - 1)
    assert summary["loss"] < 0.5 * chance
    assert summary["found"] > 0.8
    assert summary["left_out"] == {"nats_size": 0}
    encoder = SavedJacobianEncoder(tmp_path / "encoder")
    embeddings = encoder.embed(corpus)
    assert embeddings.shape == (COUNT, 3, 8)
    within = np.linalg.norm(embeddings[:, 0] - embeddings[:, 1], axis=1).mean()
    between = np.linalg.norm(embeddings[:, 0] - np.roll(embeddings[:, 1], 1, axis=0), axis=1).mean()
    assert within < 0.5 * between
    for name in ("training.png", "map.png", "summary.json"):
        assert (tmp_path / name).stat().st_size
    again = tmp_path / "again"
    again.mkdir()
    JacobianPretraining(config, [corpus]).run(again, epochs=30, seed=1)
    np.testing.assert_array_equal(SavedJacobianEncoder(again / "encoder").embed(corpus), embeddings)


def train_on_two_replicas(folder):
    """Writes the weights of a short training in a fresh process."""
    devices = [tf.config.LogicalDeviceConfiguration()] * 2
    tf.config.set_logical_device_configuration(tf.config.list_physical_devices("CPU")[0], devices)
    strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
    pretraining = JacobianPretraining(presets.preset("tfnas", **SMALL), [make_corpus()])
    model = pretraining.train(folder / "run", epochs=2, seed=1, strategy=strategy)
    np.savez(folder / "weights.npz", *[variable.numpy() for variable in model.trainable_variables])


def test_two_replicas_train_as_one(corpus, tmp_path):
    """Negatives come from both replicas; run apart, since devices are cut up once per process."""
    done = fork.call(train_on_two_replicas, tmp_path)
    assert done.returncode == 0, done.stderr
    model = JacobianPretraining(presets.preset("tfnas", **SMALL), [corpus]).train(tmp_path / "alone", epochs=2, seed=1)
    with np.load(tmp_path / "weights.npz") as weights:
        for variable, name in zip(model.trainable_variables, weights.files, strict=True):
            np.testing.assert_allclose(variable, weights[name], rtol=1e-3, atol=1e-4)


def test_export_embeds_jacobians_and_flags_the_unusable(corpus, tmp_path):
    model = model_for(corpus)
    export(model, tmp_path / "encoder", corpus)
    encoder = SavedJacobianEncoder(tmp_path / "encoder")
    jacobians = np.random.default_rng(2).normal(size=(3, ROWS, 48)).astype(np.float32)
    jacobians[1] = 0
    found = encoder.embed_jacobians(jacobians)
    assert np.isnan(found[1]).all()
    one = describe(jacobians[2], (4, 4, 3), 5)
    parts = (one.directions, one.scales, one.correlations, one.frequencies)
    expected = model.encode(Inputs(*(tf.constant(part[None]) for part in parts)))[0]
    np.testing.assert_allclose(found[2], expected, rtol=1e-3, atol=1e-4)
    with pytest.raises(MismatchError, match=r"expected \[B, 6, 48\]"):
        encoder.embed_jacobians(jacobians[:, :5])
    (tmp_path / "encoder" / "saved_model.pb").write_bytes(b"")
    with pytest.raises(CorruptArtefactError, match=r"saved_model.pb"):
        SavedJacobianEncoder(tmp_path / "encoder")


def encoder_of_small_images(folder, corpus):
    """An untrained encoder of four images of 8 x 8 pixels."""
    fitting = dataclasses.replace(
        corpus,
        images=IMAGES,
        directions=corpus.directions[:, :, :4, :4],
        scales=corpus.scales[:, :, :4],
        correlations=corpus.correlations[:, :, :4],
        frequencies=np.ones((COUNT, 3, 5), np.float32) / 5,
    )
    model = JacobianEncoder(presets.preset("tfnas", **SMALL), 4, 4, 5, 0)
    export(model, folder / "encoder", fitting)
    return SavedJacobianEncoder(folder / "encoder")


def test_embedding_of_a_keras_model(tmp_path, corpus):
    encoder = encoder_of_small_images(tmp_path, corpus)
    network = small_model(tf_keras)
    found = encoder.embed_model(network, IMAGES, initializations=2)
    assert found.shape == (2, 8)
    np.testing.assert_array_equal(found, encoder.embed_model(network, IMAGES, initializations=2))
    assert encoder.embed_model(network, IMAGES, rule=None).shape == (1, 8)
    inputs = tf_keras.Input((8, 8, 3))
    pooled = tf_keras.layers.GlobalAveragePooling2D()(inputs)
    deaf = tf_keras.Model(inputs, tf_keras.layers.Dense(3)(0 * pooled))
    with pytest.raises(ConfigurationError, match="output does not depend on the images"):
        encoder.embed_model(deaf, IMAGES)
    with pytest.raises(MismatchError, match=r"images \(3, 8, 8, 3\), expected \(4, 8, 8, 3\)"):
        encoder.embed_model(network, IMAGES[:3])


def test_embeddings_of_named_models(tmp_path, corpus, monkeypatch):
    def programs(space, seed, rule, outputs, num_classes, image_shape):
        assert (space.name, seed, rule, outputs, image_shape) == ("nats_size", 3, "pytorch", "sum", (8, 8, 3))
        calls.append(space)
        return lambda images, architecture, number: drawn[number] * nats_size.widths(architecture)[0]

    calls, drawn = [], tf.random.stateless_normal([2, 4, 192], (1, 2))
    monkeypatch.setattr(models, "space_jacobians", programs)
    encoder = encoder_of_small_images(tmp_path, corpus)
    network = small_model(tf_keras)
    network.save(tmp_path / "small.keras")
    named = ModelJacobians(IMAGES, 3, encoder)
    found = named.embed(["small.keras", "nats_size:8:8:8:8:8"], tmp_path)
    expected = encoder.embed_model(network, IMAGES, initializations=2, seed=3).mean(axis=0)
    np.testing.assert_allclose(found[0], expected, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(named.embed([network]), found[:1], rtol=1e-4, atol=1e-5)
    graph = smallest_graph().replace(name="nats_size:8:8:8:8:8")
    np.testing.assert_array_equal(named.embed([graph])[0], found[1])
    np.testing.assert_allclose(found[1], encoder.embed_jacobians(8 * drawn).mean(axis=0), rtol=1e-5)
    assert len(calls) == 1
    with pytest.raises(
        ConfigurationError, match=r"no Jacobian of net.onnx: the model can't be built with fresh weights"
    ):
        named.embed(["net.onnx"])
    with pytest.raises(ConfigurationError, match=r"no Jacobian of none.keras: .*no such file"):
        named.embed(["none.keras"], tmp_path)
    with pytest.raises(MismatchError, match=r"images \(3, 8, 8, 3\), expected \(4, 8, 8, 3\)"):
        ModelJacobians(IMAGES[:3], 3, encoder)


def test_refusals(corpus, tmp_path):
    one = dataclasses.replace(corpus, directions=corpus.directions[:, :1], state=corpus.state[:, :1])
    with pytest.raises(ConfigurationError, match="at least two to compare"):
        InitializationTask(presets.preset("tfnas"), one, 0, 1)
    spoilt = corpus.state.copy()
    spoilt[3, 1] = 1
    with pytest.raises(ConfigurationError, match="1 architectures have Jacobians that are zero"):
        InitializationTask(presets.preset("tfnas"), dataclasses.replace(corpus, state=spoilt), 0, 1)
    with pytest.raises(ConfigurationError, match="no input"):
        presets.preset("tfnas", scales=False, frequencies=False)
    with pytest.raises(MismatchError, match="over other images"):
        joined([corpus, dataclasses.replace(corpus, images=corpus.images + 1)])
    random = dataclasses.replace(corpus, config=dataclasses.replace(corpus.config, projection="random"))
    with pytest.raises(MismatchError, match="projection='random'"):
        joined([corpus, random])
    export(model_for(corpus), tmp_path / "encoder", random)
    with pytest.raises(MismatchError, match="expected leading directions"):
        SavedJacobianEncoder(tmp_path / "encoder").embed_jacobians(np.zeros((1, ROWS, 48)))
    with pytest.raises(ConfigurationError, match="at least batch_size=256"):
        JacobianPretraining(presets.preset("tfnas"), [corpus]).train(tmp_path, epochs=1, seed=0)


def test_shipped_encoder_embeds_a_model_whatever_the_order_of_images():
    encoder = SavedJacobianEncoder()
    images = np.random.default_rng(0).normal(size=(64, 32, 32, 3)).astype(np.float32)
    convolutions = [tf_keras.layers.Conv2D(8, 3, padding="same", activation="relu") for _ in range(3)]
    last = [tf_keras.layers.GlobalAveragePooling2D(), tf_keras.layers.Dense(10)]
    network = tf_keras.Sequential([tf_keras.Input((32, 32, 3)), *convolutions, *last])
    found = encoder.embed_model(network, images, initializations=2)
    assert found.shape == (2, 128)
    assert np.linalg.norm(found[0] - found[1]) > 0
    np.testing.assert_allclose(
        encoder.embed_model(network, images[::-1], initializations=2), found, rtol=1e-3, atol=1e-3
    )
