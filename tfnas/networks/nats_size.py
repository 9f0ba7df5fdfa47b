"""The network of the NATS-Bench size space: one cell per stage, whose widths are searched.

References:
  Dong et al. 2021, "NATS-Bench: Benchmarking NAS Algorithms for Architecture Topology and Size", section 3.2.
"""

import tensorflow as tf

from tfnas.networks.layers import LayerSettings
from tfnas.networks.nasbench201 import Cell, Reduction
from tfnas.spaces import Architecture, NATSSize
from tfnas.spaces.nasbench201 import CONV3X3, SKIP
from tfnas.spaces.nats_size import CHANNELS, NUM_STAGES, widths

CELL = (CONV3X3, CONV3X3, CONV3X3, SKIP, CONV3X3, CONV3X3)
"""Operations of the cell, on the edges in NAS-Bench-201's order."""


class NATSSizeNetwork(tf.keras.Model):
    """Classifier of images: cell, reduction, cell, reduction, cell.

    Args:
      architecture: widths of the five stages; None for a network of the largest widths whose weights can be cut to
        those that `call` gets (`proxies.spaces` does so).
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
        if architecture is None:
            channels = [max(CHANNELS)] * NUM_STAGES
        else:
            NATSSize().require_valid(architecture)
            channels = widths(architecture)
        self.stem, self.stem_norm = settings.convolution2d(channels[0], 3), settings.batch_norm()
        self.blocks = [
            Reduction(width, settings)
            if stage % 2
            else Cell(width, CELL, settings, widens=width != before or (architecture is None and stage > 0))
            for stage, (before, width) in enumerate(zip([channels[0], *channels], channels, strict=False))
        ]
        self.last_norm = settings.batch_norm()
        self.pool = tf.keras.layers.GlobalAveragePooling2D()
        self.classifier = settings.dense(num_classes)

    def call(self, images: tf.Tensor, widths: tf.Tensor | None = None, training: bool = False) -> tf.Tensor:
        """Logits float32 `[B, classes]`.

        Args:
          images: float32 `[B, height, width, channels]`.
          widths: int32 `[5]`, for a network whose weights are cut to them.
          training: batch statistics in the normalisation.
        """
        features = self.stem_norm(self.stem(images), training=training)
        for stage, block in enumerate(self.blocks):
            if isinstance(block, Reduction):
                features = block(features, training=training)
                continue
            codes = None
            if widths is not None:
                codes = tf.fill([len(CELL)], tf.cast(widths[stage] != widths[max(stage - 1, 0)], tf.int32))
            features = block(features, codes, training=training)
        return self.classifier(self.pool(tf.nn.relu(self.last_norm(features, training=training))))
