"""SavedModels, functions and hostile graphs of TensorFlow."""

import shutil

import keras
import pytest
import tensorflow as tf

from tests.graphs.isomorphism import equivalent
from tfnas.errors import CorruptArtefactError, InvalidArchitectureError
from tfnas.graphs.importers import from_file, tensorflow_functions
from tfnas.graphs.importers.keras_graphs import from_keras
from tfnas.graphs.importers.tensorflow_graphs import from_concrete_function, from_graph_def, from_saved_model

SPEC = tf.TensorSpec((None, 8, 8, 3))


@pytest.fixture(scope="module")
def model():
    """A small residual network of Keras 3."""
    inputs = keras.Input((8, 8, 3))
    hidden = keras.layers.Conv2D(3, 3, padding="same", activation="swish")(inputs)
    hidden = keras.layers.LayerNormalization()(keras.layers.Add()([hidden, inputs]))
    return keras.Model(inputs, keras.layers.Dense(5)(keras.layers.GlobalAveragePooling2D()(hidden)))


@pytest.fixture(scope="module")
def exported(model, tmp_path_factory):
    """Its SavedModel without the files of its weights."""
    folder = tmp_path_factory.mktemp("export") / "model"
    model.export(folder, verbose=False)
    shutil.rmtree(folder / "variables")
    return folder


def test_a_saved_model_is_read_without_its_weights(model, exported):
    graph = from_saved_model(exported)
    assert equivalent(graph, from_keras(model))
    assert graph.counts() == {
        **{"input": 1, "conv": 1, "swish": 1, "add": 1, "layer_norm": 1, "mean": 1, "matmul": 1, "output": 1}
    }
    assert graph.total_parameters == model.count_params()
    assert equivalent(from_file(exported), graph)
    assert not [layer for layer in graph.layers if "Call" in layer or layer.startswith("serving_default")]


def test_plain_functions():
    """Not only Keras: variables, nested functions, a dynamic shape that the input's shape settles."""
    kernel = tf.Variable(tf.random.normal((3, 3, 3, 4)))

    @tf.function
    def inner(images):
        return tf.nn.relu(tf.nn.conv2d(images, kernel, 2, "SAME"))

    @tf.function
    def outer(images):
        features = inner(images)
        return tf.reshape(features, (-1, tf.reduce_prod(tf.shape(features)[1:])))

    graph = from_concrete_function(outer.get_concrete_function(SPEC), name="plain")
    assert graph.operator_names == ["input", "conv", "relu", "output"]
    assert graph.shapes[1].tolist() == [8, 4, 8, 4, 3, 4]
    assert graph.shapes[3].tolist() == [1, 1, 1, 1, 64, 64]
    assert graph.parameters.tolist() == [0, 108, 0, 0]
    assert graph.kernels[1].tolist() == [3, 3]


def test_unknown_operators_keep_their_name():
    function = tf.function(lambda x: tf.math.lgamma(x) + tf.math.betainc(x, x, x))
    graph = from_concrete_function(function.get_concrete_function(tf.TensorSpec((None, 4))))
    assert graph.counts() == {"input": 1, "Lgamma": 1, "Betainc": 1, "add": 1, "output": 1}
    assert set(graph.unknown) == {"Betainc", "Lgamma"}


def test_no_path():
    function = tf.function(lambda x: tf.ones((3,)))
    with pytest.raises(InvalidArchitectureError, match="no path leads from an input to an output"):
        from_concrete_function(function.get_concrete_function(SPEC))


def test_open_shapes(tmp_path):
    module = tf.Module()
    module.serve = tf.function(lambda x: {"y": tf.nn.avg_pool2d(x, 2, 2, "SAME")})
    signature = module.serve.get_concrete_function(tf.TensorSpec((None, None, None, 3), name="x"))
    tf.saved_model.save(module, tmp_path, signatures=signature)
    graph = from_saved_model(tmp_path)
    assert graph.shapes[1].tolist() == [224, 112, 224, 112, 3, 3]
    assert graph.notes == ("open shapes of inputs were assumed: x [1, 224, 224, 3]",)
    assert from_saved_model(tmp_path, input_shapes=(1, 6, 4, 3)).shapes[1].tolist() == [6, 3, 4, 2, 3, 3]
    assert from_saved_model(tmp_path, input_shapes={"x": (1, 6, 4, 3)}).num_nodes == 3
    with pytest.raises(InvalidArchitectureError, match="no input 'z', it has x"):
        from_saved_model(tmp_path, input_shapes={"z": (1, 6, 4, 3)})
    with pytest.raises(InvalidArchitectureError, match="axis 3 of input 'x' has the extent 3, not 1"):
        from_saved_model(tmp_path, input_shapes=(1, 6, 4, 1))
    with pytest.raises(InvalidArchitectureError, match="input 'x' has 4 dimensions, not 2"):
        from_saved_model(tmp_path, input_shapes=(1, 6))


def test_signatures(tmp_path):
    """The only signature needs no name; several without a default are listed."""
    module = tf.Module()
    module.first = tf.function(tf.nn.relu, input_signature=[tf.TensorSpec((None, 4))])
    module.second = tf.function(tf.tanh, input_signature=[tf.TensorSpec((None, 4))])
    tf.saved_model.save(module, tmp_path / "one", signatures={"first": module.first})
    tf.saved_model.save(module, tmp_path / "two", signatures={"first": module.first, "second": module.second})
    tf.saved_model.save(module, tmp_path / "none")
    assert from_saved_model(tmp_path / "one").operator_names == ["input", "relu", "output"]
    assert from_saved_model(tmp_path / "two", signature="second").operator_names == ["input", "tanh", "output"]
    with pytest.raises(InvalidArchitectureError, match=r"it has first, second; give one of them \(--signature\)"):
        from_saved_model(tmp_path / "two")
    with pytest.raises(InvalidArchitectureError, match=r"it has none; export the model with model\.export"):
        from_saved_model(tmp_path / "none")


def test_damaged_saved_models(exported, tmp_path):
    with pytest.raises(CorruptArtefactError, match=r"no saved_model\.pb"):
        from_saved_model(tmp_path)
    content = (exported / "saved_model.pb").read_bytes()
    (tmp_path / "saved_model.pb").write_bytes(content[: len(content) // 2])
    with pytest.raises((CorruptArtefactError, InvalidArchitectureError)):
        from_saved_model(tmp_path)
    (tmp_path / "saved_model.pb").write_bytes(b"")
    with pytest.raises(InvalidArchitectureError, match="no signature 'serving_default', it has none"):
        from_saved_model(tmp_path)
    with pytest.raises(InvalidArchitectureError, match="no signature 'train', it has serve"):
        from_saved_model(exported, signature="train")


def calling(body_calls: dict[str, list[str]]) -> tf.compat.v1.GraphDef:
    """A graph whose output calls the first of some functions; each calls others in turn, and adds what they return."""
    graph_def = tf.compat.v1.GraphDef()
    graph_def.versions.producer = 1987
    for name, callees in body_calls.items():
        function = graph_def.library.function.add(signature={"name": name})
        function.signature.input_arg.add(name="x", type=tf.float32.as_datatype_enum)
        function.signature.output_arg.add(name="y", type=tf.float32.as_datatype_enum)
        last = "x"
        for place, callee in enumerate(callees):
            node = function.node_def.add(name=f"call_{place}", op="PartitionedCall", input=[last])
            call_attributes(node, callee)
            last = f"call_{place}:output:0"
        function.ret["y"] = last
    placeholder = graph_def.node.add(name="x", op="Placeholder")
    placeholder.attr["dtype"].type = tf.float32.as_datatype_enum
    placeholder.attr["shape"].shape.CopyFrom(tf.TensorShape((1, 3)).as_proto())
    call_attributes(graph_def.node.add(name="y", op="PartitionedCall", input=["x"]), next(iter(body_calls)))
    return graph_def


def call_attributes(node, callee):
    node.attr["f"].func.name = callee
    for side in ("Tin", "Tout"):
        node.attr[side].list.type.append(tf.float32.as_datatype_enum)


def test_a_function_that_calls_itself():
    with pytest.raises(InvalidArchitectureError):
        from_graph_def(calling({"a": ["b"], "b": ["a"]}), ["x"], ["y:0"])


def test_exponential_nesting_is_bounded(monkeypatch):
    """Each of thirty functions calls the next one twice: 2^30 operations, written down in a few kilobytes."""
    monkeypatch.setattr(tensorflow_functions, "MAX_NODES", 5000)
    chain = {f"f{place}": [f"f{place + 1}"] * 2 for place in range(30)}
    with pytest.raises(InvalidArchitectureError, match="more than 5000 operations"):
        from_graph_def(calling({**chain, "f30": []}), ["x"], ["y:0"])


def test_missing_functions_and_operations():
    graph_def = calling({"a": []})
    del graph_def.library.function[:]
    with pytest.raises(InvalidArchitectureError):
        from_graph_def(graph_def, ["x"], ["y:0"])
    graph_def.node[1].op = "NoSuchOperation"
    with pytest.raises(InvalidArchitectureError, match="not a graph that TensorFlow accepts"):
        from_graph_def(graph_def, ["x"], ["y:0"])
    with pytest.raises(InvalidArchitectureError, match="no node 'z'"):
        from_graph_def(graph_def, ["x"], ["z:0"])


def test_files_are_not_read(tmp_path):
    """A shape that is computed from a file's content: TensorFlow would read the file to infer it."""
    (tmp_path / "secret").write_text("7")

    @tf.function
    def call(x):
        length = tf.strings.to_number(tf.io.read_file(str(tmp_path / "secret")), tf.int32)
        return tf.reshape(x, tf.stack([1, length, -1]))

    function = call.get_concrete_function(tf.TensorSpec((1, 14)))
    with pytest.raises(InvalidArchitectureError, match="makes a constant that only running it would tell"):
        from_concrete_function(function)


def test_calls_that_do_not_fit():
    graph_def = calling({"a": []})
    graph_def.library.function[0].signature.input_arg.add(name="z", type=tf.float32.as_datatype_enum)
    with pytest.raises(InvalidArchitectureError):
        from_graph_def(graph_def, ["x"], ["y:0"])
    graph_def = calling({"a": []})
    graph_def.node[1].input[0] = "y"
    with pytest.raises(InvalidArchitectureError, match=r"cycle|no path"):
        from_graph_def(graph_def, ["x"], ["y:0"])


def test_a_cycle():
    graph_def = tf.compat.v1.GraphDef()
    graph_def.versions.producer = 1987
    for name, source in (("a", "b"), ("b", "a")):
        graph_def.node.add(name=name, op="Relu", input=[source]).attr["T"].type = tf.float32.as_datatype_enum
    with pytest.raises(InvalidArchitectureError):
        from_graph_def(graph_def, ["x"], ["a:0"])
