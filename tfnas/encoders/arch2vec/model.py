"""The variational graph-isomorphism autoencoder, and the negative evidence lower bound of a batch of cells.

References:
  Yan et al. 2020 (arch2vec), equations 1-5.
"""

import itertools
from collections.abc import Callable
from typing import NamedTuple

import tensorflow as tf
import tf_keras

from tfnas.encoders.arch2vec.config import Arch2VecConfig
from tfnas.encoders.layers import GraphIsomorphismLayer, linear, side_by_side
from tfnas.graphs import cells as cell_graphs
from tfnas.graphs import gnn

MEAN, LOG_STDDEV, EMBEDDING = "mean", "log_stddev", "embedding"


class Posterior(NamedTuple):
    """Diagonal Gaussian of every vertex: `mean` and `log_stddev`, each float32 `[..., D]`."""

    mean: tf.Tensor
    log_stddev: tf.Tensor


class Arch2Vec(tf_keras.Model):
    """Encoder q(Z | X, A) and decoder p(X, A | Z) of cells with up to V vertices and O operations.

    Calling the model on a GraphTensor of cells gives the same GraphTensor with the features `mean` and `log_stddev`
    on its vertices and `embedding` on its context. `encode` does the same on the dense view, which trains faster.

    Args:
      config: architecture of the network.
      num_vertices: V of the dense view.
      num_operations: O.
      seed: seed of the initial weights.
    """

    def __init__(self, config: Arch2VecConfig, num_vertices: int, num_operations: int, seed: int = 0):
        super().__init__(name="arch2vec")
        self.config = config
        self.num_vertices = num_vertices
        self.num_operations = num_operations
        depth, seeds = config.mlp_depth, 1000 * seed
        widths = (num_operations, *config.hidden_dims)
        self.graph_layers = [
            GraphIsomorphismLayer(
                inputs, units, depth, seeds + 10 * i, directed=config.directed_messages, name=f"layer_{i}"
            )
            if config.message_passing == "gin"
            else linear(inputs, units, seeds + 10 * i, f"layer_{i}")
            for i, (inputs, units) in enumerate(itertools.pairwise(widths))
        ]
        self.mean_head = linear(widths[-1], config.embedding_dim, seeds + 900, "mean")
        self.log_stddev_head = linear(widths[-1], config.embedding_dim, seeds + 901, "log_stddev")
        for head in (self.mean_head, self.log_stddev_head):
            head(tf.zeros([1, widths[-1]]))  # creates the variables, which training reads without a call
        self.operation_head = linear(config.embedding_dim, num_operations, seeds + 902, "operations")
        if config.decoder == "joint":
            width = config.decoder_dim
            self.joint_hidden = linear(num_vertices * config.embedding_dim, width, seeds + 906, "joint_hidden")
            self.joint_edges = linear(width, num_vertices**2, seeds + 907, "joint_edges")
        if config.decoder == "bilinear":
            self.edge_hidden = linear(config.embedding_dim, config.decoder_dim, seeds + 903, "edge_hidden")
            self.edge_source = linear(config.decoder_dim, config.decoder_dim, seeds + 904, "edge_source")
            self.edge_target = linear(config.decoder_dim, config.decoder_dim, seeds + 905, "edge_target")
        zeros = tf.zeros([1, num_vertices, num_operations]), tf.zeros([1, num_vertices, num_vertices])
        self.decode(self.encode(*zeros).mean)  # creates every variable

    def call(self, graph: "gnn.GraphTensor", training: bool = False) -> "gnn.GraphTensor":
        """Encodes cells.

        Args:
          graph: GraphTensor of shape `[B]` or `[]` (merged components) with the schema `graphs/schemas/cell.pbtxt`.
          training: batch statistics in the normalisation.

        Returns:
          The merged graph (shape `[]`, B components) with the new features.

        Raises:
          ValueError: the configuration counts padded vertices, which a GraphTensor does not have.
        """
        if not self.config.mask_padding:
            raise ValueError("mask_padding=False counts padded vertices: use `encode` on the dense view")
        if graph.shape.rank:
            graph = graph.merge_batch_to_components()
        vertices = graph.node_sets[cell_graphs.VERTEX]
        ops = tf.one_hot(vertices[cell_graphs.OPERATION], self.num_operations)

        def neighbour_sum(features: tf.Tensor, successor_weight: tf.Tensor | float) -> tf.Tensor:
            total = 0.0
            ways = ((gnn.SOURCE, gnn.TARGET, 1.0), (gnn.TARGET, gnn.SOURCE, successor_weight))
            for sender, receiver, weight in ways:
                messages = gnn.broadcast_node_to_edges(graph, cell_graphs.FLOW, sender, feature_value=features)
                total += weight * gnn.pool_edges_to_node(
                    graph, cell_graphs.FLOW, receiver, reduce_type="sum", feature_value=messages
                )
            return total

        posterior = self._posterior(ops, neighbour_sum, None, training)
        embedding = gnn.pool_nodes_to_context(
            graph, cell_graphs.VERTEX, reduce_type=self.config.pooling, feature_value=posterior.mean
        )
        features = dict(vertices.features) | {MEAN: posterior.mean, LOG_STDDEV: posterior.log_stddev}
        return graph.replace_features(
            context=dict(graph.context.features) | {EMBEDDING: embedding},
            node_sets={cell_graphs.VERTEX: features},
        )

    def encode(
        self, ops: tf.Tensor, adjacency: tf.Tensor, row_weights: tf.Tensor | None = None, training: bool = False
    ) -> Posterior:
        """Encodes the dense view.

        Args:
          ops: float32 `[B, V, O]`, zero rows for absent vertices.
          adjacency: float32 `[B, V, V]`, directed; messages flow both ways.
          row_weights: float32 `[B]`, 0 for rows that only fill the batch; None if there are none.
          training: batch statistics in the normalisation.

        References:
          Yan et al. 2020 (arch2vec), equations 1-3.
        """
        vertices = self.num_vertices
        predecessors = tf.linalg.matrix_transpose(adjacency)

        def neighbour_sum(features: tf.Tensor, successor_weight: tf.Tensor | float) -> tf.Tensor:
            # Cells are so small that one fused multiply-and-sum is faster than a batch of matrix products.
            augmented = (predecessors + successor_weight * adjacency)[..., None]
            grouped = tf.reshape(features, [-1, 1, vertices, features.shape[-1]])
            return tf.reshape(tf.reduce_sum(augmented * grouped, axis=2), [-1, features.shape[-1]])

        # Layers work on rows: with [B, V, D] tensors the same program is a third slower.
        rows = tf.reshape(ops, [-1, self.num_operations])
        posterior = self._posterior(rows, neighbour_sum, self._row_mask(ops, row_weights), training)
        return Posterior(*(tf.reshape(values, [-1, vertices, self.config.embedding_dim]) for values in posterior))

    def decode(self, latent: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Logits of operations `[B, V, O]` and of edges `[B, V, V]` (only i < j has a meaning) from `[B, V, D]`.

        References:
          Yan et al. 2020 (arch2vec), equation 4.
        """
        rows = tf.reshape(latent, [-1, self.config.embedding_dim])
        operations = tf.reshape(self.operation_head(rows), [-1, self.num_vertices, self.num_operations])
        if self.config.decoder == "joint":
            cells = tf.reshape(latent, [-1, self.num_vertices * self.config.embedding_dim])
            edges = self.joint_edges(tf.nn.relu(self.joint_hidden(cells)))
            return operations, tf.reshape(edges, [-1, self.num_vertices, self.num_vertices])
        if self.config.decoder == "bilinear":
            hidden = tf.nn.relu(self.edge_hidden(rows))
            shape = [-1, self.num_vertices, self.config.decoder_dim]
            source = tf.reshape(self.edge_source(hidden), shape)
            target = tf.reshape(self.edge_target(hidden), shape)
            return operations, tf.matmul(source, target, transpose_b=True)
        # Multiply-and-sum has the faster gradient, as in `encode`.
        return operations, tf.reduce_sum(latent[:, :, None] * latent[:, None], axis=-1)

    def embed(
        self, ops: tf.Tensor, adjacency: tf.Tensor, row_weights: tf.Tensor | None = None, training: bool = False
    ) -> tuple[tf.Tensor, Posterior]:
        """The embedding `[B, D]` that search uses, pooled from the vertex means, and the posterior; see `encode`."""
        posterior = self.encode(ops, adjacency, row_weights, training)
        if not self.config.mask_padding:
            pool = tf.reduce_sum if self.config.pooling == "sum" else tf.reduce_mean
            return pool(posterior.mean, axis=1), posterior
        mask = self.vertex_mask(ops)[..., None]
        total = tf.reduce_sum(posterior.mean * mask, axis=1)
        return (total if self.config.pooling == "sum" else total / tf.reduce_sum(mask, axis=1)), posterior

    def vertex_mask(self, ops: tf.Tensor) -> tf.Tensor:
        """float32 `[B, V]`: 1 for vertices that count, which without `mask_padding` are all."""
        return tf.reduce_sum(ops, axis=-1) if self.config.mask_padding else tf.ones_like(ops[..., 0])

    def _row_mask(self, ops: tf.Tensor, row_weights: tf.Tensor | None) -> tf.Tensor | None:
        if row_weights is None and not self.config.mask_padding:
            return None
        mask = self.vertex_mask(ops)
        return tf.reshape(mask if row_weights is None else mask * row_weights[:, None], [-1, 1])

    def _posterior(
        self,
        features: tf.Tensor,
        neighbour_sum: Callable[[tf.Tensor, tf.Tensor | float], tf.Tensor],
        row_mask: tf.Tensor | None,
        training: bool,
    ) -> Posterior:
        if self.config.message_passing == "gcn":
            # Kipf and Welling 2017, equation 2: D^-1/2 (A + A' + I) D^-1/2 H W.
            scale = tf.math.rsqrt(1.0 + neighbour_sum(tf.ones_like(features[:, :1]), 1.0))
            for layer in self.graph_layers:
                scaled = scale * features
                features = tf.nn.relu(layer(scale * (scaled + neighbour_sum(scaled, 1.0))))
        else:
            for layer in self.graph_layers:
                neighbours = neighbour_sum(features, layer.successor_weight)
                features = layer(features, neighbours, row_mask=row_mask, training=training)
        return Posterior(*side_by_side([self.mean_head, self.log_stddev_head], features))


class Terms(NamedTuple):
    """Terms of the loss, float32 `[B]` each: costs of a cell's operations, edges and divergence."""

    operations: tf.Tensor
    edges: tf.Tensor
    divergence: tf.Tensor


def loss_terms(
    config: Arch2VecConfig,
    ops: tf.Tensor,
    adjacency: tf.Tensor,
    vertex_mask: tf.Tensor,
    posterior: Posterior,
    operation_logits: tf.Tensor,
    edge_logits: tf.Tensor,
) -> Terms:
    """Reconstruction costs (nats, or their means over entries) and KL divergence from N(0, I) of each cell.

    Args:
      config: settings of likelihood and scale.
      ops: float32 `[B, V, O]`.
      adjacency: float32 `[B, V, V]`, strictly upper triangular.
      vertex_mask: float32 `[B, V]`, 1 where a vertex counts.
      posterior: mean and logarithm of the standard deviation, float32 `[B, V, D]` each.
      operation_logits: float32 `[B, V, O]`.
      edge_logits: float32 `[B, V, V]`; entries with i >= j are ignored.
    """
    if config.operation_likelihood == "softmax":
        operations = tf.nn.softmax_cross_entropy_with_logits(ops, operation_logits)
    else:
        operations = tf.reduce_sum(tf.nn.sigmoid_cross_entropy_with_logits(ops, operation_logits), axis=-1)
    operations = tf.reduce_sum(operations * vertex_mask, axis=-1)

    vertices = ops.shape[1]
    upper = tf.linalg.band_part(tf.ones([vertices, vertices]), 0, -1) - tf.eye(vertices)
    pairs = upper * vertex_mask[:, :, None] * vertex_mask[:, None, :]
    edges = tf.nn.sigmoid_cross_entropy_with_logits(adjacency, edge_logits)
    edges = tf.reduce_sum(edges * pairs, axis=(1, 2))

    mean, log_stddev = posterior
    divergence = 0.5 * tf.reduce_sum(tf.exp(2.0 * log_stddev) + mean**2 - 1.0 - 2.0 * log_stddev, axis=-1)
    divergence = tf.reduce_sum(divergence * vertex_mask, axis=-1)
    if config.average_entries:
        operations /= vertices * ops.shape[2]
        edges /= vertices * vertices
    if config.published_kl:
        divergence /= vertices * vertices
    return Terms(operations, edges, divergence)


def batch_loss(config: Arch2VecConfig, terms: Terms, row_weights: tf.Tensor, total_weight: tf.Tensor) -> tf.Tensor:
    """The scalar to minimise, a mean over the rows that exist.

    Args:
      config: settings of the divergence's weight.
      terms: terms of the loss, float32 `[B]` each.
      row_weights: float32 `[B]`, 0 for rows that only fill the batch.
      total_weight: sum of the row weights over all replicas.
    """
    kl_weight = config.kl_weight if config.variational else 0.0
    if config.published_kl:
        kl_weight /= total_weight
    per_cell = terms.operations + terms.edges + kl_weight * terms.divergence
    return tf.reduce_sum(per_cell * row_weights) / total_weight
