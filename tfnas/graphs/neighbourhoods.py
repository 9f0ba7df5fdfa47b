"""Operators that a network of messages cannot tell apart, found inside TensorFlow programs.

After r rounds of messages the state of an operator depends on its neighbourhood up to r steps away alone. Networks
repeat their cells, so that a batch holds most neighbourhoods many times: a network computes each distinct one once.

References:
  Shervashidze et al. 2011, "Weisfeiler-Lehman Graph Kernels", section 3.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import tensorflow as tf

from tfnas.graphs.packed import FlatBatch

_FACTORS = (0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB)
_WAYS = {"forward": 0xD1342543DE82EF95, "backward": 0xAF251AF3B0F025B5}


class Round(NamedTuple):
    """The distinct neighbourhoods of one size, C of them, and what each hears.

    Attributes:
      first: int32 `[C]`, the first node of the batch that has the neighbourhood; ascending.
      of_node: int32 `[T]`, the neighbourhood of every node of the batch.
      messages: int64 `[M, 2]`, who receives, ascending, and who sends: `kinds n + k` if neighbourhood n of one step
        less sends a message of kind k. A node hears itself, which is kind 0, and then its neighbours, a kind for every
        way. Empty in the first round.
    """

    first: tf.Tensor
    of_node: tf.Tensor
    messages: tf.Tensor


def neighbourhoods(batch: FlatBatch, rounds: int, ways: Sequence[str]) -> list[Round]:
    """The distinct neighbourhoods of a batch, from operators alone to a distance of `rounds`.

    Args:
      batch: B graphs.
      rounds: number of rounds of messages.
      ways: ways of messages, `forward` (targets hear sources) and `backward`; `kinds` of messages are one more.

    Returns:
      `rounds + 1` entries.
    """
    count, kinds = tf.shape(batch.node_graph)[0], 1 + len(ways)
    nodes = tf.range(count)
    ends = [(batch.sources, batch.targets) if way == "forward" else (batch.targets, batch.sources) for way in ways]
    heard, starts = _messages(nodes, ends)
    # Messages to the node of padding, the last, reach no graph.
    stops = tf.concat([starts[1:], starts[-1:] + 1], 0)
    name = _names(batch.nodes)
    first, of_node = _classes(name)
    every_round = [Round(first, of_node, tf.zeros([0, 2], tf.int64))]
    for _ in range(rounds):
        # Names are mixed, so that their sums tell multisets apart.
        sums_of_names = [
            _number(_WAYS[way]) * tf.math.unsorted_segment_sum(tf.gather(name, sender), receiver, count)
            for way, (sender, receiver) in zip(ways, ends, strict=True)
        ]
        name = mixed(name * _number(3) + tf.add_n(sums_of_names))
        smaller = kinds * of_node
        rows = tf.concat([smaller + kind for kind in range(kinds)], 0)
        first, of_node = _classes(name)
        # The first node of a neighbourhood hears for all its nodes. One range counts its messages in the upper half of
        # 64 bits, and holds the number of the neighbourhood in the lower half.
        numbers = tf.range(tf.size(first))
        bounds = [_halves(tf.gather(bound, first), numbers) for bound in (starts, stops)]
        coded = tf.ragged.range(*bounds, tf.constant(1 << 32, tf.int64)).flat_values
        message = tf.cast(tf.bitwise.right_shift(coded, tf.constant(32, tf.int64)), tf.int32)
        sender = tf.gather(rows, tf.gather(heard, message))
        receiver = tf.bitcast(coded, tf.int32)[:, 0]
        every_round.append(Round(first, of_node, tf.cast(tf.bitcast(_halves(sender, receiver), tf.int32), tf.int64)))
    return every_round


def _messages(nodes: tf.Tensor, ends: Sequence[tuple[tf.Tensor, tf.Tensor]]) -> tuple[tf.Tensor, tf.Tensor]:
    """What T nodes hear, in the order of receivers; a node hears itself first, and then its neighbours way by way.

    Args:
      nodes: int32 `[T]`, their numbers.
      ends: senders and receivers int32 `[E]` of every way.

    Returns:
      int32 `[M]`, the sender plus T times the kind of a message; int32 `[T]`, the first message to every node.
    """
    count, edges = tf.size(nodes), tf.range(tf.size(ends[0][0]))
    degrees = [tf.math.unsorted_segment_sum(tf.ones_like(receiver), receiver, count) for _, receiver in ends]
    starts = tf.cumsum(1 + tf.add_n(degrees), exclusive=True)
    coded, slots, taken = [nodes], [starts], starts + 1
    for kind, ((sender, receiver), degree) in enumerate(zip(ends, degrees, strict=True), 1):
        order = tf.argsort(receiver, stable=True)
        coded.append(tf.gather(sender, order) + kind * count)
        slots.append(edges + tf.gather(taken - tf.cumsum(degree, exclusive=True), tf.gather(receiver, order)))
        taken += degree
    in_order = tf.math.invert_permutation(tf.concat(slots, 0))
    return tf.gather(tf.concat(coded, 0), in_order), starts


def sums(values: tf.Tensor, messages: tf.Tensor, count: tf.Tensor) -> tf.Tensor:
    """Sums float32 `[count, D]` of the rows of `values` that every receiver hears.

    Args:
      values: float32 `[n, D]`.
      messages: int64 `[M, 2]`, a row of the result, ascending, and a row of `values`.
      count: number of rows of the result.
    """
    # A product with a sparse matrix: `tf.sparse.segment_sum` takes longer for a receiver than for a row.
    shape = tf.stack([tf.cast(count, tf.int64), tf.shape(values, tf.int64)[0]])
    matrix = tf.raw_ops.SparseTensorToCSRSparseMatrix(
        indices=messages, values=tf.ones(tf.shape(messages)[:1]), dense_shape=shape
    )

    @tf.custom_gradient
    def product(values: tf.Tensor) -> tuple[tf.Tensor, Callable[[tf.Tensor], tf.Tensor]]:
        def gradient(upstream: tf.Tensor) -> tf.Tensor:
            receivers, senders = tf.unstack(tf.cast(messages, tf.int32), axis=1)
            return tf.raw_ops.SparseSegmentSumGrad(
                grad=upstream, indices=senders, segment_ids=receivers, output_dim0=tf.shape(values)[0]
            )

        return tf.raw_ops.SparseMatrixMatMul(a=matrix, b=values), gradient

    return tf.ensure_shape(product(values), [None, values.shape[1]])


def mixed(values: tf.Tensor) -> tf.Tensor:
    """The finaliser of SplitMix64 for uint64; see `graphs.motifs.weisfeiler_lehman.mixed`."""
    values += _number(_FACTORS[0])
    for shift, factor in ((30, _FACTORS[1]), (27, _FACTORS[2])):
        values = tf.bitwise.bitwise_xor(values, tf.bitwise.right_shift(values, _number(shift))) * _number(factor)
    return tf.bitwise.bitwise_xor(values, tf.bitwise.right_shift(values, _number(31)))


def _names(nodes: tf.Tensor) -> tf.Tensor:
    """Numbers uint64 `[T]` that agree for equal nodes: rows of a table `[T]`, or features `[T, 10]`."""
    columns = tf.unstack(nodes, axis=1) if nodes.shape.rank == 2 else [nodes]
    name = tf.zeros_like(columns[0], tf.uint64)
    for column in columns:
        name = name * _number(_FACTORS[1]) + tf.cast(column, tf.uint64)
    return mixed(name)


def _classes(names: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """The first node int32 `[C]` of every name, and numbers int32 `[T]` of names in the order in which they occur."""
    distinct, numbers = tf.unique(tf.bitcast(names, tf.int64))
    return tf.math.unsorted_segment_min(tf.range(tf.size(numbers)), numbers, tf.size(distinct)), numbers


def _halves(upper: tf.Tensor, lower: tf.Tensor) -> tf.Tensor:
    """Numbers int64 `[n]` whose halves of 32 bits are natural numbers int32 `[n]`."""
    return tf.cast(upper, tf.int64) * (1 << 32) + tf.cast(lower, tf.int64)


def _number(value: int) -> tf.Tensor:
    return tf.constant(value, tf.uint64)
