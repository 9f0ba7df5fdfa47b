"""An import that misses weights says so; constants that are no weights raise no alarm."""

import keras
import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from tfnas.graphs.importers import import_model
from tfnas.graphs.importers.raw import RawGraph, RawNode
from tfnas.graphs.importers.reconcile import reconciliation


def graph_of(*weights, held=None):
    nodes = [RawNode(f"w{n}", "Constant", "unknown", [], [(n,)], [True], weights=n) for n in weights]
    return RawGraph(nodes, [(len(nodes) - 1, 0)], held=held)


@pytest.mark.parametrize(
    ("raw", "claimed", "counted", "line"),
    [
        (graph_of(5000, 300), {0, 1}, 5300, None),
        (graph_of(30_000, 25), {0}, 30_000, None),
        (graph_of(50, 16), {0}, 50, None),
        (
            graph_of(5000, 300, 40),
            {0},
            5000,
            "holds 5,340 numbers, the graph counts 5,000: 340 are in no operator, 300 of",
        ),
        (
            graph_of(5000),
            {0},
            10_000,
            "holds 5,000 numbers, the graph counts 10,000: 5,000 count twice or are no weights",
        ),
        (graph_of(5000, held=5100), {0}, 5000, "holds 5,100 numbers, the graph counts 5,000: 100 are in no operator"),
    ],
)
def test_lines(raw, claimed, counted, line):
    notes = reconciliation(raw, claimed, counted)
    assert (line is None) == (notes == ())
    assert line is None or line in notes[0]


def test_weights_that_a_keras_model_does_not_use():
    class Idle(keras.layers.Layer):
        def build(self, shape):
            self.idle = self.add_weight(shape=(100,))

        def call(self, inputs):
            return inputs

    inputs = keras.Input((4,))
    graph = import_model(keras.Model(inputs, keras.layers.Dense(5)(Idle()(inputs))))
    # 4 x 5 + 5 numbers of the dense layer.
    assert graph.notes == ("the model holds 125 numbers, the graph counts 25: 100 are in no operator",)
    assert (graph.total_parameters, graph.trainable) == (25, 125)


def test_constants_that_are_no_weights():
    """Position numbers, a mask of booleans and the bounds of a clip."""
    constants = {
        "positions": np.arange(64, dtype=np.int64).reshape(1, 64),
        "mask": np.arange(64 * 64).reshape(1, 64, 64) % 3 == 0,
        "low": np.float32(-1e9),
        "table": np.random.default_rng(0).normal(size=(64, 8)).astype(np.float32),
        "kernel": np.random.default_rng(1).normal(size=(8, 64)).astype(np.float32),
    }
    nodes = [
        helper.make_node("Gather", ["table", "positions"], ["embedded"]),
        helper.make_node("Add", ["x", "embedded"], ["sum"]),
        helper.make_node("MatMul", ["sum", "kernel"], ["scores"]),
        helper.make_node("Where", ["mask", "scores", "low"], ["masked"]),
        helper.make_node("Softmax", ["masked"], ["y"]),
    ]
    graph = helper.make_graph(
        nodes,
        "masked",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 64, 8])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 64, 64])],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()],
    )
    graph = import_model(helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)]))
    assert graph.total_parameters == 64 * 8 + 8 * 64
    assert graph.notes == ()
