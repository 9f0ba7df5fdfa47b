"""Arithmetic of a training step, and the rate at which a device multiplies matrices."""

import time

import numpy as np
import tensorflow as tf

from tfnas.spaces import Space


def flops_per_cell(space: Space, model: tf.Module) -> int:
    """Floating-point operations of the matrix products of arch2vec's training, per cell.

    A weight costs two operations per use forward, and twice as many backward. The weights of the joint decoder are used
    once per cell, all other weights once per vertex.

    Args:
      space: search space of the cells.
      model: autoencoder.
    """
    return 6 * sum(
        int(np.prod(weight.shape)) * (1 if "joint" in weight.name else space.max_vertices)
        for weight in model.trainable_variables
        if len(weight.shape) == 2
    )


def matmul_peak(size: int = 8192, rounds: int = 3) -> float:
    """GFLOP per second of products of float32 matrices, as TensorFlow computes them by default on the current device.

    Args:
      size: rows and columns of the matrices.
      rounds: number of products, of which the fastest counts.
    """
    square = tf.random.stateless_normal([size, size], [1, 2])
    multiply = tf.function(lambda matrix: tf.reduce_sum(tf.matmul(matrix, matrix)))
    multiply(square).numpy()
    seconds = []
    for _ in range(rounds):
        started = time.perf_counter()
        multiply(square).numpy()
        seconds.append(time.perf_counter() - started)
    return 2 * size**3 / min(seconds) / 1e9
