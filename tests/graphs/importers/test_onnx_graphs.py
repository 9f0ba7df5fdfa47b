"""ONNX files made by hand and by tf2onnx."""

import keras
import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from tests.graphs.isomorphism import equivalent
from tfnas.errors import CorruptArtefactError, InvalidArchitectureError
from tfnas.graphs.importers import from_file
from tfnas.graphs.importers.keras_graphs import from_keras
from tfnas.graphs.importers.onnx_graphs import from_onnx


def write(path, nodes, constants=(), shape=("batch", 3, 8, 8), outputs=("y",), **extra):
    """A file with one float input x and some outputs of unknown shape."""
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in outputs],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in dict(constants).items()],
    )
    model = helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", 17), helper.make_opsetid("mine", 1)], **extra
    )
    path.write_bytes(model.SerializeToString())
    return path


def noise(*shape):
    return np.random.default_rng(0).normal(size=shape).astype(np.float32)


def test_operators_by_hand(tmp_path):
    """Convolution with bias, norm, h-swish, a depthwise one, clip to 6, mean, flatten, a dense layer, softmax."""
    nodes = [
        helper.make_node("Conv", ["x", "w", "b"], ["a"], strides=[2, 2], pads=[1, 1, 1, 1]),
        helper.make_node("BatchNormalization", ["a", "s", "s", "s", "s"], ["c"]),
        helper.make_node("HardSwish", ["c"], ["d"]),
        helper.make_node("Conv", ["d", "dw"], ["e"], group=4, pads=[2, 2, 2, 2]),
        helper.make_node("Clip", ["e", "zero", "six"], ["f"]),
        helper.make_node("GlobalAveragePool", ["f"], ["h"]),
        helper.make_node("Flatten", ["h"], ["i"]),
        helper.make_node("Gemm", ["i", "v", "u"], ["j"]),
        helper.make_node("Softmax", ["j"], ["y"]),
    ]
    constants = {"w": noise(4, 3, 3, 3), "b": noise(4), "s": np.abs(noise(4)), "dw": noise(4, 1, 5, 5)}
    constants |= {"zero": np.float32(0), "six": np.float32(6), "v": noise(4, 7), "u": noise(7)}
    graph = from_onnx(write(tmp_path / "net.onnx", nodes, constants))
    names = [
        "input",
        "conv",
        "batch_norm",
        "relu6",
        "mul",
        "depthwise_conv",
        "relu6",
        "mean",
        "matmul",
        "softmax",
        "output",
    ]
    assert graph.operator_names == names
    assert graph.edges.tolist() == [[i, i + 1] for i in range(2)] + [[2, 3], [2, 4], [3, 4]] + [
        [i, i + 1] for i in range(4, 10)
    ]
    assert graph.shapes[1].tolist() == [8, 4, 8, 4, 3, 4]
    assert graph.shapes[5].tolist() == [4, 4, 4, 4, 4, 4]
    assert graph.kernels[[1, 5]].tolist() == [[3, 3], [5, 5]]
    assert graph.bias.tolist() == [0, 1, 0, 0, 0, 0, 0, 0, 1, 0, 0]
    # The four roles of `s` are one tensor of four numbers.
    assert graph.parameters.tolist() == [0, 112, 4, 0, 0, 100, 0, 0, 35, 0, 0]
    assert equivalent(from_file(tmp_path / "net.onnx"), graph)


def test_channels_last_sections(tmp_path):
    """A norm over channels between two transposes, as in ConvNeXt, and the patches of a vision transformer."""
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["a"], strides=[4, 4]),
        helper.make_node("Transpose", ["a"], ["b"], perm=[0, 2, 3, 1]),
        helper.make_node("LayerNormalization", ["b", "s", "s"], ["c"]),
        helper.make_node("MatMul", ["c", "v"], ["d"]),
        helper.make_node("Add", ["bias", "d"], ["y"]),
    ]
    constants = {"w": noise(6, 3, 4, 4), "s": noise(6), "v": noise(6, 9), "bias": noise(9)}
    graph = from_onnx(write(tmp_path / "net.onnx", nodes, constants))
    assert graph.operator_names == ["input", "conv", "layer_norm", "matmul", "output"]
    assert graph.shapes[1:].tolist() == [[8, 2, 8, 2, 3, 6], [2, 2, 2, 2, 6, 6], [2, 2, 2, 2, 6, 9], [2, 2, 2, 2, 9, 9]]
    assert graph.bias.tolist() == [0, 0, 0, 1, 0]


def test_same_graph_as_keras(tmp_path):
    """tf2onnx keeps the structure of this model, but folds the four vectors of its norm into two."""
    inputs = keras.Input((16, 16, 3))
    hidden = keras.layers.Conv2D(8, 3, padding="same")(inputs)
    hidden = keras.layers.Activation("relu")(keras.layers.BatchNormalization()(hidden))
    hidden = keras.layers.Add()([keras.layers.DepthwiseConv2D(3, padding="same")(hidden), hidden])
    hidden = keras.layers.Activation("swish")(keras.layers.AveragePooling2D(2)(hidden))
    model = keras.Model(inputs, keras.layers.Dense(4)(keras.layers.GlobalAveragePooling2D()(hidden)))
    rng = np.random.default_rng(0)
    for weight in model.weights:  # a fresh norm is one number for all channels, which is no weight
        weight.assign(np.abs(rng.normal(size=weight.shape)) + 0.1)
    expected = from_keras(model)
    model.export(tmp_path / "model.onnx", format="onnx", verbose=False)
    read = from_onnx(tmp_path / "model.onnx")
    norm = expected.operator_names.index("batch_norm")
    parameters = expected.parameters.copy()
    parameters[norm] //= 2
    assert equivalent(read, expected.replace(parameters=parameters))


def test_computed_kernels(tmp_path):
    """Half-precision weights behind a cast: a 1 x 1 convolution and a depthwise one."""
    nodes = [
        helper.make_node("Cast", ["w16"], ["w"], to=TensorProto.FLOAT),
        helper.make_node("Cast", ["d16"], ["d"], to=TensorProto.FLOAT),
        helper.make_node("Conv", ["x", "w"], ["a"]),
        helper.make_node("Conv", ["a", "d"], ["y"], group=6, pads=[1, 1, 1, 1]),
    ]
    constants = {"w16": noise(6, 3, 1, 1).astype(np.float16), "d16": noise(6, 1, 3, 3).astype(np.float16)}
    graph = from_onnx(write(tmp_path / "net.onnx", nodes, constants))
    assert graph.operator_names == ["input", "conv", "depthwise_conv", "output"]
    assert graph.parameters.tolist() == [0, 18, 54, 0]


def test_weights_count_whatever_their_numbers(tmp_path):
    """A fresh norm and a bias of zeros; the factors of a resize are no weights."""
    nodes = [
        helper.make_node("Conv", ["x", "w", "zeros"], ["a"]),
        helper.make_node("BatchNormalization", ["a", "ones", "zeros", "zeros", "ones"], ["b"]),
        helper.make_node("Resize", ["b", "", "factors"], ["y"]),
    ]
    constants = {"w": noise(4, 3, 1, 1), "zeros": np.zeros(4, np.float32), "ones": np.ones(4, np.float32)}
    constants["factors"] = np.array([1, 1, 2, 2], np.float32)
    graph = from_onnx(write(tmp_path / "net.onnx", nodes, constants))
    assert graph.operator_names == ["input", "conv", "batch_norm", "resize", "output"]
    assert graph.parameters.tolist() == [
        0,
        16,
        16,
        0,
        0,
    ]  # equal tensors that an exporter merged count where they are read


def test_local_functions(tmp_path):
    """They are written out; one that would be a million operators or calls itself is refused."""
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("mine", 1)]

    def function(name, *calls):
        nodes = [helper.make_node(call, ["u" if k == 0 else f"v{k}"], [f"v{k + 1}"], domain=domain)
                 for k, (call, domain) in enumerate(calls)]  # fmt: skip
        return helper.make_function("mine", name, ["u"], [f"v{len(calls)}"], nodes, opsets)

    path = write(tmp_path / "net.onnx", [helper.make_node("F", ["x"], ["y"], domain="mine")], shape=(1, 4))
    model = onnx.load(path)
    model.functions.append(function("F", ("Relu", ""), ("Tanh", "")))
    path.write_bytes(model.SerializeToString())
    assert from_onnx(path).operator_names == ["input", "relu", "tanh", "output"]
    del model.functions[:]
    model.functions.extend(function("F" if k == 0 else f"F{k}", *[(f"F{k + 1}", "mine")] * 2) for k in range(30))
    model.functions.append(function("F30", ("Relu", "")))
    path.write_bytes(model.SerializeToString())
    with pytest.raises(InvalidArchitectureError, match="more than 1000000 operators"):
        from_onnx(path)
    del model.functions[:]
    model.functions.append(function("F", ("F", "mine")))
    path.write_bytes(model.SerializeToString())
    with pytest.raises(InvalidArchitectureError, match="'F' calls itself"):
        from_onnx(path)
    del model.functions[:]
    model.functions.extend(function("F" if k == 0 else f"F{k}", (f"F{k + 1}", "mine")) for k in range(2000))
    path.write_bytes(model.SerializeToString())
    with pytest.raises(InvalidArchitectureError, match="more than 64 deep"):
        from_onnx(path)


def test_order_does_not_matter(tmp_path):
    chain = [helper.make_node("Relu", [f"t{k}" if k else "x"], [f"t{k + 1}" if k < 1999 else "y"]) for k in range(2000)]
    assert from_onnx(write(tmp_path / "net.onnx", chain[::-1])).num_nodes == 2002


def test_operators_that_are_refused(tmp_path):
    with pytest.raises(InvalidArchitectureError, match="is not a Conv as ONNX has it"):
        from_onnx(write(tmp_path / "net.onnx", [helper.make_node("Conv", ["x"], ["y"])]))


def test_weights_of_their_own_file_are_not_read(tmp_path):
    """A gigabyte of weights that does not exist."""
    path = write(tmp_path / "net.onnx", [helper.make_node("Gemm", ["x", "w"], ["y"])], shape=(1, 16384))
    model = onnx.load(path)
    tensor = model.graph.initializer.add(name="w", data_type=TensorProto.FLOAT, dims=[16384, 16384])
    tensor.data_location = TensorProto.EXTERNAL
    for key, value in (("location", "weights.bin"), ("offset", "0"), ("length", str(2**30))):
        tensor.external_data.add(key=key, value=value)
    path.write_bytes(model.SerializeToString())
    assert from_onnx(path).parameters.tolist() == [0, 2**28, 0]


@pytest.mark.parametrize(
    ("nodes", "message"),
    [
        ([helper.make_node("Relu", ["z"], ["y"])], "reads 'z', which nothing makes"),
        ([helper.make_node("Add", ["x", "b"], ["a"]), helper.make_node("Relu", ["a"], ["b"])], "cycle"),
        ([helper.make_node("Relu", ["x"], ["z"])], "no node makes the output 'y'"),
        ([helper.make_node("Relu", ["w"], ["y"])], "no path leads"),
    ],
)
def test_broken_graphs(tmp_path, nodes, message):
    with pytest.raises(InvalidArchitectureError, match=message):
        from_onnx(write(tmp_path / "net.onnx", nodes, {"w": noise(3)}))


def test_open_shapes_and_custom_operators(tmp_path):
    nodes = [helper.make_node("Swizzle", ["x"], ["a"], domain="mine"), helper.make_node("Relu", ["x"], ["y"])]
    path = write(tmp_path / "net.onnx", nodes, shape=("n", 3, "h", "w"))
    with pytest.raises(InvalidArchitectureError, match="give the input's shape"):
        from_onnx(path, strict=True)
    assert from_onnx(path, input_shapes=(1, 3, 5, 7)).shapes[1].tolist() == [5, 5, 7, 7, 3, 3]
    last = write(tmp_path / "last.onnx", [helper.make_node("Swizzle", ["x"], ["y"], domain="mine")], shape=(1, 3, 5, 7))
    assert from_onnx(last).operator_names == ["input", "Swizzle", "output"]
    with pytest.raises(InvalidArchitectureError, match="has 4 dimensions, not 2"):
        from_onnx(path, input_shapes=(1, 3))
    with pytest.raises(InvalidArchitectureError, match="no input 'q', it has x"):
        from_onnx(path, input_shapes={"q": (1, 3)})


def test_damaged_files(tmp_path):
    path = write(tmp_path / "net.onnx", [helper.make_node("Gemm", ["x", "w"], ["y"])], {"w": noise(8, 8)}, (1, 8))
    content = path.read_bytes()
    with pytest.raises(CorruptArtefactError, match="no such file"):
        from_onnx(tmp_path / "none.onnx")
    for damaged in (content[: len(content) // 2], b"", b"\x00" * 100, b"not a model"):
        path.write_bytes(damaged)
        with pytest.raises((CorruptArtefactError, InvalidArchitectureError)):
            from_onnx(path)


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", ["ResNet50V2", "MobileNetV2", "DenseNet121", "Xception", "EfficientNetB0", "InceptionV3"]
)
def test_applications_through_tf2onnx(name, tmp_path):
    """Nothing is new in the ONNX file; what is missing are norms and pads that tf2onnx folds, and nested concats."""
    model = getattr(keras.applications, name)(weights=None)
    rng = np.random.default_rng(0)
    for weight in model.weights:
        if len(weight.shape) == 1:
            weight.assign(np.abs(rng.normal(size=weight.shape)) + 0.1)
    expected = from_keras(model)
    model.export(tmp_path / "model.onnx", format="onnx", verbose=False)
    read = from_onnx(tmp_path / "model.onnx")
    assert not read.counts() - expected.counts()
    assert set(expected.counts() - read.counts()) <= {"batch_norm", "pad", "concat"}
    assert read.total_parameters == pytest.approx(expected.total_parameters, rel=0.02)
    assert read.multiply_adds.sum() == pytest.approx(expected.multiply_adds.sum(), rel=1e-6)
