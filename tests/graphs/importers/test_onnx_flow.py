"""Branches and loops of ONNX models."""

import numpy as np
import pytest
from onnx import TensorProto, helper

from tests.graphs.importers.test_onnx_graphs import noise, write
from tfnas.errors import InvalidArchitectureError
from tfnas.graphs.importers.onnx_graphs import from_onnx

node = helper.make_node


def graph(nodes, outputs, inputs=(), constants=()):
    values = [helper.make_tensor_value_info(name, kind, None) for name, kind in inputs]
    results = [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in outputs]
    return helper.make_graph(nodes, "inner", values, results, [*constants])


def weights(name, *shape):
    return helper.make_tensor(name, TensorProto.FLOAT, shape, noise(*shape).ravel())


def choice(condition):
    """A convolution of 3 x 3 and a Relu, or a Tanh; both branches call their tensors by the same names."""
    small = graph([node("Tanh", ["x"], ["b"])], ["b"])
    inner = [node("Conv", ["x", "w"], ["a"], pads=[1, 1, 1, 1]), node("Relu", ["a"], ["b"])]
    large = graph(inner, ["b"], constants=[weights("w", 3, 3, 3, 3)])
    return [
        *condition,
        node("If", ["c"], ["d"], name="choice", then_branch=small, else_branch=large),
        node("If", ["c"], ["e"], then_branch=small, else_branch=large),
        node("Add", ["d", "e"], ["y"]),
    ]


def test_a_known_condition_takes_its_branch(tmp_path):
    condition = [node("Size", ["x"], ["n"]), node("Equal", ["n", "wanted"], ["c"])]
    read = from_onnx(write(tmp_path / "net.onnx", choice(condition), {"wanted": np.int64(192)}))
    assert (read.operator_names, read.notes) == (["input", "tanh", "tanh", "add", "output"], ())
    read = from_onnx(write(tmp_path / "net.onnx", choice(condition), {"wanted": np.int64(7)}))
    assert read.operator_names == ["input", "conv", "relu", "conv", "relu", "add", "output"]
    assert read.total_parameters == 2 * 81


def test_an_unknown_condition_takes_the_larger_branch(tmp_path):
    condition = [node("ReduceMean", ["x"], ["m"], keepdims=0), node("Cast", ["m"], ["c"], to=TensorProto.BOOL)]
    read = from_onnx(write(tmp_path / "net.onnx", choice(condition)))
    assert read.operator_names == ["input", "conv", "relu", "conv", "relu", "add", "output"]
    assert read.notes[0].startswith(
        "node 'choice' (If) depends on data: its else_branch of 2 operators is read, its then"
    )


def test_a_branch_in_a_branch_reads_what_surrounds_it(tmp_path):
    inner = graph([node("Add", ["r", "x"], ["b"])], ["b"])
    outer = graph([node("Relu", ["x"], ["r"]), node("If", ["c"], ["d"], then_branch=inner, else_branch=inner)], ["d"])
    nodes = [node("If", ["c"], ["y"], then_branch=outer, else_branch=outer)]
    read = from_onnx(write(tmp_path / "net.onnx", nodes, {"c": np.array(True)}))
    assert read.operator_names == ["input", "relu", "add", "output"]
    assert read.edges.tolist() == [[0, 1], [0, 2], [1, 2], [2, 3]]


def test_nodes_stand_behind_what_their_branches_read(tmp_path):
    """The tensor that the branch reads is made at the end of the file."""
    branch = graph([node("Neg", ["late"], ["b"])], ["b"])
    nodes = [node("If", ["c"], ["y"], then_branch=branch, else_branch=branch), node("Relu", ["x"], ["late"])]
    read = from_onnx(write(tmp_path / "net.onnx", nodes, {"c": np.array(True)}))
    assert read.operator_names == ["input", "relu", "neg", "output"]


def cell():
    """One turn of a simple recurrent layer of 5 units on 4 features; the recurrent weights are the body's."""
    nodes = [
        node("MatMul", ["t", "w"], ["p"]),
        node("MatMul", ["h", "r"], ["q"]),
        node("Add", ["p", "q"], ["z"]),
        node("Tanh", ["z"], ["next"]),
        node("Identity", ["next"], ["out"]),
    ]
    return nodes, [weights("r", 5, 5)]


def test_a_scan_is_a_recurrent_layer(tmp_path):
    nodes, constants = cell()
    body = graph(nodes, ["next", "out"], [("h", TensorProto.FLOAT), ("t", TensorProto.FLOAT)], constants)
    scan = [
        node("Transpose", ["x"], ["turned"], perm=[1, 0, 2]),
        node("Scan", ["start", "turned"], ["last", "all"], name="cell", body=body, num_scan_inputs=1),
        node("Transpose", ["all"], ["y"], perm=[1, 0, 2]),
    ]
    read = from_onnx(
        write(tmp_path / "net.onnx", scan, {"start": np.zeros((1, 5), np.float32), "w": noise(4, 5)}, (1, 7, 4))
    )
    assert read.operator_names == ["input", "rnn", "output"]
    assert (read.parameters.tolist(), read.multiply_adds.tolist()) == ([0, 45, 0], [0, 7 * 45, 0])
    assert read.shapes[2, [1, 3, 5]].tolist() == [7, 1, 5]
    assert read.notes == ()


@pytest.mark.parametrize(("turns", "counted", "words"), [(6, 6, "6 turns"), (None, 1, "an unknown number of turns")])
def test_a_loop_is_one_operator(tmp_path, turns, counted, words):
    """Three turns of a square matrix; a limit that depends on data counts as one turn."""
    inputs = [("i", TensorProto.INT64), ("go", TensorProto.BOOL), ("h", TensorProto.FLOAT)]
    body = graph([node("MatMul", ["h", "r"], ["k"])], ["go", "k"], inputs, [weights("r", 8, 8)])
    nodes = [
        node("ReduceMax", ["x"], ["m"], keepdims=0),
        node("Cast", ["m"], ["data"], to=TensorProto.INT64),
        node("Loop", ["limit" if turns else "data", "", "x"], ["y"], name="l", body=body),
    ]
    read = from_onnx(write(tmp_path / "net.onnx", nodes, {"limit": np.int64(turns or 0)}, (1, 8)))
    assert read.operator_names[-2:] == ["Loop", "output"]
    assert (read.total_parameters, read.multiply_adds.sum()) == (64, counted * 64)
    assert words in read.notes[-1]
    assert read.notes[-1].endswith("as 'unknown'")


def test_loops_that_are_none(tmp_path):
    body = graph([node("Relu", ["h"], ["k"])], ["k"], [("h", TensorProto.FLOAT)])
    with pytest.raises(InvalidArchitectureError, match="node 'l' is not a Loop as ONNX has it"):
        from_onnx(write(tmp_path / "net.onnx", [node("Loop", ["", "", "x"], ["y"], name="l", body=body)]))
    with pytest.raises(InvalidArchitectureError, match="node 'l' is not a Scan as ONNX has it"):
        from_onnx(write(tmp_path / "net.onnx", [node("Scan", ["x"], ["y"], name="l", body=body)]))
    with pytest.raises(InvalidArchitectureError, match="node 'i' is not a If as ONNX has it"):
        from_onnx(write(tmp_path / "net.onnx", [node("If", ["x"], ["y"], name="i", then_branch=body)]))


def test_turns_and_depths_without_end(tmp_path):
    inputs = [("i", TensorProto.INT64), ("go", TensorProto.BOOL), ("h", TensorProto.FLOAT)]
    body = graph([node("MatMul", ["h", "r"], ["k"])], ["go", "k"], inputs, [weights("r", 8, 8)])
    nodes = [node("Loop", ["limit", "", "x"], ["y"], body=body)]
    with pytest.raises(InvalidArchitectureError, match=r"node 'y' \(Loop\) counts more than"):
        from_onnx(write(tmp_path / "net.onnx", nodes, {"limit": np.int64(2**62)}, (1, 8)))
    branch = graph([node("Relu", ["x"], ["b"])], ["b"])
    for _ in range(17):
        branch = graph([node("If", ["c"], ["b"], then_branch=branch, else_branch=graph([], ["x"]))], ["b"])
    nodes = [node("If", ["c"], ["y"], then_branch=branch, else_branch=branch)]
    with pytest.raises(InvalidArchitectureError, match="nested more than 16 deep"):
        from_onnx(write(tmp_path / "net.onnx", nodes, {"c": np.array(True)}))


def test_what_nobody_reads_is_not_assumed(tmp_path):
    """The mask of an old dropout has no shape that ONNX infers; an unread first output stands for its operator."""
    nodes = [
        node("LSTM", ["x", "w", "r"], ["", "h"], hidden_size=5),
        node("Dropout", ["h"], ["y", "mask"]),
    ]
    path = write(tmp_path / "net.onnx", nodes, {"w": noise(1, 20, 4), "r": noise(1, 20, 5)}, (7, 1, 4))
    read = from_onnx(path)
    assert (read.operator_names, read.notes) == (["input", "lstm", "output"], ())


def counting(step, compare):
    """A loop that squares a matrix while a counter, which starts at 2, is below a number of the model."""
    inputs = [("i", TensorProto.INT64), ("go", TensorProto.BOOL), ("n", TensorProto.INT64), ("h", TensorProto.FLOAT)]
    nodes = [*step, node("Less", compare, ["again"]), node("MatMul", ["h", "r"], ["k"])]
    return graph(nodes, ["again", "m", "k"], inputs, [weights("r", 8, 8)])


@pytest.mark.parametrize(
    ("step", "compare", "limit", "turns"),
    [
        ([node("Add", ["n", "one"], ["m"])], ["m", "ten"], "", 8),
        ([node("Add", ["n", "one"], ["m"])], ["m", "ten"], "five", 5),
        ([node("Mul", ["n", "n"], ["m"])], ["m", "thousand"], "", 4),  # 4, 16, 256, 65536
        ([node("Identity", ["n"], ["m"])], ["i", "ten"], "", 11),
        ([node("Identity", ["n"], ["m"])], ["m", "ten"], "thousand", 1000),  # always true
        ([node("Identity", ["n"], ["m"])], ["m", "ten"], "", None),
        ([node("Identity", ["n"], ["m"])], ["data", "ten"], "", None),
    ],
)
def test_conditions_are_counted(tmp_path, step, compare, limit, turns):
    nodes = [
        node("ReduceMax", ["x"], ["m"], keepdims=0),
        node("Cast", ["m"], ["data"], to=TensorProto.INT64),
        node("Loop", [limit, "yes", "two", "x"], ["", "y"], name="l", body=counting(step, compare)),
    ]
    constants = {"one": 1, "two": 2, "five": 5, "ten": 10, "thousand": 1000}
    constants = {name: np.int64(value) for name, value in constants.items()} | {"yes": np.array(True)}
    read = from_onnx(write(tmp_path / "net.onnx", nodes, constants, (1, 8)))
    words = f"{turns} turns" if turns else "an unknown number of turns"
    assert words in read.notes[-1]
    assert read.multiply_adds.sum() == 64 * (turns or 1)
    assert read.shapes[-1].tolist() == [1, 1, 1, 1, 8, 8]


def test_what_only_a_shape_is_taken_of_holds_no_weights(tmp_path):
    """The weights belong to the product that runs; a product of which only the shape is read is no operator."""
    nodes = [
        node("MatMul", ["x", "w"], ["dead"]),
        node("Shape", ["dead"], ["s"]),
        node("ConstantOfShape", ["s"], ["zeros"]),
        node("Relu", ["x"], ["r"]),
        node("MatMul", ["r", "w"], ["p"]),
        node("Add", ["p", "zeros"], ["y"]),
    ]
    read = from_onnx(write(tmp_path / "net.onnx", nodes, {"w": noise(4, 5)}, (1, 4)))
    assert (read.operator_names, read.total_parameters) == (["input", "relu", "matmul", "output"], 20)
