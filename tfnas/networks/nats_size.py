"""The network of the NATS-Bench size space: one cell per stage, whose widths are searched.

References:
  Dong et al. 2021, "NATS-Bench: Benchmarking NAS Algorithms for Architecture Topology and Size", section 3.2.
"""

from collections.abc import Sequence

import tensorflow as tf
import tf_keras

from tfnas.errors import ConfigurationError
from tfnas.networks.functional import Blueprint, Classifier, Value
from tfnas.networks.layers import LayerSettings
from tfnas.networks.nasbench201 import Cell, Reduction, describe_stages
from tfnas.networks.rewiring import Layer
from tfnas.networks.supernet import Shape, Supernet
from tfnas.spaces import Architecture, NATSSize
from tfnas.spaces.nasbench201 import CONV3X3, NODE_EDGES, SKIP
from tfnas.spaces.nats_size import CHANNELS, NUM_STAGES
from tfnas.spaces.nats_size import widths as widths_of

CELL = (CONV3X3, CONV3X3, CONV3X3, SKIP, CONV3X3, CONV3X3)
"""Operations of the cell, on the edges in NAS-Bench-201's order."""


class NATSSizeNetwork(Classifier):
    """Classifier of images: cell, reduction, cell, reduction, cell.

    Args:
      architecture: widths of the five stages; None for a network of the largest widths whose weights can be cut to
        the widths that `call` gets; see `NATSSizeSupernet`.
      num_classes: width of the classifier.
      settings: initialisation and normalisation.

    Raises:
      InvalidArchitectureError: not an architecture of the space.
    """

    def __init__(
        self,
        architecture: Architecture | None,
        num_classes: int = 10,
        settings: LayerSettings = LayerSettings(),  # noqa: B008 (frozen)
    ):
        super().__init__()
        self.takes_widths = architecture is None
        if architecture is None:
            channels = [max(CHANNELS)] * NUM_STAGES
        else:
            NATSSize().require_valid(architecture)
            channels = widths_of(architecture)
        self.stem, self.stem_norm = settings.convolution2d(channels[0], 3), settings.batch_norm()
        self.blocks = [
            Reduction(width, settings)
            if stage % 2
            else Cell(width, CELL, settings, widens=width != before or (architecture is None and stage > 0))
            for stage, (before, width) in enumerate(zip([channels[0], *channels], channels, strict=False))
        ]
        self.last_norm = settings.batch_norm()
        self.pool = tf_keras.layers.GlobalAveragePooling2D()
        self.classifier = settings.dense(num_classes)

    def call(
        self, images: tf.Tensor, widths: tf.Tensor | Sequence[int] | None = None, training: bool = False
    ) -> tf.Tensor:
        """Logits float32 `[B, classes]`.

        Args:
          images: float32 `[B, height, width, channels]`.
          widths: int32 `[5]` or five numbers of Python, for a network whose weights are cut to them.
          training: batch statistics in the normalisation.
        """
        features = self.stem_norm(self.stem(images), training=training)
        for stage, block in enumerate(self.blocks):
            if isinstance(block, Reduction):
                features = block(features, training=training)
                continue
            codes = None
            if widths is not None:
                changes = widths[stage] != widths[max(stage - 1, 0)]
                codes = [tf.cast(changes, tf.int32) if tf.is_tensor(changes) else int(changes)] * len(CELL)
            features = block(features, codes, training=training)
        return self.classifier(self.pool(tf.nn.relu(self.last_norm(features, training=training))))

    def describe(self, blueprint: Blueprint, images: Value) -> Value:
        if self.takes_widths:
            raise ConfigurationError("this is the network of all widths; give the network an architecture")
        return describe_stages(self, blueprint, images)


def build(architecture: Architecture, image_shape: tuple[int, int, int], num_classes: int) -> NATSSizeNetwork:
    """The network of five widths; see `networks.registry.Network`."""
    return NATSSizeNetwork(architecture, num_classes)


class NATSSizeSupernet(Supernet):
    """The network of all widths: the widest network, whose weights are cut; the codes are the five widths.

    Args:
      image_shape: height, width and channels.
      num_classes: width of the classifier.
    """

    cuts = True

    def __init__(self, image_shape: tuple[int, int, int], num_classes: int = 10):
        self.network = NATSSizeNetwork(None, num_classes)
        self.network(tf.zeros([1, *image_shape]))
        self._stages = _width_stages(self.network)

    def codes(self, architecture: Architecture) -> list[int]:
        NATSSize().require_valid(architecture)
        return widths_of(architecture)

    def shape(self, layer: Layer, name: str, codes: tf.Tensor) -> Shape:
        before, after = self._stages[id(layer)]
        shape: list[int | tf.Tensor] = list(getattr(layer, name).shape)
        if after is not None:
            shape[-1] = codes[after]
        if name == "kernel" and before is not None:
            shape[-2] = codes[before]
        return shape


def _width_stages(network: NATSSizeNetwork) -> dict[int, tuple[int | None, int | None]]:
    """By `id` of a layer, the stages that decide its channels in and out; None for channels that are not searched."""
    stages: dict[int, tuple[int | None, int | None]] = {
        id(network.stem): (None, 0),
        id(network.stem_norm): (None, 0),
        id(network.last_norm): (None, len(network.blocks) - 1),
        id(network.classifier): (len(network.blocks) - 1, None),
    }
    for stage, block in enumerate(network.blocks):
        before = max(stage - 1, 0)
        if isinstance(block, Cell):
            for edge, (source, _) in zip(block.edges, NODE_EDGES, strict=True):
                for convolution, norm in edge.convolutions.values():
                    stages[id(convolution)] = (before if source == 0 else stage, stage)
                    stages[id(norm)] = (None, stage)
        else:
            stages |= {id(block.first): (before, stage), id(block.shortcut): (before, stage)}
            stages |= {id(layer): (stage, stage) for layer in (block.second, block.first_norm, block.second_norm)}
    return stages
