"""Colours of neighbourhoods inside TensorFlow programs.

References:
  Shervashidze et al. 2011, "Weisfeiler-Lehman Graph Kernels", section 3.
"""

from typing import NamedTuple

import numpy as np
import tensorflow as tf

from tfnas.graphs.neighbourhoods import mixed
from tfnas.graphs.operators import OPERATORS
from tfnas.graphs.packed import FlatBatch

_WEIGHT = 0x9E3779B97F4A7C15
_PASSED = np.isin(OPERATORS, ("pad", "identity"))
_POOLS = np.isin(OPERATORS, ("max_pool", "avg_pool"))
_DOUBLINGS = 3  # chains of up to 8 passed operators are passed over


class Colours(NamedTuple):
    """The colours of the operators of B graphs.

    Attributes:
      names: int64 `[blocks, T]`, equal for equal neighbourhoods. Block 0 has the operators alone, block r their sources
        up to r steps away, block rounds + r their targets up to r steps away.
      graph: int32 `[T]`, graph of every operator.
      counted: bool `[T]`, False for padding and for operators that are passed over.
    """

    names: tf.Tensor
    graph: tf.Tensor
    counted: tf.Tensor


def num_blocks(rounds: int) -> int:
    """Blocks of `colours`."""
    return 2 * rounds + 1


def colours(batch: FlatBatch, rounds: int) -> Colours:
    """The colours of all operators of a batch.

    An operator's first colour is its kind with height and width of its kernel. Padding with a single source, identities
    and pools of a single pixel are passed over: a convolution that pads itself equals a convolution after a pad.

    Args:
      batch: B graphs; `nodes` are features int32 `[T, 10]`.
      rounds: r.
    """
    sources, targets, counted = _bypassed(batch)
    nodes = tf.cast(batch.nodes, tf.int64)
    kinds = tf.cast((nodes[:, 0] * (1 << 40)) + (nodes[:, 7] * (1 << 20)) + nodes[:, 8] + 1, tf.uint64)
    first = mixed(kinds)
    blocks = [first]
    for ends in ((sources, targets), (targets, sources)):
        colour = first
        for _ in range(rounds):
            heard = tf.gather(mixed(colour * _number(_WEIGHT)), ends[0])
            heard = tf.math.unsorted_segment_sum(heard, ends[1], tf.shape(first)[0])
            colour = mixed(colour * _number(3) + heard)
            blocks.append(colour)
    # Equal hashes of different blocks are different colours.
    names = [mixed(colour + _number(block)) for block, colour in enumerate(blocks)]
    real = batch.node_graph < tf.size(batch.sizes)
    return Colours(tf.bitcast(tf.stack(names), tf.int64), batch.node_graph, counted & real)


def _bypassed(batch: FlatBatch) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """Sources and targets of the edges around passed operators, and bool `[T]`: False for the latter."""
    count = tf.shape(batch.nodes)[0]
    operator = tf.clip_by_value(batch.nodes[:, 0], 0, len(OPERATORS) - 1)
    single = tf.reduce_all(batch.nodes[:, 7:9] == 1, axis=1)
    passed = tf.gather(tf.constant(_PASSED), operator) | (tf.gather(tf.constant(_POOLS), operator) & single)
    inputs = tf.math.unsorted_segment_sum(tf.ones_like(batch.targets), batch.targets, count)
    passed &= inputs == 1
    source = tf.math.unsorted_segment_max(batch.sources, batch.targets, count)
    behind = tf.where(passed, source, tf.range(count))
    for _ in range(_DOUBLINGS):
        behind = tf.gather(behind, behind)
    # An edge into a passed operator becomes an edge of padding.
    gone = tf.gather(passed, batch.targets)
    sources = tf.where(gone, count - 1, tf.gather(behind, batch.sources))
    return sources, tf.where(gone, count - 1, batch.targets), ~passed


def _number(value: int) -> tf.Tensor:
    return tf.constant(value, tf.uint64)
