"""Zero-cost scores of any Keras model: one compiled program per model, one forward pass for all scores but one.

References:
  Abdelfattah et al. 2021, "Zero-Cost Proxies for Lightweight NAS", section 3 (grad_norm, snip, grasp, fisher, synflow,
  jacob_cov); each score as the published code of that paper computes it.
"""

import contextlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from tfnas.errors import ConfigurationError
from tfnas.networks import rewiring
from tfnas.networks.rewiring import Layer
from tfnas.proxies import PROXIES

GRADIENT_PROXIES = ("grad_norm", "snip", "fisher")
_EPSILON = 1e-5
_EXPONENTS = ((-500, -510), (-1000, -980), (500, 510), (1000, 980))
"""Powers of two by which images and gradients change where synflow leaves the range of float64."""
_ZERO = tf.UnconnectedGradients.ZERO


def check_proxies(names: Sequence[str]) -> None:
    """Raises ConfigurationError unless every name is a score, and there is one."""
    unknown = sorted(set(names) - set(PROXIES))
    if unknown or not names:
        raise ConfigurationError(f"proxies {', '.join(unknown) or 'none'}, expected some of {', '.join(PROXIES)}")


class ProxyProgram:
    """Compiled scores of one model; the model itself is never changed.

    Norms use the statistics of the batch, dropout is off, a softmax at the end is left out. Layers with kernels
    (convolutions and matrix products) count; a network without any has no scores.

    Args:
      model: a built model of Keras 3 or tf_keras, from images to logits or probabilities.
      proxies: names of scores, of `PROXIES`.
      call: function from images and the extra arguments of `scores` to logits; by default the model on images alone.
      weight: function from a layer, the name of an attribute, its value and the extra arguments to the weight in the
        call, which may have fewer channels; by default the value.
      compiled: whether the program is traced once, which takes longer than to run it once or twice without.

    Raises:
      ConfigurationError: an unknown score, or a model without kernels.
    """

    def __init__(
        self,
        model: Layer,
        proxies: Sequence[str] = PROXIES,
        call: Callable[..., tf.Tensor] | None = None,
        weight: Callable[..., tf.Tensor] | None = None,
        compiled: bool = True,
    ):
        check_proxies(proxies)
        self.proxies = tuple(proxies)
        self._model = model
        self._call = call or (lambda images: model(images, training=False))
        self._weight = weight or (lambda layer, name, value, *extra: value)
        self._layers = rewiring.all_layers(model)
        self._kernels = [(layer, name) for layer in self._layers for name in rewiring.kernel_names(layer)]
        if not self._kernels:
            raise ConfigurationError(f"model {model.name!r} has no convolution and no matrix product to score")
        self._cut = weight is not None
        self._program, self._synflow_program = self._trace, self._trace_synflow
        if compiled:
            self._program = tf.function(self._trace, autograph=False, reduce_retracing=True)
            self._synflow_program = tf.function(self._trace_synflow, autograph=False, reduce_retracing=True)

    def scores(self, images: np.ndarray, labels: np.ndarray, *extra: Any) -> dict[str, float]:
        """The scores on one batch.

        Args:
          images: float32 `[B, height, width, channels]`.
          labels: int `[B]`.
          *extra: arguments for `call` and `weight`.

        Returns:
          A number for each of `proxies`, of synflow the natural logarithm; NaN where the computation is not finite:
          a network whose output does not depend on the image has no jacov and no synflow, and without norms the float32
          pass of a deep network may overflow, which leaves the five others NaN.

        Raises:
          ConfigurationError: fewer than two images, images or labels of another shape or with NaN.
        """
        images, labels = np.asarray(images, np.float32), np.asarray(labels)
        if images.ndim != 4 or len(images) < 2 or labels.shape != (len(images),):
            raise ConfigurationError(
                f"images {images.shape}, labels {labels.shape}, expected [B, height, width, channels] and [B], B >= 2"
            )
        if not np.isfinite(images).all():
            raise ConfigurationError("images hold NaN or infinity")
        values: dict[str, float] = {}
        if set(self.proxies) != {"synflow"}:
            tensors = self._program(tf.constant(images), tf.constant(labels, tf.int32), *extra)
            if "jacov" in self.proxies:
                values["jacov"] = jacobian_covariance(tensors.pop("jacobian").numpy())
            values |= {name: float(value) for name, value in tensors.items()}
        if "synflow" in self.proxies:
            values["synflow"] = self._log_synflow(tf.ones([1, *images.shape[1:]]), *extra)
        return {name: values[name] if np.isfinite(values[name]) else float("nan") for name in self.proxies}

    def _log_synflow(self, images: tf.Tensor, *extra: Any) -> float:
        """Natural logarithm of synflow, of numbers up to about 1e600; NaN where it is larger, or nothing flows.

        Images and biases shrink, and so do gradients, by a power of two where float64 overflows: the network of
        absolute weights is homogeneous in images and biases, so that the score shrinks by the same factors. Two powers
        must agree, which an activation that is not homogeneous (gelu, tanh) does not grant.
        """

        def logarithm(exponent: int) -> float:
            total = float(self._synflow_program(images, tf.constant(2.0**exponent, tf.float64), *extra))
            return np.log(total) - 2 * exponent * np.log(2) if 0 < total < np.inf else float("nan")

        plain = logarithm(0)
        if np.isfinite(plain):
            return plain
        for exponents in _EXPONENTS:
            first, second = map(logarithm, exponents)
            if abs(first - second) <= 1e-6 * abs(first):
                return first
        return float("nan")

    def _weights(
        self, layer: Layer, extra: Sequence[Any], change: Callable[[tf.Tensor], tf.Tensor]
    ) -> dict[str, tf.Tensor]:
        return {
            name: change(self._weight(layer, name, tf.convert_to_tensor(getattr(layer, name)), *extra))
            for name in rewiring.weight_names(layer)
            if name not in rewiring.STATE_NAMES
        }

    def _rewired(
        self,
        weights: Mapping[int, Mapping[str, tf.Tensor]],
        norm: Callable[[Layer, tf.Tensor], tf.Tensor],
        gates: Mapping[int, tf.Tensor] | None = None,
        double: bool = False,
        scale: tf.Tensor | None = None,
    ) -> contextlib.AbstractContextManager[None]:
        return rewiring.rewired(
            self._model,
            self._layers,
            lambda layer: weights[id(layer)],
            norm,
            gates=gates or {},
            double=double,
            cut=self._cut,
            scale=scale,
        )

    def _trace(self, images: tf.Tensor, labels: tf.Tensor, *extra: Any) -> dict[str, tf.Tensor]:
        weights = {id(layer): self._weights(layer, extra, tf.identity) for layer in self._layers}
        kernels = [weights[id(layer)][name] for layer, name in self._kernels]
        gates = {}
        if "fisher" in self.proxies:
            for layer, _ in self._kernels:
                gates[id(layer)] = tf.ones([tf.shape(images)[0], _output_channels(layer, weights[id(layer)])])

        def norm(layer: Layer, inputs: tf.Tensor) -> tf.Tensor:
            return rewiring.training_norm(layer, weights[id(layer)], inputs)

        with tf.GradientTape() as outer:
            outer.watch(kernels)
            with tf.GradientTape(persistent=True) as tape:
                tape.watch([images, *kernels, *gates.values()])
                with self._rewired(weights, norm, gates):
                    logits = self._call(images, *extra)
                if logits.shape.rank != 2:
                    raise ConfigurationError(f"the model returns shape {logits.shape}, expected logits [B, classes]")
                loss = tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits))
                total = tf.reduce_sum(logits)
            needs_gradients = set(self.proxies) & {*GRADIENT_PROXIES, "grasp"}
            if needs_gradients:
                gradients, gate_gradients = tape.gradient(
                    loss, [kernels, list(gates.values())], unconnected_gradients=_ZERO
                )
            if "grasp" in self.proxies:
                product = tf.add_n([tf.reduce_sum(tf.stop_gradient(g) * g) for g in gradients])
        scores: dict[str, tf.Tensor] = {}
        if "grad_norm" in self.proxies:
            scores["grad_norm"] = tf.add_n([tf.norm(gradient) for gradient in gradients])
        if "snip" in self.proxies:
            scores["snip"] = tf.add_n([tf.reduce_sum(tf.abs(k * g)) for k, g in zip(kernels, gradients, strict=True)])
        if "fisher" in self.proxies:
            scores["fisher"] = self._fisher(weights, dict(zip(gates, gate_gradients, strict=True)))
        if "grasp" in self.proxies:
            curvature = outer.gradient(product, kernels, unconnected_gradients=_ZERO)
            scores["grasp"] = -tf.add_n([tf.reduce_sum(k * c) for k, c in zip(kernels, curvature, strict=True)])
        if "jacov" in self.proxies:
            jacobian = tape.gradient(total, images, unconnected_gradients=_ZERO)
            scores["jacobian"] = tf.reshape(jacobian, [tf.shape(images)[0], -1])
        return scores

    def _fisher(self, weights: Mapping[int, Mapping[str, tf.Tensor]], gradients: Mapping[int, tf.Tensor]) -> tf.Tensor:
        """Half the mean square of the gradient of a gate per channel, once for every weight of the channel.

        A gate multiplies a channel of one image, so its gradient is the sum of activation times its gradient. A
        separable convolution has one output, by which both of its kernels are counted.
        """
        terms = []
        for layer, name in self._kernels:
            kernel, gradient = weights[id(layer)][name], gradients[id(layer)]
            channels = tf.shape(gradient)[1]
            per_channel = 0.5 * tf.reduce_mean(gradient**2, axis=0)
            terms.append(tf.reduce_sum(per_channel) * tf.cast(tf.size(kernel) // channels, tf.float32))
        return tf.add_n(terms)

    def _trace_synflow(self, images: tf.Tensor, scale: tf.Tensor, *extra: Any) -> tf.Tensor:
        weights = {
            id(layer): self._weights(layer, extra, lambda value: tf.abs(tf.cast(value, tf.float64)))
            for layer in self._layers
        }
        for values in weights.values():
            if "bias" in values:
                values["bias"] = values["bias"] * scale
        kernels = [weights[id(layer)][name] for layer, name in self._kernels]
        with tf.GradientTape() as tape:
            tape.watch(kernels)
            with self._rewired(weights, lambda layer, inputs: tf.identity(inputs), double=True, scale=scale):
                total = tf.reduce_sum(self._call(images, *extra)) * scale
        gradients = tape.gradient(total, kernels, unconnected_gradients=_ZERO)
        return tf.add_n([tf.reduce_sum(tf.abs(k * g)) for k, g in zip(kernels, gradients, strict=True)])


def _output_channels(layer: Layer, weights: Mapping[str, tf.Tensor]) -> tf.Tensor:
    """Channels of a layer's output, int32."""
    if "pointwise_kernel" in weights:
        return tf.shape(weights["pointwise_kernel"])[-1]
    if rewiring.is_depthwise(layer):  # Keras 2 calls its kernel `depthwise_kernel`, Keras 3 `kernel`
        kernel = weights.get("depthwise_kernel", weights.get("kernel"))
        return tf.reduce_prod(tf.shape(kernel)[-2:])
    if "Transpose" in type(layer).__name__:
        return tf.shape(weights["kernel"])[-2]
    return tf.shape(weights["kernel"])[-1]


def jacobian_covariance(jacobian: np.ndarray) -> float:
    """How differently a network reacts to the images of a batch.

    Args:
      jacobian: `[B, pixels]`, the gradients of the summed logits.

    Returns:
      Minus the sum of log(v + 1e-5) + 1 / (v + 1e-5) over the eigenvalues v of the rows' correlation matrix; NaN if a
      row is constant, as for a network that ignores its input.

    References:
      Mellor et al. 2020, "Neural Architecture Search without Training" (first version), section 3.
    """
    rows = np.asarray(jacobian, np.float64)
    if not (rows.std(axis=1) > 0).all():
        return float("nan")
    return covariance_score(np.linalg.eigvalsh(np.corrcoef(rows)))


def covariance_score(eigenvalues: np.ndarray) -> float:
    """The score of `jacobian_covariance` from the eigenvalues `[B]` of the correlation matrix."""
    shifted = np.maximum(np.asarray(eigenvalues, np.float64), 0) + _EPSILON
    return float(-np.sum(np.log(shifted) + 1 / shifted))
