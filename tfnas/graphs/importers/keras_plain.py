"""Layers of Keras 3 without trained weights as operations of TensorFlow: merges, pools, shapes and constants."""

import functools
import math
from collections.abc import Sequence

import numpy as np

from tfnas.graphs.importers.keras_activations import ACTIVATIONS
from tfnas.graphs.importers.keras_operations import Operations, Tensor, broadcast
from tfnas.graphs.importers.keras_settings import Settings, Shape, State, UnknownLayerError
from tfnas.graphs.importers.keras_weighted import extents_of_windows, plus


def identity(operations: Operations, inputs: Sequence[Tensor], settings: Settings, state: State) -> Tensor:
    """Layers that only act in training."""
    settings.ignore("rate", "seed", "noise_shape", "stddev", "data_format")
    return inputs[0]


def activation(operations: Operations, inputs: Sequence[Tensor], settings: Settings, state: State) -> Tensor:
    """`Activation`."""
    return ACTIVATIONS[settings.one_of("activation", tuple(ACTIVATIONS))](operations, inputs[0])


def relu(operations: Operations, inputs: Sequence[Tensor], settings: Settings, state: State) -> Tensor:
    """`ReLU`, with a bound of 6 or a slope."""
    slope, bound = settings.number("negative_slope"), settings.one_of("max_value", (None, 6))
    settings.expect("threshold", 0)
    if slope and bound:
        raise UnknownLayerError("a slope and a bound")
    return operations.elementwise("LeakyRelu" if slope else "Relu6" if bound else "Relu", inputs[0])


def leaky_relu(operations: Operations, inputs: Sequence[Tensor], settings: Settings, state: State) -> Tensor:
    """`LeakyReLU`."""
    settings.number("negative_slope")
    return operations.elementwise("LeakyRelu", inputs[0])


def softmax(operations: Operations, inputs: Sequence[Tensor], settings: Settings, state: State) -> Tensor:
    """`Softmax` over the channels."""
    settings.expect("axis", -1)
    return operations.elementwise("Softmax", inputs[0])


def merge(
    kind: str, label: str, operations: Operations, inputs: Sequence[Tensor], settings: Settings, state: State
) -> Tensor:
    """`Multiply`, `Maximum`, `Minimum` and `Subtract` of tensors with as many axes."""
    _check_ranks(inputs)
    if kind == "Sub" and len(inputs) != 2:
        raise UnknownLayerError("a difference of other than two tensors")
    return functools.reduce(lambda one, other: operations.elementwise(kind, one, other, label=label), inputs)


def add(operations: Operations, inputs: Sequence[Tensor], settings: Settings, state: State) -> Tensor:
    """`Add` of tensors with as many axes."""
    _check_ranks(inputs)
    return functools.reduce(functools.partial(_sum, operations), inputs)


def average(operations: Operations, inputs: Sequence[Tensor], settings: Settings, state: State) -> Tensor:
    """`Average` of tensors with as many axes."""
    total = add(operations, inputs, settings, state)
    with operations.scope("truediv") as name:
        return operations.elementwise("RealDiv", total, operations.number("y"), name=name)


def concatenate(operations: Operations, inputs: Sequence[Tensor], settings: Settings, state: State) -> Tensor:
    """`Concatenate`."""
    rank, axis = _check_ranks(inputs), settings["axis"]
    if not isinstance(axis, int) or not -rank <= axis < rank or axis % rank == 0:
        raise UnknownLayerError(f"axis: {axis!r}")
    axis %= rank
    shape = list(inputs[0].shape)
    shape[axis] = sum(tensor.shape[axis] for tensor in inputs)
    if len({tensor.shape[:axis] + tensor.shape[axis + 1 :] for tensor in inputs}) > 1:
        raise UnknownLayerError("tensors of other shapes")
    with operations.scope("concat") as name:
        return operations.add("ConcatV2", [*inputs, operations.integers("axis")], shape, name=name)


def _check_ranks(inputs: Sequence[Tensor]) -> int:
    """The number of axes that all of several tensors have."""
    ranks = {len(tensor.shape) for tensor in inputs}
    if len(inputs) < 2 or len(ranks) > 1:
        raise UnknownLayerError("a merge of a single tensor, or of tensors with other numbers of axes")
    return ranks.pop()


def _sum(operations: Operations, first: Tensor, second: Tensor) -> Tensor:
    """A sum of data; without an open batch, Keras takes a row for a bias."""
    if operations.open_batch:
        return operations.elementwise("AddV2", first, second, label="Add")
    broadcast(first.shape, second.shape)
    return plus(operations, first, second)


def pool(kind: str, operations: Operations, inputs: Sequence[Tensor], settings: Settings, state: State) -> Tensor:
    """Pools over windows of one, two or three axes."""
    data, window, strides = inputs[0], settings.counts("pool_size"), settings.counts("strides")
    settings.expect("data_format", "channels_last")
    rank = len(window)
    shape = (data.shape[0], *extents_of_windows(data, window, strides, settings), data.shape[-1])
    fields = {"kernel": (1, *window)[-2:], "channel_axis": -1}
    suffix = {1: "1d", 2: "2d", 3: "3D"} if kind == "MaxPool" else {1: "1D", 2: "", 3: "3D"}
    label = f"{kind}{suffix[rank]}"
    if rank > 1:
        return operations.add(f"{kind}3D" if rank == 3 else kind, inputs, shape, label, **fields)
    with operations.scope(label) as name:
        row = operations.add(kind, [operations.expand(data, 1)], (shape[0], 1, *shape[1:]), name=name, **fields)
        return operations.add("Squeeze", [row], shape)


def global_pool(
    kind: str, rank: int, operations: Operations, inputs: Sequence[Tensor], settings: Settings, state: State
) -> Tensor:
    """Pools over all positions."""
    settings.expect("data_format", "channels_last")
    if len(inputs[0].shape) != rank + 2:
        raise UnknownLayerError("a pool over another number of axes")
    axes = 1 if rank == 1 else tuple(range(1, rank + 1))
    return operations.reduce(kind, inputs[0], axes, settings.flag("keepdims"))


def pad(operations: Operations, inputs: Sequence[Tensor], settings: Settings, state: State) -> Tensor:
    """`ZeroPadding`."""
    settings.expect("data_format", "channels_last", default="channels_last")
    shape = _changed(inputs[0], settings["padding"], 1)
    return operations.add("Pad", [inputs[0], operations.integers("Const", len(shape), 2)], shape)


def crop(operations: Operations, inputs: Sequence[Tensor], settings: Settings, state: State) -> Tensor:
    """`Cropping`."""
    settings.expect("data_format", "channels_last", default="channels_last")
    shape = _changed(inputs[0], settings["cropping"], -1)
    with operations.scope("strided_slice") as name:
        ends = [operations.integers(label, len(shape)) for label in ("stack", "stack_1", "stack_2")]
        return operations.add("StridedSlice", [inputs[0], *ends], shape, name=name)


def _changed(data: Tensor, margins: object, sign: int) -> tuple[int, ...]:
    """The shape of data whose positions gain or lose margins."""
    rows = np.array(margins).reshape(-1, 2)
    if rows.dtype.kind != "i" or rows.min() < 0 or len(rows) != len(data.shape) - 2:
        raise UnknownLayerError(f"margins {margins!r}")
    extents = [extent + sign * int(margin) for extent, margin in zip(data.shape[1:-1], rows.sum(1), strict=True)]
    if min(extents) < 1:
        raise UnknownLayerError(f"margins {margins!r}")
    return (data.shape[0], *extents, data.shape[-1])


def flatten(operations: Operations, inputs: Sequence[Tensor], settings: Settings, state: State) -> Tensor:
    """`Flatten`."""
    settings.expect("data_format", "channels_last")
    batch, *extents = inputs[0].shape
    return operations.reshape_data(inputs[0], (batch, math.prod(extents)))


def reshape(operations: Operations, inputs: Sequence[Tensor], settings: Settings, state: State) -> Tensor:
    """`Reshape`; one extent may be open."""
    batch, *extents = inputs[0].shape
    target, size = list(settings["target_shape"]), math.prod(extents)
    if target.count(-1) == 1:
        target[target.index(-1)] = size // -math.prod(target)
    if math.prod(target) != size or min(target, default=1) < 1:
        raise UnknownLayerError(f"target_shape: {target}")
    return operations.reshape_data(inputs[0], (batch, *target))


def permute(operations: Operations, inputs: Sequence[Tensor], settings: Settings, state: State) -> Tensor:
    """`Permute`."""
    order = (0, *settings.counts("dims"))
    if sorted(order) != list(range(len(inputs[0].shape))):
        raise UnknownLayerError(f"dims: {order}")
    with operations.scope("transpose") as name:
        shape = [inputs[0].shape[axis] for axis in order]
        perm = operations.integers("perm", len(order))
        return operations.add("Transpose", [inputs[0], perm], shape, name=name, permutation=order)


def rescaling(operations: Operations, inputs: Sequence[Tensor], settings: Settings, state: State) -> Tensor:
    """`Rescaling` by a single number."""
    numbers = []
    for name in ("scale", "offset"):
        settings.number(name)
        with operations.scope("Cast"):
            numbers.append(operations.number("x"))
    scale, offset = numbers
    scaled = operations.elementwise("Mul", inputs[0], scale, label="mul")
    return operations.elementwise("AddV2", scaled, offset, label="add")


def build_normalization(operations: Operations, settings: Settings, shape: Shape) -> State:
    """Means and variances: constants of the model, or weights that `adapt` sets."""
    settings.expect("invert", False)
    channels, axis, given = settings.channels(shape), settings["axis"], settings["mean"]
    if axis not in (-1, len(shape) - 1, [-1], [len(shape) - 1]):
        raise UnknownLayerError(f"axis: {axis!r}")
    row = (*(1 for _ in shape[1:]), channels)
    names = ("mean", "variance")
    if given is None:
        settings.expect("variance", None)
        weights = [operations.variable(name, (channels,), trainable=False) for name in names]
        operations.variable("count", (), trainable=False)
        return {name: operations.row(weight, len(shape)) for name, weight in zip(names, weights, strict=True)}
    constants = [_constants(operations, settings[name], channels) for name in names]
    rows = [operations.reshape(constant, row) for constant in constants]
    state = {}
    for name, tensor in zip(names, rows, strict=True):
        with operations.scope("BroadcastTo") as scope:
            target = operations.integers("shape", len(row))
            state[name] = operations.add("BroadcastTo", [tensor, target], row, name=scope)
    return state


def _constants(operations: Operations, values: object, size: int) -> Tensor:
    """Numbers that a model holds and does not train, one per channel."""
    numbers = np.array(values)
    if numbers.dtype.kind != "f" or numbers.shape != (size,) or size == 1:
        raise UnknownLayerError(f"constants {values!r}")
    uniform = len(set(numbers.astype(np.float32).tolist())) == 1
    return operations.add("Const", (), (size,), weights=size, uniform=uniform)


def normalization(operations: Operations, inputs: Sequence[Tensor], settings: Settings, state: State) -> Tensor:
    """`Normalization`."""
    floor = operations.number("Const")
    centred = operations.elementwise("Sub", inputs[0], state["mean"])
    spread = operations.elementwise("Maximum", operations.elementwise("Sqrt", state["variance"]), floor)
    return operations.elementwise("RealDiv", centred, spread, label="truediv")


def scaled_sum(operations: Operations, inputs: Sequence[Tensor], settings: Settings, state: State) -> Tensor:
    """`CustomScaleLayer` of Inception-ResNet: a tensor and a share of another."""
    settings.number("scale")
    with operations.scope("mul") as name:
        share = operations.elementwise("Mul", inputs[1], operations.number("y"), name=name)
    return operations.elementwise("AddV2", inputs[0], share, label="add")


def arithmetic(
    kind: str, label: str, operations: Operations, inputs: Sequence[Tensor | float], settings: Settings, state: State
) -> Tensor:
    """Arithmetic on tensors and numbers, as `keras.ops` has it."""
    tensors = [operations.number("Const") if isinstance(value, int | float) else value for value in inputs]
    if len(tensors) != 2 or any(isinstance(value, bool) for value in inputs):
        raise UnknownLayerError("arithmetic on other than two tensors or numbers")
    if kind == "AddV2" and all(isinstance(value, Tensor) for value in inputs):
        return _sum(operations, *tensors)
    return operations.elementwise(kind, *tensors, label=label)
