"""Convolution and batch normalisation whose derivatives of the first and second order cost little.

TensorFlow computes the gradients of both inputs of a convolution even where only the gradient of either is asked for,
and the gradient of a batch norm's gradient by some fifty operations on whole feature maps. The functions of this file
compute only what a pass uses, and the gradient of the gradient in closed form. The functions work where operations run
one by one, not inside `tf.function`.
"""

import enum
from collections.abc import Callable
from typing import Any

import tensorflow as tf

_LEAST_EPSILON = 1.001e-5
"""cuDNN refuses smaller numbers, which `tf.compat.v1.nn.fused_batch_norm` therefore raises."""


class Pass(enum.Enum):
    """What gradients are taken of."""

    KERNELS = enum.auto()
    """Kernels, and what the kernels depend on; these gradients can be differentiated by the pass `CURVATURE`."""
    IMAGES = enum.auto()
    """Images alone: kernels are constants."""
    CURVATURE = enum.auto()
    """The gradients of `KERNELS` with respect to kernels, where every kernel weighs its gradient."""


@tf.custom_gradient
def _with_gradient(*inputs: tf.Tensor, outputs: Any, gradient: Callable[..., Any]) -> tuple:
    """Outputs that were computed already, with a function from their gradients to the gradients of the inputs."""
    return outputs, gradient


class Convolutions:
    """Convolutions with the derivatives of the pass under way.

    Attributes:
      current: the pass, to be set before gradients are taken.
    """

    def __init__(self) -> None:
        self.current = Pass.KERNELS

    def __call__(self, inputs: tf.Tensor, kernel: tf.Tensor, settings: dict[str, Any]) -> tf.Tensor:
        """The convolution `tf.raw_ops.Conv2D`.

        Args:
          inputs: float `[B, height, width, channels]`.
          kernel: float `[height, width, channels, channels of the output]`.
          settings: strides and padding, as `tf.raw_ops.Conv2D` takes them.
        """
        image_shape, kernel_shape = tf.shape(inputs), tf.shape(kernel)

        def convolved(images: tf.Tensor) -> tf.Tensor:
            return tf.raw_ops.Conv2D(input=images, filter=kernel, **settings)

        def image_gradient(upstream: tf.Tensor) -> tf.Tensor:
            return tf.raw_ops.Conv2DBackpropInput(
                input_sizes=image_shape, filter=kernel, out_backprop=upstream, **settings
            )

        def kernel_gradient(images: tf.Tensor, upstream: tf.Tensor) -> tf.Tensor:
            return tf.raw_ops.Conv2DBackpropFilter(
                input=images, filter_sizes=kernel_shape, out_backprop=upstream, **settings
            )

        outputs = convolved(inputs)

        def first(upstream: tf.Tensor) -> tuple[tf.Tensor | None, ...]:
            of_images = image_gradient(upstream)
            if self.current is Pass.IMAGES:
                return of_images, None
            of_kernel = kernel_gradient(inputs, upstream)
            if self.current is Pass.CURVATURE:
                return of_images, of_kernel

            def second(weight: tf.Tensor, _: tf.Tensor) -> tuple[tf.Tensor, ...]:
                # The gradient of the kernel is weighted by the kernel, so that two products are known already.
                return of_images, kernel_gradient(weight, upstream), outputs + convolved(weight)

            return _with_gradient(inputs, kernel, upstream, outputs=(of_images, of_kernel), gradient=second)

        return _with_gradient(inputs, kernel, outputs=outputs, gradient=first)


def batch_norm(inputs: tf.Tensor, scale: tf.Tensor, offset: tf.Tensor, epsilon: float) -> tf.Tensor:
    """Normalisation by the statistics of the batch; scale and offset count as constants.

    Args:
      inputs: float32 `[B, height, width, channels]`.
      scale: float32 `[channels]`.
      offset: float32 `[channels]`.
      epsilon: number that is added to the variance.
    """
    epsilon = max(epsilon, _LEAST_EPSILON)
    outputs, mean, variance, *reserved = tf.raw_ops.FusedBatchNormV3(
        x=inputs, scale=scale, offset=offset, mean=[], variance=[], epsilon=epsilon
    )

    def derivative(values: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """The norm's derivative at values, and the sums of values times normalised inputs and of values alone."""
        return tf.raw_ops.FusedBatchNormGradV3(
            y_backprop=values,
            x=inputs,
            scale=scale,
            reserve_space_1=reserved[0],
            reserve_space_2=reserved[1],
            reserve_space_3=reserved[2],
            epsilon=epsilon,
        )[:3]

    def first(upstream: tf.Tensor) -> tf.Tensor:
        of_inputs, *sums = derivative(upstream)

        def second(weight: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            of_upstream, *weight_sums = derivative(weight)  # the derivative is symmetric
            moments = (mean, variance, tf.constant(epsilon), scale)
            curvature = _norm_curvature(inputs, upstream, weight, of_inputs, *sums, *weight_sums, *moments)
            return curvature, of_upstream

        return _with_gradient(inputs, upstream, outputs=of_inputs, gradient=second)

    return _with_gradient(inputs, outputs=outputs, gradient=first)


_MAPS, _CHANNELS = tf.TensorSpec([None, None, None, None]), tf.TensorSpec([None])


@tf.function(input_signature=[_MAPS] * 4 + [_CHANNELS] * 6 + [tf.TensorSpec([]), _CHANNELS], autograph=False)
def _norm_curvature(
    inputs: tf.Tensor,
    upstream: tf.Tensor,
    weight: tf.Tensor,
    gradient: tf.Tensor,
    upstream_product: tf.Tensor,
    upstream_sum: tf.Tensor,
    weight_product: tf.Tensor,
    weight_sum: tf.Tensor,
    mean: tf.Tensor,
    variance: tf.Tensor,
    epsilon: tf.Tensor,
    scale: tf.Tensor,
) -> tf.Tensor:
    """The derivative of the sum of weight times gradient with respect to the inputs of a batch norm.

    Args:
      inputs: inputs of the norm, float32 `[B, height, width, channels]`.
      upstream: gradient of the norm's outputs.
      weight: number by which each entry of the gradient counts.
      gradient: gradient of the inputs.
      upstream_product: sum of upstream times normalised inputs by channel, float32 `[channels]`.
      upstream_sum: sum of upstream by channel.
      weight_product: sum of weight times normalised inputs by channel.
      weight_sum: sum of weight by channel.
      mean: mean of the inputs by channel.
      variance: unbiased variance of the inputs by channel.
      epsilon: number that is added to the variance.
      scale: scale of the norm.
    """
    count = tf.cast(tf.size(inputs) / tf.size(scale), tf.float32)
    a, b = upstream_product / count, weight_product / count
    deviation = tf.math.rsqrt(variance * (1 - 1 / count) + epsilon)
    factor = scale * deviation**2
    product = tf.reduce_sum(weight * gradient, [0, 1, 2]) / count
    slope = deviation * (2 * factor * a * b - deviation * product)
    constant = factor * (a * weight_sum + b * upstream_sum) / count - slope * mean
    return slope * inputs + constant - (factor * a) * weight - (factor * b) * upstream
