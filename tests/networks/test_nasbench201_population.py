import numpy as np
import pytest
import tensorflow as tf
import tf_keras

from tfnas.networks.nasbench201 import EDGE_OPERATIONS, NASBench201Network, Skeleton, work
from tfnas.networks.nasbench201_population import Population
from tfnas.spaces import Architecture
from tfnas.spaces.nasbench201 import ADJACENCY

SKELETON = Skeleton(num_classes=4, channels=3, cells_per_stage=2, stages=2)
CODES = np.array([[0, 1, 2, 3, 4, 1], [1, 1, 0, 0, 2, 3], [4, 4, 4, 4, 4, 4], [3, 2, 1, 0, 1, 2]], np.int32)


def _network_with(weights, number, images):
    """A Keras network of its own that holds one member's weights, and the names of those weights."""
    network = NASBench201Network(SKELETON)
    network(images, codes=tf.constant(CODES[number]))
    named = {}

    def take(layer_kernel, name):
        width = layer_kernel.shape[-1]
        layer_kernel.assign(weights[f"{name}/kernel"][..., number * width : (number + 1) * width])
        named[f"{name}/kernel"] = layer_kernel

    def take_norm(norm, name):
        named[f"{name}/gamma"], named[f"{name}/beta"] = norm.gamma, norm.beta
        named[f"{name}/mean"], named[f"{name}/variance"] = norm.moving_mean, norm.moving_variance

    take(network.stem.kernel, "stem")
    take_norm(network.stem_norm, "stem")
    stage, cell = 0, 0
    for block in network.blocks:
        if hasattr(block, "edges"):
            for edge, layer in enumerate(block.edges):
                name = f"{stage}/{cell}/{edge}"
                for size, key in (("1x1", "nor_conv_1x1"), ("3x3", "nor_conv_3x3")):
                    take(layer.convolutions[key][0].kernel, f"{name}/{size}")
                chosen = EDGE_OPERATIONS[CODES[number][edge]]
                if chosen in layer.convolutions:
                    take_norm(layer.convolutions[chosen][1], name)
            cell += 1
        else:
            stage, cell = stage + 1, 0
            for part in ("first", "second", "shortcut"):
                take(getattr(block, part).kernel, f"{stage}/reduction/{part}")
            take_norm(block.first_norm, f"{stage}/reduction/first")
            take_norm(block.second_norm, f"{stage}/reduction/second")
    take_norm(network.last_norm, "last")
    network.classifier.kernel.assign(weights["classifier/kernel"][number])
    named["classifier/kernel"], named["classifier/bias"] = network.classifier.kernel, network.classifier.bias
    return network, named


@pytest.mark.parametrize("number", range(len(CODES)))
def test_equals_the_keras_network_in_output_gradient_and_statistics(number, rng):
    images = tf.constant(rng.standard_normal((6, 7, 5, 2)), tf.float32)
    labels = tf.constant([0, 1, 2, 3, 0, 1])
    population = Population(SKELETON, image_channels=2)
    weights, statistics = population.initial(len(CODES), seed=3)
    weights = {
        name: value + 0.1 * rng.standard_normal(value.shape).astype(np.float32) for name, value in weights.items()
    }
    network, named = _network_with(weights, number, images)
    for name, variable in named.items():  # the norms' weights were perturbed too
        if name in weights and "kernel" not in name:
            variable.assign(tf.reshape(weights[name], (len(CODES), -1))[number])

    with tf.GradientTape() as tape:
        tape.watch(weights)
        logits, new = population.logits(weights, statistics, tf.constant(CODES), images, training=True)
        loss = tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits[:, number]))
    gradients = tape.gradient(loss, weights)
    with tf.GradientTape() as tape:
        expected = network(images, codes=tf.constant(CODES[number]), training=True)
        expected_loss = tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(labels, expected))
    trainable = {name: variable for name, variable in named.items() if variable.trainable}
    wanted = tape.gradient(expected_loss, trainable, unconnected_gradients="zero")

    np.testing.assert_allclose(logits[:, number], expected, atol=2e-4)
    for name, gradient in wanted.items():
        own = gradients[name]
        own = (
            own[number] if "classifier" in name else own[..., number * gradient.shape[-1] :][..., : gradient.shape[-1]]
        )
        np.testing.assert_allclose(own, gradient, atol=2e-4, err_msg=name)
    for name, variable in named.items():
        if name in new:
            own = tf.reshape(new[name], (len(CODES), -1))[number]
            np.testing.assert_allclose(own, variable, atol=1e-4, err_msg=name)
    trained = network(images, codes=tf.constant(CODES[number]))
    logits, _ = population.logits(weights, new, tf.constant(CODES), images, training=False)
    np.testing.assert_allclose(logits[:, number], trained, atol=2e-4)


def test_members_do_not_touch_each_other(rng):
    images = tf.constant(rng.standard_normal((4, 6, 6, 1)), tf.float32)
    population = Population(SKELETON, image_channels=1)
    weights, statistics = population.initial(len(CODES), seed=0)
    with tf.GradientTape() as tape:
        tape.watch(weights)
        logits, _ = population.logits(weights, statistics, tf.constant(CODES), images, training=True)
        loss = tf.reduce_sum(logits[:, 1] ** 2)
    for name, gradient in tape.gradient(loss, weights).items():
        others = gradient if "classifier" in name else np.moveaxis(gradient, -1, 0)
        others = np.asarray(others).reshape(len(CODES), -1)[[0, 2, 3]]
        assert not others.any(), name


@pytest.mark.parametrize("number", range(len(CODES)))
def test_size_equals_the_keras_network(number):
    """Parameters against Keras, multiply-adds against a count over the layers' kernels and output sizes."""
    codes = CODES[number : number + 1]
    names = ["input", *(EDGE_OPERATIONS[code] for code in CODES[number]), "output"]
    network = NASBench201Network(SKELETON, Architecture(tuple(names), ADJACENCY))
    network(tf.zeros([1, 7, 5, 2]))
    parameters, multiply_adds = work(SKELETON, codes, (7, 5, 2))
    assert parameters[0] == sum(int(np.prod(variable.shape)) for variable in network.trainable_variables)
    expected = network.classifier.kernel.shape.num_elements()
    for layer in network.submodules:
        if isinstance(layer, tf_keras.layers.Conv2D):
            pixels = 12 if layer.kernel.shape[-1] == 6 else 35  # 4 x 3 after the reduction
            expected += layer.kernel.shape.num_elements() * pixels
    assert multiply_adds[0] == expected
