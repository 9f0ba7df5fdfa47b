"""Layers of graph isomorphism networks, with initial weights and batch normalisation as in PyTorch."""

import math
from collections.abc import Sequence

import tensorflow as tf
import tf_keras

_MOMENTUM, _EPSILON = 0.1, 1e-5


class FanInUniform(tf_keras.initializers.Initializer):
    """Uniform in +-1/sqrt(fan_in), PyTorch's default for the weights and biases of linear layers.

    Args:
      seed: seed of the draw.
      fan_in: number of inputs.
    """

    def __init__(self, seed: int, fan_in: int):
        self.seed = seed
        self.fan_in = fan_in

    def __call__(self, shape: tuple[int, ...], dtype: tf.DType | None = None, **kwargs: object) -> tf.Tensor:
        limit = 1.0 / math.sqrt(self.fan_in)
        return tf.random.stateless_uniform(shape, (self.seed, 0), -limit, limit, dtype or tf.float32)


def linear(inputs: int, units: int, seed: int, name: str) -> tf_keras.layers.Dense:
    """A fully connected layer without activation, initialised as PyTorch does."""
    return tf_keras.layers.Dense(
        units,
        kernel_initializer=FanInUniform(2 * seed, inputs),
        bias_initializer=FanInUniform(2 * seed + 1, inputs),
        name=name,
    )


def side_by_side(layers: Sequence[tf_keras.layers.Dense], inputs: tf.Tensor) -> list[tf.Tensor]:
    """The outputs of several linear layers of one width for the same inputs `[n, D]`, by one matrix product."""
    kernel = tf.concat([layer.kernel for layer in layers], axis=1)
    bias = tf.concat([layer.bias for layer in layers], axis=0)
    return tf.split(tf.matmul(inputs, kernel) + bias, len(layers), axis=1)


class MaskedBatchNormalization(tf_keras.layers.Layer):
    """Batch normalisation over rows, some of which may not exist, with statistics shared by all replicas.

    Keras 2 has neither the mask nor, on the default strategy, equal statistics for equal global batches. Momentum,
    epsilon and the unbiased running variance are PyTorch's.
    """

    def build(self, input_shape: tf.TensorShape) -> None:
        """Creates scale, offset and running statistics, each `[D]`."""
        size = (input_shape[-1],)
        # Replicas hold equal numbers: the first worker may read its copy after all other workers have left.
        shared = {
            "synchronization": tf.VariableSynchronization.ON_READ,
            "aggregation": tf.VariableAggregation.ONLY_FIRST_REPLICA,
        }
        self.gamma = self.add_weight(name="gamma", shape=size, initializer="ones")
        self.beta = self.add_weight(name="beta", shape=size, initializer="zeros")
        self.moving_mean = self.add_weight(
            name="moving_mean", shape=size, initializer="zeros", trainable=False, **shared
        )
        self.moving_variance = self.add_weight(
            name="moving_variance", shape=size, initializer="ones", trainable=False, **shared
        )

    def call(self, inputs: tf.Tensor, row_mask: tf.Tensor | None = None, training: bool = False) -> tf.Tensor:
        """Normalises.

        Args:
          inputs: float32 `[..., D]`.
          row_mask: float32 `[..., 1]`, 1 where the row exists; None if all do.
          training: whether the statistics of this batch are used, and update the running statistics.
        """
        if not training:
            return self._normalise(inputs, self.moving_mean, self.moving_variance)
        axes = list(range(inputs.shape.rank - 1))
        if row_mask is None:
            count = tf.cast(tf.size(inputs) / inputs.shape[-1], tf.float32)
            total = tf.reduce_sum(inputs, axes)
        else:
            count = tf.reduce_sum(row_mask)
            total = tf.reduce_sum(inputs * row_mask, axes)
        count, total = _sum_over_replicas([count, total])
        count = tf.maximum(count, 1.0)
        mean = total / count
        squares = tf.math.squared_difference(inputs, mean)
        if row_mask is not None:
            squares *= row_mask
        (spread,) = _sum_over_replicas([tf.reduce_sum(squares, axes)])
        unbiased = spread / tf.maximum(count - 1.0, 1.0)
        self.moving_mean.assign_add(_MOMENTUM * (mean - self.moving_mean))
        self.moving_variance.assign_add(_MOMENTUM * (unbiased - self.moving_variance))
        return self._normalise(inputs, mean, spread / count)

    def _normalise(self, inputs: tf.Tensor, mean: tf.Tensor, variance: tf.Tensor) -> tf.Tensor:
        scale = self.gamma * tf.math.rsqrt(variance + _EPSILON)
        return inputs * scale + (self.beta - mean * scale)


def _sum_over_replicas(tensors: list[tf.Tensor]) -> list[tf.Tensor]:
    context = tf.distribute.get_replica_context()
    if context is None or context.num_replicas_in_sync == 1:
        return tensors
    return context.all_reduce(tf.distribute.ReduceOp.SUM, tensors)


class GraphIsomorphismLayer(tf_keras.layers.Layer):
    """One message-passing step: `MLP((1 + epsilon) h + sum of the neighbours' h)` with a trainable epsilon.

    The MLP is a chain of linear, batch-norm, ReLU triplets.

    Args:
      inputs: width of the incoming vertex features.
      units: width of every triplet.
      depth: number of triplets.
      seed: seed of the initial weights.
      directed: whether the sum over successors has a trainable weight, so that the layer tells an edge from its
        reverse; both directions count the same by default.

    Attributes:
      successor_weight: weight of the sum over successors, which starts at 0.5; 1.0 if the layer is not directed.

    References:
      Xu et al. 2019, "How Powerful are Graph Neural Networks?", equation 4.1.
      Yan et al. 2020 (arch2vec), equation 2.
    """

    def __init__(self, inputs: int, units: int, depth: int, seed: int, directed: bool = False, **kwargs: object):
        super().__init__(**kwargs)
        self.successor_weight: tf.Variable | float = 1.0
        if directed:  # here and not in `build`, because the neighbours are summed before the layer is called
            self.successor_weight = self.add_weight(
                name="successor_weight", shape=(), initializer=tf_keras.initializers.Constant(0.5)
            )
        widths = [inputs] + [units] * (depth - 1)
        self.linears = [linear(width, units, seed + i, f"linear_{i}") for i, width in enumerate(widths)]
        self.norms = [MaskedBatchNormalization(name=f"norm_{i}") for i in range(depth)]

    def build(self, input_shape: tf.TensorShape) -> None:
        """Creates epsilon, a scalar that starts at 0."""
        self.epsilon = self.add_weight(name="epsilon", shape=(), initializer="zeros")

    def call(
        self,
        features: tf.Tensor,
        neighbour_sum: tf.Tensor,
        row_mask: tf.Tensor | None = None,
        training: bool = False,
    ) -> tf.Tensor:
        """Updates vertex features.

        Args:
          features: float32 `[..., D]`.
          neighbour_sum: float32 `[..., D]`, the sum of the neighbours' features for each vertex.
          row_mask: float32 `[..., 1]`, 1 where the vertex exists; None if all do.
          training: whether the normalisation uses batch statistics.
        """
        features = (1.0 + self.epsilon) * features + neighbour_sum
        for dense, norm in zip(self.linears, self.norms, strict=True):
            features = tf.nn.relu(norm(dense(features), row_mask=row_mask, training=training))
        return features
