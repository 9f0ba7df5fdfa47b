"""The arithmetic of shapes in ONNX models, shapes that cannot be known, and files that would harm the reader."""

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from tests.graphs.importers.test_onnx_graphs import noise, write
from tfnas.errors import CorruptArtefactError, InvalidArchitectureError
from tfnas.graphs.importers.onnx_graphs import from_onnx
from tfnas.graphs.importers.onnx_values import Call, evaluate

node = helper.make_node


@pytest.mark.parametrize(
    ("kind", "inputs", "attributes", "expected"),
    [
        ("Div", [[-7, 7, 8], [2, -2, 3]], {}, [-3, -3, 2]),
        ("Mod", [[-7, 7], [3, -3]], {}, [2, -2]),
        ("Mod", [[-7, 7], [3, -3]], {"fmod": 1}, [-1, 1]),
        ("Slice", [[1, 2, 3, 4], [-1], [-9], [0], [-1]], {}, [4, 3, 2, 1]),
        ("Slice", [[1, 2, 3, 4]], {"starts": [1], "ends": [2**62]}, [2, 3, 4]),
        ("Reshape", [[[1, 2], [3, 4]], [0, -1, 1]], {}, [[[1], [2]], [[3], [4]]]),
        ("Squeeze", [[[1], [2]]], {"axes": [1]}, [1, 2]),
        ("Unsqueeze", [[1, 2], [0, 2]], {}, [[[1], [2]]]),
        ("Pad", [[1, 2, 3], [-1, 2]], {}, [2, 3, 0, 0]),
        ("CumSum", [[1, 2, 3], 0], {"exclusive": 1, "reverse": 1}, [5, 3, 0]),
        ("ReduceProd", [[[2, 3], [4, 5]]], {"axes": [1], "keepdims": 0}, [6, 20]),
        ("ArgMax", [[3, 9, 9]], {"select_last_index": 1}, [2]),
        ("ScatterND", [[1, 2, 3], [[0], [2]], [8, 9]], {}, [8, 2, 9]),
        ("GatherND", [[[1, 2], [3, 4]], [[0, 1], [1, 0]]], {}, [2, 3]),
        ("NonZero", [[0, 5, 0, 7]], {}, [[1, 3]]),
        ("Clip", [[-1, 3, 9]], {"min": 0, "max": 6}, [0, 3, 6]),
    ],
)
def test_arithmetic(kind, inputs, attributes, expected):
    (result,) = evaluate(kind, Call([np.array(value) for value in inputs], attributes))
    assert result.tolist() == expected


def test_several_results():
    largest, where = evaluate("TopK", Call([np.array([3, 9, 9, 1]), np.array([2])], {}, 2))
    assert (largest.tolist(), where.tolist()) == ([9, 9], [1, 2])
    assert [piece.tolist() for piece in evaluate("Split", Call([np.arange(5)], {}, 2))] == [[0, 1, 2], [3, 4]]


@pytest.mark.parametrize(
    ("kind", "inputs"), [("Div", [[1], [0]]), ("Gather", [[1], [3]]), ("Reshape", [[1, 2], [5]]), ("Relu", [[1]])]
)
def test_what_cannot_be_computed(kind, inputs):
    assert evaluate(kind, Call([np.array(value) for value in inputs], {})) is None


def test_views(tmp_path):
    """`x.view(x.size(0), -1)` as PyTorch exports it, and a dense layer behind it."""
    nodes = [
        node("Shape", ["x"], ["s"]),
        node("Gather", ["s", "zero"], ["n"]),
        node("Unsqueeze", ["n"], ["n1"], axes=[0]),
        node("Concat", ["n1", "minus"], ["to"], axis=0),
        node("Reshape", ["x", "to"], ["flat"]),
        node("Gemm", ["flat", "w"], ["y"]),
    ]
    constants = {"zero": np.int64(0), "minus": np.array([-1]), "w": noise(192, 5)}
    path = write(tmp_path / "net.onnx", nodes, constants)
    model = onnx.load(path)
    model.opset_import[0].version = 11
    graph = from_onnx(model, strict=True)
    assert graph.operator_names == ["input", "matmul", "output"]
    assert (graph.total_parameters, graph.multiply_adds.sum(), graph.notes) == (960, 960, ())


def test_expansions_and_pads(tmp_path):
    """`expand(-1, ...)`, and the pads that PyTorch turns round at run time."""
    nodes = [
        node("Equal", ["wanted", "minus"], ["open"]),
        node("Where", ["open", "ones", "wanted"], ["shape"]),
        node("Expand", ["x", "shape"], ["e"]),
        node("ConstantOfShape", ["four"], ["zeros"]),
        node("Concat", ["sides", "zeros"], ["pads"], axis=0),
        node("Reshape", ["pads", "pairs"], ["table"]),
        node("Slice", ["table", "last", "first", "axis", "minus"], ["turned"]),
        node("Transpose", ["turned"], ["columns"], perm=[1, 0]),
        node("Reshape", ["columns", "minus"], ["flat"]),
        node("Cast", ["flat"], ["padding"], to=TensorProto.INT64),
        node("Pad", ["e", "padding"], ["y"]),
    ]
    constants = {"wanted": np.array([2, -1, 8, 8]), "minus": np.array([-1]), "ones": np.ones(4, np.int64)}
    constants |= {"four": np.array([4]), "sides": np.array([1, 2, 3, 4], np.float32), "pairs": np.array([-1, 2])}
    constants |= {"last": np.array([-1]), "first": np.array([-(2**62)]), "axis": np.array([0])}
    graph = from_onnx(write(tmp_path / "net.onnx", nodes, constants), strict=True)
    assert graph.shapes[-1].tolist() == [15, 15, 11, 11, 3, 3]  # 8 + 3 + 4 high and 8 + 1 + 2 wide


def test_sizes_of_a_resize(tmp_path):
    nodes = [
        node("Shape", ["x"], ["s"]),
        node("Slice", ["s", "zero", "two", "zero"], ["front"]),
        node("Concat", ["front", "hw"], ["sizes"], axis=0),
        node("Resize", ["x", "", "", "sizes"], ["y"]),
    ]
    constants = {"zero": np.array([0]), "two": np.array([2]), "hw": np.array([20, 30])}
    graph = from_onnx(write(tmp_path / "net.onnx", nodes, constants), strict=True)
    assert graph.shapes[1].tolist() == [8, 20, 8, 30, 3, 3]


def test_shapes_that_no_one_knows(tmp_path):
    """A shape that depends on data is assumed and noted; a strict reading names the operator."""
    nodes = [
        node("NonZero", ["x"], ["i"]),
        node("Shape", ["i"], ["s"]),
        node("Concat", ["one", "s"], ["to"], axis=0),
        node("Reshape", ["x", "to"], ["r"]),
        node("Relu", ["r"], ["y"]),
    ]
    path = write(tmp_path / "net.onnx", nodes, {"one": np.array([1])})
    graph = from_onnx(path)
    assert graph.operator_names == ["input", "relu", "output"]
    assert graph.notes == ("node 'i' (NonZero): not known before it runs; its shape was assumed",)
    with pytest.raises(InvalidArchitectureError, match=r"node 'i' \(NonZero\) decides shapes while it runs"):
        from_onnx(path, strict=True)


def test_faults_are_those_of_their_node(tmp_path):
    nodes = [node("Conv", ["x", "w"], ["a"], name="c", strides=[0, 0]), node("Relu", ["a"], ["y"])]
    path = write(tmp_path / "net.onnx", nodes, {"w": noise(4, 3, 3, 3)})
    (note,) = from_onnx(path).notes
    assert note == "node 'c' (Conv): Attribute strides must only contain positive values; its shape was assumed"
    with pytest.raises(InvalidArchitectureError, match=r"node 'c' \(Conv\): Attribute strides must only"):
        from_onnx(path, strict=True)
    nodes = [node("Conv", ["x", "w"], ["y"], name="c")]
    (note,) = from_onnx(write(tmp_path / "net.onnx", nodes, {"w": noise(4, 3, 12, 12)})).notes
    assert note == "node 'c' (Conv): its window is larger than its input; its shape was assumed"


def test_operators_that_onnx_does_not_have(tmp_path):
    """They have the shape that the file notes, else that of their first operand, and pass it on."""
    nodes = [node("Swizzle", ["x"], ["a"], name="s", domain="mine"), node("Conv", ["a", "w"], ["y"])]
    path = write(tmp_path / "net.onnx", nodes, {"w": noise(4, 3, 3, 3)})
    graph = from_onnx(path)
    assert graph.operator_names == ["input", "Swizzle", "conv", "output"]
    assert graph.shapes[2].tolist() == [8, 6, 8, 6, 3, 4]
    model = onnx.load(path)
    model.graph.value_info.append(helper.make_tensor_value_info("a", TensorProto.FLOAT, ("batch", 3, 5, 5)))
    graph = from_onnx(model)
    assert graph.shapes[2].tolist() == [5, 3, 5, 3, 3, 4]


def external(tensor, location):
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value=location)
    return tensor


def test_no_constant_opens_a_file(tmp_path, monkeypatch):
    """Neither a node in the model, nor one in a branch, nor one in a function, whatever the path says."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "secret.bin").write_bytes(bytes(16))
    tensor = external(TensorProto(data_type=TensorProto.FLOAT, dims=[4, 1, 1, 1]), "secret.bin")
    outside = external(TensorProto(data_type=TensorProto.FLOAT, dims=[4, 1, 1, 1]), "../../x")
    monkeypatch.setattr("onnx.external_data_helper.load_external_data_for_tensor", lambda *_: pytest.fail("opened"))
    opsets = [helper.make_opsetid("", 17)]
    for value in (tensor, outside):
        constant = node("Constant", [], ["c"], value=value)
        branch = helper.make_graph(
            [constant, node("Mul", ["x", "c"], ["b"])],
            "branch",
            [],
            [helper.make_tensor_value_info("b", TensorProto.FLOAT, None)],
        )
        branches = [node("Constant", [], ["yes"], value=numpy_helper.from_array(np.array(True)))]
        branches.append(node("If", ["yes"], ["y"], then_branch=branch, else_branch=branch))
        function = helper.make_function("mine", "F", ["u"], ["v"], [constant, node("Mul", ["u", "c"], ["v"])], opsets)
        for nodes in ([constant, node("Mul", ["x", "c"], ["y"])], branches, [node("F", ["x"], ["y"], domain="mine")]):
            path = write(tmp_path / "net.onnx", nodes, shape=(1, 4, 8, 8), functions=[function])
            assert from_onnx(path).parameters.tolist() == [0, 4, 0]


def test_sparse_constants_count_the_numbers_that_they_hold(tmp_path):
    values = numpy_helper.from_array(noise(3), "w")
    sparse = helper.make_sparse_tensor(values, numpy_helper.from_array(np.arange(3), "i"), [8, 8])
    graph = from_onnx(
        write(
            tmp_path / "net.onnx", [node("Constant", [], ["w"], sparse_value=sparse), node("MatMul", ["x", "w"], ["y"])]
        )
    )
    assert graph.parameters.tolist() == [0, 3, 0]
    model = onnx.load(write(tmp_path / "net.onnx", [node("MatMul", ["x", "w"], ["y"])]))
    model.graph.sparse_initializer.append(sparse)
    assert from_onnx(model).parameters.tolist() == [0, 3, 0]


def test_extents_without_end(tmp_path):
    """Inputs, results and constants of more numbers than any computer holds."""
    with pytest.raises(InvalidArchitectureError, match=r"input 'x' has more than 2\^40 numbers"):
        from_onnx(write(tmp_path / "net.onnx", [node("Relu", ["x"], ["y"])], shape=(1, 2**40, 2**40)))
    nodes = [node("Expand", ["x", "to"], ["y"], name="e")]
    with pytest.raises(InvalidArchitectureError, match=r"node 'e' \(Expand\) makes more than 2\^40 numbers"):
        from_onnx(write(tmp_path / "net.onnx", nodes, {"to": np.array([1, 2**40, 2**40])}, shape=(1, 1, 1)))
    with pytest.raises(
        InvalidArchitectureError, match=r"or 64 axes, a tensor of the shape \[1, 1, 1, 1, 1, 1, 1, 1, ...\]"
    ):
        from_onnx(write(tmp_path / "net.onnx", [node("Relu", ["x"], ["y"])], shape=(1,) * 65))
    model = onnx.load(write(tmp_path / "net.onnx", [node("MatMul", ["x", "w"], ["y"])]))
    model.graph.initializer.add(name="w", data_type=TensorProto.FLOAT, dims=[2**40, 2**40])
    with pytest.raises(CorruptArtefactError, match="constant 'w' cannot have the shape"):
        from_onnx(model)
    model.graph.initializer[0].dims[:] = [-1, 8]
    with pytest.raises(CorruptArtefactError, match=r"constant 'w' cannot have the shape \[-1, 8\]"):
        from_onnx(model)


def test_only_small_tensors_are_computed(tmp_path, monkeypatch):
    """A range of a billion numbers, and an outer sum of three vectors of 4,096."""
    sizes = []

    def measured(kind, call):
        results = evaluate(kind, call)
        sizes.extend(result.size for result in results or [])
        return results

    monkeypatch.setattr("tfnas.graphs.importers.onnx_shapes.evaluate", measured)
    nodes = [
        node("Range", ["zero", "billion", "one"], ["r"]),
        node("ReduceSum", ["r"], ["total"], keepdims=0),
        node("Sum", ["a", "b", "c"], ["cube"]),
        node("ReduceSum", ["cube"], ["more"], keepdims=0),
        node("Add", ["total", "more"], ["shift"]),
        node("Cast", ["shift"], ["s"], to=TensorProto.FLOAT),
        node("Add", ["x", "s"], ["y"]),
    ]
    vector = np.arange(4096)
    constants = {"zero": np.int64(0), "one": np.int64(1), "billion": np.int64(10**9)}
    constants |= {"a": vector[:, None, None], "b": vector[:, None], "c": vector}
    assert from_onnx(write(tmp_path / "net.onnx", nodes, constants)).operator_names == ["input", "output"]
    assert max(sizes, default=0) <= 4096


@pytest.mark.parametrize(
    ("nodes", "words"),
    [
        ([node("LayerNormalization", ["x", "w"], ["y"], axis=2**31)], "it has an axis that no tensor has"),
        (
            [node("Split", ["x"], ["y", "z"], num_outputs=2**31), node("Relu", ["z"], ["u"])],
            "it has 2 outputs, not 2147483648",
        ),
    ],
)
def test_attributes_that_onnx_does_not_survive(tmp_path, nodes, words):
    """ONNX infers the shapes of such nodes into memory that does not exist, or into all memory."""
    outputs = ("y", "u") if len(nodes) > 1 else ("y",)
    model = onnx.load(write(tmp_path / "net.onnx", nodes, {"w": noise(8)}, outputs=outputs))
    model.opset_import[0].version = 2**40
    assert any(words in note for note in from_onnx(model).notes)


def test_names_that_are_not_text(tmp_path):
    path = write(tmp_path / "net.onnx", [node("Relu", ["x"], ["abc"]), node("Relu", ["abc"], ["y"])])
    content = path.read_bytes()
    for name in (b"abc", b"mine"):
        path.write_bytes(content.replace(name, b"\xff" * len(name)))
        with pytest.raises(CorruptArtefactError, match="a name is not text in UTF-8"):
            from_onnx(path)
