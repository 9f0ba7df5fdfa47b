"""The arithmetic by which ONNX models compute shapes, on small arrays: a closed list of operators, all of NumPy."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

LARGE = 4096
"""Tensors of more numbers than this can't decide a shape and are never computed."""


@dataclasses.dataclass(frozen=True)
class Call:
    """One operator with everything that it reads.

    Attributes:
      inputs: operands, None for an operand that is left out.
      attributes: attributes of the node by name.
      outputs: number of the node's outputs.
    """

    inputs: Sequence[np.ndarray | None]
    attributes: Mapping[str, Any]
    outputs: int = 1

    def ints(self, name: str, index: int) -> list[int] | None:
        """Integers that newer operators read as an operand and older operators have as an attribute; None for none."""
        if len(self.inputs) > index and self.inputs[index] is not None:
            return [int(number) for number in self.inputs[index].ravel()]
        value = self.attributes.get(name)
        return [value] if isinstance(value, int) else value


def evaluate(kind: str, call: Call) -> list[np.ndarray] | None:
    """The results of an operator on arrays.

    The caller bounds the size of the results beforehand.

    Args:
      kind: name of the operator in ONNX's own domain.
      call: operands and attributes.

    Returns:
      One array per output; None for operators that no shape is computed with, and for operands that do not fit.

    Example:
      >>> evaluate("Gather", Call([np.array([1, 3, 8, 8]), np.array(1)], {}))
      [array(3)]
    """
    if kind not in _OPERATORS:
        return None
    try:
        with np.errstate(all="ignore"):
            results = _OPERATORS[kind](call)
    except (ValueError, TypeError, IndexError, KeyError, AttributeError, OverflowError, ZeroDivisionError):
        return None
    return [np.asarray(result) for result in (results if isinstance(results, list) else [results])]


def _divide(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """A quotient; integers are rounded towards zero."""
    if left.dtype.kind not in "iu":
        return left / right
    if not np.all(right):
        raise ZeroDivisionError
    quotient = left // right
    return quotient + ((quotient < 0) & (quotient * right != left))


def _modulo(call: Call) -> np.ndarray:
    left, right = call.inputs[:2]
    if right.dtype.kind in "iu" and not np.all(right):
        raise ZeroDivisionError
    return np.fmod(left, right) if call.attributes.get("fmod") else np.mod(left, right)


def _folded(function: Callable[[np.ndarray, np.ndarray], np.ndarray]) -> Callable[[Call], np.ndarray]:
    """An operator on any number of operands."""

    def run(call: Call) -> np.ndarray:
        total = call.inputs[0]
        for other in call.inputs[1:]:
            total = function(total, other)
        return total

    return run


def _reduced(function: Callable[..., np.ndarray]) -> Callable[[Call], np.ndarray]:
    def run(call: Call) -> np.ndarray:
        axes = call.ints("axes", 1)
        if not axes and call.attributes.get("noop_with_empty_axes"):
            return call.inputs[0]
        keepdims = bool(call.attributes.get("keepdims", 1))
        return function(call.inputs[0], axis=tuple(axes) if axes else None, keepdims=keepdims)

    return run


def _best(function: Callable[..., np.ndarray]) -> Callable[[Call], np.ndarray]:
    """The index of an extreme along an axis."""

    def run(call: Call) -> np.ndarray:
        data, axis = call.inputs[0], call.attributes.get("axis", 0)
        keepdims = bool(call.attributes.get("keepdims", 1))
        if call.attributes.get("select_last_index"):
            return data.shape[axis] - 1 - function(np.flip(data, axis), axis=axis, keepdims=keepdims)
        return function(data, axis=axis, keepdims=keepdims)

    return run


def _cast(call: Call) -> np.ndarray:
    import onnx

    return call.inputs[0].astype(onnx.helper.tensor_dtype_to_np_dtype(call.attributes["to"]))


def _clip(call: Call) -> np.ndarray:
    operands = [*call.inputs[1:3], None, None]
    low = operands[0] if operands[0] is not None else call.attributes.get("min")
    high = operands[1] if operands[1] is not None else call.attributes.get("max")
    data = call.inputs[0] if low is None else np.maximum(call.inputs[0], low)
    return data if high is None else np.minimum(data, high)


def _constant_of_shape(call: Call) -> np.ndarray:
    import onnx

    value = call.attributes.get("value")
    fill = np.float32(0) if value is None else onnx.numpy_helper.to_array(value).ravel()[0]
    return np.full(call.inputs[0].tolist(), fill)


def _cumulative_sum(call: Call) -> np.ndarray:
    data, axis = call.inputs[0], int(call.inputs[1])
    if call.attributes.get("reverse"):
        data = np.flip(data, axis)
    total = np.cumsum(data, axis=axis, dtype=data.dtype)
    if call.attributes.get("exclusive"):
        total = total - data
    return np.flip(total, axis) if call.attributes.get("reverse") else total


def _expand(call: Call) -> np.ndarray:
    data, shape = call.inputs[0], call.inputs[1].tolist()
    return np.broadcast_to(data, np.broadcast_shapes(data.shape, tuple(shape)))


def _flatten(call: Call) -> np.ndarray:
    data, axis = call.inputs[0], call.attributes.get("axis", 1)
    axis += data.ndim if axis < 0 else 0
    return data.reshape(int(np.prod(data.shape[:axis], dtype=np.int64)), -1)


def _gather_nd(call: Call) -> np.ndarray:
    data, indices = call.inputs[:2]
    if call.attributes.get("batch_dims"):
        raise ValueError
    return data[tuple(np.moveaxis(indices, -1, 0))]


def _pad(call: Call) -> np.ndarray:
    data, pads = call.inputs[0], call.ints("pads", 1)
    mode = call.attributes.get("mode", b"constant").decode()
    axes = call.ints("axes", 3) if len(call.inputs) > 3 else None
    axes = list(range(data.ndim)) if axes is None else axes
    widths = [(0, 0)] * data.ndim
    for number, axis in enumerate(axes):
        widths[axis] = (pads[number], pads[number + len(axes)])
    slices = tuple(
        slice(max(0, -low), size - max(0, -high)) for (low, high), size in zip(widths, data.shape, strict=True)
    )
    widths = [(max(0, low), max(0, high)) for low, high in widths]
    if mode != "constant":
        return np.pad(data[slices], widths, mode=mode)
    fill = call.inputs[2] if len(call.inputs) > 2 and call.inputs[2] is not None else call.attributes.get("value", 0)
    return np.pad(data[slices], widths, constant_values=np.asarray(fill).astype(data.dtype))


def _reshape(call: Call) -> np.ndarray:
    data, shape = call.inputs[0], call.ints("shape", 1)
    if not call.attributes.get("allowzero"):
        shape = [data.shape[axis] if extent == 0 else extent for axis, extent in enumerate(shape)]
    return data.reshape(shape)


def _scatter_nd(call: Call) -> np.ndarray:
    data, indices, updates = call.inputs[:3]
    if call.attributes.get("reduction", b"none") != b"none":
        raise ValueError
    result = data.copy()
    result[tuple(np.moveaxis(indices, -1, 0))] = updates
    return result


def _slice(call: Call) -> np.ndarray:
    data = call.inputs[0]
    starts, ends = call.ints("starts", 1), call.ints("ends", 2)
    axes = call.ints("axes", 3) or list(range(len(starts)))
    steps = call.ints("steps", 4) or [1] * len(starts)
    windows = [slice(None)] * data.ndim
    for axis, start, end, step in zip(axes, starts, ends, steps, strict=True):
        # A negative step that ends before the first number has no end in Python.
        stop = None if step < 0 and end < -data.shape[axis] else end
        windows[axis] = slice(start, stop, step)
    return data[tuple(windows)]


def _split(call: Call) -> list[np.ndarray]:
    data, axis = call.inputs[0], call.attributes.get("axis", 0)
    sizes = call.ints("split", 1)
    if sizes is None:
        step = -(-data.shape[axis] // call.outputs)
        sizes = [step] * call.outputs
    return np.split(data, np.cumsum(sizes)[:-1], axis=axis)


def _squeeze(call: Call) -> np.ndarray:
    axes = call.ints("axes", 1)
    return np.squeeze(call.inputs[0], axis=None if axes is None else tuple(axes))


def _top_k(call: Call) -> list[np.ndarray]:
    data, axis = call.inputs[0], call.attributes.get("axis", -1)
    (count,) = call.ints("k", 1)
    keys = -data if call.attributes.get("largest", 1) else data
    order = np.take(np.argsort(keys, axis=axis, kind="stable"), np.arange(count), axis=axis)
    return [np.take_along_axis(data, order, axis=axis), order]


def _one(function: Callable[[np.ndarray], np.ndarray]) -> Callable[[Call], np.ndarray]:
    return lambda call: function(call.inputs[0])


def _two(function: Callable[[np.ndarray, np.ndarray], np.ndarray]) -> Callable[[Call], np.ndarray]:
    return lambda call: function(call.inputs[0], call.inputs[1])


_OPERATORS: dict[str, Callable[[Call], Any]] = {
    **{name: _one(function) for name, function in {
        "Identity": np.asarray, "Not": np.logical_not, "Neg": np.negative, "Abs": np.abs, "Floor": np.floor,
        "Ceil": np.ceil, "Round": np.round, "Sqrt": np.sqrt, "Sign": np.sign, "Exp": np.exp, "Log": np.log,
        "Reciprocal": np.reciprocal,
    }.items()},
    **{name: _two(function) for name, function in {
        "Sub": np.subtract, "Div": _divide, "Pow": np.power, "Equal": np.equal, "Less": np.less,
        "LessOrEqual": np.less_equal, "Greater": np.greater, "GreaterOrEqual": np.greater_equal,
        "And": np.logical_and, "Or": np.logical_or, "Xor": np.logical_xor,
        "Tile": lambda data, repeats: np.tile(data, repeats.tolist()),
        "CastLike": lambda data, other: data.astype(other.dtype),
    }.items()},
    **{name: _folded(function) for name, function in {
        "Add": np.add, "Mul": np.multiply, "Sum": np.add, "Max": np.maximum, "Min": np.minimum,
    }.items()},
    **{name: _reduced(function) for name, function in {
        "ReduceSum": np.sum, "ReduceProd": np.prod, "ReduceMax": np.max, "ReduceMin": np.min, "ReduceMean": np.mean,
    }.items()},
    "ArgMax": _best(np.argmax),
    "ArgMin": _best(np.argmin),
    "Cast": _cast,
    "Clip": _clip,
    "Concat": lambda call: np.concatenate(call.inputs, axis=call.attributes["axis"]),
    "ConstantOfShape": _constant_of_shape,
    "CumSum": _cumulative_sum,
    "Expand": _expand,
    "Flatten": _flatten,
    "Gather": lambda call: np.take(call.inputs[0], call.inputs[1], axis=call.attributes.get("axis", 0)),
    "GatherElements": lambda call: np.take_along_axis(*call.inputs[:2], axis=call.attributes.get("axis", 0)),
    "GatherND": _gather_nd,
    "Mod": _modulo,
    "NonZero": lambda call: np.array(np.nonzero(np.atleast_1d(call.inputs[0])), np.int64),
    "Pad": _pad,
    "Range": lambda call: np.arange(*(operand.item() for operand in call.inputs)).astype(call.inputs[0].dtype),
    "Reshape": _reshape,
    "ScatterND": _scatter_nd,
    "Slice": _slice,
    "Split": _split,
    "Squeeze": _squeeze,
    "TopK": _top_k,
    "Transpose": lambda call: np.transpose(call.inputs[0], call.attributes.get("perm")),
    "Unsqueeze": lambda call: np.expand_dims(call.inputs[0], tuple(call.ints("axes", 1))),
    "Where": lambda call: np.where(*call.inputs),
}  # fmt: skip
