"""Rates of the matrix products of arch2vec's training inside an XLA loop, in two layouts, beside large products.

  python -m perf.products

A batch of 32 cells of 7 vertices has 224 rows of 128 numbers. A layer multiplies them by its weights, and its gradient
takes two products more. In the second layout every matrix of rows is kept transposed. All on one core, in turn.
"""

import time
from collections.abc import Callable

import tensorflow as tf
from absl import app, flags

from perf.arithmetic import matmul_peak
from perf.results import Figure, record

_ROUNDS = flags.DEFINE_integer("rounds", 15, "Measurements of each product.", lower_bound=1)
_PRODUCTS = 2000
_ROWS, _WIDTH = 32 * 7, 128


def product(rows: int, inner: int, columns: int, transpose_a: bool, transpose_b: bool) -> Callable[[], float]:
    """A function that measures GFLOP per CPU-second of a product `[rows, inner]` x `[inner, columns]`.

    Args:
      rows: rows of the result.
      inner: length of the sums.
      columns: columns of the result.
      transpose_a: whether the first matrix is kept transposed.
      transpose_b: whether the second matrix is kept transposed.
    """
    first = tf.random.stateless_normal([inner, rows] if transpose_a else [rows, inner], [1, 2])
    second = tf.random.stateless_normal([columns, inner] if transpose_b else [inner, columns], [3, 4])

    @tf.function(autograph=False, jit_compile=True)
    def multiply() -> tf.Tensor:
        def step(done: tf.Tensor, matrix: tf.Tensor, corner: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
            result = tf.matmul(matrix, second, transpose_a=transpose_a, transpose_b=transpose_b)
            return done + 1, matrix + 1e-9 * corner, result[0, 0]  # every product needs the one before

        return tf.while_loop(lambda done, *_: done < _PRODUCTS, step, [0, first, 0.0])[2]

    def measure() -> float:
        started = time.process_time()
        multiply().numpy()
        return 2e-9 * rows * inner * columns * _PRODUCTS / (time.process_time() - started)

    measure()  # compiles
    return measure


def main(_: list[str]) -> None:
    """Measures all products in turn and records them."""
    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    measures = {
        ("outputs", "rows"): product(_ROWS, _WIDTH, _WIDTH, False, False),
        ("outputs", "transposed rows"): product(_WIDTH, _WIDTH, _ROWS, True, False),
        ("gradient of inputs", "rows"): product(_ROWS, _WIDTH, _WIDTH, False, True),
        ("gradient of inputs", "transposed rows"): product(_WIDTH, _WIDTH, _ROWS, False, False),
        ("gradient of weights", "rows"): product(_WIDTH, _ROWS, _WIDTH, True, False),
        ("gradient of weights", "transposed rows"): product(_WIDTH, _ROWS, _WIDTH, False, True),
        ("large product", "1536 x 1536"): lambda: matmul_peak(1536, 1, time.process_time),
    }
    rounds = [[measure() for measure in measures.values()] for _ in range(_ROUNDS.value)]
    figures = [
        Figure(work, layout, values, "GFLOP per CPU-second")
        for (work, layout), values in zip(measures, zip(*rounds, strict=True), strict=True)
    ]
    record("products", figures, {"rounds": _ROUNDS.value})


if __name__ == "__main__":
    app.run(main)
