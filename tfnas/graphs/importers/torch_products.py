"""Multiply-adds of ATen operators from the shapes of their operands."""

from collections.abc import Sequence
from typing import Any

from tfnas.graphs.importers.products import convolution, einsum, matrix_product, recurrence, size
from tfnas.graphs.importers.raw import Shape
from tfnas.graphs.operators import ATEN, CONV, CONV_TRANSPOSE

_FIRST_FACTORS = {"addmm": 1, "baddbmm": 1, "addbmm": 1, "addmv": 1}
"""Positions of the first factor for matrix products that are added to a tensor."""


def products(kind: str, operands: Sequence[Shape | None], output: Shape | None, arguments: Sequence[Any]) -> int | None:
    """Multiply-adds of an operator for the whole batch, None for operators without matrices and for unknown shapes.

    Args:
      kind: base name of the operator.
      operands: shapes of the tensors that the operator reads.
      output: shape of the first output.
      arguments: arguments of the call, where tensors are the text "tensor".
    """
    operator = ATEN.get(kind)
    if operator == CONV_TRANSPOSE or (kind == "convolution" and len(arguments) > 6 and arguments[6] is True):
        return convolution(operands[0], operands[1], axis=0)
    if operator == CONV:
        return convolution(output, operands[1], axis=0)
    if operator in ("lstm", "gru", "rnn"):
        return recurrence(operands[0], [shape for shape in operands[2:] if shape is not None and len(shape) == 2])
    if kind == "einsum":
        return einsum(arguments[0], operands)
    if kind == "outer":
        return size(output)
    if operator == "matmul":
        return matrix_product(output, operands[_FIRST_FACTORS.get(kind, 0)])
    return None
