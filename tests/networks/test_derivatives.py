"""Convolutions and batch norms with derivatives of their own against what TensorFlow derives."""

import functools

import numpy as np
import pytest
import tensorflow as tf

from tfnas.networks.derivatives import Convolutions, Pass, batch_norm

RNG = np.random.default_rng(0)


def normal(*shape):
    return tf.constant(RNG.normal(size=shape), tf.float32)


SCALE, OFFSET = normal(4) + 2, normal(4)


def fused(inputs, scale, offset):
    return tf.compat.v1.nn.fused_batch_norm(inputs, scale, offset, epsilon=1e-3)[0]


def convolution(inputs, kernel, settings):
    return tf.nn.conv2d(inputs, kernel, **settings)


def derivatives(convolve, norm, images, kernels, settings):
    """Gradients of a loss, of images alone, and the Hessian times the kernels, of two convolutions and a norm."""
    with tf.GradientTape() as outer:
        outer.watch(kernels)
        with tf.GradientTape(persistent=True) as tape:
            tape.watch([images, kernels])
            features = tf.nn.tanh(norm(convolve(images, kernels[0], settings), SCALE, OFFSET))
            loss = tf.reduce_sum(convolve(features, kernels[1], settings) ** 3)
        gradients = tape.gradient(loss, kernels)
    if isinstance(convolve, Convolutions):
        convolve.current = Pass.CURVATURE
    curvature = outer.gradient(gradients, kernels, output_gradients=kernels)
    if isinstance(convolve, Convolutions):
        convolve.current = Pass.IMAGES
    return [*gradients, *curvature, tape.gradient(loss, images)]


@pytest.mark.parametrize(("strides", "padding"), [(1, "SAME"), (2, "SAME"), (1, "VALID")], ids=str)
def test_derivatives_equal_those_of_tensorflow(strides, padding):
    settings = {"strides": [1, strides, strides, 1], "padding": padding}
    images, kernels = normal(3, 9, 9, 2), [normal(3, 3, 2, 4), normal(3, 3, 4, 2)]
    expected = derivatives(convolution, fused, images, kernels, settings)
    found = derivatives(Convolutions(), functools.partial(batch_norm, epsilon=1e-3), images, kernels, settings)
    for theirs, ours in zip(expected, found, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-5 * np.abs(theirs).max())
