"""Batch normalisation with a mask, and the initialiser."""

import numpy as np
import tensorflow as tf
import tf_keras

from tfnas.encoders.layers import FanInUniform, MaskedBatchNormalization, linear, side_by_side


def test_masked_rows_do_not_count(rng):
    rows = rng.normal(2.0, 3.0, (20, 4)).astype(np.float32)
    mask = np.ones((20, 1), np.float32)
    mask[12:] = 0
    layer = MaskedBatchNormalization()
    output = layer(rows, row_mask=mask, training=True).numpy()[:12]
    kept = rows[:12]
    np.testing.assert_allclose(output, (kept - kept.mean(0)) / np.sqrt(kept.var(0) + 1e-5), atol=1e-5)
    np.testing.assert_allclose(layer.moving_mean, 0.1 * kept.mean(0), rtol=1e-5)
    np.testing.assert_allclose(layer.moving_variance, 0.9 + 0.1 * kept.var(0, ddof=1), rtol=1e-5)


def test_agrees_with_keras_without_mask(rng):
    rows = rng.normal(size=(50, 3)).astype(np.float32)
    ours, keras = MaskedBatchNormalization(), tf_keras.layers.BatchNormalization(epsilon=1e-5)
    np.testing.assert_allclose(ours(rows, training=True), keras(rows, training=True), atol=1e-5)


def test_layers_side_by_side_are_the_layers(rng):
    layers = [linear(5, 3, seed, f"layer_{seed}") for seed in range(2)]
    rows = rng.normal(size=(4, 5)).astype(np.float32)
    expected = [layer(rows) for layer in layers]
    for output, truth in zip(side_by_side(layers, rows), expected, strict=True):
        np.testing.assert_allclose(output, truth, atol=1e-6)


def test_replicas_share_statistics(rng, two_replicas):
    rows = rng.normal(size=(8, 3)).astype(np.float32)
    with two_replicas.scope():
        layer = MaskedBatchNormalization()
        layer.build(tf.TensorShape([None, 3]))

    @tf.function
    def run():
        def step():
            start = 4 * tf.distribute.get_replica_context().replica_id_in_sync_group
            return layer(tf.constant(rows)[start : start + 4], training=True)

        return two_replicas.run(step)

    parts = two_replicas.experimental_local_results(run())
    single = MaskedBatchNormalization()(rows, training=True)
    np.testing.assert_allclose(np.concatenate(parts), single, atol=1e-6)


def test_fan_in_uniform_has_pytorchs_bounds():
    values = FanInUniform(3, 100)((100, 500)).numpy()
    assert np.abs(values).max() <= 0.1
    np.testing.assert_allclose(values.std(), 0.1 / np.sqrt(3), rtol=0.02)
    np.testing.assert_array_equal(values, FanInUniform(3, 100)((100, 500)))
