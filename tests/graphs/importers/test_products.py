"""Multiply-adds from the shapes of operands, against counts by hand."""

import numpy as np
import pytest
import tensorflow as tf
from onnx import TensorProto, helper

from tests.graphs.importers.test_onnx_graphs import noise, write
from tests.graphs.importers.test_torch_graphs import node
from tfnas.errors import InvalidArchitectureError
from tfnas.graphs.importers.onnx_graphs import from_onnx
from tfnas.graphs.importers.products import einsum
from tfnas.graphs.importers.simplify import simplify
from tfnas.graphs.importers.tensorflow_graphs import from_concrete_function
from tfnas.graphs.importers.torch_graphs import from_aten


def counted(tmp_path, nodes, constants=(), **keywords):
    """Multiply-adds of an ONNX model."""
    return from_onnx(write(tmp_path / "net.onnx", nodes, constants, **keywords)).multiply_adds.tolist()


def test_a_kernel_that_is_shared_or_computed_keeps_its_groups(tmp_path):
    """Two convolutions over 8 x 8 pixels of 16 channels in 4 groups: 64 * 16 * 4 * 9 products each."""
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["a"], group=4, pads=[1, 1, 1, 1]),
        helper.make_node("Conv", ["a", "w"], ["b"], group=4, pads=[1, 1, 1, 1]),
        helper.make_node("ReduceMean", ["x"], ["m"], axes=[2, 3]),
        helper.make_node("Mul", ["w", "m1"], ["dynamic"]),
        helper.make_node("Reshape", ["m", "column"], ["m1"]),
        helper.make_node("Conv", ["b", "dynamic"], ["y"], group=4, pads=[1, 1, 1, 1]),
    ]
    constants = {"w": noise(16, 4, 3, 3), "column": np.array([16, 1, 1, 1])}
    graph = from_onnx(write(tmp_path / "net.onnx", nodes, constants, shape=(1, 16, 8, 8)))
    convolutions = [
        count for name, count in zip(graph.operator_names, graph.multiply_adds, strict=True) if name == "conv"
    ]
    assert convolutions == [64 * 16 * 4 * 9] * 3 == [36864] * 3
    assert graph.total_parameters == 16 * 4 * 9


def test_products_of_inputs(tmp_path):
    shapes = {"x": (1, 2, 5, 8), "z": (1, 2, 8, 5)}
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["x", "z"], ["y"])],
        "g",
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in shapes.items()],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
    )
    read = from_onnx(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)]))
    assert read.multiply_adds.tolist() == [0, 0, 2 * 5 * 8 * 5, 0]
    assert read.shapes[2].tolist() == [2, 2, 5, 5, 8, 5]


def test_a_block_of_flattened_rows(tmp_path):
    """GPT-2's form of a layer: rows of the batch and of the sequence on one axis, a Gemm with bias, and back."""
    nodes = [
        helper.make_node("Reshape", ["x", "rows"], ["a"]),
        helper.make_node("Gemm", ["a", "w", "b"], ["c"]),
        helper.make_node("Reshape", ["c", "tokens"], ["d"]),
        helper.make_node("Relu", ["d"], ["y"]),
    ]
    constants = {"w": noise(8, 24), "b": noise(24), "rows": np.array([-1, 8]), "tokens": np.array([2, 7, 24])}
    graph = from_onnx(write(tmp_path / "net.onnx", nodes, constants, shape=(2, 7, 8)))
    assert graph.multiply_adds.tolist() == [0, 7 * 8 * 24, 0, 0]  # of the two inputs of a batch, one counts
    assert graph.shapes.tolist() == [
        [7, 7, 1, 1, 8, 8],
        [7, 7, 1, 1, 8, 24],
        [7, 7, 1, 1, 24, 24],
        [7, 7, 1, 1, 24, 24],
    ]


@pytest.mark.parametrize(("kind", "gates"), [("LSTM", 4), ("GRU", 3), ("RNN", 1)])
def test_recurrent_nodes(tmp_path, kind, gates):
    """Two directions over 6 steps of 2 sequences: gates x (input + hidden) x hidden products a step."""
    nodes = [helper.make_node(kind, ["x", "w", "r"], ["y"], hidden_size=5, direction="bidirectional")]
    constants = {"w": noise(2, gates * 5, 3), "r": noise(2, gates * 5, 5)}
    assert counted(tmp_path, nodes, constants, shape=(6, 2, 3)) == [0, 2 * 6 * gates * (3 + 5) * 5, 0]


@pytest.mark.parametrize(
    ("kind", "attributes", "weights", "shape", "count"),
    [
        ("ConvTranspose", {"strides": [2, 2], "group": 2}, (4, 3, 3, 3), (1, 4, 5, 6), 30 * 4 * 3 * 9),
        ("Conv", {}, (4, 3, 5), (1, 3, 9), 5 * 4 * 15),
        ("Conv", {}, (4, 3, 2, 2, 2), (1, 3, 4, 4, 4), 27 * 4 * 24),
        ("Gemm", {"transA": 1, "transB": 1}, (6, 1), (1, 4), 4 * 6),
        ("Einsum", {"equation": "...ik,kj->...ij"}, (8, 3), (1, 2, 5, 8), 2 * 5 * 8 * 3),
    ],
)
def test_operators_of_onnx(tmp_path, kind, attributes, weights, shape, count):
    nodes = [helper.make_node(kind, ["x", "w"], ["y"], **attributes)]
    assert counted(tmp_path, nodes, {"w": noise(*weights)}, shape=shape) == [0, count, 0]


def test_a_batch_is_divided_out(tmp_path):
    """Four images, whose features a matrix product multiplies as rows, and a product of four sequences of tokens."""
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["a"]),
        helper.make_node("Transpose", ["a"], ["b"], perm=[0, 2, 3, 1]),
        helper.make_node("Reshape", ["b", "rows"], ["c"]),
        helper.make_node("MatMul", ["c", "v"], ["d"]),
        helper.make_node("Reshape", ["d", "tokens"], ["e"]),
        helper.make_node("Transpose", ["e"], ["f"], perm=[0, 2, 1]),
        helper.make_node("MatMul", ["e", "f"], ["y"]),
    ]
    constants = {"w": noise(6, 3, 1, 1), "v": noise(6, 5), "rows": np.array([-1, 6]), "tokens": np.array([4, -1, 5])}
    graph = from_onnx(write(tmp_path / "net.onnx", nodes, constants, shape=(4, 3, 2, 7)))
    assert graph.multiply_adds.tolist() == [0, 14 * 18, 14 * 30, 14 * 14 * 5, 0]
    assert graph.shapes[:, 1::2].tolist() == [[2, 7, 3], [2, 7, 6], [2, 7, 5], [14, 1, 14], [14, 1, 14]]


def test_more_products_than_anything_multiplies(tmp_path):
    nodes = [helper.make_node("Conv", ["x", "x"], ["y"], auto_pad="SAME_UPPER")]
    with pytest.raises(InvalidArchitectureError, match=r"node 'y' \(Conv\) counts more than"):
        counted(tmp_path, nodes, shape=(1, 1, 2**20, 2**20))


def test_weights_on_the_left(tmp_path):
    nodes = [helper.make_node("MatMul", ["w", "x"], ["y"])]
    assert counted(tmp_path, nodes, {"w": noise(6, 4)}, shape=(1, 4, 5)) == [0, 6 * 4 * 5, 0]


def test_einsum_broadcasts():
    assert einsum("b...c, ...cd -> b...d", [(2, 5, 1, 3), (4, 3, 7)]) == 2 * 5 * 4 * 3 * 7
    assert einsum("ii", [(3, 3)]) == 3
    assert einsum("ij,jk", [(3, None), (4, 5)]) is None


def test_tensorflow():
    """A grouped, a dilated, a depthwise and a transposed convolution, and products of data."""
    grouped, depthwise = tf.Variable(tf.ones((3, 3, 2, 8))), tf.Variable(tf.ones((3, 3, 8, 2)))
    dilated, back = tf.Variable(tf.ones((3, 3, 16, 4))), tf.Variable(tf.ones((2, 2, 5, 4)))

    def call(x):
        x = tf.nn.conv2d(x, grouped, 1, "SAME")
        x = tf.nn.depthwise_conv2d(x, depthwise, (1, 1, 1, 1), "SAME")
        x = tf.nn.conv2d(x, dilated, 1, "SAME", dilations=2)
        x = tf.reshape(tf.nn.conv2d_transpose(x, back, (2, 14, 14, 5), 2), (2, 196, 5))
        return tf.einsum("bic,bjc->bij", x, tf.matmul(x, x, transpose_a=True)[:, :1])

    graph = from_concrete_function(tf.function(call).get_concrete_function(tf.TensorSpec((2, 7, 7, 4))))
    expected = [49 * 8 * 2 * 9, 49 * 16 * 9, 49 * 4 * 16 * 9, 49 * 4 * 5 * 4, 5 * 5 * 196, 196 * 1 * 5]
    assert [count for count in graph.multiply_adds.tolist() if count] == expected


def test_torch():
    """A linear layer, one with its bias first, a shared grouped kernel, and two layers of an LSTM."""
    nodes = [
        *[node("weight", [], shape) for shape in ([4, 8], [6], [4, 6], [24, 6], [24, 6], [24], [24, 6], [24, 6])],
        *[node("input", [], [1, 5, 8]), node("linear", [8, 0], [1, 5, 4], "tensor", "tensor")],
        *[node("view", [9], [5, 4], "tensor", [5, 4]), node("addmm", [1, 10, 2], [5, 6], *["tensor"] * 3)],
        *[node("view", [11], [1, 5, 6], "tensor", [1, 5, 6]), node("zeros", [], [2, 1, 6])],
        node("lstm", [12, 13, 13, 3, 4, 5, 6, 7], [1, 5, 6], "tensor", ["tensor"] * 2, ["tensor"] * 5),
    ]
    graph = simplify(from_aten(nodes, [14]))
    expected = {"linear": 5 * 4 * 8, "addmm": 5 * 6 * 4, "lstm": 5 * 4 * 24 * 6}
    assert graph.operator_names == ["input", "matmul", "matmul", "lstm", "output"]
    assert graph.multiply_adds.tolist() == [0, *expected.values(), 0]
    assert graph.shapes[2].tolist() == [5, 5, 1, 1, 4, 6]
