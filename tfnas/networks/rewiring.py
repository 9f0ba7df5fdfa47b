"""Running a Keras model with tensors in place of its weights, and without what training leaves behind.

A model of Keras 3 or of tf_keras is called as it is, but its layers are lent other weights for the time of the call:
so gradients can be taken with respect to any function of the weights, nothing in the model changes, and widths and
precision may differ from the model's own.
"""

import contextlib
import functools
from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from typing import Any

import tensorflow as tf

from tfnas.errors import ConfigurationError
from tfnas.networks.derivatives import Convolutions, batch_norm

Layer = Any
"""A layer of Keras 3 or of tf_keras; they have no common class."""

STATE_NAMES = ("moving_mean", "moving_variance", "seed_generator")
"""Variables that are not weights."""

_KERNELS = ("kernel", "depthwise_kernel", "pointwise_kernel")


def all_layers(model: Layer) -> list[Layer]:
    """Every layer of a model, nested ones included, each once, without containers."""
    layers: dict[int, Layer] = {}
    for layer in model._flatten_layers(include_self=False):
        if not hasattr(layer, "layers") or not layer.layers:
            layers.setdefault(id(layer), layer)
    return list(layers.values())


def kernel_names(layer: Layer) -> list[str]:
    """Attributes of a built layer that hold kernels: of convolutions and matrix products, none for other layers."""
    if type(layer).__name__ == "Embedding" or is_norm(layer):
        return []
    return [name for name in _KERNELS if name in weight_names(layer)]


def weight_names(layer: Layer) -> list[str]:
    """Attributes of a layer that hold its own variables; Keras 3 keeps a kernel as `_kernel`."""
    variables = {id(variable) for variable in layer.weights}
    return [name.lstrip("_") for name, value in vars(layer).items() if id(value) in variables]


def own_weights(layer: Layer) -> list[str]:
    """Attributes of a layer that hold its own variables, without those that are state."""
    return [name for name in weight_names(layer) if name not in STATE_NAMES]


def is_norm(layer: Layer) -> bool:
    """Whether a layer normalises."""
    return type(layer).__name__.endswith("Normalization") and type(layer).__name__ != "Normalization"


def is_preprocessing(layer: Layer) -> bool:
    """Whether a layer of Keras shifts or scales raw pixels."""
    return type(layer).__name__ in ("Rescaling", "Normalization")


def is_depthwise(layer: Layer) -> bool:
    """Whether a layer is a depthwise convolution and nothing more."""
    return type(layer).__name__.startswith("DepthwiseConv")


def is_batch_norm(layer: Layer) -> bool:
    """Whether a layer normalises over the batch."""
    return "BatchNormalization" in (kind.__name__ for kind in type(layer).__mro__)


def _key(layer: Layer, name: str) -> str:
    return name if name in vars(layer) else f"_{name}"


@contextlib.contextmanager
def lent_weights(layer: Layer, values: Mapping[str, tf.Tensor]) -> Iterator[None]:
    """Lets attributes of a layer be tensors for a while."""
    before = {_key(layer, name): vars(layer)[_key(layer, name)] for name in values}
    vars(layer).update({_key(layer, name): value for name, value in values.items()})
    try:
        yield
    finally:
        vars(layer).update(before)


@contextlib.contextmanager
def replaced_calls(
    calls: Mapping[int, Callable[..., tf.Tensor]],
    layers: Sequence[Layer],
    convolutions: Mapping[int, Callable[..., tf.Tensor]] | None = None,
    cut: bool = False,
) -> Iterator[None]:
    """Lets layers be called by other functions for a while.

    Args:
      calls: functions of a layer's `call` and of its arguments, by `id` of the layer.
      layers: all layers of the model; input is not cast to their types meanwhile.
      convolutions: functions of a layer's `convolution_op` and of its arguments, by `id` of the layer.
      cut: inputs may have fewer channels than the layer declares.
    """
    replacements = {"call": calls, "convolution_op": convolutions or {}}
    settings = {"autocast": False, "_autocast": False} | ({"_input_spec": None} if cut else {})
    attributes = [
        {name: vars(layer)[name] for name in (*replacements, *settings) if name in vars(layer)} for layer in layers
    ]
    try:
        for layer in layers:
            for name, functions in replacements.items():
                if id(layer) in functions:
                    vars(layer)[name] = functools.partial(functions[id(layer)], getattr(layer, name))
            vars(layer).update({name: value for name, value in settings.items() if name in vars(layer)})
        yield
    finally:
        for layer, before in zip(layers, attributes, strict=True):
            for name in replacements:
                vars(layer).pop(name, None)
            vars(layer).update(before)


def batch_statistics_norm(layer: Layer, weights: Mapping[str, tf.Tensor], inputs: tf.Tensor) -> tf.Tensor:
    """Batch normalisation over the batch at hand; no running statistics are read or written."""
    axis = layer.axis[0] if isinstance(layer.axis, list | tuple) else layer.axis
    if axis not in (-1, inputs.shape.rank - 1):
        raise ConfigurationError(f"layer {layer.name!r} normalises axis {axis}, expected the last one")
    width = tf.shape(inputs)[-1:]
    scale = weights.get("gamma", tf.ones(width, inputs.dtype))
    offset = weights.get("beta", tf.zeros(width, inputs.dtype))
    if inputs.shape.rank == 4 and inputs.dtype == tf.float32:
        if tf.executing_eagerly():
            return batch_norm(inputs, scale, offset, layer.epsilon)
        return tf.compat.v1.nn.fused_batch_norm(inputs, scale, offset, epsilon=layer.epsilon)[0]
    mean, variance = tf.nn.moments(inputs, list(range(inputs.shape.rank - 1)))
    return tf.nn.batch_normalization(inputs, mean, variance, offset, scale, layer.epsilon)


def training_norm(layer: Layer, weights: Mapping[str, tf.Tensor], inputs: tf.Tensor) -> tf.Tensor:
    """A norm as it works in training; no running statistics are read or written."""
    if is_batch_norm(layer):
        return batch_statistics_norm(layer, weights, inputs)
    with lent_weights(layer, weights):
        return type(layer).call(layer, inputs)


@contextlib.contextmanager
def rewired(
    model: Layer,
    layers: Sequence[Layer],
    weights: Callable[[Layer], Mapping[str, tf.Tensor]],
    norm: Callable[[Layer, tf.Tensor], tf.Tensor],
    *,
    observe: Callable[[Layer, tf.Tensor], None] | None = None,
    convolutions: Convolutions | None = None,
    weighted: Container[int] | None = None,
    double: bool = False,
    cut: bool = False,
    scale: tf.Tensor | None = None,
) -> Iterator[None]:
    """The model with lent weights and norms of another kind; it returns logits.

    Args:
      model: the model.
      layers: all of its layers.
      weights: function from a layer to the tensors that its weights stand for, called when the layer is called; with
        `convolutions`, always the same tensors.
      norm: function from a norm and its input to its output.
      observe: function that is told every output of a layer with weights; by default none is told.
      convolutions: operation that replaces a `Conv2D` without groups and dilation; by default each layer runs as is.
      weighted: `id` of every layer with weights of its own; by default each layer is searched when it is called.
      double: layers without weights get their inputs in float64, so that they can join branches.
      cut: lent kernels may have fewer channels than the layer declares.
      scale: float64 factor of the images, for `double`: Keras casts what enters a model to float32, which could not
        hold it. Rescaling and Normalization at the start are left out.
    """
    linear = {id(layer) for layer in linear_output(model)}
    convolution_calls: dict[int, Callable[..., tf.Tensor]] = {}

    def entering(inputs: tf.Tensor, dtype: tf.DType) -> tf.Tensor:
        fresh = double and scale is not None and inputs.dtype != tf.float64
        return tf.cast(inputs, dtype) * scale if fresh else tf.cast(inputs, dtype)

    def in_float64(original: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        def cast(value: Any) -> Any:
            return entering(value, tf.float64) if tf.is_tensor(value) and value.dtype.is_floating else value

        return original(*tf.nest.map_structure(cast, args), **kwargs)

    def preprocessing(original: Callable[..., Any], inputs: tf.Tensor, *args: Any, **kwargs: Any) -> Any:
        if inputs.dtype != tf.float64:
            return entering(inputs, tf.float64)
        return in_float64(original, inputs, *args, **kwargs)

    def with_weights(
        layer: Layer, original: Callable[..., tf.Tensor], inputs: tf.Tensor, *args: Any, **kwargs: Any
    ) -> tf.Tensor:
        lent = dict(weights(layer))
        dtype = next(iter(lent.values())).dtype
        if "_compute_dtype_object" in vars(layer):  # what tf_keras's dense layers cast to
            lent["_compute_dtype_object"] = dtype
        if id(layer) in linear:
            lent["activation"] = tf.identity
        with lent_weights(layer, lent):
            if cut and hasattr(layer, "convolution_op"):
                # The layer's own call would declare an output of all its channels.
                outputs = layer.convolution_op(entering(inputs, dtype), lent["kernel"])
                outputs = layer.activation(tf.nn.bias_add(outputs, lent["bias"]) if layer.use_bias else outputs)
            else:
                outputs = original(entering(inputs, dtype), *args, **kwargs)
        if observe is not None:
            observe(layer, outputs)
        return outputs

    def convolved(
        layer: Layer, run: Convolutions, original: Callable[..., tf.Tensor], inputs: tf.Tensor, kernel: tf.Tensor
    ) -> tf.Tensor:
        plain = inputs.shape.rank == 4 and inputs.shape[-1] == kernel.shape[-2] and set(layer.dilation_rate) == {1}
        if not plain or kernel is not weights(layer)["kernel"] or not tf.executing_eagerly():
            return original(inputs, kernel)
        return run(inputs, kernel, {"strides": [1, *layer.strides, 1], "padding": layer.padding.upper()})

    def has_weights(layer: Layer) -> bool:
        return id(layer) in weighted if weighted is not None else bool(own_weights(layer))

    def dispatch(layer: Layer):
        # The kind of a layer is asked for when the layer is called: most layers of a supernet are not.
        def run(original: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
            if is_norm(layer):
                return norm(layer, args[0])
            if type(layer).__name__.endswith("Dropout") or (id(layer) in linear and not layer.weights):
                return tf.identity(args[0])
            if double and scale is not None and is_preprocessing(layer):
                return preprocessing(original, *args, **kwargs)
            if has_weights(layer):
                return with_weights(layer, original, *args, **kwargs)
            return in_float64(original, *args, **kwargs) if double else original(*args, **kwargs)

        return run

    if convolutions is not None:
        convolution_calls = {
            id(layer): functools.partial(convolved, layer, convolutions)
            for layer in layers
            if type(layer).__name__ == "Conv2D" and layer.data_format == "channels_last"
        }
    calls = {id(layer): dispatch(layer) for layer in layers}
    with replaced_calls(calls, layers, convolution_calls, cut):
        yield


def linear_output(model: Layer) -> list[Layer]:
    """The model's last layer, if it is or applies a softmax: scores are taken of logits."""
    last = model
    while getattr(last, "layers", None):
        last = last.layers[-1]
    applies = getattr(getattr(last, "activation", None), "__name__", "") == "softmax"
    return [last] if applies or type(last).__name__ == "Softmax" else []
