"""Jacobians of all architectures of a space by one program: operations or widths are its input, weights drawn in it.

Cells of a stage share one function inside the program, so that tracing takes seconds, and only the operations that a
cell has are computed.
"""

import zlib
from collections.abc import Callable

import numpy as np
import tensorflow as tf

from tfnas.encoders.jacobian.program import JacobianProgram
from tfnas.networks import rewiring
from tfnas.networks.layers import LayerSettings
from tfnas.networks.nasbench201 import Cell, NASBench201Network, Skeleton, operation_codes
from tfnas.networks.nats_size import NATSSizeNetwork, width_stages
from tfnas.proxies.spaces import build_network
from tfnas.spaces import Architecture, NATSSize, Space
from tfnas.spaces.nats_size import widths

_SEEDS_PER_BLOCK = 100_000

Jacobian = Callable[[tf.Tensor, Architecture, int], tf.Tensor]
"""From images, an architecture and the number of an initialisation to the Jacobian float32 `[N, pixels]`."""


class NASBench201Jacobians:
    """Jacobians of NAS-Bench-201 cells in the benchmark's network.

    Args:
      seed: of the weights, which are drawn for every architecture and initialisation on its own.
      rule: how they are drawn, of `jacobian_config.RULES`.
      outputs: see `JacobianProgram`.
      skeleton: the network around the cell.
      image_shape: height, width and channels.
    """

    def __init__(
        self,
        seed: int = 0,
        rule: str = "pytorch",
        outputs: str = "sum",
        skeleton: Skeleton = Skeleton(),  # noqa: B008 (frozen)
        image_shape: tuple[int, int, int] = (32, 32, 3),
    ):
        self.seed = seed
        self.network = NASBench201Network(skeleton, None, LayerSettings("pytorch"))
        self.network(tf.zeros([1, *image_shape]), tf.zeros([6], tf.int32))
        self._program = JacobianProgram(self.network, rule=rule, outputs=outputs, call=self._call)

    def __call__(self, images: tf.Tensor, architecture: Architecture, initialization: int = 0) -> tf.Tensor:
        """float32 `[N, pixels]`.

        Raises:
          InvalidArchitectureError: not a cell of the space.
        """
        codes = tf.constant(operation_codes(architecture), tf.int32)
        return self._program.jacobian(images, weight_seed(self.seed, architecture, initialization), codes)

    def _call(self, images: tf.Tensor, codes: tf.Tensor) -> tf.Tensor:
        network, outer = self.network, self._program.seed
        features = network.stem_norm(network.stem(images))
        shared: dict[int, Callable[..., tf.Tensor]] = {}
        for place, block in enumerate(network.blocks):
            seed = outer + tf.constant([0, place * _SEEDS_PER_BLOCK])
            if not isinstance(block, Cell):
                self._program.seed = seed
                features = block(features, training=False)
                continue
            if features.shape[-1] not in shared:
                shared[features.shape[-1]] = self._cell(block)
            features = shared[features.shape[-1]](features, codes, seed)
        self._program.seed = outer
        return network.classifier(network.pool(tf.nn.relu(network.last_norm(features))))

    def _cell(self, block: Cell) -> Callable[..., tf.Tensor]:
        """One function for all cells of a stage; they differ by their seeds."""

        @tf.function(autograph=False)
        def run(features: tf.Tensor, codes: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
            self._program.seed = seed
            return block(features, codes, training=False)

        return run


class NATSSizeJacobians:
    """Jacobians of NATS-Bench widths.

    Args:
      seed: of the weights, which are drawn for every architecture and initialisation on its own.
      rule: how they are drawn, of `jacobian_config.RULES`.
      outputs: see `JacobianProgram`.
      num_classes: width of the classifier.
      image_shape: height, width and channels.
    """

    def __init__(
        self,
        seed: int = 0,
        rule: str = "pytorch",
        outputs: str = "sum",
        num_classes: int = 10,
        image_shape: tuple[int, int, int] = (32, 32, 3),
    ):
        self.seed = seed
        self.network = NATSSizeNetwork(None, num_classes, LayerSettings("pytorch"))
        self.network(tf.zeros([1, *image_shape]))
        self._stages = width_stages(self.network)
        self._program = JacobianProgram(
            self.network,
            rule=rule,
            outputs=outputs,
            call=lambda images, channels: self.network(images, channels, training=False),
            shape=self._shape,
        )

    def __call__(self, images: tf.Tensor, architecture: Architecture, initialization: int = 0) -> tf.Tensor:
        """float32 `[N, pixels]`.

        Raises:
          InvalidArchitectureError: not an architecture of the space.
        """
        NATSSize().require_valid(architecture)
        channels = tf.constant(widths(architecture), tf.int32)
        return self._program.jacobian(images, weight_seed(self.seed, architecture, initialization), channels)

    def _shape(self, layer: rewiring.Layer, name: str, channels: tf.Tensor) -> list[int | tf.Tensor]:
        before, after = self._stages[id(layer)]
        shape: list[int | tf.Tensor] = list(getattr(layer, name).shape)
        if after is not None:
            shape[-1] = channels[after]
        if name == "kernel" and before is not None:
            shape[-2] = channels[before]
        return shape


class BuiltJacobians:
    """Jacobians of architectures of any space with networks, each built for the call.

    Args:
      space: `nasbench101`, `nasbench201`, `nats_size`, `nasbench301` or `mobilenetv3`.
      seed: of the weights, which are drawn for every architecture and initialisation on its own.
      rule: how they are drawn, of `jacobian_config.RULES`.
      outputs: see `JacobianProgram`.
      num_classes: width of the classifier.
      image_shape: height, width and channels.
    """

    def __init__(
        self,
        space: str,
        seed: int = 0,
        rule: str = "pytorch",
        outputs: str = "sum",
        num_classes: int = 10,
        image_shape: tuple[int, int, int] = (32, 32, 3),
    ):
        self.space, self.seed, self.rule, self.outputs = space, seed, rule, outputs
        self.num_classes, self.image_shape = num_classes, image_shape

    def __call__(self, images: tf.Tensor, architecture: Architecture, initialization: int = 0) -> tf.Tensor:
        """float32 `[N, pixels]`.

        Raises:
          ConfigurationError: no network of that space.
          InvalidArchitectureError: not an architecture of the space.
        """
        model, logits = build_network(self.space, architecture, self.num_classes, self.image_shape)
        program = JacobianProgram(model, rule=self.rule, outputs=self.outputs, call=logits, compiled=False)
        return program.jacobian(images, weight_seed(self.seed, architecture, initialization))


def space_jacobians(
    space: Space,
    seed: int,
    rule: str = "pytorch",
    outputs: str = "sum",
    num_classes: int = 10,
    image_shape: tuple[int, int, int] = (32, 32, 3),
) -> Jacobian:
    """The fastest way to the Jacobians of a space."""
    if space.name == "nasbench201":
        return NASBench201Jacobians(seed, rule, outputs, Skeleton(num_classes=num_classes), image_shape)
    if space.name == "nats_size":
        return NATSSizeJacobians(seed, rule, outputs, num_classes, image_shape)
    return BuiltJacobians(space.name, seed, rule, outputs, num_classes, image_shape)


def weight_seed(seed: int, architecture: Architecture, initialization: int) -> tuple[int, int]:
    """Seeds of an architecture's weights: every architecture and every initialisation has its own."""
    text = ",".join(architecture.operations).encode() + np.asarray(architecture.adjacency, np.int8).tobytes()
    drawn = np.random.SeedSequence([seed, zlib.crc32(text), initialization]).generate_state(1)
    return int(drawn[0] >> 1), 0
