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

_KERNELS = ("kernel", "depthwise_kernel", "pointwise_kernel")


def all_layers(model: Layer) -> list[Layer]:
    """Every layer of a model, nested ones included, each once, without containers."""
    found: dict[int, Layer] = {}
    for layer in model._flatten_layers(include_self=False):
        if not hasattr(layer, "layers") or not layer.layers:
            found.setdefault(id(layer), layer)
    return list(found.values())


def kernel_names(layer: Layer) -> list[str]:
    """Attributes of a built layer that hold kernels: of convolutions and matrix products, none for other layers."""
    if type(layer).__name__ == "Embedding" or is_norm(layer):
        return []
    return [name for name in _KERNELS if name in weight_names(layer)]


def weight_names(layer: Layer) -> list[str]:
    """Attributes of a layer that hold its own variables; Keras 3 keeps a kernel as `_kernel`."""
    own = {id(variable) for variable in layer.weights}
    return [name.lstrip("_") for name, value in vars(layer).items() if id(value) in own]


def is_norm(layer: Layer) -> bool:
    """Whether a layer normalises."""
    return type(layer).__name__.endswith("Normalization") and type(layer).__name__ != "Normalization"


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
    kept = {_key(layer, name): vars(layer)[_key(layer, name)] for name in values}
    vars(layer).update({_key(layer, name): value for name, value in values.items()})
    try:
        yield
    finally:
        vars(layer).update(kept)


@contextlib.contextmanager
def replaced_calls(calls: Mapping[int, Callable[..., tf.Tensor]], layers: Sequence[Layer]) -> Iterator[None]:
    """Lets layers be called by other functions for a while.

    Args:
      calls: by `id` of a layer, a function of the layer's own `call` and of its arguments.
      layers: all layers of the model; input is not cast to their types meanwhile.
    """
    kept = [
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
        for layer, before in zip(layers, kept, strict=True):
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


def linear_output(model: Layer) -> list[Layer]:
    """The model's last layer, if it is or applies a softmax: scores are taken of logits."""
    last = model
    while getattr(last, "layers", None):
        last = last.layers[-1]
    applies = getattr(getattr(last, "activation", None), "__name__", "") == "softmax"
    return [last] if applies or type(last).__name__ == "Softmax" else []
