"""Multiply-adds of TensorFlow operations from the shapes of their operands."""

import tensorflow as tf

from tfnas.graphs.importers.products import convolution, einsum, matrix_product, product, size
from tfnas.graphs.importers.raw import Shape

_TRANSPOSED_CONVOLUTIONS = {"Conv2DBackpropInput", "Conv3DBackpropInputV2"}
_MATRIX_PRODUCTS = {
    **{"MatMul": "transpose_a", "BatchMatMul": "adj_x", "BatchMatMulV2": "adj_x", "BatchMatMulV3": "adj_x"}
}
"""Attributes that transpose the first operand."""


def products(operation: tf.Operation) -> int | None:
    """Multiply-adds of an operation for the whole batch, None for operations without matrices and unknown shapes."""
    kind, operands, output = operation.type, [_shape(tensor) for tensor in operation.inputs], None
    if operation.outputs:
        output = _shape(operation.outputs[0])
    if kind in ("Conv2D", "Conv3D"):
        return convolution(output, operands[1], axis=-1)
    if kind == "DepthwiseConv2dNative":  # one filter of the kernel's area for every channel of the output
        return product(size(output), size(None if operands[1] is None else operands[1][:2]))
    if kind in _TRANSPOSED_CONVOLUTIONS:
        return convolution(operands[2], operands[1], axis=-1)
    if kind in _MATRIX_PRODUCTS:
        return matrix_product(output, operands[0], operation.get_attr(_MATRIX_PRODUCTS[kind]))
    if kind in ("Einsum", "XlaEinsum"):
        return einsum(operation.get_attr("equation").decode(), operands)
    return None


def _shape(tensor: tf.Tensor) -> Shape | None:
    return None if tensor.shape.rank is None else tuple(tensor.shape.as_list())
