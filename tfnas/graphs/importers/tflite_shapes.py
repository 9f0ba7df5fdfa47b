"""Open shapes of `.tflite` files, inferred from the shapes of the inputs. Only small integers are computed."""

import math
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from tfnas.graphs.importers.raw import Shape
from tfnas.graphs.importers.tflite_files import MAX_NUMBERS, Operation, Subgraph

_MAX_VALUES = 4096
_INTEGERS = {"INT32": np.int32, "INT64": np.int64}
_SAME_PADDING = 0
_SAME_NUMBERS = {"RESHAPE", "SQUEEZE", "BITCAST"}
_SHAPE_OPERAND = {"RESHAPE": 1, "BROADCAST_TO": 1, "FILL": 0, "TRANSPOSE_CONV": 0, "CONV_3D_TRANSPOSE": 0}
"""Operations of which one operand is the shape of the output."""
_WINDOWS = {"CONV_2D", "DEPTHWISE_CONV_2D", "MAX_POOL_2D", "AVERAGE_POOL_2D"}
_REDUCTIONS = {"MEAN", "SUM", "REDUCE_MAX", "REDUCE_MIN", "REDUCE_PROD", "REDUCE_ANY", "REDUCE_ALL"}
_ARITHMETIC: dict[str, Callable[..., np.ndarray]] = {
    "ADD": np.add,
    "SUB": np.subtract,
    "MUL": np.multiply,
    "MAXIMUM": np.maximum,
    "MINIMUM": np.minimum,
    "FLOOR_DIV": lambda first, second: first // np.where(second == 0, 1, second),
    "FLOOR_MOD": lambda first, second: np.mod(first, np.where(second == 0, 1, second)),
    "NEG": np.negative,
    "CAST": np.array,
    "RESHAPE": lambda first, *_: first.reshape(-1),
    "SQUEEZE": np.squeeze,
    "EXPAND_DIMS": lambda first, axis: np.expand_dims(first, int(axis)),
    "REDUCE_PROD": lambda first, _: np.prod(first, dtype=np.int64),
    "GATHER": lambda first, indices: np.take(first, indices, mode="clip"),
    "PACK": lambda *values: np.stack(values),
    "CONCATENATION": lambda *values: np.concatenate([np.atleast_1d(value) for value in values]),
}
"""Operations on small integers, which make shapes."""


def close_shapes(graph: Subgraph, inputs: Mapping[int, Shape]) -> list[str]:
    """Fills in the open extents of all tensors of a subgraph, in place.

    Args:
      graph: subgraph, whose operations stand in the order in which they run.
      inputs: shapes of the inputs by tensor; an open batch counts as 1.

    Returns:
      Names of tensors whose shapes can't be inferred; their open extents count as 1.
    """
    for number, shape in inputs.items():
        graph.tensors[number].shape = tuple(1 if extent is None else extent for extent in shape)
    inference, unknown = _Inference(graph), []
    for operation in graph.operations:
        inference.compute(operation)
        for number in operation.outputs:
            tensor = graph.tensors[number]
            if number < 0 or None not in tensor.shape:
                continue
            shape = inference.shape(operation, tensor.shape)
            if None in shape:
                unknown.append(tensor.name)
            tensor.shape = tuple(1 if extent is None else extent for extent in shape)
    return unknown


class _Inference:
    def __init__(self, graph: Subgraph):
        self._graph = graph
        self._values: dict[int, np.ndarray] = {}

    def compute(self, operation: Operation) -> None:
        """Computes the small integers that an operation makes, if it is known and all its operands are."""
        if len(operation.outputs) != 1 or not operation.inputs:
            return
        operands = [self.value(number) for number in operation.inputs]
        value: np.ndarray | None = None
        try:
            if operation.kind == "SHAPE" and None not in self._shape(operation.inputs[0]):
                value = np.array(self._shape(operation.inputs[0]), np.int64)
            elif any(operand is None for operand in operands):
                return
            elif operation.kind == "STRIDED_SLICE":
                value = _slice(operation, operands)
            elif operation.kind in _ARITHMETIC:
                value = _ARITHMETIC[operation.kind](*operands)
        except (ValueError, IndexError, TypeError):  # operands that do not fit together make no value
            return
        if value is not None and value.size <= _MAX_VALUES:
            self._values[operation.outputs[0]] = np.asarray(value)

    def shape(self, operation: Operation, declared: Shape) -> Shape:
        """The shape of an operation's output: the declared one, with its open extents from the operands."""
        try:
            inferred = self._inferred(operation, declared)
        except (ValueError, IndexError, TypeError):
            return declared
        if inferred is None or len(inferred) != len(declared):
            return declared
        shape = tuple(given if fixed is None else fixed for fixed, given in zip(declared, inferred, strict=True))
        known = [extent for extent in shape if extent is not None]
        return shape if min(known, default=0) >= 0 and math.prod(known) <= MAX_NUMBERS else declared

    def _shape(self, number: int) -> Shape:
        return self._graph.tensors[number].shape

    def value(self, number: int) -> np.ndarray | None:
        """The integers that a tensor holds, None for other tensors."""
        tensor = self._graph.tensors[number]
        if number in self._values or number < 0:
            return self._values.get(number)
        if not len(tensor.data) or tensor.type not in _INTEGERS or tensor.numbers > _MAX_VALUES:
            return None
        values = np.frombuffer(tensor.data, _INTEGERS[tensor.type], count=tensor.numbers)
        return values.astype(np.int64).reshape(tensor.shape)

    def _inferred(self, operation: Operation, declared: Shape) -> Sequence[int | None] | None:
        kind, operands = operation.kind, [self._shape(number) for number in operation.inputs if number >= 0]
        if kind in _SHAPE_OPERAND:
            target = self.value(operation.inputs[_SHAPE_OPERAND[kind]])
            if target is not None:
                declared = tuple(None if extent < 0 else int(extent) for extent in target.reshape(-1))
        if kind in _SAME_NUMBERS and declared.count(None) == 1:
            known = math.prod(extent for extent in declared if extent is not None)
            solved = math.prod(operands[0]) // known if known else 0
            return [solved if extent is None else extent for extent in declared]
        if kind in _SHAPE_OPERAND or kind in _SAME_NUMBERS:
            return declared
        if kind in _WINDOWS:
            return [operands[0][0], *self._windows(operation, operands), None]
        if kind == "FULLY_CONNECTED":
            outputs, inputs = operands[1]
            rows = operands[0][:-1] if operation.option("keep_num_dims") else (math.prod(operands[0]) // inputs,)
            return [*rows, outputs]
        if kind == "BATCH_MATMUL":
            rows = operands[0][-1 if operation.option("adj_x") else -2]
            columns = operands[1][-2 if operation.option("adj_y") else -1]
            return [*np.broadcast_shapes(operands[0][:-2], operands[1][:-2]), rows, columns]
        if kind == "TRANSPOSE":
            order = self.value(operation.inputs[1])
            return None if order is None else [operands[0][axis] for axis in order]
        if kind == "CONCATENATION":
            axis = operation.option("axis") % len(operands[0])
            return [*operands[0][:axis], sum(shape[axis] for shape in operands), *operands[0][axis + 1 :]]
        if kind in _REDUCTIONS:
            axes = self.value(operation.inputs[1])
            if axes is None:
                return None
            reduced = {int(axis) % len(operands[0]) for axis in axes.reshape(-1)}
            whole = bool(operation.option("keep_dims"))
            extents = [1 if axis in reduced else extent for axis, extent in enumerate(operands[0])]
            return [extent for axis, extent in enumerate(extents) if whole or axis not in reduced]
        if kind == "PACK":
            axis = operation.option("axis") % (len(operands[0]) + 1)
            return [*operands[0][:axis], len(operands), *operands[0][axis:]]
        if kind == "GATHER":
            axis = operation.option("axis") % len(operands[0])
            return [*operands[0][:axis], *operands[1], *operands[0][axis + 1 :]]
        if kind == "EXPAND_DIMS":
            axis = self.value(operation.inputs[1])
            if axis is None:
                return None
            position = int(axis.item()) % (len(operands[0]) + 1)
            return [*operands[0][:position], 1, *operands[0][position:]]
        if kind == "TILE":
            multiples = self.value(operation.inputs[1])
            return None if multiples is None else [int(extent) for extent in operands[0] * multiples]
        if kind == "PAD":
            paddings = self.value(operation.inputs[1])
            return None if paddings is None else [int(extent) for extent in operands[0] + paddings.sum(1)]
        if kind in ("RESIZE_BILINEAR", "RESIZE_NEAREST_NEIGHBOR"):
            size = self.value(operation.inputs[1])
            return None if size is None else [operands[0][0], *(int(extent) for extent in size), operands[0][-1]]
        if kind in ("SPACE_TO_BATCH_ND", "BATCH_TO_SPACE_ND"):
            block, margins = (self.value(number) for number in operation.inputs[1:])
            return None if block is None or margins is None else _rearranged(kind, operands[0], block, margins.sum(1))
        same = [shape for shape in operands if len(shape) == len(declared)]
        return np.broadcast_shapes(*operands) if len(same) == len(operands) > 1 else same[0]

    def _windows(self, operation: Operation, operands: list[Shape]) -> list[int]:
        """Height and width behind a convolution or a pool."""
        extents = []
        for axis, direction in ((1, "h"), (2, "w")):
            extent, stride = operands[0][axis], max(1, operation.option(f"stride_{direction}"))
            if operation.option("padding") != _SAME_PADDING:
                pool = operation.option("filter_height" if direction == "h" else "filter_width")
                window = operands[1][axis] if len(operands) > 1 else pool
                extent -= (window - 1) * max(1, operation.option(f"dilation_{direction}_factor"))
            extents.append(max(0, -(-extent // stride)))
        return extents


def _rearranged(kind: str, shape: Shape, block: np.ndarray, margins: np.ndarray) -> list[int]:
    """The shape behind positions that move to the batch after padding, or back before they are cropped."""
    batch, *positions = shape[: 1 + len(block)]
    moved = math.prod(int(extent) for extent in block)
    if kind == "SPACE_TO_BATCH_ND":
        inner = [(extent + int(pad)) // int(size) for extent, size, pad in zip(positions, block, margins, strict=True)]
        return [batch * moved, *inner, *shape[1 + len(block) :]]
    inner = [extent * int(size) - int(crop) for extent, size, crop in zip(positions, block, margins, strict=True)]
    return [batch // moved, *inner, *shape[1 + len(block) :]]


def _slice(operation: Operation, operands: Sequence[np.ndarray]) -> np.ndarray:
    """A strided slice of integers; masks are bits by axis."""
    values, *bounds = operands
    index: list[slice | int] = []
    for axis, (begin, end, stride) in enumerate(np.stack(bounds, 1).tolist()):
        if operation.option("shrink_axis_mask") >> axis & 1:
            index.append(begin)
        else:
            begin = None if operation.option("begin_mask") >> axis & 1 else begin
            end = None if operation.option("end_mask") >> axis & 1 else end
            index.append(slice(begin, end, stride))
    return values[tuple(index)]
