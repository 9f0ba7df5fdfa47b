"""Networks of the once-for-all MobileNetV3 space.

References:
  Howard et al. 2019, "Searching for MobileNetV3", section 5. Cai et al. 2020, "Once-for-All", section 4.1; widths,
  strides and activations follow its released code.
"""

import dataclasses

import tensorflow as tf
import tf_keras

from tfnas.errors import ConfigurationError
from tfnas.networks.functional import Blueprint, Classifier, Value
from tfnas.networks.layers import LayerSettings
from tfnas.spaces import Architecture, MobileNetV3

_STAGES = (
    (24, 2, False, False),
    (40, 2, False, True),
    (80, 2, True, False),
    (112, 1, True, True),
    (160, 2, True, True),
)
"""Channels, strides, whether the activation is h-swish, whether blocks have squeeze-and-excitation."""


def divisible(value: float) -> int:
    """The nearest multiple of 8, but never less than nine tenths of the value."""
    rounded = max(8, int(value + 4) // 8 * 8)
    return rounded + 8 if rounded < 0.9 * value else rounded


@dataclasses.dataclass(frozen=True)
class MobileNetV3Skeleton:
    """The part of the network that is the same for all architectures.

    Attributes:
      num_classes: width of the classifier.
      width: factor of all channels; the paper's supernets have 1.0 and 1.2.
    """

    num_classes: int = 1000
    width: float = 1.2

    def __post_init__(self) -> None:
        if self.num_classes < 1 or self.width <= 0:
            raise ConfigurationError(f"{self}, expected at least 1 class and a positive width")

    @property
    def stem(self) -> int:
        """Channels of the first convolution and of the first block."""
        return divisible(16 * self.width)

    @property
    def head(self) -> tuple[int, int]:
        """Channels of the two last convolutions."""
        return divisible(960 * self.width), divisible(1280 * self.width)


@dataclasses.dataclass(frozen=True)
class Block:
    """An inverted bottleneck.

    Attributes:
      inputs, middle, outputs: channels.
      kernel: kernel size of the depthwise convolution.
      strides: strides of the depthwise convolution.
      hard_swish: activation is h-swish, otherwise ReLU.
      excitation: channels inside squeeze-and-excitation, 0 for none.
    """

    inputs: int
    middle: int
    outputs: int
    kernel: int
    strides: int
    hard_swish: bool
    excitation: int

    @property
    def residual(self) -> bool:
        """Whether the input is added to the output."""
        return self.strides == 1 and self.inputs == self.outputs


def blocks(skeleton: MobileNetV3Skeleton, architecture: Architecture) -> list[Block]:
    """Every block of a network, from the first.

    Raises:
      InvalidArchitectureError: not an architecture of the space.
    """
    channels = skeleton.stem
    listed = [Block(channels, channels, channels, 3, 1, False, 0)]
    for (width, strides, hard_swish, excites), stage in zip(
        _STAGES, MobileNetV3().to_stages(architecture), strict=True
    ):
        outputs = divisible(width * skeleton.width)
        for position, (kernel, ratio) in enumerate(stage):
            middle = channels * ratio
            excitation = divisible(middle // 4) if excites else 0
            listed.append(Block(channels, middle, outputs, kernel, 1 if position else strides, hard_swish, excitation))
            channels = outputs
    return listed


class _Activation(tf_keras.layers.Layer):
    def __init__(self, hard_swish: bool):
        super().__init__()
        self.hard_swish = hard_swish

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        return inputs * tf.nn.relu6(inputs + 3.0) / 6.0 if self.hard_swish else tf.nn.relu(inputs)

    def describe(self, blueprint: Blueprint, inputs: Value) -> Value:
        return blueprint.layer("Activation", inputs, activation="hard_silu" if self.hard_swish else "relu")


class _Block(tf_keras.layers.Layer):
    def __init__(self, block: Block, settings: LayerSettings):
        super().__init__()
        self.block = block
        self.expand = None
        if block.middle != block.inputs:
            self.expand, self.expand_norm = settings.convolution2d(block.middle, 1), settings.batch_norm()
        self.depthwise = tf_keras.layers.DepthwiseConv2D(
            block.kernel,
            block.strides,
            "same",
            use_bias=False,
            depthwise_initializer=settings.depthwise_initializer(block.kernel),
        )
        self.depthwise_norm = settings.batch_norm()
        if block.excitation:
            self.squeeze = settings.convolution2d(block.excitation, 1, use_bias=True)
            self.excite = settings.convolution2d(block.middle, 1, use_bias=True)
        self.project, self.project_norm = settings.convolution2d(block.outputs, 1), settings.batch_norm()
        self.activation = _Activation(block.hard_swish)

    def call(self, inputs: tf.Tensor, training: bool) -> tf.Tensor:
        features = inputs
        if self.expand is not None:
            features = self.activation(self.expand_norm(self.expand(features), training=training))
        features = self.activation(self.depthwise_norm(self.depthwise(features), training=training))
        if self.block.excitation:
            gate = tf.nn.relu(self.squeeze(tf.reduce_mean(features, axis=(1, 2), keepdims=True)))
            features *= tf.nn.relu6(self.excite(gate) + 3.0) / 6.0
        features = self.project_norm(self.project(features), training=training)
        return features + inputs if self.block.residual else features

    def describe(self, blueprint: Blueprint, inputs: Value) -> Value:
        value = inputs
        if self.expand is not None:
            value = self.activation.describe(blueprint, blueprint.chain(value, self.expand, self.expand_norm))
        value = blueprint.chain(value, self.depthwise, self.depthwise_norm)
        value = self.activation.describe(blueprint, value)
        if self.block.excitation:
            gate = blueprint.layer("GlobalAveragePooling2D", value, keepdims=True)
            gate = blueprint.chain(gate, self.squeeze, "ReLU", self.excite)
            gate = blueprint.layer("Activation", gate, activation="hard_sigmoid")
            value = blueprint.layer("Multiply", value, gate)
        value = blueprint.chain(value, self.project, self.project_norm)
        return blueprint.total([value, inputs]) if self.block.residual else value


class MobileNetV3Network(Classifier):
    """Classifier of images.

    Args:
      skeleton: the part that does not depend on the architecture.
      architecture: kernel sizes, expansion ratios and depths.
      settings: initialisation and normalisation.

    Raises:
      InvalidArchitectureError: not an architecture of the space.
    """

    def __init__(
        self,
        skeleton: MobileNetV3Skeleton,
        architecture: Architecture,
        settings: LayerSettings = LayerSettings(),  # noqa: B008 (frozen)
    ):
        super().__init__()
        self.stem, self.stem_norm = settings.convolution2d(skeleton.stem, 3, 2), settings.batch_norm()
        self.blocks = [_Block(block, settings) for block in blocks(skeleton, architecture)]
        self.expand, self.expand_norm = settings.convolution2d(skeleton.head[0], 1), settings.batch_norm()
        self.mix = settings.convolution2d(skeleton.head[1], 1)
        self.activation = _Activation(True)
        self.classifier = settings.dense(skeleton.num_classes)

    def call(self, images: tf.Tensor, training: bool = False) -> tf.Tensor:
        """Logits float32 `[B, classes]` of images float32 `[B, height, width, channels]`."""
        features = self.activation(self.stem_norm(self.stem(images), training=training))
        for block in self.blocks:
            features = block(features, training=training)
        features = self.activation(self.expand_norm(self.expand(features), training=training))
        features = self.mix(tf.reduce_mean(features, axis=(1, 2), keepdims=True))
        return self.classifier(tf.squeeze(self.activation(features), axis=(1, 2)))

    def describe(self, blueprint: Blueprint, images: Value) -> Value:
        value = self.activation.describe(blueprint, blueprint.chain(images, self.stem, self.stem_norm))
        for block in self.blocks:
            value = blueprint.inner("inverted_bottleneck", block.describe, value)
        value = self.activation.describe(blueprint, blueprint.chain(value, self.expand, self.expand_norm))
        value = blueprint.layer("GlobalAveragePooling2D", value, keepdims=True)
        value = self.activation.describe(blueprint, blueprint.copy(self.mix, value))
        return blueprint.classifier(self.classifier, value, "Flatten")


def build(architecture: Architecture, image_shape: tuple[int, int, int], num_classes: int) -> MobileNetV3Network:
    """The network of an architecture, of width 1.2; see `networks.registry.Network`."""
    return MobileNetV3Network(MobileNetV3Skeleton(num_classes=num_classes), architecture)
