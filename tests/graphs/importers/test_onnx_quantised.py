"""Quantised models of ONNX against the models that were quantised."""

import numpy as np
import pytest
from onnx import TensorProto, helper

from tests.graphs.importers.onnx_files import integers, microsoft, model, noise
from tests.graphs.isomorphism import equivalent
from tfnas.graphs.importers.onnx_graphs import from_onnx

SCALE, ZERO = {"s": np.float32(0.1), "z": np.int8(0)}, ("s", "z")


def plain():
    """A convolution with bias, ReLU, a mean and a dense layer with bias."""
    nodes = [
        helper.make_node("Conv", ["x", "w", "b"], ["c"], pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["c"], ["r"]),
        helper.make_node("GlobalAveragePool", ["r"], ["p"]),
        helper.make_node("Flatten", ["p"], ["f"]),
        helper.make_node("MatMul", ["f", "v"], ["m"]),
        helper.make_node("Add", ["m", "u"], ["y"]),
    ]
    constants = {"w": noise(8, 3, 3, 3), "b": noise(8), "v": noise(8, 5), "u": noise(5)}
    return from_onnx(model(nodes, constants, {"x": (1, 3, 6, 6)}))


def quantised_and_back(name):
    """The two nodes that onnxruntime puts behind every tensor."""
    return [
        helper.make_node("QuantizeLinear", [name, *ZERO], [f"{name}_q"]),
        helper.make_node("DequantizeLinear", [f"{name}_q", *ZERO], [f"{name}_d"]),
    ]


def test_quantise_and_dequantise():
    """Weights per channel, a bias of 32 bits."""
    nodes = [
        *quantised_and_back("x"),
        helper.make_node("DequantizeLinear", ["w", "scales", "zeros"], ["w_d"], axis=0),
        helper.make_node("DequantizeLinear", ["b", "s"], ["b_d"]),
        helper.make_node("Conv", ["x_d", "w_d", "b_d"], ["c"], pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["c"], ["r"]),
        *quantised_and_back("r"),
        helper.make_node("GlobalAveragePool", ["r_d"], ["p"]),
        helper.make_node("Flatten", ["p"], ["f"]),
        *quantised_and_back("f"),
        helper.make_node("DequantizeLinear", ["v", *ZERO], ["v_d"]),
        helper.make_node("MatMul", ["f_d", "v_d"], ["m"]),
        *quantised_and_back("m"),
        helper.make_node("Add", ["m_d", "u"], ["y"]),
    ]
    constants = {**SCALE, "scales": noise(8), "zeros": np.zeros(8, np.int8), "w": integers(8, 3, 3, 3)}
    constants |= {"b": integers(8, dtype=np.int32), "v": integers(8, 5), "u": noise(5)}
    graph = from_onnx(model(nodes, constants, {"x": (1, 3, 6, 6)}))
    assert equivalent(graph, plain())
    assert graph.multiply_adds.tolist() == [0, 36 * 8 * 27, 0, 0, 8 * 5, 0]
    assert not graph.notes


def test_operators_on_integers():
    nodes = [
        helper.make_node("QuantizeLinear", ["x", *ZERO], ["xq"]),
        helper.make_node("QLinearConv", ["xq", *ZERO, "w", *ZERO, *ZERO, "b"], ["c"], pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["c"], ["r"]),
        microsoft("QLinearGlobalAveragePool", ["r", *ZERO, *ZERO], ["p"], channels_last=0),
        helper.make_node("Flatten", ["p"], ["f"]),
        helper.make_node("QLinearMatMul", ["f", *ZERO, "v", *ZERO, *ZERO], ["m"]),
        microsoft("QLinearAdd", ["m", *ZERO, "u", *ZERO, *ZERO], ["a"]),
        helper.make_node("DequantizeLinear", ["a", *ZERO], ["y"]),
    ]
    constants = {**SCALE, "w": integers(8, 3, 3, 3), "b": integers(8, dtype=np.int32), "v": integers(8, 5)}
    graph = from_onnx(model(nodes, {**constants, "u": integers(5)}, {"x": (1, 3, 6, 6)}))
    assert equivalent(graph, plain())


def test_scales_that_the_data_decide():
    """Dynamic quantisation: a scale per column of the weights is no weight."""
    nodes = [
        helper.make_node("DynamicQuantizeLinear", ["x"], ["xq", "xs", "xz"]),
        helper.make_node("Mul", ["xs", "columns"], ["factor"]),
        helper.make_node("MatMulInteger", ["xq", "w", "xz", "wz"], ["m"]),
        helper.make_node("Cast", ["m"], ["f"], to=TensorProto.FLOAT),
        helper.make_node("Mul", ["f", "factor"], ["scaled"]),
        helper.make_node("Add", ["scaled", "b"], ["y"]),
    ]
    constants = {"w": integers(8, 5), "wz": integers(5), "columns": noise(5), "b": noise(5)}
    graph = from_onnx(model(nodes, constants, {"x": (1, 7, 8)}))
    assert graph.operator_names == ["input", "matmul", "output"]
    assert (graph.parameters.tolist(), graph.bias.tolist()) == ([0, 45, 0], [0, 1, 0])
    assert graph.multiply_adds.tolist() == [0, 7 * 8 * 5, 0]


def test_a_quantised_bias():
    """Onnxruntime adds a bias of 32 bits to the sums of a convolution, before it scales the sums."""
    nodes = [
        helper.make_node("DynamicQuantizeLinear", ["x"], ["xq", "xs", "xz"]),
        helper.make_node("ConvInteger", ["xq", "w", "xz"], ["c"]),
        helper.make_node("Add", ["c", "b"], ["shifted"]),
        helper.make_node("Cast", ["shifted"], ["f"], to=TensorProto.FLOAT),
        helper.make_node("Mul", ["f", "xs"], ["y"]),
    ]
    constants = {"w": integers(4, 3, 1, 1), "b": integers(1, 4, 1, 1, dtype=np.int32)}
    graph = from_onnx(model(nodes, constants, {"x": (1, 3, 5, 5)}))
    assert (graph.operator_names, graph.parameters.tolist()) == (["input", "conv", "output"], [0, 16, 0])
    assert graph.bias.tolist() == [0, 1, 0]
    assert not graph.notes


@pytest.mark.parametrize(
    ("node", "weights", "constants"),
    [
        (
            microsoft("MatMulNBits", ["x", "w", "scales"], K=8, N=6, bits=4, block_size=16),
            48,
            {"w": ((6, 1, 8), np.uint8)},
        ),
        (
            microsoft("MatMulNBits", ["x", "w", "scales", "", "", "b"], K=8, N=6, bits=4, block_size=16),
            54,
            {"w": ((6, 1, 8), np.uint8), "b": ((6,), np.float32)},
        ),
        (
            microsoft("DynamicQuantizeMatMul", ["x", "w", "s", "z", "b"]),
            54,
            {"w": ((8, 6), np.int8), "b": ((6,), np.float32)},
        ),
        (microsoft("QGemm", ["x", *ZERO, "w", *ZERO, "b", *ZERO]), 54, {"w": ((8, 6), np.int8), "b": ((6,), np.int32)}),
    ],
)
def test_products_of_onnxruntime(node, weights, constants):
    """One row of 8 numbers by a matrix of 8 x 6, and a bias of 6."""
    values = {name: integers(*shape, dtype=dtype) for name, (shape, dtype) in constants.items()}
    graph = from_onnx(model([node], {**SCALE, "scales": noise(6), **values}, {"x": (1, 8)}))
    assert graph.operator_names == ["input", "matmul", "output"]
    assert graph.parameters.tolist() == [0, weights, 0]
    assert graph.bias[1] == (weights > 48)
    assert graph.multiply_adds.tolist() == [0, 48, 0]


def test_a_quantised_lstm():
    """Hidden size 4: the matrices are [1, 3, 16] and [1, 4, 16], for 5 steps."""
    node = microsoft("DynamicQuantizeLSTM", ["x", "w", "r", "b", "", "", "", "", *ZERO, *ZERO], hidden_size=4)
    constants = {**SCALE, "w": integers(1, 3, 16), "r": integers(1, 4, 16), "b": noise(1, 32)}
    graph = from_onnx(model([node], constants, {"x": (5, 1, 3)}))
    assert graph.operator_names == ["input", "lstm", "output"]
    assert graph.parameters.tolist() == [0, 16 * 3 + 16 * 4 + 32, 0]
    assert graph.multiply_adds.tolist() == [0, 5 * 16 * (3 + 4), 0]


def test_a_quantised_operator_without_operands_is_unknown():
    graph = from_onnx(model([microsoft("QLinearConcat", ["s", "z", "x", *ZERO])], SCALE, {"x": (1, 8)}))
    assert graph.operator_names == ["input", "QLinearConcat", "output"]
