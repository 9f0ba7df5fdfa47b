"""Training steps to be timed, their arithmetic, and the rate at which a device multiplies matrices."""

import time
from collections.abc import Callable

import numpy as np
import tensorflow as tf

from tfnas.encoders.settings import GradientConfig
from tfnas.spaces import Space
from tfnas.training import loop


def training_steps(task: loop.Task, config: GradientConfig, steps: int) -> Callable[[], np.ndarray]:
    """A function that makes updates of a task, noise included, and returns the sums of the metrics.

    Args:
      task: task of a model.
      config: settings of the task, of which batch size and clipping count.
      steps: number of updates of every call; rows of an epoch come again where the data have fewer.
    """
    schedule = loop.TrainingConfig(epochs=1, batch_size=config.batch_size, seed=1, clip_norm=config.clip_norm)
    task.optimizer.build(task.model.trainable_variables)
    program = loop.compile_steps(task, schedule, tf.distribute.get_strategy(), steps, training=True)
    rows, weights = (
        tf.constant(np.resize(part, (steps, config.batch_size)))
        for part in loop.epoch_batches(task.num_examples, schedule, 1)
    )

    def update() -> np.ndarray:
        draws = task.draw(tf.constant([1, 2]), steps, config.batch_size)
        return program(rows, weights, draws, tf.constant(steps)).numpy()

    return update


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


def matmul_peak(size: int = 8192, rounds: int = 3, clock: Callable[[], float] = time.perf_counter) -> float:
    """GFLOP per second of products of float32 matrices, as TensorFlow computes them by default on the current device.

    Args:
      size: rows and columns of the matrices.
      rounds: number of products, of which the fastest counts.
      clock: seconds; `time.process_time` for GFLOP per CPU-second.
    """
    square = tf.random.stateless_normal([size, size], [1, 2])
    multiply = tf.function(lambda matrix: tf.reduce_sum(tf.matmul(matrix, matrix)))
    multiply(square).numpy()
    seconds = []
    for _ in range(rounds):
        started = clock()
        multiply(square).numpy()
        seconds.append(clock() - started)
    return 2 * size**3 / min(seconds) / 1e9
