"""Contrastive losses over graphs of several families; SimCLR and SupCon are special cases.

References:
  Han et al. 2023, section 4.2, equations 4.1-4.5.
  Chen et al. 2020, "A Simple Framework for Contrastive Learning of Visual Representations", equation 1.
  Khosla et al. 2020, "Supervised Contrastive Learning", equation 2.
"""

from typing import NamedTuple

import tensorflow as tf

_NEVER = -1e9


class Members(NamedTuple):
    """The facts of n graphs that the loss needs.

    Attributes:
      projection: float32 `[n, P]`, of unit length.
      family: int32 `[n]`.
      descriptor: float32 `[n, K]`; similar graphs have close descriptors.
      number: int32 `[n]`, counts the graphs of the global batch.
      partner: int32 `[n]`, the number of the graph's partner.
      weight: float32 `[n]`, 0 for graphs that only fill the batch.
    """

    projection: tf.Tensor
    family: tf.Tensor
    descriptor: tf.Tensor
    number: tf.Tensor
    partner: tf.Tensor
    weight: tf.Tensor


def members(
    projection: tf.Tensor, family: tf.Tensor, descriptor: tf.Tensor, weight: tf.Tensor
) -> tuple[Members, Members]:
    """The facts of this replica's graphs, and of the graphs of all replicas.

    Args:
      projection: float32 `[n, P]`, of unit length.
      family: int32 `[n]`.
      descriptor: float32 `[n, K]`.
      weight: float32 `[n]`; each graph of the first half is the partner of a graph of the second half.
    """
    context = tf.distribute.get_replica_context()
    count = tf.shape(projection)[0]
    numbers = tf.range(count) + count * context.replica_id_in_sync_group
    anchors = Members(projection, family, descriptor, numbers, tf.roll(numbers, count // 2, 0), weight)
    if context.num_replicas_in_sync == 1:
        return anchors, anchors
    return anchors, Members(*(context.all_gather(values, axis=0) for values in anchors))


def contrastive_losses(
    anchors: Members,
    every: Members,
    *,
    kind: str,
    temperature: float,
    similarity_temperature: float = 0.05,
    relative_temperature: bool = False,
    favour_distant: bool = False,
) -> tf.Tensor:
    """Loss of every anchor: minus the weighted mean over its positive graphs s of log softmax(z_i z_s / temperature).

    The softmax runs over all graphs but the anchor. Positive are the graphs of its family, weighted by a softmax of
    minus the distance of descriptors over `similarity_temperature` (`spectral`) or equally (`supcon`), or its partner
    alone (`simclr`). An anchor without a positive graph, or with weight 0, has loss 0.

    Args:
      anchors: graphs of this replica.
      every: graphs of all replicas, the anchors among them.
      kind: `spectral`, `supcon` or `simclr`.
      temperature: temperature of the comparison with all graphs.
      similarity_temperature: temperature of the weights of positive graphs.
      relative_temperature: whether the similarity's temperature has the mean distance between graphs of a family as
        unit, which makes the weights independent of the descriptors' scale; not by default.
      favour_distant: whether distant graphs weigh more; similar graphs weigh more by default.

    Returns:
      float32 `[anchors]`.
    """
    distinct = (anchors.number[:, None] != every.number[None]) & (every.weight[None] > 0)
    logits = tf.matmul(anchors.projection, every.projection, transpose_b=True) / temperature
    log_shares = tf.nn.log_softmax(tf.where(distinct, logits, _NEVER), axis=1)
    if kind == "simclr":
        positive = distinct & (anchors.partner[:, None] == every.number[None])
    else:
        positive = distinct & (anchors.family[:, None] == every.family[None])
    if kind == "spectral":
        distances = _distances(anchors.descriptor, every.descriptor)
        if relative_temperature:
            distances = tf.math.divide_no_nan(distances, _mean_distance(every))
        likeness = (distances if favour_distant else -distances) / similarity_temperature
    else:
        likeness = tf.zeros_like(logits)
    weights = tf.nn.softmax(tf.where(positive, likeness, _NEVER), axis=1) * tf.cast(positive, tf.float32)
    return -anchors.weight * tf.reduce_sum(weights * tf.where(positive, log_shares, 0.0), axis=1)


def _mean_distance(members: Members) -> tf.Tensor:
    """Mean distance of descriptors over all pairs of one family."""
    pairs = tf.cast(members.family[:, None] == members.family[None], tf.float32)
    pairs *= members.weight[:, None] * members.weight[None]
    pairs = tf.linalg.set_diag(pairs, tf.zeros_like(members.weight))
    total = tf.reduce_sum(pairs * _distances(members.descriptor, members.descriptor))
    return tf.math.divide_no_nan(total, tf.reduce_sum(pairs))


def _distances(first: tf.Tensor, second: tf.Tensor) -> tf.Tensor:
    squares = tf.reduce_sum(first**2, 1)[:, None] + tf.reduce_sum(second**2, 1)[None]
    return tf.sqrt(tf.maximum(squares - 2 * tf.matmul(first, second, transpose_b=True), 0.0))
