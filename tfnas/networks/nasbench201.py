"""The network around a NAS-Bench-201 cell: stem, three stages of cells with two reductions between them, classifier.

References:
  Dong and Yang 2020, "NAS-Bench-201", section 2.1 and figure 1.
"""

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf
import tf_keras

from tfnas.errors import ConfigurationError
from tfnas.networks.functional import Blueprint, Classifier, Value
from tfnas.networks.layers import LayerSettings
from tfnas.networks.supernet import RunBlock, Supernet
from tfnas.settings import check_least
from tfnas.spaces import NONE, Architecture, NASBench201
from tfnas.spaces.nasbench201 import AVERAGE_POOL, CONV1X1, CONV3X3, NODE_EDGES, SKIP

EDGE_OPERATIONS = (CONV1X1, CONV3X3, AVERAGE_POOL, SKIP, NONE)
"""What an edge can hold; the number of an operation in this tuple is its code in `call`."""


@dataclasses.dataclass(frozen=True)
class Skeleton:
    """The part of the network that is the same for all cells.

    Attributes:
      num_classes: width of the classifier.
      channels: width of the first stage; each later stage is twice as wide as the one before.
      cells_per_stage: the paper uses 5.
      stages: the paper uses 3.
    """

    num_classes: int = 10
    channels: int = 16
    cells_per_stage: int = 5
    stages: int = 3

    def __post_init__(self) -> None:
        check_least(self, num_classes=1, channels=1, cells_per_stage=1, stages=1)


class _Edge(tf_keras.layers.Layer):
    """One edge of the cell: its fixed operation, or all five with the choice left to `call`.

    Where it changes the number of channels, a skip is a 1 x 1 convolution and a norm; the code of such an edge, if
    there is one, says whether it does.
    """

    def __init__(self, channels: int, operation: str | None, settings: LayerSettings, widens: bool = False):
        super().__init__()
        names = EDGE_OPERATIONS if operation is None else (operation,)
        self.operation, self.widens = operation, widens
        sizes = {CONV1X1: 1, CONV3X3: 3, **({SKIP: 1} if widens else {})}
        self.convolutions = {
            name: (settings.convolution2d(channels, size), settings.batch_norm())
            for name, size in sizes.items()
            if name in names
        }
        for name, (convolution, norm) in self.convolutions.items():
            setattr(self, f"{name}_convolution", convolution)
            setattr(self, f"{name}_norm", norm)
        self.pool = tf_keras.layers.AveragePooling2D(3, 1, "same")

    def build(self, input_shape: tf.TensorShape) -> None:
        # Without this, only the branch that runs first would get its weights.
        for convolution, norm in self.convolutions.values():
            convolution.build(input_shape)
            norm.build(convolution.compute_output_shape(input_shape))

    def call(self, inputs: tf.Tensor, code: tf.Tensor | int | None, training: bool) -> tf.Tensor:
        direct = isinstance(code, int)
        if self.operation is not None:
            if code is None or not self.widens or self.operation != SKIP:
                return self._apply(self.operation, inputs, training, direct)
            branches = [lambda: tf.identity(inputs), lambda: self._apply(SKIP, inputs, training, direct)]
        else:
            branches = [lambda name=name: self._apply(name, inputs, training, direct) for name in EDGE_OPERATIONS]
        return branches[code]() if direct else tf.switch_case(code, branches)

    def _apply(self, name: str, inputs: tf.Tensor, training: bool, direct: bool = False) -> tf.Tensor:
        """The output of an operation; `direct` calls built layers without the checks of Keras, which take time."""
        if name in self.convolutions:
            layers = self.convolutions[name]
            convolution, norm = (layer.call for layer in layers) if direct else layers
            activated = inputs if name == SKIP else tf.nn.relu(inputs)
            return norm(convolution(activated), training=training)
        if name == AVERAGE_POOL:
            return self.pool.call(inputs) if direct else self.pool(inputs)
        return tf.identity(inputs) if name == SKIP else tf.zeros_like(inputs)

    def describe(self, blueprint: Blueprint, inputs: Value) -> Value:
        if self.operation is None:
            raise ConfigurationError("this is the network of all cells; give the network an architecture")
        if self.operation == AVERAGE_POOL:
            return blueprint.copy(self.pool, inputs)
        if not self.convolutions:
            return inputs if self.operation == SKIP else blueprint.zeros(inputs)
        (layers,) = self.convolutions.values()
        if self.operation == SKIP:
            return blueprint.inner_chain("conv_norm", inputs, *layers)
        return blueprint.inner_chain("relu_conv_norm", inputs, "ReLU", *layers)


class Cell(tf_keras.layers.Layer):
    """Six operations between four nodes; None leaves an operation to `call`, `widens` says that channels change."""

    def __init__(
        self, channels: int, operations: tuple[str | None, ...], settings: LayerSettings, widens: bool = False
    ):
        super().__init__()
        self.edges = [
            _Edge(channels, operation, settings, widens and source == 0)
            for operation, (source, _) in zip(operations, NODE_EDGES, strict=True)
        ]

    def call(self, inputs: tf.Tensor, codes: tf.Tensor | Sequence[int] | None, training: bool) -> tf.Tensor:
        nodes: list[tf.Tensor | None] = [inputs, None, None, None]
        for number, (source, target) in enumerate(NODE_EDGES):
            code = None if codes is None else codes[number]
            edge = self.edges[number].call if isinstance(code, int) else self.edges[number]
            value = edge(nodes[source], code, training=training)
            nodes[target] = value if nodes[target] is None else nodes[target] + value
        return nodes[-1]

    def describe(self, blueprint: Blueprint, inputs: Value) -> Value:
        nodes = [inputs]
        for node in range(1, 4):
            edges = [
                (source, edge) for edge, (source, target) in zip(self.edges, NODE_EDGES, strict=True) if target == node
            ]
            # An edge without an operation vanishes, unless the node has no other edge.
            edges = [(source, edge) for source, edge in edges if edge.operation != NONE] or edges[:1]
            nodes.append(blueprint.total([edge.describe(blueprint, nodes[source]) for source, edge in edges]))
        return nodes[-1]


class Reduction(tf_keras.layers.Layer):
    """Residual block that halves the image and changes the number of channels."""

    def __init__(self, channels: int, settings: LayerSettings):
        super().__init__()
        self.first, self.first_norm = settings.convolution2d(channels, 3, strides=2), settings.batch_norm()
        self.second, self.second_norm = settings.convolution2d(channels, 3), settings.batch_norm()
        self.pool, self.shortcut = tf_keras.layers.AveragePooling2D(2, 2, "same"), settings.convolution2d(channels, 1)

    def call(self, inputs: tf.Tensor, training: bool) -> tf.Tensor:
        outputs = self.first_norm(self.first(tf.nn.relu(inputs)), training=training)
        outputs = self.second_norm(self.second(tf.nn.relu(outputs)), training=training)
        return outputs + self.shortcut(self.pool(inputs))

    def describe(self, blueprint: Blueprint, inputs: Value) -> Value:
        value = blueprint.inner_chain("relu_conv_norm_strided", inputs, "ReLU", self.first, self.first_norm)
        value = blueprint.inner_chain("relu_conv_norm", value, "ReLU", self.second, self.second_norm)
        return blueprint.total([value, blueprint.chain(inputs, self.pool, self.shortcut)])


def describe_stages(network: Any, blueprint: Blueprint, images: Value) -> Value:
    """The layers of a network of stem, cells, reductions and classifier; see `Classifier.describe`."""
    value = blueprint.inner_chain("conv_norm", images, network.stem, network.stem_norm)
    for block in network.blocks:
        value = blueprint.inner("cell" if isinstance(block, Cell) else "reduction", block.describe, value)
    return blueprint.classifier(network.classifier, value, network.last_norm, "ReLU", network.pool)


class NASBench201Network(Classifier):
    """Classifier of images with one cell repeated in every stage.

    Args:
      skeleton: the part that does not depend on the cell.
      architecture: the cell; None for a network that takes the operations of the cell as data, so that one traced
        program trains every cell of the space. Weights of operations that are not chosen get no gradient.
      settings: initialisation and normalisation.
    """

    def __init__(
        self,
        skeleton: Skeleton,
        architecture: Architecture | None = None,
        settings: LayerSettings = LayerSettings(),  # noqa: B008 (frozen)
    ):
        super().__init__()
        if architecture is None:
            operations: tuple[str | None, ...] = (None,) * len(NODE_EDGES)
        else:
            NASBench201().require_valid(architecture)
            operations = architecture.operations[1:-1]
        self.takes_operations = architecture is None
        self.stem, self.stem_norm = settings.convolution2d(skeleton.channels, 3), settings.batch_norm()
        self.blocks = []
        for stage in range(skeleton.stages):
            channels = skeleton.channels * 2**stage
            if stage:
                self.blocks.append(Reduction(channels, settings))
            self.blocks.extend(Cell(channels, operations, settings) for _ in range(skeleton.cells_per_stage))
        self.last_norm = settings.batch_norm()
        self.pool = tf_keras.layers.GlobalAveragePooling2D()
        self.classifier = settings.dense(skeleton.num_classes)

    def call(
        self, images: tf.Tensor, codes: tf.Tensor | Sequence[int] | None = None, training: bool = False
    ) -> tf.Tensor:
        """Logits float32 `[B, classes]`.

        Args:
          images: float32 `[B, height, width, channels]`.
          codes: int32 `[6]` or six numbers of Python, indices into `EDGE_OPERATIONS`; only for a network without a
            fixed architecture.
          training: batch statistics in the normalisation.
        """
        if (codes is not None) != self.takes_operations:
            raise ValueError("give `codes` to a network without an architecture, and to no other")
        features = self.stem_norm(self.stem(images), training=training)
        for block in self.blocks:
            if isinstance(block, Cell):
                features = block(features, codes, training=training)
            else:
                features = block(features, training=training)
        features = tf.nn.relu(self.last_norm(features, training=training))
        return self.classifier(self.pool(features))

    def describe(self, blueprint: Blueprint, images: Value) -> Value:
        return describe_stages(self, blueprint, images)


def build(architecture: Architecture, image_shape: tuple[int, int, int], num_classes: int) -> NASBench201Network:
    """The benchmark's network of a cell; see `networks.registry.Network`."""
    return NASBench201Network(Skeleton(num_classes=num_classes), architecture)


class NASBench201Supernet(Supernet):
    """The network of all NAS-Bench-201 cells; the codes are the operations of the six edges.

    Args:
      skeleton: the part of the network that does not depend on the cell.
      image_shape: height, width and channels.
    """

    def __init__(self, skeleton: Skeleton, image_shape: tuple[int, int, int]):
        self.network = NASBench201Network(skeleton)
        self.network(tf.zeros([1, *image_shape]), tf.zeros([len(NODE_EDGES)], tf.int32))

    def codes(self, architecture: Architecture) -> list[int]:
        return operation_codes(architecture)

    def call(self, images: tf.Tensor, codes: tf.Tensor | Sequence[int], run: RunBlock | None = None) -> tf.Tensor:
        network = self.network
        if run is None:
            return network(images, codes, training=False)
        features = network.stem_norm(network.stem(images))
        for number, block in enumerate(network.blocks):
            if isinstance(block, Cell):  # cells of a stage are alike but for their weights
                features = run(number, features.shape[-1], block, features, codes)
            else:
                features = run(number, None, block, features)
        return network.classifier(network.pool(tf.nn.relu(network.last_norm(features))))


def supernet(image_shape: tuple[int, int, int], num_classes: int) -> NASBench201Supernet:
    """The network of all cells in the benchmark's skeleton; see `networks.registry.Network`."""
    return NASBench201Supernet(Skeleton(num_classes=num_classes), image_shape)


def operation_codes(architecture: Architecture) -> list[int]:
    """The six codes that `NASBench201Network.call` takes.

    Raises:
      InvalidArchitectureError: the architecture is not a NAS-Bench-201 cell.
    """
    NASBench201().require_valid(architecture)
    return [EDGE_OPERATIONS.index(name) for name in architecture.operations[1:-1]]


def work(skeleton: Skeleton, codes: np.ndarray, image_shape: tuple[int, int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Size of the networks of some cells, without building them.

    Args:
      skeleton: the network around the cells.
      codes: int `[N, 6]`, indices into `EDGE_OPERATIONS`.
      image_shape: height, width and channels.

    Returns:
      Trainable parameters int64 `[N]`, and multiply-adds of convolutions and classifier for one image int64 `[N]`
      (which the benchmark calls FLOPs).
    """
    height, width, image_channels = image_shape
    channels = skeleton.channels
    parameters = np.full(len(codes), 9 * image_channels * channels + 2 * channels, np.int64)
    operations = np.full(len(codes), 9 * image_channels * channels * height * width, np.int64)
    weights = 9 * (codes == EDGE_OPERATIONS.index(CONV3X3)) + (codes == EDGE_OPERATIONS.index(CONV1X1))
    for stage in range(skeleton.stages):
        if stage:
            height, width = -(-height // 2), -(-width // 2)
            kernels = (9 + 18 + 1) * channels * (2 * channels)
            channels *= 2
            parameters += kernels + 4 * channels
            operations += kernels * height * width
        kernels = skeleton.cells_per_stage * weights.sum(axis=1) * channels**2
        parameters += kernels + skeleton.cells_per_stage * (weights > 0).sum(axis=1) * 2 * channels
        operations += kernels * height * width
    classifier = channels * skeleton.num_classes
    return parameters + classifier + skeleton.num_classes + 2 * channels, operations + classifier
