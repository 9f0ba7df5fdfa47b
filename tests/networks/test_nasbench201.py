"""The network with operations as data is the network with the operations built in."""

import numpy as np
import pytest
import tensorflow as tf

from tfnas.networks.nasbench201 import EDGE_OPERATIONS, NASBench201Network, Skeleton, operation_codes
from tfnas.spaces import NASBench201

SPACE = NASBench201()


def test_switched_network_equals_fixed_network(rng):
    """Outputs in both modes and gradients, after copying the weights of the chosen operations."""
    skeleton = Skeleton(num_classes=5, channels=4, cells_per_stage=1, stages=2)
    images = tf.constant(rng.normal(size=(6, 8, 8, 1)), tf.float32)
    switched = NASBench201Network(skeleton)
    switched(images, codes=tf.zeros([6], tf.int32))
    cells = SPACE.sample(4, rng)
    for row in range(4):
        architecture = SPACE.architecture(cells, row)
        codes = tf.constant(operation_codes(architecture))
        fixed = NASBench201Network(skeleton, architecture)
        fixed(images)
        copy_weights(switched, fixed)
        for training in (False, True):
            with tf.GradientTape() as first, tf.GradientTape() as second:
                expected = fixed(images, training=training)
                actual = switched(images, codes=codes, training=training)
                losses = tf.reduce_sum(expected**2), tf.reduce_sum(actual**2)
            np.testing.assert_allclose(actual, expected, atol=1e-5)
            np.testing.assert_allclose(
                second.gradient(losses[1], switched.stem.kernel),
                first.gradient(losses[0], fixed.stem.kernel),
                rtol=1e-3,
                atol=1e-4,
            )


def copy_weights(source, target):
    pairs = [(source.stem, target.stem), (source.stem_norm, target.stem_norm), (source.last_norm, target.last_norm)]
    pairs.append((source.classifier, target.classifier))
    for mine, theirs in zip(source.blocks, target.blocks, strict=True):
        if not hasattr(mine, "edges"):
            pairs.append((mine, theirs))
            continue
        for edge, fixed_edge in zip(mine.edges, theirs.edges, strict=True):
            for name, layers in fixed_edge.convolutions.items():
                pairs.extend(zip(edge.convolutions[name], layers, strict=True))
    for mine, theirs in pairs:
        theirs.set_weights(mine.get_weights())


@pytest.mark.data
def test_parameter_counts_of_the_benchmark(data_dir, rng):
    """The paper's skeleton on 32 x 32 x 3 images with 10 classes has the benchmark's number of parameters."""
    table = np.load(data_dir / "nasbench201.npz")
    for row in rng.choice(15_625, 8, replace=False):
        network = NASBench201Network(Skeleton(), SPACE.from_string(str(table["arch"][row])))
        network(tf.zeros([1, 32, 32, 3]))
        count = sum(int(np.prod(v.shape)) for v in network.trainable_variables)
        assert count / 1e6 == pytest.approx(float(table["cifar10_parameters_millions"][row]), abs=1e-6)


def test_none_everywhere_still_gives_logits(rng):
    network = NASBench201Network(Skeleton(channels=4, cells_per_stage=1, stages=1))
    codes = tf.fill([6], EDGE_OPERATIONS.index("none"))
    logits = network(tf.constant(rng.normal(size=(3, 8, 8, 1)), tf.float32), codes=codes)
    np.testing.assert_allclose(logits - logits[:1], np.zeros((3, 10)), atol=1e-6)


def test_codes_where_they_belong():
    with pytest.raises(ValueError, match="codes"):
        NASBench201Network(Skeleton(channels=4))(tf.zeros([1, 8, 8, 1]))
