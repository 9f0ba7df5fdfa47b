"""The encoder: embeddings of operators, k-GNN layers, a mean over the graph, and a projection for the loss.

References:
  Han et al. 2023, section 4.1; Morris et al. 2019, "Weisfeiler and Leman Go Neural: Higher-order Graph Neural
  Networks", equation 5. Embeddings of operators as in GENNAPE (Mills et al. 2023), with one table for all operators.
"""

import tensorflow as tf
import tf_keras

from tfnas.encoders.computation_graph.config import GraphEncoderConfig
from tfnas.graphs import gnn
from tfnas.graphs.neighbourhoods import neighbourhoods, sums
from tfnas.graphs.operators import OPERATORS
from tfnas.graphs.packed import FlatBatch, flat_view

_LARGEST_KERNEL = 15
_OPERATOR_DIM, _SHAPE_DIM, _KERNEL_DIM = 24, 16, 4


class GraphEncoder(tf_keras.Model):
    """Embeds computation graphs.

    Args:
      config: sizes and options.
      seed: seed of the initial weights.
    """

    def __init__(self, config: GraphEncoderConfig, seed: int = 0):
        super().__init__(name="graph_encoder")
        self.config = config
        seeds = iter(range(seed * 10_000, (seed + 1) * 10_000))

        def dense(name: str, units: int, activation: str | None = None, use_bias: bool = True) -> tf_keras.layers.Dense:
            initializer = tf_keras.initializers.GlorotUniform(next(seeds))
            return tf_keras.layers.Dense(
                units, activation, use_bias=use_bias, kernel_initializer=initializer, name=name
            )

        def table(name: str, rows: int, size: int) -> tf_keras.layers.Embedding:
            initializer = tf_keras.initializers.RandomNormal(stddev=0.5, seed=next(seeds))
            return tf_keras.layers.Embedding(rows, size, embeddings_initializer=initializer, name=name)

        self.operator_table = table("operators", len(OPERATORS), _OPERATOR_DIM)
        self.kernel_tables = [table(f"kernels_{side}", _LARGEST_KERNEL + 1, _KERNEL_DIM) for side in range(2)]
        self.shape_layer = dense("shape", _SHAPE_DIM)
        self.first = dense("first", config.width, "tanh")
        self.own = [dense(f"own_{layer}", config.width) for layer in range(config.layers)]
        ways = ("forward",) if config.directions == "forward" else ("forward", "backward")
        self.heard = [
            {way: dense(f"{way}_{layer}", config.width, use_bias=False) for way in ways}
            for layer in range(config.layers)
        ]
        self.readout = dense("readout", config.embedding_dim)
        self.hidden = dense("hidden", config.embedding_dim, "relu")
        self.projection = dense("projection", config.projection_dim)
        self._build()

    def _build(self) -> None:
        """Creates all variables, in an order that does not depend on the first input."""
        nodes = tf.zeros([2, 10], tf.int32)
        empty = tf.zeros([1], tf.int32)
        for layer in (*self.own, *(layer for heard in self.heard for layer in heard.values())):
            layer.build([None, self.config.width])
        self.project(self.encode(FlatBatch(nodes, tf.constant([0, 1]), empty + 1, empty + 1, empty + 1)))

    def call(self, graph: "gnn.GraphTensor") -> tf.Tensor:
        """Embeddings float32 `[B, D]` of the B components of a scalar GraphTensor of computation graphs."""
        return self.encode(flat_view(graph))

    def embed_nodes(self, features: tf.Tensor) -> tf.Tensor:
        """First states float32 `[n, width]` of nodes with the features int32 `[n, 10]`."""
        kernels = tf.clip_by_value(features[:, 7:9], 0, _LARGEST_KERNEL)
        shapes = tf.cast(features[:, 1:7], tf.float32)
        if self.config.shape_scale == "log":
            shapes = tf.math.log1p(shapes) / 4.0
        else:
            shapes /= tf.constant([256.0, 256.0, 256.0, 256.0, 512.0, 512.0])
        columns = [
            self.operator_table(features[:, 0]),
            self.shape_layer(shapes),
            *(table(kernels[:, side]) for side, table in enumerate(self.kernel_tables)),
            tf.cast(features[:, 9:], tf.float32),
        ]
        return self.first(tf.concat(columns, axis=1))

    def encode(self, batch: FlatBatch, features: tf.Tensor | None = None) -> tf.Tensor:
        """Embeddings of the graphs of a batch.

        Args:
          batch: B graphs.
          features: int32 `[F, 10]`, if the batch's nodes are rows of this table.

        Returns:
          float32 `[B, D]`; an empty graph is embedded as if its operators' states were zero.
        """
        rounds = neighbourhoods(batch, self.config.layers, tuple(self.heard[0]))
        nodes = tf.gather(batch.nodes, rounds[0].first)
        states = self.embed_nodes(nodes if features is None else tf.gather(features, nodes))
        graphs = tf.shape(batch.sizes)[0]
        sizes = tf.cast(tf.maximum(batch.sizes, 1), tf.float32)[:, None]

        def mean(of_node: tf.Tensor) -> tf.Tensor:
            total = tf.sparse.segment_sum(states, of_node, batch.node_graph, num_segments=graphs + 1)
            return total[:-1] / sizes

        pooled = [mean(rounds[0].of_node)]
        for layer_of_self, heard, round_ in zip(self.own, self.heard, rounds[1:], strict=True):
            # One product gives the messages of all kinds of the smaller neighbourhoods, of which there are fewer.
            kernel = tf.concat([layer_of_self.kernel, *(layer.kernel for layer in heard.values())], axis=1)
            bias = tf.pad(layer_of_self.bias, [[0, len(heard) * self.config.width]])
            messages = tf.reshape(tf.nn.bias_add(states @ kernel, bias), [-1, self.config.width])
            states = tf.tanh(sums(messages, round_.messages, tf.size(round_.first)))
            pooled.append(mean(round_.of_node))
        return self.readout(tf.concat(pooled, axis=1) if self.config.pooling == "all" else pooled[-1])

    def project(self, embeddings: tf.Tensor) -> tf.Tensor:
        """Vectors of unit length float32 `[B, P]` for the loss, from embeddings `[B, D]`."""
        return tf.math.l2_normalize(self.projection(self.hidden(embeddings)), axis=1)
