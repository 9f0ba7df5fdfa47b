"""Numbers of computation graphs in TensorFlow, so that an export needs nothing else to read them.

They are those of `graphs.form_numbers`, with counts of operators and of kernels.

References:
  Kadlecova et al. 2024, "Surprisingly Strong Performance Prediction with Neural Graph Features" (GRAF), section 3.
"""

from collections.abc import Collection

import numpy as np
import tensorflow as tf

from tfnas.graphs.form_numbers import STAGES
from tfnas.graphs.operators import ACTIVATIONS, CODES, CONV_TRANSPOSE, DEPTHWISE_CONV, OPERATORS, WEIGHTED
from tfnas.graphs.packed import FlatBatch

_KINDS = ("operator", "weighted", "spatial", "window", "activation", "fan_in", "width")
_KERNELS = ("1x1", "3x3", "larger")
_CONVOLUTIONS = {"dense": tuple(name for name in WEIGHTED if name != DEPTHWISE_CONV), "depthwise": (DEPTHWISE_CONV,)}
_POOLS = ("max_pool", "avg_pool")

COUNTS = (
    *(f"count {name}" for name in OPERATORS),
    *(f"kernels {kernel} {kind}" for kind in _CONVOLUTIONS for kernel in _KERNELS),
)
"""Names of the first numbers of `graph_numbers`, logarithms of 1 + how often operators and kernels occur."""

NUMBERS = (
    *COUNTS,
    *(f"{statistic} {kind}" for statistic in ("total", "longest", "shortest", "mean") for kind in _KINDS),
    *("log receptive_field", "log weights", "log multiply_adds", "log activation_memory", "log edges"),
    *(f"log multiply_adds_{stage}" for stage in range(STAGES)),
    *("narrowest width", "widest width", "share spatial"),
)
"""Names of the numbers that `graph_numbers` returns."""

_FAR_BELOW = -1e30


def groups() -> dict[str, list[int]]:
    """The columns of `NUMBERS` by what they say about a network, for explanations."""
    active = {f"count {name}" for name in ACTIVATIONS}
    by_group: dict[str, list[int]] = {
        name: []
        for name in ("sizes", "depth and paths", "activation functions", "widths", "operators with weights", "others")
    }
    for column, name in enumerate(NUMBERS):
        statistic, what, *_ = name.split(" ")
        if name in active or what == "activation":
            group = "activation functions"
        elif what in ("fan_in", "width"):
            group = "widths"
        elif statistic == "log" and what not in ("receptive_field", "edges"):
            group = "sizes"
        elif statistic in ("kernels", "share") or (statistic == "count" and what in WEIGHTED):
            group = "operators with weights"
        else:
            group = "others" if statistic == "count" else "depth and paths"
        by_group[group].append(column)
    return {("other operators" if name == "others" else name): columns for name, columns in by_group.items()}


def graph_numbers(batch: FlatBatch) -> tf.Tensor:
    """Numbers of B graphs.

    Paths lead from operators that read no other operator to those that none reads; `mean` is over random walks from the
    first operator. Weights and multiply-adds are those that the shapes of the operators imply.

    Args:
      batch: B graphs that are not empty.

    Returns:
      float32 `[B, K]`, the order is that of `NUMBERS`.

    Example:
      >>> from tfnas.graphs.computation_graph import smallest_graph
      >>> from tfnas.graphs.packed import pack
      >>> numbers = graph_numbers(pack([smallest_graph()]).flat_batch())[0]
      >>> float(numbers[NUMBERS.index("longest operator")])
      2.0
    """
    graphs, owner = tf.shape(batch.sizes)[0], batch.node_graph
    operator = batch.nodes[:, 0]
    shapes = tf.maximum(tf.cast(batch.nodes[:, 1:9], tf.float32), 0.0)
    height_in, height_out, width_in, width_out, inputs, outputs, *kernel = tf.unstack(shapes, axis=1)
    area = tf.maximum(1.0, kernel[0] * kernel[1])

    def total(values: tf.Tensor) -> tf.Tensor:
        return tf.math.unsorted_segment_sum(values, owner, graphs + 1)[:-1]

    def greatest(values: tf.Tensor) -> tf.Tensor:
        return tf.math.unsorted_segment_max(values, owner, graphs + 1)[:-1]

    weighted, wide = _is(operator, WEIGHTED), tf.cast(area > 1, tf.float32)
    fan_in = tf.maximum(1.0, tf.where(operator == CODES[DEPTHWISE_CONV], 1.0, inputs) * area)
    window = tf.maximum(weighted, _is(operator, _POOLS)) * wide
    channels = tf.math.log(tf.maximum(1.0, outputs))
    values = tf.stack(
        [
            *(tf.ones_like(weighted), weighted, weighted * wide, window, _is(operator, ACTIVATIONS)),
            *(weighted * tf.math.log(fan_in), weighted * channels),
        ],
        axis=1,
    )
    resolution = tf.gather(tf.pad(greatest(tf.maximum(height_in, 1.0)), ((0, 1),), constant_values=1.0), owner)
    reach = window * (kernel[0] - 1.0) * resolution / tf.maximum(height_in, 1.0)
    longest, shortest, mean = _paths(batch, tf.concat([values, reach[:, None]], axis=1))

    transposed = operator == CODES[CONV_TRANSPOSE]
    positions = tf.where(transposed, height_in * width_in, height_out * width_out)
    work = weighted * fan_in * outputs * positions
    stage = tf.round(tf.math.log(resolution / tf.maximum(height_out, 1.0)) / np.log(2.0))
    stage = tf.one_hot(tf.cast(tf.clip_by_value(stage, 0, STAGES - 1), tf.int32), STAGES)
    counts = [total(tf.one_hot(operator, len(OPERATORS)))]
    for names in _CONVOLUTIONS.values():
        sizes = (area <= 1, (area > 1) & (area <= 9), area > 9)
        kernels = [tf.cast(size, tf.float32) * _is(operator, names) for size in sizes]
        counts.append(total(tf.stack(kernels, axis=1)))
    totals = total(values)
    edges = tf.math.unsorted_segment_sum(tf.ones_like(batch.sources), tf.gather(owner, batch.sources), graphs + 1)[:-1]
    sums = [
        longest[:, -1:],
        *(total(column[:, None]) for column in (weighted * fan_in * outputs, work)),
        total((weighted * height_out * width_out * outputs)[:, None]),
        tf.cast(edges, tf.float32)[:, None],
        total(stage * work[:, None]),
    ]
    has_weights = weighted > 0
    extremes = [
        sign * greatest(tf.where(has_weights, sign * channels, _FAR_BELOW)[:, None]) * tf.sign(totals[:, 1:2])
        for sign in (-1.0, 1.0)
    ]
    windows = totals[:, 3:4]
    share = tf.where(windows > 0, totals[:, 2:3] / tf.maximum(1.0, windows), 1.0)
    paths = [numbers[:, : len(_KINDS)] for numbers in (longest, shortest, mean)]
    logarithms = [tf.math.log1p(tf.concat(group, axis=1)) for group in (counts, sums)]
    return tf.concat([logarithms[0], totals, *paths, logarithms[1], *extremes, share], axis=1)


def _is(operator: tf.Tensor, names: Collection[str]) -> tf.Tensor:
    """float32 `[T]`: 1 for operators of these names."""
    table = np.zeros(len(OPERATORS), np.float32)
    table[[CODES[name] for name in names]] = 1
    return tf.gather(tf.constant(table), operator)


def _paths(batch: FlatBatch, values: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """The greatest, the smallest and the mean sum of values float32 `[T, K]` on a path, `[B, K]` each.

    An operator is visited once all operators that it hears were visited, so that every edge is looked at once.
    """
    count, graphs = tf.shape(values)[0], tf.shape(batch.sizes)[0]
    inner = tf.where(tf.gather(batch.node_graph, batch.targets) < graphs)[:, 0]
    sources = tf.gather(batch.sources, inner)
    by_source = tf.argsort(sources, stable=True)
    targets = tf.gather(tf.gather(batch.targets, inner), by_source)
    bounds = tf.searchsorted(tf.gather(sources, by_source), tf.range(count + 1))
    ways = bounds[1:] - bounds[:-1]
    waiting = tf.math.unsorted_segment_sum(tf.ones_like(targets), targets, count)

    signed = tf.concat([values, -values], axis=1)  # the smallest sum is the greatest of the negative values
    before = tf.where(waiting[:, None] > 0, _FAR_BELOW, tf.zeros_like(signed))
    firsts = tf.cumsum(batch.sizes, exclusive=True)
    walks = tf.scatter_nd(firsts[:, None], tf.ones_like(firsts, tf.float32), [count])

    def visit(nodes: tf.Tensor, waiting: tf.Tensor, before: tf.Tensor, walks: tf.Tensor):
        number = tf.gather(ways, nodes)
        edges = tf.ragged.range(tf.gather(bounds, nodes), tf.gather(bounds, nodes + 1)).values
        heads = tf.gather(targets, edges)[:, None]
        best = tf.gather(before, nodes) + tf.gather(signed, nodes)
        walked = tf.gather(walks, nodes) / tf.cast(tf.maximum(number, 1), tf.float32)
        waiting = tf.tensor_scatter_nd_sub(waiting, heads, tf.ones_like(heads)[:, 0])
        ready = tf.unique(tf.boolean_mask(heads[:, 0], tf.gather_nd(waiting, heads) == 0)).y
        before = tf.tensor_scatter_nd_max(before, heads, tf.repeat(best, number, axis=0))
        return ready, waiting, before, tf.tensor_scatter_nd_add(walks, heads, tf.repeat(walked, number))

    free = tf.TensorShape([None])
    _, waiting, before, walks = tf.while_loop(
        lambda nodes, *_: tf.size(nodes) > 0,
        visit,
        (tf.cast(tf.where(waiting == 0)[:, 0], tf.int32), waiting, before, walks),
        shape_invariants=(free, free, tf.TensorShape([None, signed.shape[1]]), free),
    )
    with tf.control_dependencies([tf.debugging.Assert(tf.reduce_all(waiting == 0), ["a graph has a cycle"])]):
        ends = tf.where(ways[:, None] > 0, _FAR_BELOW, before + signed)
    greatest = tf.math.unsorted_segment_max(ends, batch.node_graph, graphs + 1)[:-1]
    longest, shortest = tf.split(greatest, 2, axis=1)
    mean = tf.math.unsorted_segment_sum(walks[:, None] * values, batch.node_graph, graphs + 1)[:-1]
    return longest, -shortest, mean
