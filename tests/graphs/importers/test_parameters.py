"""Fresh weights count like trained weights, and merged constants like the constants that were merged."""

import numpy as np
import pytest
import tensorflow as tf
from onnx import helper

from tests.graphs.importers.test_onnx_graphs import noise, write
from tests.graphs.isomorphism import equivalent
from tfnas.graphs.computation_graph import ComputationGraph
from tfnas.graphs.importers.onnx_graphs import from_onnx
from tfnas.graphs.importers.tensorflow_graphs import from_concrete_function
from tfnas.graphs.operators import CODES


def block(path, fresh):
    """A token before four tokens of 8 channels, a layer with bias, a scale, a norm that is spelled out, two heads."""
    names = ("token", "bias", "gamma", "scale", "shift", "first", "second")
    values = {
        name: np.full((1, 1, 8) if name == "token" else 8, 0.0, np.float32) if fresh else noise(8) for name in names
    }
    values["token"] = values["token"].reshape(1, 1, 8)
    if fresh:  # exporters merge tensors that are equal
        merged = dict.fromkeys(("bias", "shift", "first", "second"), "zeros")
        values["zeros"], values["ones"] = np.zeros(8, np.float32), np.ones(8, np.float32)
        merged |= dict.fromkeys(("gamma", "scale"), "ones")
    else:
        merged = {}
    name = lambda tensor: merged.get(tensor, tensor)  # noqa: E731
    nodes = [
        helper.make_node("Relu", ["x"], ["r"]),
        helper.make_node("Concat", ["token", "r"], ["t"], axis=1),
        helper.make_node("MatMul", ["t", "w"], ["m"]),
        helper.make_node("Add", ["m", name("bias")], ["b"]),
        helper.make_node("Relu", ["b"], ["r2"]),
        helper.make_node("Mul", ["r2", name("gamma")], ["g"]),
        helper.make_node("ReduceMean", ["g"], ["mean"], axes=[-1]),
        helper.make_node("Sub", ["g", "mean"], ["c"]),
        helper.make_node("Pow", ["c", "two"], ["sq"]),
        helper.make_node("ReduceMean", ["sq"], ["var"], axes=[-1]),
        helper.make_node("Add", ["var", "tiny"], ["v"]),
        helper.make_node("Sqrt", ["v"], ["root"]),
        helper.make_node("Div", ["c", "root"], ["n"]),
        helper.make_node("Mul", ["n", name("scale")], ["s"]),
        helper.make_node("Add", ["s", name("shift")], ["l"]),
        helper.make_node("MatMul", ["l", "w1"], ["h1"]),
        helper.make_node("Add", ["h1", name("first")], ["y"]),
        helper.make_node("MatMul", ["l", "w2"], ["h2"]),
        helper.make_node("Add", ["h2", name("second")], ["z"]),
    ]
    values |= {
        "w": noise(8, 8),
        "w1": noise(8, 8),
        "w2": noise(8, 8) + 1,
        "two": np.float32(2),
        "tiny": np.float32(1e-6),
    }
    return from_onnx(write(path / f"{fresh}.onnx", nodes, values, shape=(1, 4, 8), outputs=("y", "z")))


def test_a_new_model_is_the_trained_model(tmp_path):
    fresh, trained = block(tmp_path, fresh=True), block(tmp_path, fresh=False)
    assert equivalent(fresh, trained)
    names = ["input", "relu", "concat", "matmul", "relu", "mul", "layer_norm", "matmul", "matmul", "output", "output"]
    assert trained.operator_names == names
    assert trained.parameters.tolist() == [0, 0, 8, 72, 0, 8, 16, 72, 72, 0, 0]
    assert fresh.bias.tolist() == trained.bias.tolist() == [0, 0, 0, 1, 0, 0, 0, 1, 1, 0, 0]
    assert not fresh.notes
    assert not trained.notes


def test_constants_that_are_no_weights(tmp_path):
    """The mean of an input's colours, a mask over positions, a factor, and the first state of a recurrent node."""
    nodes = [
        helper.make_node("Sub", ["x", "mean"], ["a"]),
        helper.make_node("Relu", ["a"], ["b"]),
        helper.make_node("Add", ["b", "mask"], ["c"]),
        helper.make_node("Mul", ["c", "factor"], ["d"]),
        helper.make_node("GRU", ["d", "w", "r", "b0", "", "state"], ["y"], hidden_size=2),
    ]
    constants = {"mean": np.full(3, 0.5, np.float32), "mask": np.zeros((4, 1, 1), np.float32), "factor": np.float32(2)}
    constants |= {"w": noise(1, 6, 3), "r": noise(1, 6, 2), "b0": np.zeros((1, 12), np.float32)}
    constants |= {"state": np.zeros((1, 1, 2), np.float32)}
    graph = from_onnx(write(tmp_path / "net.onnx", nodes, constants, shape=(4, 1, 3)))
    assert graph.operator_names == ["input", "relu", "gru", "output"]
    assert graph.parameters.tolist() == [0, 0, 18 + 12 + 12, 0]


@pytest.mark.parametrize("fresh", [True, False])
def test_frozen_graphs_of_tensorflow(fresh):
    """Weights that became constants: a kernel, and a bias of zeros or of other numbers."""
    kernel, bias = noise(8, 5), np.zeros(5, np.float32) if fresh else noise(5)
    function = tf.function(lambda x: tf.nn.relu(tf.matmul(x, kernel) + bias))
    graph = from_concrete_function(function.get_concrete_function(tf.TensorSpec((None, 8))))
    assert graph.parameters.tolist() == [0, 45, 0, 0]
    assert graph.bias.tolist() == [0, 1, 0, 0]


def test_a_bias_that_another_operator_counts():
    """Two layers of 8 x 5 weights whose biases are one tensor, in a graph without multiply-adds of an importer."""
    graph = ComputationGraph(
        operators=[CODES[name] for name in ("input", "matmul", "matmul", "output")],
        shapes=[(1, 1, 1, 1, *pair) for pair in ((8, 8), (8, 5), (8, 5), (5, 5))],
        kernels=np.zeros((4, 2)),
        bias=[0, 1, 1, 0],
        parameters=[0, 45, 40, 0],
        edges=[(0, 1), (0, 2), (1, 3), (2, 3)],
    )
    assert graph.multiply_adds.tolist() == [0, 40, 40, 0]
