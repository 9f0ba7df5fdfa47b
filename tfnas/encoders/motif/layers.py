"""Graph convolutions on flat tensors, with edges that may be switched off.

All take states float32 `[n, W]`, sources and targets int32 `[E]` and a mask float32 `[E]`, and give float32 `[n, U]`.
"""

from collections.abc import Iterator

import tensorflow as tf


def _dense(units: int, seeds: Iterator[int], use_bias: bool = True) -> tf.keras.layers.Dense:
    initializer = tf.keras.initializers.GlorotUniform(next(seeds))
    return tf.keras.layers.Dense(units, use_bias=use_bias, kernel_initializer=initializer)


class SumConvolution(tf.keras.layers.Layer):
    """A node's own state and the sum of the states that it hears, each through its own matrix.

    Args:
      units: U.
      seeds: of the weights.
      both: hear the nodes that a node feeds, too, through a third matrix.

    References:
      Morris et al. 2019, "Weisfeiler and Leman Go Neural: Higher-order Graph Neural Networks", equation 5.
    """

    def __init__(self, units: int, seeds: Iterator[int], both: bool):
        super().__init__()
        self.own = _dense(units, seeds)
        self.heard = [_dense(units, seeds, use_bias=False) for _ in range(1 + both)]

    def call(self, states: tf.Tensor, sources: tf.Tensor, targets: tf.Tensor, mask: tf.Tensor) -> tf.Tensor:
        total = self.own(states)
        for layer, (near, far) in zip(self.heard, ((sources, targets), (targets, sources)), strict=False):
            messages = mask[:, None] * tf.gather(states, near)
            total += layer(tf.math.unsorted_segment_sum(messages, far, tf.shape(states)[0]))
        return total


class SymmetricConvolution(tf.keras.layers.Layer):
    """The graph convolutional network's: neighbours and the node itself, divided by the roots of their in-degrees.

    Args:
      units: U.
      seeds: of the weights.
      both: take edges as undirected.

    References:
      Kipf and Welling 2017, "Semi-Supervised Classification with Graph Convolutional Networks", equation 2.
    """

    def __init__(self, units: int, seeds: Iterator[int], both: bool):
        super().__init__()
        self.dense = _dense(units, seeds, use_bias=False)
        self.both = both
        self.units = units

    def build(self, input_shape: tf.TensorShape) -> None:
        """Makes the bias."""
        self.bias = self.add_weight(name="bias", shape=(self.units,), initializer="zeros")

    def call(self, states: tf.Tensor, sources: tf.Tensor, targets: tf.Tensor, mask: tf.Tensor) -> tf.Tensor:
        if self.both:
            sources, targets = tf.concat([sources, targets], 0), tf.concat([targets, sources], 0)
            mask = tf.concat([mask, mask], 0)
        count = tf.shape(states)[0]
        scale = tf.math.rsqrt(1.0 + tf.math.unsorted_segment_sum(mask, targets, count))[:, None]
        states = scale * self.dense(states)
        heard = tf.math.unsorted_segment_sum(mask[:, None] * tf.gather(states, sources), targets, count)
        return scale * (heard + states) + self.bias


class AttentionConvolution(tf.keras.layers.Layer):
    """Graph attention, version 2, over a node's neighbours and itself, heads side by side.

    Args:
      units: U, a multiple of the heads.
      seeds: of the weights.
      both: take edges as undirected.
      heads: number of heads.

    References:
      Brody et al. 2022, "How Attentive are Graph Attention Networks?", equation 7.
    """

    def __init__(self, units: int, seeds: Iterator[int], both: bool, heads: int = 4):
        super().__init__()
        self.query, self.value = _dense(units, seeds), _dense(units, seeds)
        self.both, self.heads, self.size = both, heads, units // heads
        self._seed = next(seeds)

    def build(self, input_shape: tf.TensorShape) -> None:
        """Makes the vectors of attention."""
        initializer = tf.keras.initializers.GlorotUniform(self._seed)
        self.attention = self.add_weight(name="attention", shape=(self.heads, self.size), initializer=initializer)

    def call(self, states: tf.Tensor, sources: tf.Tensor, targets: tf.Tensor, mask: tf.Tensor) -> tf.Tensor:
        if self.both:
            sources, targets = tf.concat([sources, targets], 0), tf.concat([targets, sources], 0)
            mask = tf.concat([mask, mask], 0)
        count = tf.shape(states)[0]
        shape = [count, self.heads, self.size]
        queries, values = tf.reshape(self.query(states), shape), tf.reshape(self.value(states), shape)

        def scores(query: tf.Tensor, value: tf.Tensor) -> tf.Tensor:
            return tf.reduce_sum(self.attention * tf.nn.leaky_relu(query + value, 0.2), axis=2)

        own = scores(queries, values)
        picked = tf.gather(values, sources)
        # Bounded scores need no maximum per node to be subtracted.
        over = tf.exp(tf.clip_by_value(scores(tf.gather(queries, targets), picked), -15.0, 15.0)) * mask[:, None]
        self_weight = tf.exp(tf.clip_by_value(own, -15.0, 15.0))
        total = self_weight + tf.math.unsorted_segment_sum(over, targets, count)
        heard = tf.math.unsorted_segment_sum(over[..., None] * picked, targets, count)
        mixed = (heard + self_weight[..., None] * values) / total[..., None]
        return tf.reshape(mixed, [count, self.heads * self.size])


CONVOLUTIONS = {"sum": SumConvolution, "gcn": SymmetricConvolution, "gat": AttentionConvolution}
