"""DARTS networks: their size beside published numbers and beside the real network, and their shapes."""

import numpy as np
import pytest
import tensorflow as tf
import tf_keras

from tfnas.errors import ConfigurationError, InvalidArchitectureError
from tfnas.networks import darts
from tfnas.networks.darts import ARCH2VEC_BO, CIFAR10, IMAGENET, DartsNetwork, DartsSkeleton
from tfnas.spaces import Darts, NASBench301

SPACE = Darts()
SMALL = DartsSkeleton(num_classes=5, channels=4, layers=6, auxiliary=False)
SMALL_LARGE = DartsSkeleton(num_classes=5, channels=4, layers=5, large_images=True, auxiliary=False)


def parameters(network):
    return sum(int(np.prod(variable.shape)) for variable in network.trainable_variables)


def test_published_sizes():
    """The published log of arch2vec_bo says 3.617 million parameters; figure 10's cells keep the bound of 600 M."""
    cells = SPACE.to_table([darts.cell(genotype) for genotype in darts.GENOTYPES.values()])
    count, _ = darts.work(CIFAR10, cells, 32)
    assert round(count[0] / 1e6, 3) == 3.617
    _, multiply_adds = darts.work(IMAGENET, cells, 224)
    assert (multiply_adds < 600e6).all()
    assert (multiply_adds > 500e6).all()


@pytest.mark.parametrize(("skeleton", "size"), [(SMALL, 16), (SMALL_LARGE, 64)])
def test_counted_work_is_that_of_the_network(skeleton, size, rng):
    cells = SPACE.sample(2, rng)
    counted, multiply_adds = darts.work(skeleton, cells, size)
    for row in range(2):
        network = DartsNetwork(skeleton, SPACE.architecture(cells, row))
        assert network(tf.zeros([2, size, size, 3])).shape == (2, 5)
        assert parameters(network) == counted[row]
        assert measured_multiply_adds(network, size) == multiply_adds[row]


def measured_multiply_adds(network, size):
    """Convolutions and matrix products of the traced graph, from the shapes of their operands.

    A strided depthwise convolution is computed at every pixel before the strides; only what is kept counts.
    """
    graph = tf.function(lambda images: network(images)).get_concrete_function(tf.TensorSpec([1, size, size, 3])).graph
    total = 0
    for operation in graph.get_operations():
        if operation.type in ("Conv2D", "DepthwiseConv2dNative", "MatMul"):
            weights = operation.inputs[1].shape
            output = operation.outputs[0]
            while operation.type == "DepthwiseConv2dNative" and output.consumers()[0].type in (
                "StridedSlice",
                "BatchToSpaceND",
            ):
                output = output.consumers()[0].outputs[0]
            pixels = int(np.prod(output.shape[1:3])) if operation.type != "MatMul" else 1
            total += pixels * int(np.prod(weights))
    return total


def test_a_pair_of_cells(rng):
    space = NASBench301()
    pair = space.architecture(space.sample(1, rng), 0)
    network = DartsNetwork(SMALL, pair)
    assert network(tf.zeros([1, 16, 16, 3])).shape == (1, 5)
    normal, reduction = space.cells(pair)
    assert network.cells[0].states == SPACE.to_genotype(normal)[1]
    assert network.cells[SMALL.reductions[0]].states == SPACE.to_genotype(reduction)[1]


def test_dropping_paths():
    """Dropping changes what training computes, the same seed drops the same, and inference drops nothing."""
    tf_keras.utils.set_random_seed(0)
    network = DartsNetwork(SMALL, darts.cell(ARCH2VEC_BO))
    images = tf.random.stateless_normal([4, 16, 16, 3], [1, 2])
    before, plain = network(images, training=False), network(images, training=True)
    network.drop_path.assign(0.5)
    network.drop_seed.assign([3, 4])
    first, second = network(images, training=True), network(images, training=True)
    assert np.abs(first - plain).max() > 1e-3
    np.testing.assert_allclose(first, second, atol=1e-6)
    network.drop_seed.assign([3, 5])
    assert np.abs(first - network(images, training=True)).max() > 1e-3
    assert before.shape == network(images, training=False).shape


def test_the_auxiliary_classifier():
    skeleton = DartsSkeleton(num_classes=5, channels=4, layers=3)
    network = DartsNetwork(skeleton, darts.cell(ARCH2VEC_BO))
    logits, extra = network.with_auxiliary(tf.zeros([2, 32, 32, 3]), training=True)
    assert logits.shape == extra.shape == (2, 5)
    with pytest.raises(ConfigurationError, match="at least 8"):
        DartsNetwork(skeleton, darts.cell(ARCH2VEC_BO)).with_auxiliary(tf.zeros([1, 16, 16, 3]), training=True)


def test_cells_as_text():
    cell, pair = darts.cell(ARCH2VEC_BO), NASBench301().from_cells(*map(darts.cell, darts.GENOTYPES.values()))
    slots = ",".join(f"{name}:{state}" for name, state in ARCH2VEC_BO)
    for text in ("arch2vec_bo", slots, SPACE.write(cell, "genotype"), str(SPACE.write(cell, "naslib"))):
        assert darts.read_cell(text) == cell
    assert darts.read_cell(NASBench301().write(pair, "genotype")) == pair
    with pytest.raises(
        InvalidArchitectureError, match=r"'best' is no nasbench301 .* a name \(arch2vec_bo, arch2vec_rl\)"
    ):
        darts.read_cell("best")


@pytest.mark.parametrize("changes", [{"layers": 2}, {"channels": 5}, {"num_classes": 0}])
def test_bad_skeletons(changes):
    with pytest.raises(ConfigurationError, match="expected at least 3 layers"):
        DartsSkeleton(**changes)
