"""Zero-cost scores of any Keras model: one forward pass for all scores but synflow, which has a pass of its own.

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
from tfnas.networks.derivatives import Convolutions, Pass
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
    """Scores of one model; the model itself is never changed.

    Norms use the statistics of the batch, dropout is off, a softmax at the end is left out. Layers with kernels
    (convolutions and matrix products) count; a network without any has no scores. Operations run one by one, so that
    the first network costs no more than any other.

    Args:
      model: a built model of Keras 3 or tf_keras, from images to logits or probabilities.
      proxies: names of scores, of `PROXIES`.
      call: function from images and the extra arguments of `scores` to logits; by default the model on images alone.
      weight: function from a layer, the name of an attribute, its value and the extra arguments to the weight in the
        call, which may have fewer channels; by default the value.

    Raises:
      ConfigurationError: an unknown score, or a model without kernels.
    """

    def __init__(
        self,
        model: Layer,
        proxies: Sequence[str] = PROXIES,
        call: Callable[..., tf.Tensor] | None = None,
        weight: Callable[..., tf.Tensor] | None = None,
    ):
        check_proxies(proxies)
        self.proxies = tuple(proxies)
        self._model = model
        self._call = call or (lambda images: model(images, training=False))
        self._weight = weight or (lambda layer, name, value, *extra: value)
        self._layers = rewiring.all_layers(model)
        self._weight_names = {id(layer): names for layer in self._layers if (names := rewiring.own_weights(layer))}
        self._kernel_names = {id(layer): names for layer in self._layers if (names := rewiring.kernel_names(layer))}
        if not self._kernel_names:
            raise ConfigurationError(f"model {model.name!r} has no convolution and no matrix product to score")
        self._cut = weight is not None

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
            tensors = self._tensors(tf.constant(images), tf.constant(labels, tf.int32), *extra)
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
            total = float(self._synflow(images, tf.constant(2.0**exponent, tf.float64), *extra))
            return np.log(total) - 2 * exponent * np.log(2) if 0 < total < np.inf else float("nan")

        plain = logarithm(0)
        if np.isfinite(plain):
            return plain
        for exponents in _EXPONENTS:
            first, second = map(logarithm, exponents)
            if abs(first - second) <= 1e-6 * abs(first):
                return first
        return float("nan")

    def _lending(
        self, extra: Sequence[Any], change: Callable[[str, tf.Tensor], tf.Tensor]
    ) -> tuple[Callable[[Layer], dict[str, tf.Tensor]], dict[int, list[tf.Tensor]]]:
        """A function from a layer to its changed weights, and the kernels of the layers it was called with, by `id`."""
        weights: dict[int, dict[str, tf.Tensor]] = {}
        kernels: dict[int, list[tf.Tensor]] = {}

        def lent(layer: Layer) -> dict[str, tf.Tensor]:
            if id(layer) not in weights:
                values = {
                    name: self._weight(layer, name, tf.convert_to_tensor(getattr(layer, name)), *extra)
                    for name in self._weight_names.get(id(layer), ())
                }
                weights[id(layer)] = {name: change(name, value) for name, value in values.items()}
                if id(layer) in self._kernel_names:
                    kernels[id(layer)] = [weights[id(layer)][name] for name in self._kernel_names[id(layer)]]
            return weights[id(layer)]

        return lent, kernels

    def _tensors(self, images: tf.Tensor, labels: tf.Tensor, *extra: Any) -> dict[str, tf.Tensor]:
        """All scores but synflow, with the Jacobian in place of jacov."""
        convolutions = Convolutions()
        outputs: list[tuple[int, tf.Tensor]] = []
        # The outer tape records the gradients that grasp differentiates.
        tape = tf.GradientTape(persistent=True, watch_accessed_variables=False)
        outer = tf.GradientTape(watch_accessed_variables=False)
        tapes = [outer, tape] if "grasp" in self.proxies else [tape]

        def watched(name: str, value: tf.Tensor) -> tf.Tensor:
            value = tf.identity(value)
            for recorder in tapes:
                recorder.watch(value)
            return value

        lent, kernels_of = self._lending(extra, watched)
        scores: dict[str, tf.Tensor] = {}
        with contextlib.ExitStack() as recording:
            for recorder in tapes[:-1]:
                recording.enter_context(recorder)
            with tape:
                tape.watch(images)
                with rewiring.rewired(
                    self._model,
                    self._layers,
                    lent,
                    lambda layer, inputs: rewiring.training_norm(layer, lent(layer), inputs),
                    observe=lambda layer, values: outputs.append((id(layer), values)),
                    convolutions=convolutions,
                    weighted=self._weight_names,
                    cut=self._cut,
                ):
                    logits = self._call(images, *extra)
                if logits.shape.rank != 2:
                    raise ConfigurationError(f"the model returns shape {logits.shape}, expected logits [B, classes]")
                loss = tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits))
                total = tf.reduce_sum(logits)
            kernels = [kernel for values in kernels_of.values() for kernel in values]
            outputs = [(layer, values) for layer, values in outputs if layer in kernels_of]
            if set(self.proxies) & {*GRADIENT_PROXIES, "grasp"}:
                gradients, output_gradients = tape.gradient(
                    loss, [kernels, [values for _, values in outputs]], unconnected_gradients=_ZERO
                )
        if "grad_norm" in self.proxies:
            scores["grad_norm"] = tf.add_n([tf.norm(gradient) for gradient in gradients])
        if "snip" in self.proxies:
            scores["snip"] = tf.add_n([tf.reduce_sum(tf.abs(k * g)) for k, g in zip(kernels, gradients, strict=True)])
        if "fisher" in self.proxies:
            scores["fisher"] = _fisher(kernels_of, outputs, output_gradients)
        if "grasp" in self.proxies:
            # The product of kernels, Hessian and gradients; `Convolutions` computes the product of kernels and Hessian.
            convolutions.current = Pass.CURVATURE
            curvature = outer.gradient(gradients, kernels, output_gradients=kernels, unconnected_gradients=_ZERO)
            scores["grasp"] = -tf.add_n([tf.reduce_sum(g * c) for g, c in zip(gradients, curvature, strict=True)])
        if "jacov" in self.proxies:
            convolutions.current = Pass.IMAGES
            jacobian = tape.gradient(total, images, unconnected_gradients=_ZERO)
            scores["jacobian"] = tf.reshape(jacobian, [tf.shape(images)[0], -1])
        return scores

    def _synflow(self, images: tf.Tensor, scale: tf.Tensor, *extra: Any) -> tf.Tensor:
        with tf.GradientTape(watch_accessed_variables=False) as tape:

            def absolute(name: str, value: tf.Tensor) -> tf.Tensor:
                value = tf.abs(tf.cast(value, tf.float64)) * (scale if name == "bias" else 1.0)
                tape.watch(value)
                return value

            lent, kernels_of = self._lending(extra, absolute)
            with rewiring.rewired(
                self._model,
                self._layers,
                lent,
                lambda layer, inputs: tf.identity(inputs),
                weighted=self._weight_names,
                double=True,
                cut=self._cut,
                scale=scale,
            ):
                total = tf.reduce_sum(self._call(images, *extra)) * scale
        kernels = [kernel for values in kernels_of.values() for kernel in values]
        gradients = tape.gradient(total, kernels, unconnected_gradients=_ZERO)
        return tf.add_n([tf.reduce_sum(tf.abs(k * g)) for k, g in zip(kernels, gradients, strict=True)])


def _fisher(
    kernels: Mapping[int, Sequence[tf.Tensor]],
    outputs: Sequence[tuple[int, tf.Tensor]],
    gradients: Sequence[tf.Tensor],
) -> tf.Tensor:
    """Half the mean square of a channel's sum of output times gradient, once for every weight of the channel.

    A separable convolution has one output, by which both of its kernels are counted.

    Args:
      kernels: kernels by `id` of a layer.
      outputs: `id` of the layer and output `[B, ..., channels]` of every call of a layer.
      gradients: gradients of the outputs.
    """
    sums: dict[int, tf.Tensor] = {}
    for (layer, values), gradient in zip(outputs, gradients, strict=True):
        products = tf.reduce_sum(values * gradient, list(range(1, values.shape.rank - 1)))
        sums[layer] = sums[layer] + products if layer in sums else products
    terms = []
    for layer, products in sums.items():
        weights = sum(tf.size(kernel) // tf.shape(products)[1] for kernel in kernels[layer])
        terms.append(0.5 * tf.reduce_sum(tf.reduce_mean(products**2, axis=0)) * tf.cast(weights, tf.float32))
    return tf.add_n(terms)


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
