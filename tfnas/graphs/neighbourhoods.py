"""Operators that a network of messages cannot tell apart, found inside TensorFlow programs.

After r rounds of messages the state of an operator depends on its neighbourhood up to r steps away alone. Networks
repeat their cells, so that a batch holds most neighbourhoods many times: a network computes each distinct one once.

References:
  Shervashidze et al. 2011, "Weisfeiler-Lehman Graph Kernels", section 3.
"""

from collections.abc import Sequence
from typing import NamedTuple

import tensorflow as tf

from tfnas.graphs.packed import FlatBatch

_FACTORS = (0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB)
_WAYS = {"forward": 0xD1342543DE82EF95, "backward": 0xAF251AF3B0F025B5}


class Round(NamedTuple):
    """The distinct neighbourhoods of one size, C of them, and what each hears.

    Attributes:
      before: int32 `[C]`, the neighbourhood one step smaller of the same operator.
      messages: pairs of int32 `[M]` for every way: smaller neighbourhoods that send, and neighbourhoods that receive,
        ascending.
      of_node: int32 `[T]`, the neighbourhood of every node of the batch.
    """

    before: tf.Tensor
    messages: tuple[tuple[tf.Tensor, tf.Tensor], ...]
    of_node: tf.Tensor


def neighbourhoods(batch: FlatBatch, rounds: int, ways: Sequence[str]) -> list[Round]:
    """The distinct neighbourhoods of a batch, from operators alone to a distance of `rounds`.

    Args:
      batch: B graphs.
      rounds: number of rounds of messages.
      ways: ways of messages, `forward` (targets hear sources) and `backward`.

    Returns:
      `rounds + 1` entries. The first has no messages, and its `before` numbers nodes of the batch.
    """
    count = tf.shape(batch.node_graph)[0]
    ends = []
    for way in ways:
        sender, receiver = (batch.sources, batch.targets) if way == "forward" else (batch.targets, batch.sources)
        order = tf.argsort(receiver, stable=True)
        ends.append((tf.gather(sender, order), tf.gather(receiver, order)))
    name = _names(batch.nodes)
    of_node, first = _classes(name)
    every_round = [Round(first, (), of_node)]
    for _ in range(rounds):
        # Names are mixed, so that their sums tell multisets apart.
        heard = [
            _number(_WAYS[way]) * tf.math.unsorted_segment_sum(tf.gather(name, sender), receiver, count)
            for way, (sender, receiver) in zip(ways, ends, strict=True)
        ]
        name = mixed(name * _number(3) + tf.add_n(heard))
        smaller = of_node
        of_node, first = _classes(name)
        # The first node of a neighbourhood hears for all its nodes. First nodes ascend with their neighbourhoods, so
        # that receivers stay in order. Messages to the node of padding reach no graph.
        hears = tf.equal(tf.gather(first, of_node), tf.range(count)) & (tf.range(count) < count - 1)
        messages = []
        for sender, receiver in ends:
            edges = tf.where(tf.gather(hears, receiver))[:, 0]
            messages.append(
                (tf.gather(smaller, tf.gather(sender, edges)), tf.gather(of_node, tf.gather(receiver, edges)))
            )
        every_round.append(Round(tf.gather(smaller, first), tuple(messages), of_node))
    return every_round


def sums(values: tf.Tensor, senders: tf.Tensor, receivers: tf.Tensor, count: tf.Tensor) -> tf.Tensor:
    """Sums float32 `[count, D]` of the rows of `values` that every receiver hears.

    Args:
      values: float32 `[n, D]`.
      senders: int32 `[M]`, rows of `values`.
      receivers: int32 `[M]`, rows of the result, ascending.
      count: number of receivers.
    """
    return tf.sparse.segment_sum(values, senders, receivers, num_segments=count)


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
    """Numbers int32 `[T]` of distinct names, counted in the order in which they occur, and the first node of each."""
    distinct, numbers = tf.unique(tf.bitcast(names, tf.int64))
    return numbers, tf.math.unsorted_segment_min(tf.range(tf.size(numbers)), numbers, tf.size(distinct))


def _number(value: int) -> tf.Tensor:
    return tf.constant(value, tf.uint64)
