"""Data Jacobians of networks at initialisation, and what of them does not depend on the network's parametrisation.

References:
  Hesslow and Poli 2021, "Contrastive Embeddings for Neural Architectures"; Wang et al. 2016, "Analysis of Deep Neural
  Networks with the Extended Data Jacobian Matrix".
"""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from tfnas.encoders.jacobian.data_config import OUTPUTS, PROJECTIONS
from tfnas.errors import ConfigurationError
from tfnas.networks import rewiring
from tfnas.networks.initialization import fresh_weights
from tfnas.networks.rewiring import Layer
from tfnas.networks.rules import check_rule

FINE, ZERO, NOT_FINITE = 0, 1, 2
"""States of a Jacobian; one that is zero, or not finite, has no embedding."""

_CODES_PER_LAYER = 100


@dataclasses.dataclass(frozen=True)
class Description:
    """A network's Jacobian over N images, without what depends on the network's parametrisation.

    Attributes:
      directions: float32 `[N, k]`, columns of length 1: the left singular vectors of the k largest singular values in
        descending order, with a sign that makes the entry of largest magnitude positive; or a random projection.
      scales: float32 `[k]`, lengths of the columns before: the singular values, or the lengths of a random projection.
      correlations: float32 `[N]`, the eigenvalues of the correlations between the rows, descending.
      frequencies: float32 `[F]`, how the energy of the gradient images spreads over spatial frequencies, from constant
        to that of a checkerboard row; sums to 1.
      state: `FINE`, `ZERO` or `NOT_FINITE`; of the latter two the numbers are 0.
    """

    directions: np.ndarray
    scales: np.ndarray
    correlations: np.ndarray
    frequencies: np.ndarray
    state: int

    @property
    def projection(self) -> np.ndarray:
        """float32 `[N, k]`: the Jacobian in the coordinates of k directions."""
        return self.directions * self.scales


class Inputs(NamedTuple):
    """The descriptions of B Jacobians side by side.

    Attributes:
      directions: float `[B, N, k]`.
      scales: float32 `[B, k]`.
      correlations: float32 `[B, N]`.
      frequencies: float32 `[B, F]`.
    """

    directions: tf.Tensor
    scales: tf.Tensor
    correlations: tf.Tensor
    frequencies: tf.Tensor


def mask(embeddings: np.ndarray, state: np.ndarray) -> np.ndarray:
    """Embeddings `[B, D]` with NaN where the state of `[B]` is not fine."""
    return np.where((state == FINE)[:, None], embeddings, np.nan)


class JacobianProgram:
    """Compiled Jacobians of one model or family of models; the model itself is never changed.

    The Jacobian of image n is the gradient of the sum of all logits of the batch with respect to that image, with norms
    in training mode: as in the publication, images reach each other's logits through the statistics of the batch.
    Dropout is off and a softmax at the end is left out.

    Args:
      model: a built model of Keras 3 or tf_keras from images to logits or probabilities.
      rule: rule by which fresh weights are drawn, of `networks.rules.RULES`; None for the model's weights.
      outputs: `sum` for one gradient of all logits, `classes` for one gradient of every logit's sum over the batch.
      call: function from images and the extra arguments of `jacobian` to logits; by default the model of images.
      shape: function from a layer, the name of an attribute and the extra arguments to the shape of the fresh weight;
        by default the weight's shape.
      compiled: whether the program is traced once, which takes longer than to run it once or twice without.

    Raises:
      ConfigurationError: an unknown rule, or a model without convolution and matrix product.
    """

    def __init__(
        self,
        model: Layer,
        *,
        rule: str | None = "pytorch",
        outputs: str = "sum",
        call: Callable[..., tf.Tensor] | None = None,
        shape: Callable[..., Sequence[int | tf.Tensor]] | None = None,
        compiled: bool = True,
    ):
        if rule is not None:
            check_rule(rule)
        if outputs not in OUTPUTS:
            raise ConfigurationError(f"outputs={outputs!r}, expected one of {', '.join(OUTPUTS)}")
        self._model, self._rule, self._outputs, self._shape = model, rule, outputs, shape
        self._call = call or (lambda images: model(images, training=False))
        self._layers = rewiring.all_layers(model)
        if not any(rewiring.kernel_names(layer) for layer in self._layers):
            raise ConfigurationError(f"model {model.name!r} has no convolution and no matrix product")
        self._seed_of = {id(layer): number * _CODES_PER_LAYER for number, layer in enumerate(self._layers)}
        self.seed: tf.Tensor | None = None  # what layers draw from while the program is traced
        self._program = tf.function(self._trace, autograph=False, reduce_retracing=True) if compiled else self._trace

    def jacobian(self, images: tf.Tensor | np.ndarray, seed: Sequence[int], *extra: Any) -> tf.Tensor:
        """float32 `[N, pixels]`, or `[N, classes, pixels]` with `outputs="classes"`.

        Args:
          images: float32 `[N, height, width, channels]`; a tensor is not checked.
          seed: two integers from which all weights are drawn.
          *extra: arguments for `call` and `shape`.

        Raises:
          ConfigurationError: images of another shape or with NaN, fewer than two of them, or a model that does not
            return logits.
        """
        if not tf.is_tensor(images):
            images = np.asarray(images, np.float32)
            check_images(images)
            inputs = getattr(self._model, "inputs", None)
            if inputs:
                expected = tuple(inputs[0].shape[1:])
                image_shape = images.shape[1:]
                if (
                    len(inputs) > 1
                    or len(expected) != 3
                    or any(size not in (None, given) for size, given in zip(expected, image_shape, strict=True))
                ):
                    shapes = ", ".join(str(tuple(one.shape[1:])) for one in inputs)
                    raise ConfigurationError(f"model {self._model.name!r} takes {shapes}, images are {image_shape}")
            images = tf.constant(images)
        return self._program(images, tf.constant(seed, tf.int32), *extra)

    def _trace(self, images: tf.Tensor, seed: tf.Tensor, *extra: Any) -> tf.Tensor:
        self.seed = seed

        def weights(layer: Layer) -> Mapping[str, tf.Tensor]:
            if self._rule is None:
                values = {name: tf.convert_to_tensor(getattr(layer, name)) for name in rewiring.own_weights(layer)}
            else:
                shape = None if self._shape is None else lambda owner, name: self._shape(owner, name, *extra)
                layer_seed = self.seed + tf.constant([0, self._seed_of[id(layer)]])
                values = fresh_weights(layer, layer_seed, self._rule, shape)
            # Without this the gradients of branches would be computed for their weights too.
            return {name: tf.stop_gradient(value) for name, value in values.items()}

        with tf.GradientTape(persistent=self._outputs == "classes") as tape:
            tape.watch(images)
            with rewiring.rewired(
                self._model,
                self._layers,
                weights,
                lambda layer, inputs: rewiring.training_norm(layer, weights(layer), inputs),
                cut=self._shape is not None,
            ):
                logits = self._call(images, *extra)
            if not tf.is_tensor(logits) or logits.shape.rank != 2:
                returned = logits.shape if tf.is_tensor(logits) else type(logits).__name__
                raise ConfigurationError(f"the model returns {returned}, expected logits [B, classes]")
            totals = tf.reduce_sum(logits, axis=0)
            sources = [tf.reduce_sum(totals)] if self._outputs == "sum" else tf.unstack(totals)
        gradients = [tape.gradient(source, images, unconnected_gradients="zero") for source in sources]
        rows = [tf.reshape(gradient, [tf.shape(images)[0], -1]) for gradient in gradients]
        return rows[0] if self._outputs == "sum" else tf.stack(rows, axis=1)


def check_images(images: np.ndarray) -> None:
    """Raises ConfigurationError unless images are finite numbers `[N, height, width, channels]`, N >= 2."""
    if images.ndim != 4 or len(images) < 2:
        raise ConfigurationError(f"images {images.shape}, expected [N, height, width, channels] with N >= 2")
    if not np.isfinite(images).all():
        raise ConfigurationError("images hold NaN or infinity")


@tf.function(autograph=False, reduce_retracing=True)
def description_tensors(
    jacobian: tf.Tensor, height: tf.Tensor, width: tf.Tensor, components: tf.Tensor, basis: tf.Tensor | None = None
) -> tuple[tf.Tensor, ...]:
    """Directions, scales, correlations, frequencies and state (int32) of a Jacobian float32 `[N, pixels]`.

    See `describe`; `basis` float32 `[pixels, k]` holds the random directions.
    """
    finite = tf.reduce_all(tf.math.is_finite(jacobian))
    largest = tf.reduce_max(tf.abs(jacobian))
    state = tf.where(finite, tf.where(largest > 0, FINE, ZERO), NOT_FINITE)
    unit = tf.where(state == FINE, largest, 1.0)
    rows = tf.cast(tf.where(state == FINE, jacobian, tf.zeros_like(jacobian)) / unit, tf.float64)
    if basis is None:
        values, vectors = tf.linalg.eigh(tf.matmul(rows, rows, transpose_b=True))
        scales = tf.sqrt(tf.maximum(tf.reverse(values, [0])[:components], 0))
        directions = tf.reverse(vectors, [1])[:, :components]
        peaks = tf.gather(tf.transpose(directions), tf.argmax(tf.abs(directions), axis=0), batch_dims=1)
        directions *= tf.where(peaks < 0, tf.constant(-1.0, tf.float64), tf.constant(1.0, tf.float64))
    else:
        projected = tf.matmul(rows, tf.cast(basis, tf.float64))
        scales = tf.norm(projected, axis=0)
        directions = tf.math.divide_no_nan(projected, scales)
    centred = rows - tf.reduce_mean(rows, axis=1, keepdims=True)
    scaled = tf.math.divide_no_nan(centred, tf.norm(centred, axis=1, keepdims=True))
    correlations = tf.reverse(tf.linalg.eigvalsh(tf.matmul(scaled, scaled, transpose_b=True)), [0])
    frequencies = _frequencies(tf.cast(rows, tf.float32), height, width)
    valid = tf.cast(state == FINE, tf.float64)
    arrays = (directions * valid, scales * tf.cast(unit, tf.float64) * valid, correlations * valid)
    return *(tf.cast(array, tf.float32) for array in arrays), frequencies, state


def _frequencies(rows: tf.Tensor, height: tf.Tensor, width: tf.Tensor) -> tf.Tensor:
    """Shares of energy `[F]` by frequency, F = min(height, width) // 2 + 1; what is higher counts with the last."""
    images = tf.transpose(tf.reshape(rows, [tf.shape(rows)[0], height, width, -1]), [0, 3, 1, 2])
    energy = tf.reduce_sum(tf.abs(tf.signal.fft2d(tf.cast(images, tf.complex64))) ** 2, axis=[0, 1])

    def distance(size: tf.Tensor) -> tf.Tensor:
        index = tf.range(size)
        return tf.cast(tf.minimum(index, size - index), tf.float32) / tf.cast(size, tf.float32)

    count = tf.minimum(height, width) // 2 + 1
    radius = tf.sqrt(distance(height)[:, None] ** 2 + distance(width)[None] ** 2)
    ring = tf.minimum(tf.cast(tf.round(radius * 2 * tf.cast(count - 1, tf.float32)), tf.int32), count - 1)
    sums = tf.math.unsorted_segment_sum(tf.reshape(energy, [-1]), tf.reshape(ring, [-1]), count)
    return tf.math.divide_no_nan(sums, tf.reduce_sum(sums))


def describe(
    jacobian: tf.Tensor | np.ndarray,
    image_shape: Sequence[int],
    components: int,
    projection: str = "leading",
    seed: int = 0,
) -> Description:
    """The description of a Jacobian.

    Args:
      jacobian: float32 `[N, pixels]`, or `[N, classes, pixels]`, whose N * classes gradients are then the rows.
      image_shape: height, width and channels.
      components: k.
      projection: `leading` for the leading right singular vectors (by the eigenvectors of J Jᵀ in float64, in a tenth
        of the time of a decomposition of J), `random` for k random directions that all networks share.
      seed: seed of the random directions.

    Raises:
      ConfigurationError: other shapes, an unknown projection, or more leading directions than rows.
    """
    jacobian = tf.convert_to_tensor(jacobian, tf.float32)
    pixels = int(np.prod(image_shape))
    if jacobian.shape.rank not in (2, 3) or jacobian.shape[-1] != pixels or len(image_shape) != 3:
        raise ConfigurationError(f"Jacobian {jacobian.shape} of images {tuple(image_shape)}, expected [N, {pixels}]")
    rows = tf.reshape(jacobian, [-1, pixels])
    if projection not in PROJECTIONS:
        raise ConfigurationError(f"projection={projection!r}, expected one of {', '.join(PROJECTIONS)}")
    if components < 1 or (projection == "leading" and components > rows.shape[0]):
        raise ConfigurationError(f"{components} components of {rows.shape[0]} rows, expected 1 to {rows.shape[0]}")
    basis = None
    if projection == "random":
        basis = tf.random.stateless_normal([pixels, components], (seed, 0)) / np.sqrt(components)
    height, width, _ = image_shape
    *arrays, state = description_tensors(rows, tf.constant(height), tf.constant(width), tf.constant(components), basis)
    return Description(*(array.numpy() for array in arrays), int(state))
