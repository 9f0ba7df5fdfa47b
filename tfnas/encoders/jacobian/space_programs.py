"""Jacobians of all architectures of a space: by one program whose input is the architecture, or by a network for each.

Weights are drawn inside the program. Blocks of a network that are alike share one function inside the program, so that
tracing takes seconds, and only the operations that an architecture has are computed.
"""

import zlib
from collections.abc import Callable

import numpy as np
import tensorflow as tf

from tfnas.encoders.jacobian.program import JacobianProgram
from tfnas.networks.registry import build_network, network_of
from tfnas.networks.rewiring import Layer
from tfnas.networks.supernet import Supernet
from tfnas.spaces import Architecture, Space

_SEEDS_PER_BLOCK = 100_000

Jacobian = Callable[[tf.Tensor, Architecture, int], tf.Tensor]
"""From images, an architecture and the number of an initialisation to the Jacobian float32 `[N, pixels]`."""


class SupernetJacobians:
    """Jacobians of all architectures of a space by one compiled program.

    Args:
      supernet: network of the space.
      seed: seed of the weights, which are drawn anew for every architecture and initialisation.
      rule: rule of the drawing, of `networks.rules.RULES`.
      outputs: `sum` or `classes`; see `JacobianProgram`.
    """

    def __init__(self, supernet: Supernet, seed: int = 0, rule: str = "pytorch", outputs: str = "sum"):
        self._supernet, self._seed = supernet, seed
        shape = supernet.shape if supernet.cuts else None
        self._program = JacobianProgram(supernet.network, rule=rule, outputs=outputs, call=self._call, shape=shape)

    def __call__(self, images: tf.Tensor, architecture: Architecture, initialization: int = 0) -> tf.Tensor:
        """float32 `[N, pixels]`.

        Raises:
          InvalidArchitectureError: the architecture is not of the space.
        """
        codes = tf.constant(self._supernet.codes(architecture), tf.int32)
        return self._program.jacobian(images, weight_seed(self._seed, architecture, initialization), codes)

    def _call(self, images: tf.Tensor, codes: tf.Tensor) -> tf.Tensor:
        outer = self._program.seed
        functions: dict[object, Callable[..., tf.Tensor]] = {}

        def run(number: int, key: object, block: Layer, *inputs: tf.Tensor) -> tf.Tensor:
            # Every block draws from seeds of its number.
            self._program.seed = seed = outer + tf.constant([0, number * _SEEDS_PER_BLOCK])
            if key is None:
                outputs = block(*inputs, training=False)
            else:
                if key not in functions:
                    functions[key] = self._function(block)
                outputs = functions[key](*inputs, seed)
            self._program.seed = outer
            return outputs

        return self._supernet.call(images, codes, run)

    def _function(self, block: Layer) -> Callable[..., tf.Tensor]:
        """One function for all blocks that are alike; they differ by their seeds."""

        # TensorFlow would copy the function into the program for every block, and optimise every copy.
        @tf.function(autograph=False, experimental_attributes={"_noinline": True})
        def run(*inputs: tf.Tensor) -> tf.Tensor:
            self._program.seed = inputs[-1]
            return block(*inputs[:-1], training=False)

        return run


class BuiltJacobians:
    """Jacobians of architectures of any space with networks, each built for the call.

    Args:
      space: search space with networks.
      seed: seed of the weights, which are drawn anew for every architecture and initialisation.
      rule: rule of the drawing, of `networks.rules.RULES`.
      outputs: `sum` or `classes`; see `JacobianProgram`.
      num_classes: width of the classifier.
      image_shape: height, width and channels.
    """

    def __init__(
        self,
        space: Space,
        seed: int = 0,
        rule: str = "pytorch",
        outputs: str = "sum",
        num_classes: int = 10,
        image_shape: tuple[int, int, int] = (32, 32, 3),
    ):
        self._space, self._seed, self._rule, self._outputs = space, seed, rule, outputs
        self._num_classes, self._image_shape = num_classes, image_shape

    def __call__(self, images: tf.Tensor, architecture: Architecture, initialization: int = 0) -> tf.Tensor:
        """float32 `[N, pixels]`.

        Raises:
          ConfigurationError: the space has no networks.
          InvalidArchitectureError: the architecture is not of the space.
        """
        model = build_network(self._space, architecture, self._image_shape, self._num_classes)
        program = JacobianProgram(model, rule=self._rule, outputs=self._outputs, compiled=False)
        return program.jacobian(images, weight_seed(self._seed, architecture, initialization))


def space_jacobians(
    space: Space,
    seed: int,
    rule: str = "pytorch",
    outputs: str = "sum",
    num_classes: int = 10,
    image_shape: tuple[int, int, int] = (32, 32, 3),
) -> Jacobian:
    """The fastest way to the Jacobians of a space; see `BuiltJacobians` for the arguments."""
    supernet = network_of(space).supernet
    if supernet is not None:
        return SupernetJacobians(supernet(image_shape, num_classes), seed, rule, outputs)
    return BuiltJacobians(space, seed, rule, outputs, num_classes, image_shape)


def weight_seed(seed: int, architecture: Architecture, initialization: int) -> tuple[int, int]:
    """Seeds of an architecture's weights: every architecture and every initialisation has its own."""
    text = ",".join(architecture.operations).encode() + np.asarray(architecture.adjacency, np.int8).tobytes()
    drawn = np.random.SeedSequence([seed, zlib.crc32(text), initialization]).generate_state(1)
    return int(drawn[0] >> 1), 0
