"""Fresh weights as numbers of a program: drawn from a seed wherever a layer is called, not kept in variables."""

import math
from collections.abc import Callable, Sequence

import tensorflow as tf

from tfnas.networks import rewiring
from tfnas.networks.rewiring import Layer

Shape = Sequence[int | tf.Tensor]


def fresh_weights(
    layer: Layer,
    seed: tf.Tensor | tuple[int, int],
    rule: str = "pytorch",
    shape: Callable[[Layer, str], Shape] | None = None,
) -> dict[str, tf.Tensor]:
    """New values for the weights of a layer; those of norms are 1 and 0, those of other layers stay as they are.

    Args:
      layer: built layer.
      seed: int32 `[2]`; the second number counts on by one for every weight.
      rule: rule of the drawing, of `networks.rules.RULES`.
      shape: function from a layer and the name of a weight to the shape of the values; by default the weight's shape.
    """
    shape = shape or (lambda owner, name: getattr(owner, name).shape)
    kernels = rewiring.kernel_names(layer)
    values: dict[str, tf.Tensor] = {}
    for number, name in enumerate(rewiring.weight_names(layer)):
        if name in rewiring.STATE_NAMES:
            continue
        size = shape(layer, name)
        if rewiring.is_norm(layer):
            values[name] = tf.ones(size) if name == "gamma" else tf.zeros(size)
        elif not kernels:
            values[name] = tf.convert_to_tensor(getattr(layer, name))
        elif rule == "keras" and name not in kernels:
            values[name] = tf.zeros(size)
        else:
            kernel = name if name in kernels else kernels[0]
            bound = _bound(layer, kernel, shape(layer, kernel), rule)
            weight_seed = (seed[0], seed[1] + number) if isinstance(seed, tuple) else seed + tf.constant([0, number])
            values[name] = tf.random.stateless_uniform(size, weight_seed, -bound, bound)
    return values


def _bound(layer: Layer, name: str, shape: Shape, rule: str) -> float | tf.Tensor:
    area = math.prod(shape[:-2])
    if rule == "keras":
        return _root(6 / (area * shape[-2] + area * shape[-1]))
    # PyTorch counts the inputs of one output, of which a depthwise kernel has one channel.
    alone = rewiring.is_depthwise(layer) or name == "depthwise_kernel"
    return 1 / _root(area if alone else area * shape[-2])


def _root(value: float | tf.Tensor) -> float | tf.Tensor:
    return tf.sqrt(tf.cast(value, tf.float32)) if tf.is_tensor(value) else math.sqrt(value)


def draw_weights(model: Layer, seed: int, rule: str = "pytorch") -> None:
    """Gives a built model's kernels and biases new values."""
    for number, layer in enumerate(rewiring.all_layers(model)):
        if rewiring.kernel_names(layer):
            for name, value in fresh_weights(layer, (seed, 1000 * number), rule).items():
                getattr(layer, name).assign(value)
