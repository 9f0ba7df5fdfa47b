"""Keras models of both generations: layers by hand, whole applications, files, mistakes."""

import json
import pathlib
import zipfile

import keras
import networkx as nx
import pytest
import tensorflow as tf
import tf_keras

from tests.graphs.isomorphism import equivalent, to_networkx
from tfnas.corpora.sources import Converter, list_jobs
from tfnas.errors import CorruptArtefactError, InvalidArchitectureError
from tfnas.graphs.importers.keras_files import from_keras_file
from tfnas.graphs.importers.keras_graphs import from_constructor, from_keras, from_tf_keras_constructor

LIBRARIES = {"keras": keras, "tf_keras": tf_keras}


@pytest.fixture(params=LIBRARIES)
def library(request):
    """Keras 3 and tf_keras in turn."""
    return LIBRARIES[request.param]


def of_layer(library, build, shape=(8, 8, 16), dtype="float32"):
    """Operators between input and output of one layer, and its parameters."""
    inputs = library.Input(shape, dtype=dtype)
    outputs = build(library.layers)(inputs)
    graph = from_keras(library.Model(inputs, outputs))
    assert graph.total_parameters == library.Model(inputs, outputs).count_params()
    return sorted(graph.operator_names[1:-1])


@pytest.mark.parametrize(
    ("build", "expected"),
    [
        (lambda layers: layers.Conv2D(4, 3), ["conv"]),
        (lambda layers: layers.Conv2D(16, 3, groups=4), ["conv"]),
        (lambda layers: layers.Conv2D(16, 3, groups=16), ["depthwise_conv"]),
        (lambda layers: layers.Conv2D(4, 3, dilation_rate=2, padding="same"), ["conv"]),
        (lambda layers: layers.DepthwiseConv2D(3), ["depthwise_conv"]),
        (lambda layers: layers.SeparableConv2D(4, 3, dilation_rate=2), ["conv", "depthwise_conv"]),
        (lambda layers: layers.Conv2DTranspose(4, 3, strides=2), ["conv_transpose"]),
        (lambda layers: layers.Dense(5), ["matmul"]),
        (lambda layers: layers.BatchNormalization(), ["batch_norm"]),
        (lambda layers: layers.BatchNormalization(scale=False), ["batch_norm"]),
        (lambda layers: layers.LayerNormalization(), ["layer_norm"]),
        (lambda layers: layers.LayerNormalization(epsilon=1e-6), ["layer_norm"]),
        (lambda layers: layers.Activation("gelu"), ["gelu"]),
        (lambda layers: layers.Activation("swish"), ["swish"]),
        (lambda layers: layers.ReLU(6.0), ["relu6"]),
        (lambda layers: layers.LeakyReLU(), ["leaky_relu"]),
        (lambda layers: layers.Softmax(), ["softmax"]),
        (lambda layers: layers.GlobalAveragePooling2D(), ["mean"]),
        (lambda layers: layers.MaxPooling2D(), ["max_pool"]),
        (lambda layers: layers.ZeroPadding2D(), ["pad"]),
        (lambda layers: layers.Rescaling(1 / 255, offset=-1), []),
        (lambda layers: layers.Dropout(0.5), []),
        (lambda layers: layers.Flatten(), []),
        (lambda layers: layers.Cropping2D(), []),
    ],
)
def test_layers(library, build, expected):
    assert of_layer(library, build) == expected


def test_a_layer_norm_keeps_the_shape(library):
    inputs = library.Input((8, 4, 16))
    for epsilon in (1e-3, 1e-6):
        graph = from_keras(library.Model(inputs, library.layers.LayerNormalization(epsilon=epsilon)(inputs)))
        assert graph.shapes[1].tolist() == [8, 8, 4, 4, 16, 16]


def test_attention(library):
    def build(layers):
        return lambda inputs: layers.MultiHeadAttention(2, 8)(inputs, inputs)

    assert of_layer(library, build, (10, 16)) == sorted(["matmul"] * 6 + ["softmax"])


def test_embedding(library):
    assert of_layer(library, lambda layers: layers.Embedding(50, 16), (8,), "int32") == ["embedding"]


def test_approximate_gelu(library):
    def build(layers):
        activation = keras.ops.gelu if library is keras else lambda x: tf_keras.activations.gelu(x, approximate=True)
        return layers.Activation(activation)

    assert of_layer(library, build) == ["gelu"]


def test_shared_layers_count_once(library):
    inputs = library.Input((8,))
    layer = library.layers.Dense(8)
    model = library.Model(inputs, layer(layer(inputs)))
    graph = from_keras(model)
    assert graph.counts()["matmul"] == 2
    assert graph.parameters.tolist() == [0, 72, 0, 0]
    assert graph.multiply_adds.tolist() == [0, 64, 64, 0]


def test_several_inputs_and_outputs(library):
    inputs = {"a": library.Input((4, 4, 3), name="a"), "b": library.Input((4, 4, 3), name="b")}
    total = library.layers.Add()([inputs["a"], inputs["b"]])
    model = library.Model(inputs, [library.layers.Conv2D(2, 1)(total), library.layers.Flatten()(total)])
    counts = from_keras(model).counts()
    assert counts == {"input": 2, "add": 1, "conv": 1, "output": 2}


def test_subclassed_models(library):
    class Residual(library.Model):
        def __init__(self):
            super().__init__()
            self.first, self.second = library.layers.Dense(6), library.layers.Dense(6)

        def call(self, inputs):
            return self.second(inputs) + self.first(inputs)

    model = Residual()
    graph = from_keras(model, inputs=tf.TensorSpec((None, 6)))
    assert graph.counts() == {"input": 1, "matmul": 2, "add": 1, "output": 1}
    with pytest.raises(InvalidArchitectureError, match="does not know its inputs"):
        from_keras(Residual())


def test_open_shapes(library):
    inputs = library.Input((None, None, 3))
    model = library.Model(inputs, library.layers.Conv2D(4, 3, padding="same")(inputs))
    graph = from_keras(model)
    assert graph.shapes[1].tolist() == [224, 224, 224, 224, 3, 4]
    assert len(graph.notes) == 1
    assert graph.notes[0].endswith("[1, 224, 224, 3]")
    for shape in ({"inputs": tf.TensorSpec((1, 20, 30, 3))}, {"input_shapes": (1, 20, 30, 3)}):
        graph = from_keras(model, **shape)
        assert graph.shapes[1].tolist() == [20, 20, 30, 30, 3, 4]
        assert not graph.notes


def test_names_of_layers(library, tmp_path):
    """Layers have the names that the model gives them, also where a name looks like a numbered one."""
    layers = library.layers
    inner = library.Sequential([library.Input((4,)), layers.Dense(4, name="dense")], name="inner")
    inputs = library.Input((4,), name="features")
    hidden = layers.Dense(4, activation="relu", name="dense")(inputs)
    model = library.Model(inputs, layers.Dense(2, name="dense_1")(inner(inner(hidden))), name="net")
    names = [*("dense", "dense", "inner/dense", "inner/dense", "dense_1")]
    graph = from_keras(model)
    assert graph.layers[0] == "features"
    assert [layer.rpartition("/")[0] for layer in graph.layers[1:-1]] == names
    assert graph.layers[2].endswith("Relu")
    model.save(tmp_path / "net.keras")
    graph = from_keras_file(tmp_path / "net.keras")
    assert [layer.rpartition("/")[0] for layer in graph.layers[1:-1]] == names


def test_open_shapes_of_several_inputs(library, tmp_path):
    """Inputs have the names of their layers; what is not given is assumed."""
    ids, mask = library.Input((None,), dtype="int32", name="ids"), library.Input((None,), name="mask")
    embedded = library.layers.Embedding(10, 4)(ids)
    model = library.Model([ids, mask], library.layers.Dot((1, 1))([embedded, mask]))
    graph = from_keras(model, input_shapes={"ids": (1, 16), "mask": (1, 16)})
    assert graph.shapes[0].tolist() == [1, 1, 1, 1, 16, 16]
    assert not graph.notes
    model.save(tmp_path / "model.keras")
    graph = from_keras_file(tmp_path / "model.keras", input_shapes={"ids": (1, 128)})
    assert graph.notes == ("open shapes of inputs were assumed: mask [1, 128]",)
    with pytest.raises(InvalidArchitectureError, match=r"2 inputs \(ids, mask\), give shapes by name"):
        from_keras_file(tmp_path / "model.keras", input_shapes=(1, 16))


def test_two_generations_agree():
    """The same application of Keras 3 and tf_keras, built without weights, gives one graph."""
    shape = (1, 64, 64, 3)
    first = from_constructor(lambda: keras.applications.MobileNetV3Small(weights=None), default_input_shape=shape)
    untouched = tf_keras.Sequential([tf_keras.layers.Dense(2)])
    second = from_tf_keras_constructor(
        lambda: tf_keras.applications.MobileNetV3Small(weights=None), default_input_shape=shape
    )
    assert untouched(tf.ones((1, 3))).shape == (1, 2)
    assert first[0].total_parameters == first[1] == second[1] == second[0].total_parameters
    assert equivalent(first[0], second[0])
    assert not first[0].unknown


def test_keras_files(library, tmp_path):
    """The same graph as the model's; the weights in the file are not needed."""
    inputs, layers = library.Input((16, 16, 3)), library.layers
    hidden = layers.BatchNormalization()(layers.Conv2D(4, 3, activation="gelu")(inputs))
    model = library.Model(inputs, layers.Dense(2)(layers.Flatten()(hidden)), name="tiny")
    model.save(tmp_path / "tiny.keras")
    whole = from_keras_file(tmp_path / "tiny.keras")
    assert equivalent(whole, from_keras(model))
    assert whole.name == "tiny"
    with zipfile.ZipFile(tmp_path / "tiny.keras") as archive, zipfile.ZipFile(tmp_path / "bare.keras", "w") as bare:
        bare.writestr("config.json", archive.read("config.json"))
    assert equivalent(from_keras_file(tmp_path / "bare.keras"), whole)


def test_bad_keras_files(tmp_path):
    broken = tmp_path / "broken.keras"
    with pytest.raises(CorruptArtefactError, match="no such file"):
        from_keras_file(broken)
    broken.write_bytes(b"PK\x03\x04 nothing of the kind")
    with pytest.raises(CorruptArtefactError, match=r"not a \.keras file"):
        from_keras_file(broken)
    with zipfile.ZipFile(broken, "w") as archive:
        archive.writestr("config.json", "{not json")
    with pytest.raises(CorruptArtefactError, match=r"not a \.keras file"):
        from_keras_file(broken)


def touch(path, value):
    pathlib.Path(path).touch()
    return value


def test_hostile_keras_files(tmp_path):
    """A lambda's code is refused, and a custom layer's module is not imported."""
    marker = tmp_path / "executed"
    inputs = keras.Input((4,))
    model = keras.Model(inputs, keras.layers.Lambda(lambda x, path=str(marker): touch(path, x))(inputs))
    marker.unlink(missing_ok=True)
    model.save(tmp_path / "lambda.keras")
    with pytest.raises(InvalidArchitectureError, match="safe mode"):
        from_keras_file(tmp_path / "lambda.keras")
    config = {"module": "antigravity", "class_name": "Layer", "config": {}, "registered_name": "evil>Layer"}
    with zipfile.ZipFile(tmp_path / "custom.keras", "w") as archive:
        archive.writestr("config.json", json.dumps(config))
    with pytest.raises(InvalidArchitectureError, match="'Layer' of the module 'antigravity' is not a layer of Keras"):
        from_keras_file(tmp_path / "custom.keras")
    assert not marker.exists()


@pytest.mark.slow
@pytest.mark.parametrize("source", LIBRARIES)
def test_every_application(source):
    """No unknown operator, one component, parameters as the model counts them (the converter checks 1 %)."""
    converter = Converter()
    for job in list_jobs([source]):
        graph = converter.convert(job)
        assert not graph.unknown, job
        assert nx.number_weakly_connected_components(to_networkx(graph)) == 1, job
