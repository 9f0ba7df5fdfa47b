"""The negative evidence lower bound of a batch of cells.

References:
  Yan et al. 2020 (arch2vec), equation 5.
"""

from typing import NamedTuple

import tensorflow as tf

from tfnas.encoders.arch2vec.config import Arch2VecConfig
from tfnas.encoders.arch2vec.model import Posterior


class Terms(NamedTuple):
    """Parts of the loss, float32 `[B]` each: what the cell costs in operations, edges and divergence."""

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
      config: which likelihood and which scale.
      ops: float32 `[B, V, O]`.
      adjacency: float32 `[B, V, V]`, strictly upper triangular.
      vertex_mask: float32 `[B, V]`, 1 where a vertex counts.
      posterior: `[B, V, D]` each.
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
      config: the weight of the divergence.
      terms: float32 `[B]` each.
      row_weights: float32 `[B]`, 0 for rows that only fill the batch.
      total_weight: their sum over all replicas.
    """
    kl_weight = config.kl_weight if config.variational else 0.0
    if config.published_kl:
        kl_weight /= total_weight
    per_cell = terms.operations + terms.edges + kl_weight * terms.divergence
    return tf.reduce_sum(per_cell * row_weights) / total_weight
