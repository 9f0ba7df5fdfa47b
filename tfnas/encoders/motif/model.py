"""The encoder of two-level graphs: a network inside motifs, one inside their contexts, one between motifs.

Convolutions take states float32 `[n, W]`, sources and targets int32 `[E]` and a mask float32 `[E]`, which switches an
edge off where it is 0, and give float32 `[n, U]`.

References:
  Pei et al. 2024, "Neural Architecture Retrieval", sections 3.3 and 3.4.
"""

import itertools
from collections.abc import Iterator

import tensorflow as tf
import tf_keras

from tfnas.encoders.motif.config import MotifEncoderConfig
from tfnas.graphs import gnn
from tfnas.graphs.motifs.two_level import TwoLevelBatch, two_level_view
from tfnas.graphs.operators import OPERATORS
from tfnas.graphs.packed import FlatBatch

_LARGEST_KERNEL = 15
_OPERATOR_DIM, _KERNEL_DIM = 32, 4
_HEADS = 4


def _dense(name: str, units: int, seeds: Iterator[int], use_bias: bool = True) -> tf_keras.layers.Dense:
    initializer = tf_keras.initializers.GlorotUniform(next(seeds))
    return tf_keras.layers.Dense(units, use_bias=use_bias, kernel_initializer=initializer, name=name)


class SumConvolution(tf_keras.layers.Layer):
    """A node's state and the sum of the states that it hears, each through a matrix.

    Args:
      name: name of the layer.
      units: U.
      seeds: seeds of the weights.
      both: whether a node also hears the nodes that it feeds, through a third matrix.

    References:
      Morris et al. 2019, "Weisfeiler and Leman Go Neural: Higher-order Graph Neural Networks", equation 5.
    """

    def __init__(self, name: str, units: int, seeds: Iterator[int], both: bool):
        super().__init__(name=name)
        self.own = _dense("own", units, seeds)
        self.heard = [_dense(f"heard_{way}", units, seeds, use_bias=False) for way in range(1 + both)]

    def call(self, states: tf.Tensor, sources: tf.Tensor, targets: tf.Tensor, mask: tf.Tensor) -> tf.Tensor:
        total = self.own(states)
        for layer, (near, far) in zip(self.heard, ((sources, targets), (targets, sources)), strict=False):
            messages = mask[:, None] * tf.gather(states, near)
            total += layer(tf.math.unsorted_segment_sum(messages, far, tf.shape(states)[0]))
        return total


class SymmetricConvolution(tf_keras.layers.Layer):
    """The graph convolutional network's sum of neighbours and the node itself, divided by the roots of in-degrees.

    Args:
      name: name of the layer.
      units: U.
      seeds: seeds of the weights.
      both: whether edges are undirected.

    References:
      Kipf and Welling 2017, "Semi-Supervised Classification with Graph Convolutional Networks", equation 2.
    """

    def __init__(self, name: str, units: int, seeds: Iterator[int], both: bool):
        super().__init__(name=name)
        self.dense = _dense("dense", units, seeds, use_bias=False)
        self.both = both
        self.units = units

    def build(self, input_shape: tf.TensorShape) -> None:
        """Creates the bias."""
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


class AttentionConvolution(tf_keras.layers.Layer):
    """Graph attention, version 2, over a node's neighbours and itself, heads side by side.

    Args:
      name: name of the layer.
      units: U, a multiple of the 4 heads.
      seeds: seeds of the weights.
      both: whether edges are undirected.

    References:
      Brody et al. 2022, "How Attentive are Graph Attention Networks?", equation 7.
    """

    def __init__(self, name: str, units: int, seeds: Iterator[int], both: bool):
        super().__init__(name=name)
        self.query, self.value = _dense("query", units, seeds), _dense("value", units, seeds)
        self.both, self.size = both, units // _HEADS
        self._seed = next(seeds)

    def build(self, input_shape: tf.TensorShape) -> None:
        """Creates the vectors of attention."""
        initializer = tf_keras.initializers.GlorotUniform(self._seed)
        self.attention = self.add_weight(name="attention", shape=(_HEADS, self.size), initializer=initializer)

    def call(self, states: tf.Tensor, sources: tf.Tensor, targets: tf.Tensor, mask: tf.Tensor) -> tf.Tensor:
        if self.both:
            sources, targets = tf.concat([sources, targets], 0), tf.concat([targets, sources], 0)
            mask = tf.concat([mask, mask], 0)
        count = tf.shape(states)[0]
        shape = [count, _HEADS, self.size]
        queries, values = tf.reshape(self.query(states), shape), tf.reshape(self.value(states), shape)

        def scores(query: tf.Tensor, value: tf.Tensor) -> tf.Tensor:
            return tf.reduce_sum(self.attention * tf.nn.leaky_relu(query + value, 0.2), axis=2)

        itself = scores(queries, values)
        picked = tf.gather(values, sources)
        # Bounded scores need no maximum per node to be subtracted.
        over = tf.exp(tf.clip_by_value(scores(tf.gather(queries, targets), picked), -15.0, 15.0)) * mask[:, None]
        self_weight = tf.exp(tf.clip_by_value(itself, -15.0, 15.0))
        total = self_weight + tf.math.unsorted_segment_sum(over, targets, count)
        heard = tf.math.unsorted_segment_sum(over[..., None] * picked, targets, count)
        mixed = (heard + self_weight[..., None] * values) / total[..., None]
        return tf.reshape(mixed, [count, _HEADS * self.size])


CONVOLUTIONS = {"sum": SumConvolution, "gcn": SymmetricConvolution, "gat": AttentionConvolution}


class GraphNetwork(tf_keras.layers.Layer):
    """Some convolutions in a row, with exponential linear units between them (after every `sum`: tanh)."""

    def __init__(self, name: str, config: MotifEncoderConfig, layers: int, seed: int):
        super().__init__(name=name)
        seeds = itertools.count(seed * 1000)
        kind, both = CONVOLUTIONS[config.convolution], config.directions == "both"
        self.convolutions = [kind(f"convolution_{layer}", config.width, seeds, both) for layer in range(layers)]
        self._squashes = config.convolution == "sum"

    def call(self, states: tf.Tensor, sources: tf.Tensor, targets: tf.Tensor, mask: tf.Tensor) -> tf.Tensor:
        for number, convolution in enumerate(self.convolutions, start=1):
            states = convolution(states, sources, targets, mask)
            if self._squashes:
                states = tf.tanh(states)
            elif number < len(self.convolutions):
                states = tf.nn.elu(states)
        return states


class OperatorTable(tf_keras.layers.Layer):
    """First states of operators, from what they are and the size of their kernels."""

    def __init__(self, name: str, config: MotifEncoderConfig, seed: int):
        super().__init__(name=name)
        seeds = itertools.count(seed * 1000)

        def table(name: str, rows: int, size: int) -> tf_keras.layers.Embedding:
            initializer = tf_keras.initializers.RandomNormal(stddev=0.5, seed=next(seeds))
            return tf_keras.layers.Embedding(rows, size, embeddings_initializer=initializer, name=name)

        self.operators = table("operators", len(OPERATORS), _OPERATOR_DIM)
        self.kernels = [table(f"kernels_{side}", _LARGEST_KERNEL + 1, _KERNEL_DIM) for side in range(2)]
        self.first = tf_keras.layers.Dense(
            config.width, "tanh", kernel_initializer=tf_keras.initializers.GlorotUniform(next(seeds)), name="first"
        )

    def call(self, features: tf.Tensor) -> tf.Tensor:
        sizes = tf.clip_by_value(features[:, 1:], 0, _LARGEST_KERNEL)
        columns = [self.operators(features[:, 0]), *(table(sizes[:, k]) for k, table in enumerate(self.kernels))]
        return self.first(tf.concat(columns, axis=1))


class MotifEncoder(tf_keras.Model):
    """Embeds two-level graphs.

    Args:
      config: sizes and options.
      families: number of families that the classifier tells apart; 0 for no classifier.
      seed: seed of the initial weights.
    """

    def __init__(self, config: MotifEncoderConfig, families: int = 0, seed: int = 0):
        super().__init__(name="motif_encoder")
        self.config = config
        seeds = iter(range(seed * 100, (seed + 1) * 100))
        self.table = OperatorTable("table", config, next(seeds))
        self.motif_network = GraphNetwork("motifs", config, config.motif_layers, next(seeds))
        self.macro_network = None
        if config.macro_layers:
            self.macro_network = GraphNetwork("macro", config, config.macro_layers, next(seeds))
        self.colour_layer = None
        if config.neighbourhood_width:
            self.colour_layer = _dense("colours", config.embedding_dim, seeds)
        self.readout = _dense("readout", config.embedding_dim, seeds)
        self.context_table = self.context_network = self.discriminator = self.classifier = None
        if config.motif_loss != "none":
            self.context_table = OperatorTable("context_table", config, next(seeds))
            self.context_network = GraphNetwork("contexts", config, config.motif_layers, next(seeds))
        if config.motif_loss == "discriminator":
            self.discriminator = _dense("discriminator", 1, seeds)
        if config.class_weight:
            self.classifier = _dense("classifier", families, seeds)
        self._build()

    def _build(self) -> None:
        """Creates all variables, in an order that does not depend on the first input."""
        empty = tf.zeros([1], tf.int32)
        nodes = FlatBatch(tf.zeros([2, 3], tf.int32), tf.constant([0, 1]), empty + 1, empty + 1, empty + 1)
        width = self.config.neighbourhood_width
        batch = TwoLevelBatch(nodes, tf.constant([0, 1]), nodes, tf.constant([1.0, 0.0]), tf.ones([1, width]))
        states = self.motif_states(batch)
        embeddings = self.readout_of(batch, states)
        if self.context_network is not None:
            self.context_states(batch)
        if self.discriminator is not None:
            self.discriminator(tf.concat([states, states], 1))
        if self.classifier is not None:
            self.classifier(embeddings)

    def call(self, graph: "gnn.GraphTensor") -> tf.Tensor:
        """Embeddings float32 `[B, D]` of the B components of a scalar GraphTensor of the schema `macro_graph.pbtxt`."""
        return self.encode(two_level_view(graph, self.config.neighbourhood_width))

    def encode(self, batch: TwoLevelBatch, features: tf.Tensor | None = None) -> tf.Tensor:
        """Embeddings of the graphs of a batch.

        Args:
          batch: B graphs.
          features: int32 `[F, 3]`, if the batch's operators are rows of this table.

        Returns:
          float32 `[B, D]` of length 1; the first entries are learned, the last entries are the memory.
        """
        return self.with_memory(batch, self.readout_of(batch, self.motif_states(batch, features)))

    def _inside(self, batch: TwoLevelBatch) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """Sources and targets of the flow, and 1 for edges inside a motif."""
        sources, targets = batch.ops.sources, batch.ops.targets
        same = tf.gather(batch.motif, sources) == tf.gather(batch.motif, targets)
        return sources, targets, tf.cast(same, tf.float32)

    def motif_states(
        self,
        batch: TwoLevelBatch,
        features: tf.Tensor | None = None,
        dropout: float = 0.0,
        seed: tf.Tensor | None = None,
    ) -> tf.Tensor:
        """States of motifs float32 `[M, W]`: means over their operators, of a network whose messages stay inside."""
        states = self._first(self.table, batch, features)
        if dropout:
            states = tf.nn.experimental.stateless_dropout(states, dropout, seed)
        states = self.motif_network(states, *self._inside(batch))
        return _mean(states, batch.motif, tf.shape(batch.share)[0])

    def context_states(self, batch: TwoLevelBatch, features: tf.Tensor | None = None) -> tuple[tf.Tensor, tf.Tensor]:
        """States of contexts float32 `[M, W]`, and 1 for motifs that have one.

        A motif's context are the operators of other motifs that feed it or that it feeds. Their states come from
        inside their own motifs, so that nothing of the motif itself shows in its context.
        """
        sources, targets, same = self._inside(batch)
        states = self.context_network(self._first(self.context_table, batch, features), sources, targets, same)
        count = tf.shape(batch.share)[0]
        total, sizes = 0.0, 0.0
        for near, far in ((sources, targets), (targets, sources)):
            motif = tf.gather(batch.motif, far)
            total += tf.math.unsorted_segment_sum((1.0 - same)[:, None] * tf.gather(states, near), motif, count)
            sizes += tf.math.unsorted_segment_sum(1.0 - same, motif, count)
        return total / tf.maximum(sizes, 1.0)[:, None], tf.cast(sizes > 0, tf.float32)

    def _first(self, table: OperatorTable, batch: TwoLevelBatch, features: tf.Tensor | None) -> tf.Tensor:
        return table(batch.ops.nodes) if features is None else tf.gather(table(features), batch.ops.nodes)

    def readout_of(
        self, batch: TwoLevelBatch, motifs: tf.Tensor, dropout: float = 0.0, seed: tf.Tensor | None = None
    ) -> tf.Tensor:
        """The learned part of embeddings float32 `[B, embedding_dim]`, of any length.

        Args:
          batch: B graphs.
          motifs: float32 `[M, W]`.
          dropout: rate on states and hashed colours.
          seed: int32 `[2]` of the dropout.
        """
        graphs = tf.shape(batch.macro.sizes)[0]
        if dropout:
            motifs = tf.nn.experimental.stateless_dropout(motifs, dropout, seed + 1)
        # Distinct motifs: how often a block is repeated tells depth, not family.
        means = [_mean(motifs, batch.macro.node_graph, graphs + 1, batch.share)[:-1]]
        if self.macro_network is not None:
            states = self.macro_network(
                motifs, batch.macro.sources, batch.macro.targets, tf.ones_like(batch.macro.sources, tf.float32)
            )
            weight = batch.share if self.config.directions == "both" else tf.ones_like(batch.share)
            means.append(_mean(states, batch.macro.node_graph, graphs + 1, weight)[:-1])
        learned = tf.math.l2_normalize(self.readout(tf.concat(means, axis=1)), axis=1)
        if self.colour_layer is not None:
            colours = batch.neighbourhoods
            if dropout:
                colours = tf.nn.experimental.stateless_dropout(colours, dropout, seed + 2)
            learned += tf.math.l2_normalize(self.colour_layer(colours), axis=1)
        return learned

    def with_memory(self, batch: TwoLevelBatch, learned: tf.Tensor) -> tf.Tensor:
        """Embeddings float32 `[B, D]` of length 1, from their learned part."""
        share = self.config.memory_share
        learned = tf.sqrt(1.0 - share) * tf.math.l2_normalize(learned, axis=1)
        if not share:
            return learned
        return tf.concat([learned, tf.sqrt(share) * batch.neighbourhoods], axis=1)


def _mean(states: tf.Tensor, owner: tf.Tensor, count: tf.Tensor, weight: tf.Tensor | None = None) -> tf.Tensor:
    """Weighted means of rows by owner, `[count, W]`; 0 for owners of none."""
    weight = tf.ones_like(owner, tf.float32) if weight is None else weight
    total = tf.math.unsorted_segment_sum(weight[:, None] * states, owner, count)
    return tf.math.divide_no_nan(total, tf.math.unsorted_segment_sum(weight, owner, count)[:, None])
