"""Adam for batches of networks inside one tensor program.

Keras optimisers update variables. The programs here train many networks as plain tensors, several programs at a time
on several threads, so that the update is written as a function.

References:
  Kingma and Ba 2015, "Adam: A Method for Stochastic Optimization", the variant at the end of section 2.
"""

from collections.abc import Callable

import tensorflow as tf

Tensors = list[tf.Tensor]


def step(
    weights: Tensors,
    gradients: Tensors,
    first: Tensors,
    second: Tensors,
    number: tf.Tensor,
    rate: tf.Tensor | float,
    epsilon: float = 1e-7,
) -> tuple[Tensors, Tensors, Tensors]:
    """One update.

    Args:
      weights: weights of any shapes.
      gradients: gradients of the loss, in the shapes of the weights.
      first: running means of the gradients, zeros before the first update.
      second: running means of the squared gradients, zeros before the first update.
      number: number of the update, float scalar; the first update is 1.
      rate: learning rate, scalar.
      epsilon: constant that keeps the denominator above 0.

    Returns:
      New weights and new running means.
    """
    first = [0.9 * old + 0.1 * new for old, new in zip(first, gradients, strict=True)]
    second = [0.999 * old + 0.001 * new**2 for old, new in zip(second, gradients, strict=True)]
    rate = rate * tf.sqrt(1 - 0.999**number) / (1 - 0.9**number)
    weights = [
        weight - rate * mean / (tf.sqrt(square) + epsilon)
        for weight, mean, square in zip(weights, first, second, strict=True)
    ]
    return weights, first, second


def minimise(
    loss: Callable[[Tensors, tf.Tensor], tf.Tensor],
    weights: Tensors,
    steps: tf.Tensor,
    rate: Callable[[tf.Tensor], tf.Tensor | float],
    epsilon: float = 1e-7,
) -> Tensors:
    """Weights after some updates; for use inside a `tf.function`.

    Args:
      loss: function of weights and of the number of updates so far; a scalar.
      weights: initial weights.
      steps: number of updates, int scalar.
      rate: learning rate as a function of the number of updates so far.
      epsilon: constant of `step`.
    """
    first, second = [tf.zeros_like(weight) for weight in weights], [tf.zeros_like(weight) for weight in weights]
    for done in tf.range(steps):
        with tf.GradientTape() as tape:
            tape.watch(weights)
            value = loss(weights, done)
        gradients = tape.gradient(value, weights)
        number = tf.cast(done + 1, tf.float32)
        weights, first, second = step(weights, gradients, first, second, number, rate(done), epsilon)
    return weights
