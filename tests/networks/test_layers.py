"""How layers start and normalise."""

import numpy as np
import pytest
import tensorflow as tf
import tf_keras

from tfnas.errors import ConfigurationError
from tfnas.networks.layers import INITIALIZATIONS, LayerSettings
from tfnas.networks.mobilenetv3 import MobileNetV3Network, MobileNetV3Skeleton
from tfnas.networks.nasbench101 import NASBench101Network, NASBench101Skeleton
from tfnas.networks.nasbench201 import NASBench201Network, Skeleton
from tfnas.networks.nats_size import NATSSizeNetwork
from tfnas.spaces import MobileNetV3, NASBench201, NATSSize


@pytest.mark.parametrize(
    ("initialization", "variance"),
    [("he_normal", 2 / (9 * 16)), ("keras", 2 / (9 * (16 + 64))), ("pytorch", 1 / (3 * 9 * 16))],
)
def test_variance_of_kernels(initialization, variance):
    tf.random.set_seed(0)
    layer = LayerSettings(initialization).convolution2d(64, 3)
    layer.build((None, 8, 8, 16))
    assert np.var(layer.kernel) == pytest.approx(variance, rel=0.05)


def test_pytorch_draws_biases_and_depthwise_kernels_too():
    tf.random.set_seed(0)
    settings = LayerSettings("pytorch")
    dense = settings.dense(4000)
    dense.build((None, 25))
    assert np.abs(dense.bias).max() == pytest.approx(1 / 5, rel=0.01)
    convolution = settings.convolution2d(4000, 3, use_bias=True)
    convolution.build((None, 8, 8, 4))
    assert np.abs(convolution.bias).max() == pytest.approx(1 / 6, rel=0.01)
    depthwise = tf_keras.layers.DepthwiseConv2D(5, depthwise_initializer=settings.depthwise_initializer(5))
    depthwise.build((None, 8, 8, 500))
    assert np.abs(depthwise.depthwise_kernel).max() == pytest.approx(1 / 5, rel=0.01)
    assert not np.any(LayerSettings("keras").dense(4)(tf.zeros((1, 2))))


def test_norms_without_scale_and_shift(rng):
    """Only trained parameters go: two per channel of every norm."""
    cell = NASBench201().from_string("|nor_conv_3x3~0|+|none~0|none~1|+|none~0|none~1|nor_conv_1x1~2|")
    counts = []
    for affine in (True, False):
        network = NASBench201Network(Skeleton(channels=4, cells_per_stage=1), cell, LayerSettings(norm_affine=affine))
        network(tf.constant(rng.normal(size=(2, 8, 8, 3)), tf.float32))
        counts.append(sum(int(tf.size(variable)) for variable in network.trainable_variables))
    norms = [4] + [4] * 2 + [8] * 2 + [8] * 2 + [16] * 2 + [16] * 2 + [16]
    assert counts[0] - counts[1] == 2 * sum(norms)


def test_mistakes():
    for wrong in ({"initialization": "zeros"}, {"norm_momentum": 1.0}, {"norm_epsilon": 0.0}):
        with pytest.raises(ConfigurationError, match="expected"):
            LayerSettings(**wrong)
    with pytest.raises(ConfigurationError):
        MobileNetV3Skeleton(width=0)
    with pytest.raises(ConfigurationError):
        NASBench101Skeleton(stacks=0)


@pytest.mark.parametrize("initialization", INITIALIZATIONS)
def test_networks_train(initialization, rng, small_nasbench101):
    """Logits and gradients are finite, and every trainable variable gets one."""
    settings = LayerSettings(initialization)
    cells = small_nasbench101.sample(1, rng)
    networks = [
        NASBench101Network(NASBench101Skeleton(4, 8, 1, 2), small_nasbench101.architecture(cells, 0), settings),
        NATSSizeNetwork(NATSSize().from_string("8:16:16:24:8"), 4, settings),
        MobileNetV3Network(MobileNetV3Skeleton(4, 0.5), MobileNetV3().from_stages([[(3, 3)] * 2] * 5), settings),
    ]
    images = tf.constant(rng.normal(size=(3, 32, 32, 3)), tf.float32)
    for network in networks:
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(tf.nn.softmax(network(images, training=True)) ** 2)
        gradients = tape.gradient(loss, network.trainable_variables)
        assert all(gradient is not None and np.isfinite(gradient).all() for gradient in gradients)
        assert network(images).shape == (3, 4)
