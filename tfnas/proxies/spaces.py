"""Scores of the architectures of a space: by one network for all of them, or by a network for each.

All architectures of a seed start from the same random numbers, so that scores differ by architecture alone.
"""

from collections.abc import Callable, Sequence

import numpy as np
import tensorflow as tf

from tfnas.networks import rewiring
from tfnas.networks.initialization import draw_weights
from tfnas.networks.registry import build_network, network_of
from tfnas.networks.supernet import Supernet
from tfnas.proxies import PROXIES
from tfnas.proxies.scores import ProxyProgram
from tfnas.spaces import Architecture, Space


class SupernetProxies:
    """Scores of all architectures of a space by one network, which is called with an architecture's codes.

    Args:
      supernet: network of the space; its weights are drawn anew.
      images: float32 `[B, height, width, channels]`, standardised.
      labels: int `[B]`.
      proxies: names of scores.
      seed: seed of the initial weights, which PyTorch's rule scales for the architecture at hand.
    """

    def __init__(
        self,
        supernet: Supernet,
        images: np.ndarray,
        labels: np.ndarray,
        proxies: Sequence[str] = PROXIES,
        seed: int = 0,
    ):
        self._supernet, self._images, self._labels = supernet, images, labels
        draw_weights(supernet.network, seed)
        weight = self.weight if supernet.cuts else None
        self._program = ProxyProgram(supernet.network, proxies, supernet.call, weight)

    def score(self, architecture: Architecture) -> dict[str, float]:
        """The scores of an architecture; see `ProxyProgram.scores`.

        Raises:
          InvalidArchitectureError: the architecture is not of the space.
        """
        return self._program.scores(self._images, self._labels, self._supernet.codes(architecture))

    def weight(self, layer: rewiring.Layer, name: str, value: tf.Tensor, codes: Sequence[int]) -> tf.Tensor:
        """The leading channels of a weight, kernels scaled as PyTorch's rule scales them for fewer inputs."""
        shape = self._supernet.shape(layer, name, codes)
        cut = value[tuple(map(slice, shape))]
        return cut if len(shape) == 1 else cut * np.sqrt(np.float32(value.shape[-2]) / np.float32(shape[-2]))


def network_scores(
    space: Space,
    architecture: Architecture,
    images: np.ndarray,
    labels: np.ndarray,
    proxies: Sequence[str] = PROXIES,
    seed: int = 0,
    num_classes: int = 10,
) -> dict[str, float]:
    """Scores of the network of an architecture, built for this one call.

    Args:
      space: search space of the architecture.
      architecture: architecture of the space.
      images: float32 `[B, height, width, channels]`, standardised.
      labels: int `[B]`.
      proxies: names of scores.
      seed: seed of the initial weights.
      num_classes: width of the classifier.

    Raises:
      ConfigurationError: the space has no networks.
      InvalidArchitectureError: the architecture is not of the space.
    """
    model = build_network(space, architecture, images.shape[1:], num_classes)
    draw_weights(model, seed)
    return ProxyProgram(model, proxies).scores(images, labels)


def scorer(
    space: Space, images: np.ndarray, labels: np.ndarray, proxies: Sequence[str] = PROXIES, seed: int = 0
) -> Callable[[Architecture], dict[str, float]]:
    """A function from an architecture of a space to its scores: the fastest that the space has.

    Args:
      space: search space with networks.
      images: float32 `[B, height, width, channels]`, standardised.
      labels: int `[B]`.
      proxies: names of scores.
      seed: seed of the initial weights.

    Raises:
      ConfigurationError: the space has no networks.
    """
    num_classes = max(10, int(labels.max()) + 1)
    supernet = network_of(space).supernet
    if supernet is not None:
        return SupernetProxies(supernet(images.shape[1:], num_classes), images, labels, proxies, seed).score
    return lambda architecture: network_scores(space, architecture, images, labels, proxies, seed, num_classes)
