"""One compiled program that scores every architecture of a space: what distinguishes them is its input.

All architectures of a seed start from the same random numbers, so that scores differ by architecture alone.
"""

import dataclasses
from collections.abc import Callable, Sequence

import numpy as np
import tensorflow as tf

from tfnas.errors import ConfigurationError
from tfnas.networks import rewiring
from tfnas.networks.darts import DartsNetwork
from tfnas.networks.initialization import draw_weights
from tfnas.networks.layers import LayerSettings
from tfnas.networks.mobilenetv3 import MobileNetV3Network, MobileNetV3Skeleton
from tfnas.networks.nasbench101 import NASBench101Network, NASBench101Skeleton
from tfnas.networks.nasbench201 import NASBench201Network, Skeleton, operation_codes
from tfnas.networks.nats_size import NATSSizeNetwork, width_stages
from tfnas.networks.symbolic import NASBENCH301_SKELETON
from tfnas.proxies.scores import PROXIES, ProxyProgram
from tfnas.spaces import Architecture, NATSSize
from tfnas.spaces.nats_size import widths


class NASBench201Proxies:
    """Scores of NAS-Bench-201 cells in the benchmark's network, operations as data.

    Args:
      images: float32 `[B, height, width, channels]`, standardised.
      labels: int `[B]`.
      proxies: which scores.
      skeleton: the network around the cell.
      seed: of the initial weights, which PyTorch's rule scales.
    """

    def __init__(
        self,
        images: np.ndarray,
        labels: np.ndarray,
        proxies: Sequence[str] = PROXIES,
        skeleton: Skeleton = Skeleton(),  # noqa: B008 (frozen)
        seed: int = 0,
    ):
        self.images, self.labels = images, labels
        self.network = NASBench201Network(skeleton, None, LayerSettings("pytorch"))
        self.network(tf.zeros([1, *images.shape[1:]]), tf.zeros([6], tf.int32))
        draw_weights(self.network, seed)
        self._program = ProxyProgram(
            self.network, proxies, lambda batch, codes: self.network(batch, codes, training=False)
        )

    def score(self, architecture: Architecture) -> dict[str, float]:
        """The scores of a cell; see `ProxyProgram.scores`.

        Raises:
          InvalidArchitectureError: not a cell of the space.
        """
        codes = tf.constant(operation_codes(architecture), tf.int32)
        return self._program.scores(self.images, self.labels, codes)


class NATSSizeProxies:
    """Scores of NATS-Bench widths, widths as data: the weights of the widest network are cut to them.

    Args:
      images: float32 `[B, height, width, channels]`, standardised.
      labels: int `[B]`.
      proxies: which scores.
      seed: of the initial weights, which PyTorch's rule scales for the widths at hand.
      num_classes: width of the classifier.
    """

    def __init__(
        self,
        images: np.ndarray,
        labels: np.ndarray,
        proxies: Sequence[str] = PROXIES,
        seed: int = 0,
        num_classes: int = 10,
    ):
        self.images, self.labels = images, labels
        self.network = NATSSizeNetwork(None, num_classes, LayerSettings("pytorch"))
        self.network(tf.zeros([1, *images.shape[1:]]))
        draw_weights(self.network, seed)
        self._stages = width_stages(self.network)
        self._program = ProxyProgram(
            self.network,
            proxies,
            lambda batch, channels: self.network(batch, channels, training=False),
            self._weight,
        )

    def score(self, architecture: Architecture) -> dict[str, float]:
        """The scores of five widths; see `ProxyProgram.scores`.

        Raises:
          InvalidArchitectureError: not an architecture of the space.
        """
        NATSSize().require_valid(architecture)
        return self._program.scores(self.images, self.labels, tf.constant(widths(architecture), tf.int32))

    def _weight(self, layer: rewiring.Layer, name: str, value: tf.Tensor, channels: tf.Tensor) -> tf.Tensor:
        before, after = self._stages[id(layer)]
        if name != "kernel":
            return value if after is None else value[: channels[after]]
        if after is not None:
            value = value[..., : channels[after]]
        if before is None:
            return value
        wanted = channels[before]
        scale = tf.sqrt(tf.cast(tf.shape(value)[-2], tf.float32) / tf.cast(wanted, tf.float32))
        return value[..., :wanted, :] * scale


def network_scores(
    space: str,
    architecture: Architecture,
    images: np.ndarray,
    labels: np.ndarray,
    proxies: Sequence[str] = PROXIES,
    seed: int = 0,
    num_classes: int = 10,
) -> dict[str, float]:
    """Scores of the benchmark's network of an architecture, built for this one call.

    Args:
      space: of those that `build_network` knows.
      architecture: of the space.
      images: float32 `[B, height, width, channels]`, standardised.
      labels: int `[B]`.
      proxies: which scores.
      seed: of the initial weights.
      num_classes: width of the classifier.

    Raises:
      ConfigurationError: no network of that space.
    """
    model, logits = build_network(space, architecture, num_classes, images.shape[1:])
    draw_weights(model, seed)
    return ProxyProgram(model, proxies, logits, compiled=False).scores(images, labels)


def build_network(
    space: str, architecture: Architecture, num_classes: int, image_shape: Sequence[int]
) -> tuple[tf.keras.Model, Callable[[tf.Tensor], tf.Tensor]]:
    """The benchmark's network of an architecture, built, and the function from images to logits.

    Raises:
      ConfigurationError: no network of that space.
      InvalidArchitectureError: not an architecture of the space.
    """
    settings = LayerSettings("pytorch")
    if space == "nasbench101":
        model = NASBench101Network(NASBench101Skeleton(num_classes=num_classes), architecture, settings)
    elif space == "nasbench201":
        model = NASBench201Network(Skeleton(num_classes=num_classes), architecture, settings)
    elif space == "nats_size":
        model = NATSSizeNetwork(architecture, num_classes, settings)
    elif space == "nasbench301":
        model = DartsNetwork(dataclasses.replace(NASBENCH301_SKELETON, num_classes=num_classes), architecture, settings)
    elif space == "mobilenetv3":
        model = MobileNetV3Network(MobileNetV3Skeleton(num_classes=num_classes), architecture, settings)
    else:
        raise ConfigurationError(f"no network of {space}")
    model(tf.zeros([1, *image_shape]))

    def logits(images: tf.Tensor) -> tf.Tensor:
        outputs = model(images, training=False)
        return outputs[0] if isinstance(outputs, tuple) else outputs

    return model, logits
