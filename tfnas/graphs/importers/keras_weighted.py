"""Layers of Keras 3 with weights as operations of TensorFlow: convolutions, dense layers and norms."""

import math
from collections.abc import Sequence

from tfnas.graphs.importers import products
from tfnas.graphs.importers.keras_activations import ACTIVATIONS
from tfnas.graphs.importers.keras_operations import Operations, Tensor, Variable
from tfnas.graphs.importers.keras_settings import Settings, Shape, State, UnknownLayerError


def _weights(operations: Operations, settings: Settings, **shapes: Sequence[int]) -> dict[str, Variable]:
    """Weights that training changes, by name."""
    return {
        name: operations.variable(name, shape, trainable=settings.trainable) for name, shape in shapes.items() if shape
    }


def build_convolution(operations: Operations, settings: Settings, shape: Shape) -> State:
    """Weights of a convolution."""
    channels, filters, groups = settings.channels(shape), settings.count("filters"), settings.count("groups")
    if channels % groups or filters % groups:
        raise UnknownLayerError("groups that do not divide the channels")
    kernel = (*settings.counts("kernel_size"), channels // groups, filters)
    return _weights(operations, settings, kernel=kernel, bias=_bias_shape(settings, filters))


def build_depthwise(operations: Operations, settings: Settings, shape: Shape) -> State:
    """Weights of a convolution of every channel for itself."""
    channels, multiplier = settings.channels(shape), settings.count("depth_multiplier")
    kernel = (*settings.counts("kernel_size"), channels, multiplier)
    return _weights(operations, settings, kernel=kernel, bias=_bias_shape(settings, channels * multiplier))


def build_separable(operations: Operations, settings: Settings, shape: Shape) -> State:
    """Weights of a separable convolution."""
    channels, multiplier = settings.channels(shape), settings.count("depth_multiplier")
    window, filters = settings.counts("kernel_size"), settings.count("filters")
    depthwise, pointwise = (*window, channels, multiplier), (*(1 for _ in window), channels * multiplier, filters)
    bias = _bias_shape(settings, filters)
    return _weights(operations, settings, depthwise_kernel=depthwise, pointwise_kernel=pointwise, bias=bias)


def _bias_shape(settings: Settings, size: int) -> tuple[int, ...]:
    return (size,) if settings.flag("use_bias") else ()


def convolution(operations: Operations, inputs: Sequence[Tensor], settings: Settings, state: State) -> Tensor:
    """Convolutions over one, two or three axes, without dilation."""
    _check_layout(inputs[0], settings, ranks=(1, 2, 3))
    if settings.count("groups") == 1:
        output = _convolved(operations, inputs[0], settings, state["kernel"])
    else:
        with operations.scope("StatefulPartitionedCall"):  # Keras has XLA compile groups
            output = _convolved(operations, inputs[0], settings, state["kernel"])
            output = operations.elementwise("Identity", output)
    return _finished(operations, output, settings, state)


def _convolved(operations: Operations, data: Tensor, settings: Settings, kernel: Variable) -> Tensor:
    """A convolution; TensorFlow adds an axis to sequences."""
    *window, channels, filters = kernel.tensor.shape
    strides, sequence = settings.counts("strides"), len(window) == 1
    _check_channels(data, channels * settings.count("groups"))
    shape = (data.shape[0], *extents_of_windows(data, window, strides, settings), filters)
    with operations.scope("convolution") as name:
        if sequence:
            data, shape = operations.expand(data, 1), (shape[0], 1, *shape[1:])
            with operations.scope("ExpandDims_1") as expanded:
                read = [operations.read(kernel), operations.integers("dim")]
                weights = operations.add("ExpandDims", read, (1, *kernel.tensor.shape), name=expanded)
        else:
            weights = operations.read(kernel)
        output = operations.add(
            "Conv3D" if len(window) == 3 else "Conv2D",
            [data, weights],
            shape,
            name=name,
            kernel=weights.shape[-4:-2],
            channel_axis=-1,
            group_channels=channels,
            products=products.convolution(shape, weights.shape, axis=-1),
        )
        return operations.add("Squeeze", [output], (shape[0], *shape[2:])) if sequence else output


def depthwise(operations: Operations, inputs: Sequence[Tensor], settings: Settings, state: State) -> Tensor:
    """`DepthwiseConv2D`."""
    with operations.scope("depthwise") as name:
        output = _by_channel(operations, inputs[0], settings, state["kernel"], name)
    return _finished(operations, output, settings, state)


def separable(operations: Operations, inputs: Sequence[Tensor], settings: Settings, state: State) -> Tensor:
    """`SeparableConv2D`."""
    with operations.scope("separable_conv2d") as name:
        data = _by_channel(operations, inputs[0], settings, state["depthwise_kernel"], f"{name}/depthwise")
        weights = operations.read(state["pointwise_kernel"])
        shape = (*data.shape[:-1], weights.shape[-1])
        fields = {"kernel": (1, 1), "channel_axis": -1, "group_channels": weights.shape[-2]}
        multiply_adds = products.convolution(shape, weights.shape, axis=-1)
        output = operations.add("Conv2D", [data, weights], shape, name=name, products=multiply_adds, **fields)
    return _finished(operations, output, settings, state)


def _by_channel(operations: Operations, data: Tensor, settings: Settings, kernel: Variable, name: str) -> Tensor:
    """A convolution of every channel of images for itself."""
    _check_layout(data, settings, ranks=(2,))
    weights, strides = operations.read(kernel), settings.counts("strides")
    height, width, channels, multiplier = weights.shape
    _check_channels(data, channels)
    if len(set(strides)) > 1:
        raise UnknownLayerError("strides that differ, which TensorFlow refuses")
    extents = extents_of_windows(data, (height, width), strides, settings)
    shape = (data.shape[0], *extents, channels * multiplier)
    fields = {"kernel": (height, width), "channel_axis": -1, "group_channels": channels}
    multiply_adds = math.prod(shape) * height * width
    return operations.add("DepthwiseConv2dNative", [data, weights], shape, name=name, products=multiply_adds, **fields)


def _check_layout(data: Tensor, settings: Settings, ranks: Sequence[int]) -> None:
    """Refuses channels that stand first, dilations, and kernels over another number of axes."""
    settings.expect("data_format", "channels_last")
    rank = len(settings.counts("kernel_size"))
    if rank not in ranks or len(data.shape) != rank + 2 or set(settings.counts("dilation_rate")) != {1}:
        raise UnknownLayerError("a convolution with a dilation, or over other axes")


def _check_channels(data: Tensor, channels: int) -> None:
    if data.shape[-1] != channels:
        raise UnknownLayerError(f"{data.shape[-1]} channels for weights of {channels}")


def extents_of_windows(
    data: Tensor, windows: Sequence[int], strides: Sequence[int], settings: Settings
) -> tuple[int, ...]:
    """Positions of a window on data with the channels last."""
    same = settings.one_of("padding", ("same", "valid")) == "same"
    if len(windows) != len(data.shape) - 2:
        raise UnknownLayerError("a window over another number of axes")
    sizes = tuple(
        -(-extent // stride) if same else (extent - window) // stride + 1
        for extent, window, stride in zip(data.shape[1:-1], windows, strides, strict=True)
    )
    if min(sizes) < 1:
        raise UnknownLayerError("a window that does not fit")
    return sizes


def _finished(operations: Operations, data: Tensor, settings: Settings, state: State) -> Tensor:
    """The output of a convolution with its bias and its activation."""
    if "bias" in state:
        data = plus(operations, data, operations.row(state["bias"], len(data.shape)))
    return _activated(operations, data, settings)


def plus(operations: Operations, data: Tensor, other: Tensor) -> Tensor:
    """A sum as Keras forms it, which takes a single axis of numbers for a bias."""
    long = [extent for extent in other.shape if extent > 1]
    if len(long) != 1 or len(data.shape) < 2 or long[0] not in (data.shape[1], data.shape[-1]):
        return operations.elementwise("AddV2", data, other, label="Add")
    if len(other.shape) > 1:
        other = operations.add("Squeeze", [other], long)
    axis = -1 if data.shape[-1] == long[0] else 1
    return operations.add("BiasAdd", [data, other], data.shape, channel_axis=axis)


def _activated(operations: Operations, data: Tensor, settings: Settings) -> Tensor:
    name = settings.one_of("activation", (None, *ACTIVATIONS))
    return ACTIVATIONS[name or "linear"](operations, data)


def build_dense(operations: Operations, settings: Settings, shape: Shape) -> State:
    """Weights of a dense layer."""
    units = settings.count("units")
    kernel = (settings.channels(shape), units)
    return _weights(operations, settings, kernel=kernel, bias=_bias_shape(settings, units))


def dense(operations: Operations, inputs: Sequence[Tensor], settings: Settings, state: State) -> Tensor:
    """`Dense`, over the last axis."""
    data, kernel = inputs[0], state["kernel"]
    _check_channels(data, kernel.tensor.shape[0])
    weights = operations.read(kernel, "Cast")
    if len(data.shape) == 2:
        output = _matrix_product(operations, data, weights)
    else:
        output = _rows_product(operations, data, weights)
    if "bias" in state:
        bias = state["bias"]
        output = plus(operations, output, operations.read(bias, "BiasAdd" if bias.size > 1 else "Add"))
    return _activated(operations, output, settings)


def _matrix_product(operations: Operations, data: Tensor, weights: Tensor) -> Tensor:
    shape = (data.shape[0], weights.shape[1])
    multiply_adds = products.matrix_product(shape, data.shape)
    return operations.add("MatMul", [data, weights], shape, channel_axis=-1, products=multiply_adds)


def _rows_product(operations: Operations, data: Tensor, weights: Tensor) -> Tensor:
    """A product with every row of a tensor, which TensorFlow makes a matrix for the product."""
    shape, rows = (*data.shape[:-1], weights.shape[1]), (math.prod(data.shape[:-1]), data.shape[-1])
    with operations.scope("Tensordot") as name:
        if operations.open_batch:
            data, size, target = _row_sizes(operations, data)
        else:
            size, target = operations.integers("Reshape/shape", 2), operations.integers("shape", len(shape))
        product = _matrix_product(operations, operations.add("Reshape", [data, size], rows), weights)
        return operations.add("Reshape", [product, target], shape, name=name)


def _row_sizes(operations: Operations, data: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """A tensor, its size as a matrix and the size of the product, which TensorFlow computes for an open batch."""
    rank, integers = len(data.shape), operations.integers

    def step(kind: str, inputs: Sequence[Tensor], shape: Sequence[int], label: str = "") -> Tensor:
        return operations.add(kind, inputs, shape, label, floating=False)

    axes, free = integers("axes", 1), integers("free", rank - 1)
    extents = step("Shape", [data], (rank,))
    rows = step("GatherV2", [extents, free, integers("GatherV2/axis")], (rank - 1,))
    columns = step("GatherV2", [extents, axes, integers("GatherV2_1/axis")], (1,))
    height = step("Prod", [rows, integers("Const", 1)], ())
    width = step("Prod", [columns, integers("Const", 1)], ())
    order = step("ConcatV2", [free, axes, integers("concat/axis")], (rank,), "concat")
    channels = integers("Const", 1)
    target = step("ConcatV2", [rows, channels, integers("concat_1/axis")], (rank,), "concat")
    size = step("Pack", [height, width], (2,), "stack")
    transposed = operations.add("Transpose", [data, order], data.shape, "transpose", permutation=tuple(range(rank)))
    return transposed, size, target


def build_norm(operations: Operations, settings: Settings, shape: Shape) -> State:
    """Weights of a layer norm, and the trained weights of a batch norm."""
    size = (settings.channels(shape),)
    gamma, beta = (size if settings.flag(name) else () for name in ("scale", "center"))
    return _weights(operations, settings, gamma=gamma, beta=beta)


def build_batch_norm(operations: Operations, settings: Settings, shape: Shape) -> State:
    """Weights of a batch norm."""
    state, size = build_norm(operations, settings, shape), (settings.channels(shape),)
    moments = ("moving_mean", "moving_variance")
    return {**state, **{name: operations.variable(name, size, trainable=False) for name in moments}}


def batch_norm(operations: Operations, inputs: Sequence[Tensor], settings: Settings, state: State) -> Tensor:
    """`BatchNormalization` of the last axis."""
    data, elementwise = inputs[0], operations.elementwise
    settings.ignore("momentum", "renorm_clipping", "renorm_momentum", "synchronized")
    settings.expect("renorm", False, default=False)
    settings.number("epsilon")
    axis = settings.one_of("axis", (-1, len(data.shape) - 1))
    _check_channels(data, state["moving_mean"].size)
    row = {}
    for name in ("moving_mean", "moving_variance", "gamma", "beta"):
        if name in state:
            with operations.scope("Cast"):
                row[name] = operations.read(state[name])
    if axis != -1:
        shape = (*(1 for _ in data.shape[1:]), data.shape[-1])
        order = ("moving_mean", "moving_variance", "beta", "gamma")
        row = {name: operations.reshape(row[name], shape) for name in order if name in row}
    with operations.scope("batchnorm"):
        with operations.scope("add") as name:
            spread = elementwise("AddV2", row["moving_variance"], operations.number("y"), name=name)
        factor = elementwise("Rsqrt", spread)
        if "gamma" in row:
            factor = elementwise("Mul", factor, row["gamma"], label="mul")
        scaled = elementwise("Mul", data, factor, label="mul")
        if "beta" in row:
            mean = elementwise("Mul", row["moving_mean"], factor, label="mul")
            shift = elementwise("Sub", row["beta"], mean, label="sub")
        else:
            shift = elementwise("Mul", elementwise("Neg", row["moving_mean"]), factor, label="mul")
        return elementwise("AddV2", scaled, shift, label="add")


def layer_norm(operations: Operations, inputs: Sequence[Tensor], settings: Settings, state: State) -> Tensor:
    """`LayerNormalization` over the last axis."""
    data, elementwise, rank = inputs[0], operations.elementwise, len(inputs[0].shape)
    settings.expect("rms_scaling", False, default=False)
    settings.number("epsilon")
    settings.one_of("axis", (-1, rank - 1, [-1], [rank - 1]))
    row = {}
    for name, weight in state.items():
        _check_channels(data, weight.size)
        row[name] = operations.row(weight, rank)
    with operations.scope("moments"):
        mean = operations.reduce("Mean", data, (rank - 1,), keep=True, label="mean")
        distance = elementwise("SquaredDifference", data, elementwise("StopGradient", mean))
        variance = operations.reduce("Mean", distance, (rank - 1,), keep=True, label="variance")
    with operations.scope("add") as name:
        spread = elementwise("AddV2", variance, operations.number("y"), name=name)
    factor = elementwise("Rsqrt", spread)
    if "gamma" in row:
        factor = elementwise("Mul", factor, row["gamma"], label="mul")
    shift = elementwise("Mul", elementwise("Neg", mean), factor, label="mul")
    scaled = elementwise("Mul", data, factor, label="mul")
    if "beta" in row:
        shift = elementwise("AddV2", shift, row["beta"], label="add")
    return elementwise("AddV2", scaled, shift, label="add")


def build_layer_scale(operations: Operations, settings: Settings, shape: Shape) -> State:
    """The weight of `LayerScale`."""
    settings.number("init_values")
    return _weights(operations, settings, variable=(settings.count("projection_dim"),))


def layer_scale(operations: Operations, inputs: Sequence[Tensor], settings: Settings, state: State) -> Tensor:
    """`LayerScale` of ConvNeXt: a factor per channel."""
    _check_channels(inputs[0], state["variable"].size)
    with operations.scope("mul") as name:
        return operations.elementwise("Mul", inputs[0], operations.read(state["variable"]), name=name)
