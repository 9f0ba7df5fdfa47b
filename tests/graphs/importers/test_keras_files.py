"""Files of Keras: state of training, names, HDF5, limits and hostile configurations."""

import json
import zipfile

import h5py
import keras
import numpy as np
import pytest
import tensorflow as tf
import tf_keras

from tests.graphs.isomorphism import equivalent
from tfnas.errors import CorruptArtefactError, InvalidArchitectureError
from tfnas.graphs.importers import from_file, keras_files
from tfnas.graphs.importers.keras_files import from_keras_file, read_keras_file
from tfnas.graphs.importers.keras_graphs import from_keras


@pytest.fixture(params=[keras, tf_keras], ids=["keras", "tf_keras"])
def library(request):
    """Keras 3 and tf_keras in turn."""
    return request.param


def small_model(library, **names):
    layers, inputs = library.layers, library.Input((8, 8, 3))
    hidden = layers.BatchNormalization()(layers.Conv2D(4, 3, activation="relu", name=names.get("layer"))(inputs))
    return library.Model(inputs, layers.Dense(2)(layers.Flatten()(hidden)), name=names.get("model"))


def edited(source, target, edit):
    """A `.keras` file with another configuration."""
    with zipfile.ZipFile(source) as archive, zipfile.ZipFile(target, "w") as changed:
        config = json.loads(archive.read("config.json"))
        changed.writestr("config.json", json.dumps(edit(config) or config))
        changed.writestr("metadata.json", archive.read("metadata.json"))
    return target


def test_a_custom_loss_and_a_custom_metric(library, tmp_path):
    def loss(truth, prediction):
        return tf.reduce_sum(tf.square(truth - prediction))

    class Score(library.metrics.Mean):
        pass

    model = small_model(library)
    model.compile("adam", loss=loss, metrics=[Score()])
    model.save(tmp_path / "model.keras")
    model.save(tmp_path / "model.h5")
    for name in ("model.keras", "model.h5"):
        assert equivalent(from_file(tmp_path / name), from_keras(model))


@pytest.mark.parametrize("name", ["größe", "conv#1", "a+b", "_hidden", "two words", "日本"])
def test_every_name_that_keras_takes(name, tmp_path):
    model = small_model(keras, layer=name, model=name)
    model.save(tmp_path / "model.keras")
    graph = from_keras_file(tmp_path / "model.keras")
    assert equivalent(graph, from_keras(small_model(keras)))
    assert any(name in layer.split("/") for layer in graph.layers)


def test_names_that_become_equal_stay_apart(tmp_path):
    inputs = keras.Input((4,))
    first, second = keras.layers.Dense(2, name="a+b")(inputs), keras.layers.Dense(3, name="a b")(inputs)
    model = keras.Model(inputs, keras.layers.Concatenate()([first, second]))
    model.save(tmp_path / "model.keras")
    graph = from_keras_file(tmp_path / "model.keras")
    assert graph.total_parameters == model.count_params() == 25
    assert {"a+b", "a b"} <= {scope for layer in graph.layers for scope in layer.split("/")}


def test_a_model_of_keras_2_of_any_name(tmp_path):
    model = small_model(tf_keras, model="_m")
    model.save(tmp_path / "model.keras")
    assert from_keras_file(tmp_path / "model.keras").total_parameters == model.count_params()


@pytest.mark.parametrize("suffix", ["h5", "hdf5"])
def test_whole_models_in_hdf5(library, suffix, tmp_path):
    model = small_model(library, layer="first")
    model.compile("adam", "mse")
    model.save(tmp_path / "model.h5")
    (tmp_path / "model.h5").rename(tmp_path / f"model.{suffix}")
    graph = from_file(tmp_path / f"model.{suffix}")
    assert equivalent(graph, from_keras(model))
    assert graph.name == "model"


def test_sequential_models_in_hdf5(library, tmp_path):
    model = library.Sequential([library.Input((4,)), library.layers.Dense(3), library.layers.ReLU()])
    model.save(tmp_path / "model.h5")
    assert from_file(tmp_path / "model.h5").operator_names == ["input", "matmul", "relu", "output"]


def test_weights_alone_are_no_model(library, tmp_path):
    model = small_model(library)
    model.save_weights(tmp_path / "model.weights.h5")
    (tmp_path / "model.weights.h5").rename(tmp_path / "renamed.h5")
    with pytest.raises(InvalidArchitectureError, match="weights without an architecture; save the whole model"):
        from_file(tmp_path / "renamed.h5")
    with pytest.raises(CorruptArtefactError, match="no such file"):
        from_keras_file(tmp_path / "missing.h5")
    (tmp_path / "text.h5").write_text("nothing of the kind")
    with pytest.raises(CorruptArtefactError, match="not a HDF5 file"):
        from_file(tmp_path / "text.h5")


def test_large_and_deep_configurations(monkeypatch, tmp_path):
    path = tmp_path / "model.keras"
    deep = json.dumps({"class_name": "Functional", "config": 0})[:-2] + "[" * 50_000 + "]" * 50_000 + "}"
    nested = json.loads("[" * 250 + "]" * 250)
    for text, words in ((deep, "nested too deeply"), (json.dumps({"class_name": "A", "config": nested}), "200 levels")):
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("config.json", text)
        with h5py.File(tmp_path / "model.h5", "w") as file:
            file.attrs["model_config"] = text
        for name in ("model.keras", "model.h5"):
            with pytest.raises(CorruptArtefactError, match=words):
                from_file(tmp_path / name)
    monkeypatch.setattr(keras_files, "_MAX_BYTES", 1000)
    for large in ("config.json", "metadata.json"):
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            for name in ("config.json", "metadata.json"):
                archive.writestr(name, json.dumps({"class_name": "A" * (5000 if name == large else 1)}))
        with pytest.raises(CorruptArtefactError, match=f"its {large} is larger than 1000 bytes"):
            from_file(path)
    with h5py.File(tmp_path / "model.h5", "w") as file:
        file.attrs["model_config"] = "{" + " " * 5000 + "}"
    with pytest.raises(CorruptArtefactError, match="its model_config is larger than 1000 bytes"):
        from_file(tmp_path / "model.h5")


def test_a_subclassed_model_asks_for_a_saved_model(tmp_path):
    class Own(keras.Model):
        def call(self, inputs):
            return inputs

    Own.__module__ = "somewhere"
    model = Own()
    model(np.ones((1, 2), np.float32))
    model.save(tmp_path / "model.keras")
    with pytest.raises(InvalidArchitectureError, match=r"'Own' of the module .* export a SavedModel .*model\.export"):
        from_keras_file(tmp_path / "model.keras")


def test_errors_keep_their_reason(tmp_path):
    small_model(keras).save(tmp_path / "model.keras")

    def no_filters(config):
        config["config"]["layers"][1]["config"]["filters"] = -4

    with pytest.raises(InvalidArchitectureError, match=r"safe mode: Invalid value for argument `filters`"):
        from_keras_file(edited(tmp_path / "model.keras", tmp_path / "bad.keras", no_filters))


@pytest.mark.parametrize("kind", ["Lambda", "TFSMLayer", "TorchModuleWrapper"])
def test_layers_that_run_code_are_refused(kind, tmp_path):
    def replace(config):
        config["config"]["layers"][1]["class_name"] = kind

    small_model(keras).save(tmp_path / "model.keras")
    with pytest.raises(InvalidArchitectureError, match=f"a layer is a {kind}, which"):
        read_keras_file(edited(tmp_path / "model.keras", tmp_path / "bad.keras", replace))


@pytest.mark.parametrize("holder", ["layer", "kernel_initializer"])
def test_names_of_classes_are_texts(holder, tmp_path):
    def replace(config):
        layer = config["config"]["layers"][1]
        (layer if holder == "layer" else layer["config"][holder])["class_name"] = {"a": 1}

    small_model(keras).save(tmp_path / "model.keras")
    with pytest.raises(CorruptArtefactError, match="the name of a class is no text"):
        read_keras_file(edited(tmp_path / "model.keras", tmp_path / "bad.keras", replace))


def test_functions_of_a_file_work_on_arrays_alone(tmp_path):
    inputs = tf_keras.Input((4,))
    model = tf_keras.Model(inputs, tf.concat([tf.nn.relu(inputs) * 2.0, inputs[:, :2]], axis=-1))
    for suffix in ("keras", "h5"):
        model.save(tmp_path / f"model.{suffix}")
        assert from_file(tmp_path / f"model.{suffix}").operator_names == ["input", "relu", "concat", "output"]
    victim = tmp_path / "victim"
    victim.touch()

    def remove(config):
        layer = next(layer for layer in config["config"]["layers"] if layer["class_name"] == "TFOpLambda")
        layer["config"]["function"] = "io.gfile.remove"
        layer["inbound_nodes"] = [["_CONSTANT_VALUE", -1, str(victim), {}]]

    with pytest.raises(InvalidArchitectureError, match=r"'io\.gfile\.remove' of .* is no function of arrays"):
        from_file(edited(tmp_path / "model.keras", tmp_path / "bad.keras", remove))
    assert victim.exists()


def test_a_vocabulary_in_a_file_is_not_opened(tmp_path):
    inputs = keras.Input((1,), dtype="string")
    layer = keras.layers.StringLookup(vocabulary=["a", "b"])
    keras.Model(inputs, layer(inputs)).save(tmp_path / "model.keras")

    def leak(config):
        config["config"]["layers"][1]["config"]["vocabulary"] = "/etc/hostname"

    with pytest.raises(InvalidArchitectureError, match="is a file, which is not opened"):
        from_file(edited(tmp_path / "model.keras", tmp_path / "bad.keras", leak))
