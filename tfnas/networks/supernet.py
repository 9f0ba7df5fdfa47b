"""One Keras network for all architectures of a space: the architecture is an input of the network."""

import abc
from collections.abc import Callable, Sequence

import tensorflow as tf

from tfnas.networks.rewiring import Layer
from tfnas.spaces import Architecture

Shape = Sequence[int | tf.Tensor]
RunBlock = Callable[..., tf.Tensor]
"""From the number of a block, a key, the block and the block's inputs to its output. Blocks with one key are the same
function of their weights; the key is None for a block that is like no other."""


class Supernet(abc.ABC):
    """A network that becomes the network of any architecture of a space by the codes that it is called with.

    Attributes:
      network: built Keras network, called with images, codes and `training`.
      cuts: whether an architecture's weights are cut out of the network's, as `shape` says.
    """

    network: Layer
    cuts: bool = False

    @abc.abstractmethod
    def codes(self, architecture: Architecture) -> list[int]:
        """The codes of an architecture.

        Raises:
          InvalidArchitectureError: the architecture is not of the space.
        """

    def shape(self, layer: Layer, name: str, codes: tf.Tensor | Sequence[int]) -> Shape:
        """Shape of a layer's weight in the network of some codes.

        Args:
          layer: layer of `network`.
          name: attribute of the layer that holds the weight.
          codes: codes of an architecture: int32, or numbers of Python.
        """
        return getattr(layer, name).shape

    def call(self, images: tf.Tensor, codes: tf.Tensor | Sequence[int], run: RunBlock | None = None) -> tf.Tensor:
        """Logits float32 `[B, classes]`, without dropout.

        Args:
          images: float32 `[B, height, width, channels]`.
          codes: codes of an architecture: int32, or numbers of Python, with which the operations of other architectures
            are left out.
          run: function that calls a block that repeats; by default such a block is called as any layer. A network
            without such blocks ignores the function.
        """
        return self.network(images, codes, training=False)
