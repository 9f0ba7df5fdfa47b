"""Losses between motifs and their contexts, and the published loss between graphs.

References:
  Pei et al. 2024, "Neural Architecture Retrieval", sections 3.3 and 3.4, and the released code.
  van den Oord et al. 2018, "Representation Learning with Contrastive Predictive Coding", equation 4.
"""

import tensorflow as tf
import tf_keras

from tfnas.encoders.contrastive import Members
from tfnas.graphs.motifs.two_level import TwoLevelBatch

_NEVER = -1e9


def motif_infonce(
    motifs: tf.Tensor,
    contexts: tf.Tensor,
    known: tf.Tensor,
    batch: TwoLevelBatch,
    picked: tf.Tensor,
    temperature: float,
) -> tf.Tensor:
    """InfoNCE of motifs and contexts: minus the mean log share of the context that surrounds a motif.

    Other contexts that hold a motif of the same kind, or surround a motif of the same kind, are no negatives.

    Args:
      motifs: float32 `[M, W]`.
      contexts: float32 `[M, W]`.
      known: float32 `[M]`, 1 for motifs that count: with a context, in a graph that does not only fill the batch.
      batch: graphs of the motifs.
      picked: int32 `[A]`, the motifs that are compared.
      temperature: temperature of the cosines.

    Returns:
      A scalar; 0 if no picked motif has a context.
    """
    kinds = tf.gather(batch.macro.nodes, picked)
    anchors = tf.math.l2_normalize(tf.gather(motifs, picked), axis=1)
    surroundings = tf.math.l2_normalize(tf.gather(contexts, picked), axis=1)
    weight = tf.gather(known, picked) * tf.cast(kinds >= 0, tf.float32)
    logits = tf.matmul(anchors, surroundings, transpose_b=True) / temperature
    forbidden = held_kinds(batch, kinds, picked) | (kinds[:, None] == kinds[None]) | (weight[None] == 0)
    same = picked[:, None] == picked[None]
    logits = tf.where(forbidden & ~same, _NEVER, logits)
    # A motif that was picked twice must not compete with itself.
    first = tf.cumsum(tf.cast(same, tf.int32), axis=1) == 1
    logits = tf.where(same & ~first, _NEVER, logits)
    shares = tf.nn.log_softmax(logits, axis=1)
    positive = tf.reduce_sum(tf.where(same & first, shares, 0.0), axis=1)
    return -tf.math.divide_no_nan(tf.reduce_sum(weight * positive), tf.reduce_sum(weight))


def held_kinds(batch: TwoLevelBatch, kinds: tf.Tensor, picked: tf.Tensor) -> tf.Tensor:
    """bool `[A, A]`: whether the context of picked motif j holds a motif of kind i."""
    count = tf.shape(batch.macro.nodes)[0]
    held = tf.zeros([count, tf.shape(kinds)[0]], tf.float32)
    for near, far in (
        (batch.macro.sources, batch.macro.targets),
        (batch.macro.targets, batch.macro.sources),
    ):
        matches = tf.cast(tf.gather(batch.macro.nodes, near)[:, None] == kinds[None], tf.float32)
        held += tf.math.unsorted_segment_sum(matches, far, count)
    return tf.transpose(tf.gather(held, picked)) > 0


def motif_discriminator(
    motifs: tf.Tensor,
    contexts: tf.Tensor,
    known: tf.Tensor,
    batch: TwoLevelBatch,
    discriminator: tf_keras.layers.Layer,
) -> tf.Tensor:
    """Binary cross entropies of (motif, its context) and (motif, context of another motif of the graph), summed.

    The other motif lies half the graph's motifs further on. Motifs without a context, or alone in their graph, have no
    loss.

    Args:
      motifs: float32 `[M, W]`.
      contexts: float32 `[M, W]`.
      known: float32 `[M]`, 1 for motifs that count: with a context, in a graph that does not only fill the batch.
      batch: graphs of the motifs.
      discriminator: layer from float32 `[M, 2 W]` to logits `[M, 1]`.

    Returns:
      A scalar, 0 without pairs.
    """
    count = tf.shape(motifs)[0]
    graph = tf.minimum(batch.macro.node_graph, tf.shape(batch.macro.sizes)[0] - 1)
    size = tf.maximum(tf.gather(batch.macro.sizes, graph), 1)
    start = tf.gather(tf.cumsum(batch.macro.sizes, exclusive=True), graph)
    other = start + (tf.range(count) - start + size // 2) % size
    other = tf.clip_by_value(other, 0, count - 1)
    weight = known * tf.gather(known, other) * tf.cast((size > 1) & (batch.macro.nodes >= 0), tf.float32)
    right = discriminator(tf.concat([motifs, contexts], 1))[:, 0]
    wrong = discriminator(tf.concat([motifs, tf.gather(contexts, other)], 1))[:, 0]
    losses = tf.nn.softplus(-right) + tf.nn.softplus(wrong)
    return tf.math.divide_no_nan(tf.reduce_sum(weight * losses), tf.reduce_sum(weight))


def pooled_contrast(embeddings: tf.Tensor, family: tf.Tensor, weight: tf.Tensor) -> tf.Tensor:
    """The published loss of a batch: -log of the share of exp(cosine) that pairs of one family have among all pairs.

    Pairs of a graph with itself count, the temperature is 1, and the whole batch has a single loss.

    Args:
      embeddings: float32 `[n, D]`, of length 1.
      family: int32 `[n]`.
      weight: float32 `[n]`, 0 for graphs that only fill the batch.
    """
    weights = tf.exp(tf.matmul(embeddings, embeddings, transpose_b=True)) * weight[:, None] * weight[None]
    same = tf.cast(family[:, None] == family[None], tf.float32)
    return -tf.math.log(tf.maximum(tf.reduce_sum(weights * same), 1e-30) / tf.maximum(tf.reduce_sum(weights), 1e-30))


def geometry(anchors: Members, every: Members) -> tf.Tensor:
    """Mean squared difference between cosines of embeddings and of hashed colours, for graphs of different families.

    A contrastive loss pushes all other families away alike. It forgets what families have in common, which is all that
    places a family unseen in training.

    Args:
      anchors: graphs of this replica, with the hashed colours as descriptors.
      every: graphs of all replicas, the anchors among them.

    Returns:
      This replica's share of the mean over all pairs.
    """

    def pairs(first: Members) -> tf.Tensor:
        different = tf.cast(first.family[:, None] != every.family[None], tf.float32)
        return different * first.weight[:, None] * every.weight[None]

    cosines = tf.matmul(anchors.projection, every.projection, transpose_b=True)
    targets = tf.matmul(anchors.descriptor, every.descriptor, transpose_b=True)
    return tf.math.divide_no_nan(tf.reduce_sum(pairs(anchors) * (cosines - targets) ** 2), tf.reduce_sum(pairs(every)))
