"""ONNX models made in code."""

from collections.abc import Mapping, Sequence

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper


def noise(*shape: int) -> np.ndarray:
    """Normal numbers, the same at every call."""
    return np.random.default_rng(0).normal(size=shape).astype(np.float32)


def integers(*shape: int, dtype: type = np.int8) -> np.ndarray:
    """Integers from -9 to 9, or from 0 to 18 without sign."""
    return (np.random.default_rng(0).integers(-9, 10, shape) + 9 * np.issubdtype(dtype, np.unsignedinteger)).astype(
        dtype
    )


def model(
    nodes: Sequence[onnx.NodeProto],
    constants: Mapping[str, np.ndarray],
    inputs: Mapping[str, tuple[int, ...]],
    outputs: Sequence[str] = ("y",),
    opset: int = 17,
    dtype: int = TensorProto.FLOAT,
) -> onnx.ModelProto:
    """A model with inputs of some shapes, which also imports the operators of onnxruntime."""
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info(name, dtype, shape) for name, shape in inputs.items()],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in outputs],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()],
    )
    imports = [helper.make_opsetid("", opset), helper.make_opsetid("com.microsoft", 1)]
    return helper.make_model(graph, opset_imports=imports)


def microsoft(kind: str, operands: Sequence[str], outputs: Sequence[str] = ("y",), **attributes) -> onnx.NodeProto:
    """An operator of onnxruntime."""
    return helper.make_node(kind, operands, outputs, domain="com.microsoft", **attributes)
