"""Types of the tensors of ONNX models, and the shapes in them."""

import math
from collections.abc import Mapping
from typing import Any

from tfnas.graphs.importers.raw import Shape


def tensor_type(kind: Any) -> Any:
    """The type of a tensor, or of the tensors in a sequence or an optional value; None for other types."""
    while kind is not None:
        held = kind.WhichOneof("value")
        if held == "tensor_type":
            return kind.tensor_type
        kind = getattr(kind, held).elem_type if held in ("sequence_type", "optional_type") else None
    return None


def empty_type() -> Any:
    """A type of which nothing is known."""
    import onnx

    return onnx.TypeProto()


def known_shape(kind: Any, named: Mapping[str, int] | None = None) -> Shape | None:
    """The shape of a type of tensors; extents that have a name are those of `named`."""
    if kind is None or not kind.HasField("shape"):
        return None
    named = named or {}
    return tuple(dim.dim_value if dim.HasField("dim_value") else named.get(dim.dim_param) for dim in kind.shape.dim)


def filled(shape: Shape, first: Shape, *, keep: bool) -> Shape:
    """A shape without unknown extents.

    Args:
      shape: shape whose extents may be None.
      first: shape of the first operand; an unknown extent is its extent at the same axis, counted from the last.
      keep: True for a tensor with as many numbers as `first`: the last unknown extent is what the other extents leave.

    Example:
      >>> filled((None, None, 4), (2, 3, 8), keep=False), filled((None, None, 4), (2, 3, 8), keep=True)
      ((2, 3, 4), (1, 12, 4))
    """
    if not keep:
        padded = (1,) * len(shape) + tuple(1 if extent is None else extent for extent in first)
        aligned = padded[len(padded) - len(shape) :]
        return tuple(there if extent is None else extent for extent, there in zip(shape, aligned, strict=True))
    held = math.prod(extent for extent in shape if extent is not None)
    rest = math.prod(extent or 1 for extent in first) // max(1, held)
    last = max((axis for axis, extent in enumerate(shape) if extent is None), default=None)
    return tuple(
        (max(1, rest) if axis == last else 1) if extent is None else extent for axis, extent in enumerate(shape)
    )


def with_shape(kind: Any, declared: Any, shape: Shape | None) -> Any:
    """A type with another shape; where nothing is known of it, it is the declared type, or one of float tensors."""
    import onnx

    result = empty_type()
    result.CopyFrom(kind if tensor_type(kind) is not None or declared is None else declared)
    if tensor_type(result) is None:
        result.tensor_type.elem_type = onnx.TensorProto.FLOAT
    tensor = tensor_type(result)
    tensor.elem_type = tensor.elem_type or onnx.TensorProto.FLOAT
    if shape is not None:
        plain = onnx.helper.make_tensor_type_proto(tensor.elem_type, shape)
        tensor.shape.CopyFrom(plain.tensor_type.shape)
    return result
