"""What the nodes of ONNX models say of kernels, biases, axes and multiply-adds."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tfnas.graphs.importers.onnx_products import products
from tfnas.graphs.importers.raw import Shape
from tfnas.graphs.operators import CONV, CONV_TRANSPOSE, MATMUL

_CHANNELS_SECOND = {
    *(CONV, CONV_TRANSPOSE, "batch_norm", "group_norm", "max_pool", "avg_pool", "lrn"),
    *("space_to_depth", "depth_to_space", "grid_sample", "unfold"),
}
_RECURRENT = {"lstm", "gru", "rnn"}


def fields(
    node: Any,
    operator: str,
    operands: Sequence[Shape | None],
    output: Shape | None,
    values: Mapping[str, np.ndarray],
) -> dict[str, Any]:
    """Fields of the raw node of an ONNX node.

    Args:
      node: node of the model.
      operator: name in the vocabulary.
      operands: shapes of the inputs, None for an input that is left out.
      output: shape of the first output.
      values: numbers of small constants by name.
    """
    attributes = {attribute.name: attribute for attribute in node.attribute}
    result: dict[str, Any] = _axes(node, operator, len(operands[0] or ()) if operands else 0, attributes)
    if operator in (CONV, CONV_TRANSPOSE):
        filters = operands[1]
        if filters is not None and len(filters) >= 3:
            result["kernel"] = tuple(filters[-2:]) if len(filters) > 3 else (filters[-1], 1)
        result["group_channels"] = filters[1] if filters is not None and len(filters) > 1 else None
        bias = 3 if node.op_type == "DeformConv" else 2
        result["has_bias"] = len(node.input) > bias and bool(node.input[bias])
    elif operator == MATMUL:
        result["has_bias"] = node.op_type == "Gemm" and len(node.input) > 2 and bool(node.input[2])
    elif operator in ("max_pool", "avg_pool") and "kernel_shape" in attributes:
        window = list(attributes["kernel_shape"].ints) or [0]
        result["kernel"] = tuple(window[-2:]) if len(window) > 1 else (window[0], 1)
    elif operator == "pow":
        exponent = values.get(node.input[1])
        result["constant"] = float(exponent.flat[0]) if exponent is not None and exponent.size == 1 else None
    elif operator == "clip":
        result["constant"] = _clip_bounds(node, attributes, values)
    return {**result, "products": products(node.op_type, operands, output, attributes)}


def _axes(node: Any, operator: str, rank: int, attributes: Mapping[str, Any]) -> dict[str, Any]:
    """Where the node says that channels and the batch stand, and how it permutes axes."""
    if operator in _CHANNELS_SECOND or node.op_type.startswith("Global"):
        return {"channel_axis": 1}
    if operator in _RECURRENT:
        batch_first = "layout" in attributes and attributes["layout"].i
        return {"channel_axis": -1, "batch_axis": 0 if batch_first else 1}
    if operator in ("layer_norm", "rms_norm"):
        axis = attributes["axis"].i if "axis" in attributes else -1
        return {"channel_axis": -1} if axis in (-1, rank - 1) else {}
    if operator == MATMUL:
        return {"channel_axis": -1}
    if node.op_type == "Transpose" and rank:
        order = list(attributes["perm"].ints) if "perm" in attributes else range(rank - 1, -1, -1)
        return {"permutation": tuple(axis % rank for axis in order)}
    return {}


def _clip_bounds(node: Any, attributes: Mapping[str, Any], values: Mapping[str, np.ndarray]) -> float | None:
    """6 for bounds of 0 and 6, which make a ReLU6."""
    bounds = [attributes[name].f for name in ("min", "max") if name in attributes]
    if not bounds:
        given = [values.get(name) for name in node.input[1:3]]
        bounds = [float(value) for value in given if value is not None and value.size == 1]
    return 6.0 if bounds == [0.0, 6.0] else None
