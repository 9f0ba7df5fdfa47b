"""Running a Keras model with tensors in place of its weights, and without what training leaves behind.

A model of Keras 3 or of tf_keras is called as it is, but its layers are lent other weights for the time of the call:
so gradients can be taken with respect to any function of the weights, nothing in the model changes, and widths and
precision may differ from the model's own.
"""

import contextlib
import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import tensorflow as tf

from tfnas.errors import ConfigurationError

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
def replaced_calls(calls: Mapping[int, Callable[..., tf.Tensor]], layers: Sequence[Layer]) -> Iterator[None]:
    """Lets layers be called by other functions for a while.

    Args:
      calls: functions of a layer's `call` and of its arguments, by `id` of the layer.
      layers: all layers of the model; input is not cast to their types meanwhile.
    """
    attributes = [
        {name: vars(layer)[name] for name in ("call", "autocast", "_autocast") if name in vars(layer)}
        for layer in layers
    ]
    try:
        for layer in layers:
            if id(layer) in calls:
                vars(layer)["call"] = functools.partial(calls[id(layer)], layer.call)
            for name in ("autocast", "_autocast"):
                if name in vars(layer):
                    vars(layer)[name] = False
        yield
    finally:
        for layer, before in zip(layers, attributes, strict=True):
            if "call" not in before:
                vars(layer).pop("call", None)
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
    gates: Mapping[int, tf.Tensor] | None = None,
    double: bool = False,
    cut: bool = False,
    scale: tf.Tensor | None = None,
) -> Iterator[None]:
    """The model with lent weights, gates on the outputs of layers, and norms of another kind; it returns logits.

    Args:
      model: the model.
      layers: all of its layers.
      weights: function from a layer to the tensors that its weights stand for, called when the layer is called.
      norm: function from a norm and its input to its output.
      gates: float `[B, channels]` by `id` of a layer, by which its output is multiplied.
      double: layers without weights get their inputs in float64, so that they can join branches.
      cut: lent kernels may have fewer channels than the layer declares.
      scale: float64 factor of the images, for `double`: Keras casts what enters a model to float32, which could not
        hold it. Rescaling and Normalization at the start are left out.
    """
    calls: dict[int, Callable[..., tf.Tensor]] = {}
    linear = {id(layer) for layer in linear_output(model)}
    gates = gates or {}

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

    def norm_call(layer: Layer):
        return lambda original, inputs, *args, **kwargs: norm(layer, inputs)

    def weighted_call(layer: Layer):
        def run(original: Callable[..., tf.Tensor], inputs: tf.Tensor, *args: Any, **kwargs: Any) -> tf.Tensor:
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
            if id(layer) not in gates:
                return outputs
            gate = gates[id(layer)]
            between = [1] * (outputs.shape.rank - 2)
            return outputs * tf.reshape(gate, [tf.shape(gate)[0], *between, tf.shape(gate)[1]])

        return run

    for layer in layers:
        if is_norm(layer):
            calls[id(layer)] = norm_call(layer)
        elif type(layer).__name__.endswith("Dropout") or (id(layer) in linear and not layer.weights):
            calls[id(layer)] = lambda original, inputs, *args, **kwargs: tf.identity(inputs)
        elif double and scale is not None and is_preprocessing(layer):
            calls[id(layer)] = preprocessing
        elif set(weight_names(layer)) - set(STATE_NAMES):
            calls[id(layer)] = weighted_call(layer)
        elif double:
            calls[id(layer)] = in_float64
    with replaced_calls(calls, layers):
        yield


def linear_output(model: Layer) -> list[Layer]:
    """The model's last layer, if it is or applies a softmax: scores are taken of logits."""
    last = model
    while getattr(last, "layers", None):
        last = last.layers[-1]
    applies = getattr(getattr(last, "activation", None), "__name__", "") == "softmax"
    return [last] if applies or type(last).__name__ == "Softmax" else []
