"""Building blocks that networks of several spaces share, and how they start and normalise."""

import dataclasses
import math
from collections.abc import Callable

import tensorflow as tf
import tf_keras

from tfnas.errors import ConfigurationError
from tfnas.settings import check_choices

INITIALIZATIONS = ("he_normal", "keras", "pytorch")


@dataclasses.dataclass(frozen=True)
class LayerSettings:
    """Initialisation and normalisation of a network's layers.

    Attributes:
      initialization: distribution of kernels: `he_normal` (variance 2 / fan-in), `keras` (Glorot's uniform, the default
        of Keras) or `pytorch` (uniform within 1 / sqrt(fan-in), biases too, the default of PyTorch).
      norm_momentum: share of the old value in the running statistics of a batch norm.
      norm_epsilon: number added to the variance in a batch norm.
      norm_affine: whether batch norms scale and shift.

    Raises:
      ConfigurationError: an unknown initialisation, a momentum outside [0, 1) or an epsilon that is not positive.
    """

    initialization: str = "he_normal"
    norm_momentum: float = 0.9
    norm_epsilon: float = 1e-5
    norm_affine: bool = True

    def __post_init__(self) -> None:
        check_choices(self, initialization=INITIALIZATIONS)
        if not (0 <= self.norm_momentum < 1 and self.norm_epsilon > 0):
            raise ConfigurationError(
                f"norm_momentum={self.norm_momentum}, norm_epsilon={self.norm_epsilon}, expected [0, 1) and above 0"
            )

    def batch_norm(self) -> tf_keras.layers.BatchNormalization:
        """Batch normalisation."""
        return tf_keras.layers.BatchNormalization(
            momentum=self.norm_momentum, epsilon=self.norm_epsilon, center=self.norm_affine, scale=self.norm_affine
        )

    def convolution2d(
        self, channels: int, size: int, strides: int = 1, *, use_bias: bool = False, padding: str = "same"
    ) -> tf_keras.layers.Conv2D:
        """A convolution; by default it keeps the size of the image, but for its strides, and has no bias."""
        layer = tf_keras.layers.Conv2D(
            channels, size, strides, padding=padding, use_bias=use_bias, kernel_initializer=self.kernel_initializer()
        )
        return self._with_bias(layer, lambda shape: size * size * shape[-1])

    def dense(self, units: int) -> tf_keras.layers.Dense:
        """A dense layer with bias. He's initialisation is for layers before a ReLU, so here it gives way to Keras's."""
        initializer = self.kernel_initializer() if self.initialization == "pytorch" else "glorot_uniform"
        return self._with_bias(tf_keras.layers.Dense(units, kernel_initializer=initializer), lambda shape: shape[-1])

    def kernel_initializer(self) -> str | tf_keras.initializers.Initializer:
        """For kernels of convolutions."""
        if self.initialization == "pytorch":
            return tf_keras.initializers.VarianceScaling(1 / 3, "fan_in", "uniform")
        return {"he_normal": "he_normal", "keras": "glorot_uniform"}[self.initialization]

    def depthwise_initializer(self, size: int) -> str | tf_keras.initializers.Initializer:
        """For kernels of depthwise convolutions, where PyTorch counts one channel as fan-in and Keras all of them."""
        if self.initialization == "pytorch":
            return tf_keras.initializers.RandomUniform(-1 / size, 1 / size)
        return self.kernel_initializer()

    def _with_bias(
        self, layer: tf_keras.layers.Layer, fan_in: Callable[[tf.TensorShape], int]
    ) -> tf_keras.layers.Layer:
        """PyTorch draws biases as it draws kernels; their bound is known when the layer is built."""
        if self.initialization == "pytorch" and layer.use_bias:
            build = layer.build

            def build_with_bound(shape: tf.TensorShape) -> None:
                bound = 1 / math.sqrt(fan_in(shape))
                layer.bias_initializer = tf_keras.initializers.RandomUniform(-bound, bound)
                build(shape)

            layer.build = build_with_bound
        return layer


def forget_counts(network: tf_keras.Model) -> None:
    """Names every layer of a subclassed network after its class, so that equal networks train to the same bits.

    Keras numbers layers through the whole process, and TensorFlow adds up gradients in the order of names.

    Args:
      network: a network whose variables exist; programs that were traced before keep their names.
    """
    for layer in network.submodules:
        if isinstance(layer, tf_keras.layers.Layer):
            layer._name = type(layer).__name__.lstrip("_")  # a name may not start with an underscore
