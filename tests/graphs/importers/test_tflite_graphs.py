"""TensorFlow Lite files: the graphs of the Keras models that they come from, quantised or not; damaged files."""

import importlib
import inspect
import random
import re

import numpy as np
import pytest
import tensorflow as tf
import tf_keras
from tensorflow.lite.python import schema_py_generated as schema

from tests.graphs.isomorphism import equivalent
from tfnas.errors import ConfigurationError, CorruptArtefactError, InvalidArchitectureError, TfnasError
from tfnas.graphs import importers
from tfnas.graphs.importers.tflite_files import FIELDS, read_tflite
from tfnas.graphs.importers.tflite_graphs import from_tflite

keras = importlib.import_module("keras")
layers = keras.layers
QUANTISATIONS = ("float", "dynamic", "float16", "int8")


def convolutional_network():
    """Every operator with a kernel, each with fused or separate activations; all biases differ from zero."""
    inputs = layers.Input((16, 16, 3))
    values = layers.Conv2D(8, 3, padding="same", activation="relu")(inputs)
    values = layers.DepthwiseConv2D(3, strides=2, padding="same", activation="relu6")(values)
    values = layers.Add()([values, layers.Conv2D(8, 1, activation="hard_swish")(values)])
    values = layers.MaxPooling2D(2)(layers.Conv2D(8, 3, padding="same", groups=2, activation="swish")(values))
    values = layers.Conv2DTranspose(4, 3, strides=2, padding="same")(values)
    values = layers.Concatenate()([values, layers.Activation("sigmoid")(values)])
    values = layers.GlobalAveragePooling2D()(layers.AveragePooling2D(2)(values))
    return with_weights(keras.Model(inputs, layers.Dense(10, activation="softmax")(values), name="convolutional"))


def with_weights(model):
    """The model with random numbers for weights; zeros would vanish in the conversion."""
    generator = np.random.default_rng(0)
    for weights in model.weights:
        weights.assign(generator.normal(size=weights.shape))
    return model


def converted(model, quantisation):
    converter = tf.lite.TFLiteConverter.from_keras_model(model)
    if quantisation != "float":
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
    if quantisation == "float16":
        converter.target_spec.supported_types = [tf.float16]
    if quantisation == "int8":
        images = np.random.default_rng(0).random((1, 16, 16, 3), np.float32)
        converter.representative_dataset = lambda: [[images]]
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
        converter.inference_input_type = tf.uint8
    return converter.convert()


@pytest.fixture(scope="module")
def network(tmp_path_factory):
    """A Keras model, and a folder with a file for each quantisation."""
    folder, model = tmp_path_factory.mktemp("tflite"), convolutional_network()
    for quantisation in QUANTISATIONS:
        (folder / f"{quantisation}.tflite").write_bytes(converted(model, quantisation))
    return model, folder


@pytest.mark.parametrize("quantisation", QUANTISATIONS)
def test_a_file_is_the_keras_model_that_it_comes_from(network, quantisation):
    model, folder = network
    graph, original = importers.from_file(folder / f"{quantisation}.tflite"), importers.import_model(model)
    assert equivalent(graph, original)
    assert graph.total_parameters == model.count_params()
    np.testing.assert_array_equal(sorted(graph.multiply_adds), sorted(original.multiply_adds))
    assert (graph.name, graph.source, graph.notes) == (quantisation, "tflite", ())


def test_multiply_adds_and_layers(network):
    graph = from_tflite(network[1] / "float.tflite")
    products = dict(zip(graph.layers, graph.multiply_adds.tolist(), strict=True))
    first = next(name for name in products if "conv2d" in name)
    assert products[first] == 16 * 16 * 8 * (3 * 3 * 3)
    assert graph.operator_names.count("relu6") == 2  # one is the gate of the hard swish
    groups = [number for number, name in enumerate(graph.operator_names) if name == "conv"][-1]
    assert (graph.multiply_adds[groups], graph.parameters[groups]) == (8 * 8 * 8 * (3 * 3 * 4), 3 * 3 * 4 * 8 + 8)


def test_open_shapes_are_inferred(tmp_path):
    inputs = layers.Input((None, None, 3), name="image")
    values = layers.Conv2D(8, 3, strides=2, padding="same")(inputs)
    values = layers.MaxPooling2D(3, 2)(layers.Conv2D(4, 3)(values))
    tokens = layers.Dense(6)(layers.Reshape((-1, 4))(values))
    path = tmp_path / "open.tflite"
    path.write_bytes(converted(keras.Model(inputs, tokens), "float"))
    graph = importers.from_file(path, input_shape={"image": (1, 64, 32, 3)})
    # 64 x 32 pixels, 32 x 16 after the stride, 30 x 14 after the kernel, 14 x 6 after the pool.
    assert graph.multiply_adds.tolist() == [0, 32 * 16 * 8 * 27, 30 * 14 * 4 * 72, 0, 14 * 6 * 4 * 6, 0]
    assert graph.notes == ()
    assumed = importers.from_file(path)
    assert assumed.notes == ("open shapes of inputs were assumed: image [1, 224, 224, 3]",)
    with pytest.raises(InvalidArchitectureError, match="axis 3 of input 'image' has the extent 3, not 4"):
        importers.from_file(path, input_shape=(1, 64, 64, 4))


def test_recurrent_networks(tmp_path):
    """A fused LSTM of tf_keras, and the loop that Keras 3 writes."""
    model = tf_keras.Sequential([tf_keras.layers.LSTM(8, return_sequences=True), tf_keras.layers.Dense(2)])
    model.build((1, 12, 16))
    with_weights(model)
    function = tf.function(model).get_concrete_function(tf.TensorSpec([1, 12, 16]))
    path = tmp_path / "lstm.tflite"
    path.write_bytes(tf.lite.TFLiteConverter.from_concrete_functions([function], model).convert())
    graph = from_tflite(path)
    assert graph.operator_names == ["input", "lstm", "matmul", "output"]
    assert graph.parameters.tolist() == [0, 4 * 8 * (16 + 8 + 1), 18, 0]
    assert graph.multiply_adds.tolist() == [0, 12 * 4 * 8 * (16 + 8), 12 * 8 * 2, 0]
    inputs = layers.Input(batch_shape=(1, 12, 16))
    model = with_weights(keras.Model(inputs, layers.GRU(8)(inputs)))
    path.write_bytes(converted(model, "float"))
    graph = from_tflite(path)
    assert equivalent(graph, importers.import_model(model))
    assert graph.operator_names == ["input", "gru", "output"]
    assert graph.parameters.tolist() == [0, 3 * 8 * (16 + 8 + 2), 0]
    assert graph.multiply_adds.tolist() == [0, 12 * 3 * 8 * (16 + 8), 0]
    assert graph.notes == ()


def test_signatures(tmp_path):
    class Module(tf.Module):
        @tf.function(input_signature=[tf.TensorSpec([1, 4])])
        def twice(self, values):
            return {"result": tf.nn.relu(values)}

        @tf.function(input_signature=[tf.TensorSpec([1, 9])])
        def other(self, values):
            return {"result": tf.sigmoid(values)}

    module = Module()
    functions = [module.twice.get_concrete_function(), module.other.get_concrete_function()]
    tf.saved_model.save(module, str(tmp_path / "saved"), dict(zip(("twice", "other"), functions, strict=True)))
    converter = tf.lite.TFLiteConverter.from_saved_model(str(tmp_path / "saved"), signature_keys=["twice", "other"])
    path = tmp_path / "two.tflite"
    path.write_bytes(converter.convert())
    names = {key: importers.from_file(path, signature=key).operator_names[1] for key in ("twice", "other")}
    assert names == {"twice": "relu", "other": "sigmoid"}
    with pytest.raises(InvalidArchitectureError, match="no signature 'third', it has other, twice"):
        importers.from_file(path, signature="third")
    with pytest.raises(ConfigurationError, match="takes no dims"):
        importers.from_file(path, dims={"batch": 1})


def test_fields_are_those_of_the_schema():
    """The position of each field, against the code that the schema generates."""
    for kind, names in FIELDS.items():
        methods = {name.lower(): method for name, method in vars(getattr(schema, kind)).items()}
        for slot, name in enumerate(names.split()):
            if name != "-":
                source = inspect.getsource(methods[name.replace("_", "")])
                assert re.search(r"_tab\.Offset\((\d+)\)", source)[1] == str(4 + 2 * slot), (kind, name)


def test_the_reader_agrees_with_the_schema(network):
    path = network[1] / "int8.tflite"
    reference = schema.ModelT.InitFromPackedBuf(path.read_bytes(), 0)
    (graph,) = read_tflite(path).subgraphs
    expected = reference.subgraphs[0]
    names = [tensor.name.decode().partition(";")[0] for tensor in expected.tensors]
    assert [tensor.name for tensor in graph.tensors] == names
    for tensor, other in zip(graph.tensors, expected.tensors, strict=True):
        signature = other.shapeSignature if other.shapeSignature is not None else other.shape
        assert tensor.constant or [-1 if extent is None else extent for extent in tensor.shape] == list(signature)
        assert tensor.constant == (reference.buffers[other.buffer].data is not None)
    for operation, other in zip(graph.operations, expected.operators, strict=True):
        assert (operation.inputs, operation.outputs) == (list(other.inputs), list(other.outputs))


def test_damaged_files_are_refused_in_one_line(network, tmp_path):
    content = (network[1] / "int8.tflite").read_bytes()
    path = tmp_path / "damaged.tflite"
    for wrong, message in (
        (b"", "an empty file"),
        (b"x" * 100, "the mark TFL3 is missing"),
        (content[:200], "damaged"),
    ):
        path.write_bytes(wrong)
        with pytest.raises(CorruptArtefactError, match=rf"damaged\.tflite: .*{message}"):
            from_tflite(path)
    with pytest.raises(CorruptArtefactError, match="no such file"):
        from_tflite(tmp_path / "none.tflite")
    generator, messages = random.Random(0), []
    for _ in range(400):
        changed = bytearray(content)
        for _ in range(generator.choice((1, 1, 4, 32))):
            changed[generator.randrange(len(changed))] = generator.choice((0, 1, 127, 128, 255))
        path.write_bytes(changed)
        try:
            from_tflite(path)
        except TfnasError as error:
            messages.append(str(error))
    assert len(messages) > 100
    assert all(len(message) < 600 and "\n" not in message for message in messages)
