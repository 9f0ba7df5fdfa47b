"""Adam as a function against the optimiser of Keras."""

import numpy as np
import tensorflow as tf
import tf_keras

from tfnas.predictors import adam


def test_updates_equal_those_of_keras(rng):
    start = [rng.normal(size=shape).astype(np.float32) for shape in ((3, 4), (4,))]
    goal = [rng.normal(size=weight.shape).astype(np.float32) for weight in start]

    def loss(weights):
        return sum(tf.reduce_sum((weight - end) ** 4) for weight, end in zip(weights, goal, strict=True))

    program = tf.function(
        lambda weights: adam.minimise(lambda weights, done: loss(weights), weights, tf.constant(30), lambda done: 0.03)
    )
    variables = [tf.Variable(weight) for weight in start]
    optimizer = tf_keras.optimizers.Adam(0.03, epsilon=1e-7)
    for _ in range(30):
        with tf.GradientTape() as tape:
            value = loss(variables)
        optimizer.apply_gradients(zip(tape.gradient(value, variables), variables, strict=True))
    for weight, variable in zip(program([tf.constant(weight) for weight in start]), variables, strict=True):
        np.testing.assert_allclose(weight, variable, rtol=1e-4, atol=1e-5)
