"""The set encoder of Jacobians and its projection head.

References:
  Zaheer et al. 2017, "Deep Sets"; Hesslow and Poli 2021, published code.
"""

import itertools
from collections.abc import Sequence

import numpy as np
import tensorflow as tf
import tf_keras

from tfnas.encoders.jacobian.config import GLOBAL_INPUTS, ROW_INPUTS, JacobianEncoderConfig
from tfnas.encoders.jacobian.program import Inputs

_FLOOR = 1e-7


class JacobianEncoder(tf_keras.Model):
    """Embeds Jacobians; the order of the images makes no difference.

    Args:
      config: inputs and sizes.
      rows: N, rows of a Jacobian.
      components: k.
      frequencies: F.
      seed: seed of the initial weights, which are drawn as in PyTorch, the framework of the published network.

    Attributes:
      config: the configuration.
    """

    def __init__(self, config: JacobianEncoderConfig, rows: int, components: int, frequencies: int, seed: int):
        super().__init__(name="jacobian_encoder")
        self.config = config
        sizes = {"scales": components, "correlations": rows, "frequencies": frequencies}
        self._globals = [name for name in GLOBAL_INPUTS if getattr(config, name)]
        self._rows = [name for name in ROW_INPUTS if getattr(config, name)]
        width = sum(sizes[name] for name in self._globals)
        self.shift = tf.Variable(tf.zeros([width]), trainable=False, name="shift")
        self.spread = tf.Variable(tf.ones([width]), trainable=False, name="spread")
        self._seeds = iter(np.random.SeedSequence([seed, 7]).generate_state(64))
        if self._rows:
            self.row_network = self._network("rows", components * len(self._rows), config.row_layers, config.width)
            width += config.width
        self.network = self._network("layer", width, config.layers, config.embedding_dim)
        self.head = self._dense("head", config.embedding_dim, config.projection_dim)

    def _network(self, name: str, inputs: int, layers: int, outputs: int) -> list[tf_keras.layers.Dense]:
        widths = [inputs, *[self.config.width] * (layers - 1), outputs]
        return [
            self._dense(f"{name}_{number}", before, after)
            for number, (before, after) in enumerate(itertools.pairwise(widths))
        ]

    def _dense(self, name: str, inputs: int, outputs: int) -> tf_keras.layers.Dense:
        bound = inputs**-0.5
        initializers = [
            tf_keras.initializers.RandomUniform(-bound, bound, seed=int(next(self._seeds)) >> 1) for _ in range(2)
        ]
        layer = tf_keras.layers.Dense(
            outputs, kernel_initializer=initializers[0], bias_initializer=initializers[1], name=name
        )
        layer.build([None, inputs])
        return layer

    def adapt(self, inputs: Inputs) -> None:
        """Sets mean and deviation by which spectra are standardised to the mean and deviation of some Jacobians."""
        if self._globals:
            spectra = self._spectra(inputs).numpy().astype(np.float64)
            self.shift.assign(spectra.mean(axis=0))
            deviation = spectra.std(axis=0)
            self.spread.assign(np.where(deviation > 1e-6, deviation, 1.0))

    def encode(self, inputs: Inputs) -> tf.Tensor:
        """Embeddings float32 `[B, D]`."""
        blocks = []
        if self._globals:
            blocks.append((self._spectra(inputs) - self.shift) / self.spread)
        if self._rows:
            directions = tf.cast(inputs.directions, tf.float32)
            rows = {
                "projection": lambda: directions * inputs.scales[:, None],
                "magnitudes": lambda: tf.abs(directions) * tf.sqrt(tf.cast(tf.shape(directions)[1], tf.float32)),
            }
            states = tf.concat([rows[name]() for name in self._rows], axis=2)
            blocks.append(tf.reduce_mean(_apply(self.row_network, states), axis=1))
        return _apply(self.network, tf.concat(blocks, axis=1))

    def project(self, embeddings: tf.Tensor) -> tf.Tensor:
        """Vectors float32 `[B, P]` of unit length, which the loss compares."""
        return tf.math.l2_normalize(self.head(tf.nn.relu(embeddings)), axis=1)

    def call(self, inputs: Inputs) -> tf.Tensor:
        """Embeddings float32 `[B, D]`."""
        return self.encode(inputs)

    def _spectra(self, inputs: Inputs) -> tf.Tensor:
        """Logarithms float32 `[B, G]`, finite for entries that are 0."""
        return tf.concat(
            [tf.math.log(tf.maximum(getattr(inputs, name), _FLOOR)) for name in self._globals],
            axis=1,
        )


def _apply(layers: Sequence[tf_keras.layers.Dense], states: tf.Tensor) -> tf.Tensor:
    for number, layer in enumerate(layers):
        states = layer(tf.nn.relu(states) if number else states)
    return states
