"""Open and contradicting shapes of the inputs of ONNX models."""

import pytest
from onnx import TensorProto, helper

from tfnas.errors import InvalidArchitectureError
from tfnas.graphs.importers.onnx_graphs import from_onnx


def network(**shapes):
    """One Relu per input; names that end in `ids` are inputs of integers."""
    nodes = [helper.make_node("Relu", [name], [f"{name}/y"]) for name in shapes]
    values = [
        helper.make_tensor_value_info(name, TensorProto.INT64 if name.endswith("ids") else TensorProto.FLOAT, shape)
        for name, shape in shapes.items()
    ]
    outputs = [helper.make_tensor_value_info(f"{name}/y", value.type.tensor_type.elem_type, None)
               for name, value in zip(shapes, values, strict=True)]  # fmt: skip
    graph = helper.make_graph(nodes, "g", values, outputs)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        (("batch", 3, "h", "w"), [224, 224, 3]),
        (("n", None, None, None), [224, 224, 3]),
        (("n", "c", 8, 4), [8, 4, 3]),
        (("n", "length", 80), [128, 1, 80]),
        (("n", 12, "length", 64), [128, 64, 12]),
    ],
)
def test_open_extents_are_assumed(shape, expected):
    graph = from_onnx(network(x=shape))
    assert graph.shapes[0, [0, 2, 4]].tolist() == expected
    (note,) = graph.notes
    assert note.startswith("open shapes of inputs were assumed: x [1, ")


def test_an_open_batch_is_no_assumption():
    assert from_onnx(network(x=("n", 3, 4, 4))).notes == ()


def test_named_dimensions():
    """A name that is given, or that stands in another input's given shape, holds everywhere."""
    model = network(ids=("batch", "seq"), mask_ids=("batch", "seq"), x=("batch", "seq", 8))
    assert from_onnx(model, dims={"seq": 16}).shapes[2].tolist() == [16, 16, 1, 1, 8, 8]
    assert from_onnx(model, input_shapes={"ids": (1, 32)}).shapes[2].tolist() == [32, 32, 1, 1, 8, 8]
    with pytest.raises(InvalidArchitectureError, match=r"axis 1 \('seq'\) of input 'ids' has the extent 16, not 32"):
        from_onnx(model, dims={"seq": 16}, input_shapes={"ids": (1, 32)})
    with pytest.raises(InvalidArchitectureError, match="no open dimension 'time', it names batch, seq"):
        from_onnx(model, dims={"time": 16})
    with pytest.raises(InvalidArchitectureError, match="no open dimension 'time', it names none"):
        from_onnx(network(x=(1, 3)), dims={"time": 16})


def test_shapes_that_the_file_contradicts():
    model = network(x=("n", 3, "h", "w"))
    with pytest.raises(InvalidArchitectureError, match="axis 1 of input 'x' has the extent 3, not 64"):
        from_onnx(model, input_shapes=(1, 64, 8, 8))
    with pytest.raises(InvalidArchitectureError, match="has 4 dimensions, not 2"):
        from_onnx(model, input_shapes=(1, 3))
    with pytest.raises(InvalidArchitectureError, match="cannot have the extent -8"):
        from_onnx(model, input_shapes=(1, 3, -8, 8))


def test_a_single_shape_belongs_to_the_only_open_input():
    model = network(x=("n", 3, "h", "w"), state=(1, 8))
    assert from_onnx(model, input_shapes=(1, 3, 5, 7)).shapes[0, [0, 2, 4]].tolist() == [5, 7, 3]
    with pytest.raises(InvalidArchitectureError, match="2 inputs"):
        from_onnx(network(x=("n", "h"), y=("n", "h")), input_shapes=(1, 5))


def test_an_extent_of_zero():
    """It is open for a batch, which some exporters write so, and a tensor without numbers elsewhere."""
    assert from_onnx(network(x=(0, 4))).shapes[0, 4] == 4
    nodes = [helper.make_node("ReduceSum", ["x", "axes"], ["y"], keepdims=0)]
    inputs = [
        helper.make_tensor_value_info("x", TensorProto.FLOAT, (1, 4)),
        helper.make_tensor_value_info("axes", TensorProto.INT64, (0,)),
    ]
    graph = helper.make_graph(nodes, "g", inputs, [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)])
    read = from_onnx(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)]))
    assert (read.counts()["sum"], read.notes) == (1, ())


def test_names_that_are_sums():
    """The mask of a decoder covers what was said before and one token more."""
    model = network(mask_ids=("batch", "past + seq"), ids=("batch", "seq"), past=("batch", 4, "past", 8))
    graph = from_onnx(model, dims={"seq": 2, "past": 30})
    assert graph.shapes[:3, 4].tolist() == [32, 2, 4]
    graph = from_onnx(model, input_shapes={"past": (1, 4, 7, 8)})
    assert graph.shapes[:3, 4].tolist() == [135, 128, 4]
    assert graph.notes == ("open shapes of inputs were assumed: ids [1, 128]",)
