"""Multiply-adds of operators from the shapes of their operands, for all readers."""

import math
from collections.abc import Sequence

from tfnas.graphs.importers.raw import Shape


def size(shape: Shape | None) -> int | None:
    """Numbers in a tensor, None if an extent is not known."""
    return None if shape is None or None in shape else math.prod(shape)


def product(*counts: int | None) -> int | None:
    """The product of some counts, None if a count is not known."""
    return None if None in counts else math.prod(counts)


def convolution(output: Shape | None, filters: Shape | None, axis: int) -> int | None:
    """Multiply-adds of a convolution, and of a transposed convolution if the input takes the place of the output.

    Args:
      output: shape of the output, or of the input of a transposed convolution.
      filters: shape of the filters.
      axis: axis of the filters that counts the channels of `output`.
    """
    if size(filters) is None or not filters[axis]:
        return None
    return product(size(output), size(filters) // filters[axis])


def matrix_product(output: Shape | None, operand: Shape | None, transposed: bool = False) -> int | None:
    """Multiply-adds of a matrix product.

    Args:
      output: shape of the output.
      operand: shape of the first operand, `[..., M, K]`, `[..., K, M]` if transposed, or `[K]`.
      transposed: whether the first operand is transposed.
    """
    if not operand:
        return None
    return product(size(output), operand[-2] if transposed and len(operand) > 1 else operand[-1])


def recurrence(inputs: Shape | None, weights: Sequence[Shape | None]) -> int | None:
    """Multiply-adds of a recurrent operator: every number of its matrices, at every step of every sequence.

    Args:
      inputs: shape of the sequences, whose last axis holds channels.
      weights: shapes of the matrices of all directions.
    """
    counts = [size(shape) for shape in weights]
    return None if None in counts or not inputs else product(size(inputs[:-1]), sum(counts))


def einsum(equation: str, operands: Sequence[Shape | None]) -> int | None:
    """Multiply-adds of a sum of products: the product of the extents of all labels.

    Args:
      equation: equation such as `abc,cd->abd`; an ellipsis stands for the axes that no label names.
      operands: shapes of the operands.
    """
    extents: dict[str, int] = {}
    for labels, shape in zip(equation.replace(" ", "").partition("->")[0].split(","), operands, strict=False):
        if size(shape) is None:
            return None
        before, ellipsis, after = labels.partition("...")
        free = len(shape) - len(before) - len(after) if ellipsis else 0
        # Axes of an ellipsis align at their end, as in broadcasting.
        names = [*before, *(f"...{free - axis}" for axis in range(free)), *after]
        for name, extent in zip(names, shape, strict=False):
            extents[name] = extents.get(name, extent) if extent == 1 else extent
    return math.prod(extents.values())
