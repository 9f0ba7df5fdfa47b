"""Formats of models: what is said of them follows from their rows; a model in memory reads as its file."""

import importlib
import pathlib

import numpy as np
import onnx
import pytest
import tensorflow as tf

from tests.graphs.isomorphism import equivalent
from tfnas.errors import ConfigurationError, InvalidArchitectureError
from tfnas.graphs import importers
from tfnas.graphs.computation_graph import smallest_graph
from tfnas.graphs.packed import pack

DOCUMENT = pathlib.Path(__file__).parents[3] / "docs" / "how_to" / "computation_graphs.md"


def test_the_document_lists_every_format():
    assert f"`graphs.importers.from_file` reads {importers.format_words()}:" in DOCUMENT.read_text()


def test_a_new_format_is_a_row(monkeypatch, tmp_path):
    """A newcomer's row is read, found in folders, and named where a file is of no format."""
    for name in ("net.txt", "other.txt", "README", "notes.md"):
        (tmp_path / name).touch()
    with pytest.raises(ConfigurationError, match=r"net\.txt: not a model that tfnas reads, expected a \.keras file"):
        importers.from_file(tmp_path / "net.txt")
    graph = smallest_graph()
    row = importers.Format("a .txt file", lambda path, shape, **facts: graph.replace(name=path.stem, **facts))
    monkeypatch.setitem(importers.FORMATS, ".txt", row)
    read = importers.from_file(tmp_path / "net.txt", family="texts")
    assert (read.name, read.family) == ("net", "texts")
    np.testing.assert_array_equal(read.operators, graph.operators)
    assert [path.name for path in importers.model_paths(tmp_path)] == ["net.txt", "other.txt"]
    with pytest.raises(ConfigurationError, match=r"the folder of a SavedModel or a \.txt file"):
        importers.from_file(tmp_path / "notes.md")
    with pytest.raises(ConfigurationError, match="README: not a model that tfnas reads"):
        importers.from_file(tmp_path / "README")


def small_keras_model(keras):
    """A convolution and a classifier on 8 x 8 images."""
    inputs = keras.Input((8, 8, 3))
    values = keras.layers.Flatten()(keras.layers.Conv2D(4, 3)(inputs))
    return keras.Model(inputs, keras.layers.Dense(2)(values), name="small")


@pytest.mark.parametrize("library", ["keras", "tf_keras"])
def test_a_keras_model_in_memory_is_its_file(library, tmp_path):
    model = small_keras_model(importlib.import_module(library))
    model.save(tmp_path / "small.keras")
    graph = importers.import_model(model)
    assert equivalent(graph, importers.import_model(str(tmp_path / "small.keras")))
    assert graph.operator_names == ["input", "conv", "matmul", "output"]
    # 3 x 3 x 3 x 4 + 4 numbers of the convolution, 6 x 6 x 4 x 2 + 2 of the classifier.
    assert graph.parameters.tolist() == [0, 112, 290, 0]
    assert pack(model).num_nodes.tolist() == [4]
    assert pack([model, graph]).num_nodes.tolist() == [4, 4]


def test_functions(tmp_path):
    weights = tf.Variable(tf.zeros([3, 3, 3, 4]))

    @tf.function(autograph=False)
    def net(images):
        return tf.nn.relu(tf.nn.conv2d(images, weights, 1, "SAME"))

    graph = importers.import_model(net, input_shape=(1, 8, 8, 3), family="functions")
    assert (graph.name, graph.family) == ("net", "functions")
    assert graph.operator_names == ["input", "conv", "relu", "output"]
    traced = net.get_concrete_function(tf.TensorSpec([1, 8, 8, 3]))
    assert equivalent(graph, importers.import_model(traced))
    with pytest.raises(ConfigurationError, match="'net': its inputs are not known, expected an input shape"):
        importers.import_model(net)
    with pytest.raises(ConfigurationError, match="are known already, expected no input shape"):
        importers.import_model(traced, input_shape=(1, 8, 8, 3))


def test_an_onnx_proto_is_its_file_and_is_not_changed(tmp_path):
    helper = onnx.helper
    shape = [1, 3, 8, 8]
    graph = helper.make_graph(
        [helper.make_node("Relu", ["x"], ["y"], name="b"), helper.make_node("Sigmoid", ["y"], ["z"], name="a")],
        "proto",
        [helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("z", onnx.TensorProto.FLOAT, shape)],
    )
    proto = helper.make_model(graph)
    onnx.save(proto, str(tmp_path / "proto.onnx"))
    before = proto.SerializeToString()
    assert equivalent(importers.import_model(proto), importers.import_model(tmp_path / "proto.onnx"))
    assert proto.SerializeToString() == before


def test_options_that_a_format_has_no_use_for(tmp_path):
    """Each is refused, and the message names the flag."""
    (tmp_path / "net.onnx").touch()
    (tmp_path / "net.keras").touch()
    for model, options, message in (
        (tmp_path / "net.keras", {"dims": {"seq": 8}}, r"takes no dims \(--dim\), expected an \.onnx file"),
        (
            tmp_path / "net.onnx",
            {"signature": "serve"},
            r"takes no signature \(--signature\), expected a \.tflite file",
        ),
        (tf.function(tf.nn.relu), {"signature": "serve"}, "a tf.function takes no signature"),
        (smallest_graph(), {"input_shape": (1, 8)}, r"a computation graph takes no input_shape \(--input_shape\)"),
    ):
        with pytest.raises(ConfigurationError, match=message):
            importers.import_model(model, **options)


def test_strict_refuses_what_is_assumed(tmp_path):
    import keras

    inputs = keras.Input((None, 4))
    keras.Model(inputs, keras.layers.Dense(2)(inputs)).save(tmp_path / "net.keras")
    (note,) = importers.import_model(tmp_path / "net.keras").notes
    with pytest.raises(InvalidArchitectureError, match=r"net: open shapes of inputs were assumed.*strict"):
        importers.import_model(tmp_path / "net.keras", strict=True)
    given = importers.import_model(tmp_path / "net.keras", strict=True, input_shape=(1, 128, 4))
    assert given.notes == ()
    with pytest.raises(InvalidArchitectureError, match="strict"):
        importers.import_model(given.replace(notes=(note,)), strict=True)


def test_other_objects_are_refused_in_one_line():
    for value in (3, None, np.zeros(3), tf.Module()):
        with pytest.raises(ConfigurationError, match=r"class '\w+' is not a model .* an ONNX ModelProto"):
            importers.import_model(value)
    graph = smallest_graph()
    assert importers.import_model(graph) is graph
