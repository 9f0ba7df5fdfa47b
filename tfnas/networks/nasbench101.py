"""The network around a NAS-Bench-101 cell: stem, three stacks of three modules with pools between them, classifier.

References:
  Ying et al. 2019, "NAS-Bench-101", section 2.2 and appendix S1; the channels of vertices follow its released code.
"""

import dataclasses
import functools

import numpy as np
import tensorflow as tf
import tf_keras

from tfnas.networks.functional import Blueprint, Classifier, Value
from tfnas.networks.layers import LayerSettings
from tfnas.settings import check_least
from tfnas.spaces import Architecture, NASBench101
from tfnas.spaces.nasbench101 import CONV1X1, CONV3X3, prune

BENCHMARK_SETTINGS = LayerSettings(norm_momentum=0.997)


@dataclasses.dataclass(frozen=True)
class NASBench101Skeleton:
    """The part of the network that is the same for all cells.

    Attributes:
      num_classes: width of the classifier.
      channels: width of the stem and the first stack; each later stack is twice as wide as the one before.
      modules_per_stack: the paper uses 3.
      stacks: the paper uses 3.
    """

    num_classes: int = 10
    channels: int = 128
    modules_per_stack: int = 3
    stacks: int = 3

    def __post_init__(self) -> None:
        check_least(self, num_classes=1, channels=1, modules_per_stack=1, stacks=1)

    def modules(self) -> list[tuple[int, int]]:
        """Channels in and out of every module."""
        widths = [self.channels * 2**stack for stack in range(self.stacks) for _ in range(self.modules_per_stack)]
        return list(zip([self.channels, *widths], widths, strict=False))


@functools.lru_cache(1 << 14)
def _vertex_channels(input_channels: int, output_channels: int, adjacency: bytes, count: int) -> tuple[int, ...]:
    matrix = np.frombuffer(adjacency, np.uint8).reshape(count, count)
    channels = [0] * count
    channels[0], channels[-1] = input_channels, output_channels
    if count == 2:
        return tuple(channels)
    feeds_output = matrix[1:-1, -1].tolist()
    width, extra = divmod(output_channels, sum(feeds_output))
    for vertex, feeds in enumerate(feeds_output, start=1):
        if feeds:
            channels[vertex] = width + (extra > 0)
            extra -= 1
    # The others are as wide as the widest vertex that reads them.
    for vertex in range(count - 3, 0, -1):
        if not feeds_output[vertex - 1]:
            channels[vertex] = max(channels[other] for other in np.flatnonzero(matrix[vertex, :-1]))
    return tuple(channels)


def vertex_channels(input_channels: int, output_channels: int, adjacency: np.ndarray) -> tuple[int, ...]:
    """Channels of each vertex of a pruned cell, uint8 adjacency `[V, V]`.

    The vertices that feed the output share its channels, the first ones get what the division leaves over.
    """
    return _vertex_channels(input_channels, output_channels, adjacency.tobytes(), len(adjacency))


class _ConvBnRelu(tf_keras.layers.Layer):
    def __init__(self, channels: int, size: int, settings: LayerSettings):
        super().__init__()
        self.convolution, self.norm = settings.convolution2d(channels, size), settings.batch_norm()

    def call(self, inputs: tf.Tensor, training: bool) -> tf.Tensor:
        return tf.nn.relu(self.norm(self.convolution(inputs), training=training))

    def describe(self, blueprint: Blueprint, inputs: Value) -> Value:
        return blueprint.inner_chain("conv_norm_relu", inputs, self.convolution, self.norm, "ReLU")


class _Module(tf_keras.layers.Layer):
    def __init__(self, cell: Architecture, channels: tuple[int, ...], settings: LayerSettings):
        super().__init__()
        self.matrix, self.channels = cell.adjacency, channels
        self.projections = {
            str(target): _ConvBnRelu(channels[target], 1, settings) for target in np.flatnonzero(self.matrix[0])
        }
        sizes = {CONV1X1: 1, CONV3X3: 3}
        self.operations = [
            _ConvBnRelu(width, sizes[name], settings) if name in sizes else tf_keras.layers.MaxPooling2D(3, 1, "same")
            for name, width in zip(cell.operations[1:-1], channels[1:-1], strict=True)
        ]

    def call(self, inputs: tf.Tensor, training: bool) -> tf.Tensor:
        last = len(self.channels) - 1
        values = [inputs]
        for vertex in range(1, last):
            summands = [values[source][..., : self.channels[vertex]] for source in self._sources(vertex)]
            summands += self._projected(inputs, vertex, training)
            value = summands[0] if len(summands) == 1 else tf.add_n(summands)
            values.append(self.operations[vertex - 1](value, training=training))
        sources = [values[source] for source in self._sources(last)]
        summands = [sources[0] if len(sources) == 1 else tf.concat(sources, axis=-1)] if sources else []
        summands += self._projected(inputs, last, training)
        return summands[0] if len(summands) == 1 else summands[0] + summands[1]

    def describe(self, blueprint: Blueprint, inputs: Value) -> Value:
        values = [inputs]
        for vertex, operation in enumerate(self.operations, start=1):
            width = self.channels[vertex]
            summands = [
                blueprint.without_channels(values[source], self.channels[source] - width)
                for source in self._sources(vertex)
            ]
            value = blueprint.total(summands + self._described_projection(blueprint, inputs, vertex))
            convolves = isinstance(operation, _ConvBnRelu)
            values.append(operation.describe(blueprint, value) if convolves else blueprint.copy(operation, value))
        last = len(self.channels) - 1
        sources = [values[source] for source in self._sources(last)]
        summands = [blueprint.layer("Concatenate", *sources)] if len(sources) > 1 else sources
        return blueprint.total(summands + self._described_projection(blueprint, inputs, last))

    def _described_projection(self, blueprint: Blueprint, inputs: Value, vertex: int) -> list[Value]:
        return [self.projections[str(vertex)].describe(blueprint, inputs)] if self.matrix[0, vertex] else []

    def _sources(self, vertex: int) -> list[int]:
        return [int(source) for source in np.flatnonzero(self.matrix[1:, vertex]) + 1]

    def _projected(self, inputs: tf.Tensor, vertex: int, training: bool) -> list[tf.Tensor]:
        return [self.projections[str(vertex)](inputs, training=training)] if self.matrix[0, vertex] else []


class NASBench101Network(Classifier):
    """Classifier of images with one cell repeated in every module.

    Args:
      skeleton: the part that does not depend on the cell.
      architecture: the cell; vertices off every path from input to output are left out.
      settings: initialisation and normalisation, by default the benchmark's.

    Raises:
      InvalidArchitectureError: not a cell of the space.
    """

    def __init__(
        self, skeleton: NASBench101Skeleton, architecture: Architecture, settings: LayerSettings = BENCHMARK_SETTINGS
    ):
        super().__init__()
        NASBench101().require_valid(architecture)
        cell = prune(architecture)
        self.stem = _ConvBnRelu(skeleton.channels, 3, settings)
        self.blocks = []
        for number, (before, width) in enumerate(skeleton.modules()):
            if number and number % skeleton.modules_per_stack == 0:
                self.blocks.append(tf_keras.layers.MaxPooling2D(2, 2, "same"))
            self.blocks.append(_Module(cell, vertex_channels(before, width, cell.adjacency), settings))
        self.pool = tf_keras.layers.GlobalAveragePooling2D()
        self.classifier = settings.dense(skeleton.num_classes)

    def call(self, images: tf.Tensor, training: bool = False) -> tf.Tensor:
        """Logits float32 `[B, classes]` of images float32 `[B, height, width, channels]`."""
        features = self.stem(images, training=training)
        for block in self.blocks:
            features = block(features, training=training)
        return self.classifier(self.pool(features))

    def describe(self, blueprint: Blueprint, images: Value) -> Value:
        value = self.stem.describe(blueprint, images)
        for block in self.blocks:
            is_module = isinstance(block, _Module)
            value = blueprint.inner("module", block.describe, value) if is_module else blueprint.copy(block, value)
        return blueprint.classifier(self.classifier, value, self.pool)


def build(architecture: Architecture, image_shape: tuple[int, int, int], num_classes: int) -> NASBench101Network:
    """The benchmark's network of a cell; see `networks.registry.Network`."""
    return NASBench101Network(NASBench101Skeleton(num_classes=num_classes), architecture)
