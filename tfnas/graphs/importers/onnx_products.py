"""Multiply-adds of ONNX operators from the shapes of their operands."""

from collections.abc import Mapping, Sequence
from typing import Any

from tfnas.graphs.importers.products import convolution, einsum, matrix_product, recurrence
from tfnas.graphs.importers.raw import Shape

_CONVOLUTIONS = {"Conv": 1, "DeformConv": 1}
"""Positions of the filters among the operands."""
_TRANSPOSED_CONVOLUTIONS = {"ConvTranspose"}
_MATRIX_PRODUCTS = {"MatMul", "Gemm"}
_RECURRENCES = {"LSTM", "GRU", "RNN"}


def products(
    kind: str, operands: Sequence[Shape | None], output: Shape | None, attributes: Mapping[str, Any]
) -> int | None:
    """Multiply-adds of a node for the whole batch, None for operators without matrices and for unknown shapes.

    Args:
      kind: name of the operator in ONNX.
      operands: shapes of the inputs, None for an input that is left out.
      output: shape of the first output.
      attributes: attributes by name.

    Example:
      >>> products("MatMul", [(1, 2, 5, 8), (1, 2, 8, 5)], (1, 2, 5, 5), {})
      400
    """
    if kind in _CONVOLUTIONS:
        return convolution(output, operands[_CONVOLUTIONS[kind]], axis=0)
    if kind in _TRANSPOSED_CONVOLUTIONS:
        return convolution(operands[0], operands[1], axis=0)
    if kind in _MATRIX_PRODUCTS:
        return matrix_product(output, operands[0], "transA" in attributes and bool(attributes["transA"].i))
    if kind == "Einsum":
        return einsum(attributes["equation"].s.decode(errors="replace"), operands)
    if kind in _RECURRENCES:
        return recurrence(operands[0], operands[1:3])
    return None
