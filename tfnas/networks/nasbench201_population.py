"""Many NAS-Bench-201 networks as one tensor program.

The channels of A networks stand side by side, and every edge is one grouped convolution: a 3 x 3 kernel can also be a
1 x 1 convolution, the identity, a sum over neighbours or nothing. So the operations of the cells are data, one program
serves every cell, and small networks cost arithmetic instead of the overhead of many small kernels.
"""

import math
from collections.abc import Callable

import numpy as np
import tensorflow as tf

from tfnas.networks.nasbench201 import EDGE_OPERATIONS, Skeleton
from tfnas.spaces.nasbench201 import AVERAGE_POOL, CONV1X1, CONV3X3, NODE_EDGES, SKIP

Tensors = dict[str, tf.Tensor]
_EPSILON, _MOMENTUM = 1e-5, 0.9
_FROM_INPUT = ((1, 3, 0), (0, 1, 3))
"""Edges from the input of a cell, in the order in which their gradients are added up: in the first stage and in later
stages. The trainings of the shipped table Digits-201 were added up so, and repeat to the last bit."""


class Population:
    """A networks with the function of `NASBench201Network`, without state: weights go in, logits come out.

    Args:
      skeleton: the part of the networks that does not depend on the cell.
      image_channels: channels of the images.
    """

    def __init__(self, skeleton: Skeleton, image_channels: int):
        self.skeleton = skeleton
        self._kernels: dict[str, tuple[int, int, int, int]] = {}
        self._norms: dict[str, int] = {}
        self._declare(image_channels)

    def _declare(self, image_channels: int) -> None:
        channels = self.skeleton.channels
        self._kernels["stem"] = (3, 3, image_channels, channels)
        self._norms["stem"] = channels
        for stage in range(self.skeleton.stages):
            if stage:
                channels *= 2
                self._kernels[f"{stage}/reduction/first"] = (3, 3, channels // 2, channels)
                self._kernels[f"{stage}/reduction/second"] = (3, 3, channels, channels)
                self._kernels[f"{stage}/reduction/shortcut"] = (1, 1, channels // 2, channels)
                self._norms[f"{stage}/reduction/first"] = self._norms[f"{stage}/reduction/second"] = channels
            for cell in range(self.skeleton.cells_per_stage):
                for edge in range(len(NODE_EDGES)):
                    name = f"{stage}/{cell}/{edge}"
                    self._kernels[f"{name}/1x1"] = (1, 1, channels, channels)
                    self._kernels[f"{name}/3x3"] = (3, 3, channels, channels)
                    self._norms[name] = channels
        self._norms["last"] = channels
        self._width = channels

    def initial(self, count: int, seed: int) -> tuple[Tensors, Tensors]:
        """Weights and running statistics of `count` networks.

        All networks start from the same numbers, so that they differ by their cells alone. Kernels are drawn from a
        normal distribution of variance 2 / fan-in.
        """
        weights: Tensors = {}
        statistics: Tensors = {}
        for number, (name, shape) in enumerate(self._kernels.items()):
            deviation = math.sqrt(2.0 / math.prod(shape[:3]))
            kernel = tf.random.stateless_normal(shape, (seed, number), stddev=deviation)
            weights[f"{name}/kernel"] = tf.tile(kernel, (1, 1, 1, count))
        for name, channels in self._norms.items():
            weights[f"{name}/gamma"], weights[f"{name}/beta"] = (
                tf.ones([count * channels]),
                tf.zeros([count * channels]),
            )
            statistics[f"{name}/mean"] = tf.zeros([count * channels])
            statistics[f"{name}/variance"] = tf.ones([count * channels])
        classifier = tf.random.stateless_normal(
            (self._width, self.skeleton.num_classes), (seed, len(self._kernels)), stddev=math.sqrt(2.0 / self._width)
        )
        weights["classifier/kernel"] = tf.tile(classifier[None], (count, 1, 1))
        weights["classifier/bias"] = tf.zeros([count, self.skeleton.num_classes])
        return weights, statistics

    def logits(
        self, weights: Tensors, statistics: Tensors, codes: tf.Tensor, images: tf.Tensor, *, training: bool
    ) -> tuple[tf.Tensor, Tensors]:
        """What the networks say of the same images.

        Args:
          weights: weights of A networks.
          statistics: running means and variances of A networks.
          codes: int32 `[A, 6]`, indices into `EDGE_OPERATIONS`.
          images: float32 `[B, height, width, channels]`.
          training: normalise with the statistics of the batch, and follow them.

        Returns:
          Logits float32 `[B, A, classes]` and the new statistics.
        """
        new: Tensors = dict(statistics)

        def norm(features: tf.Tensor, name: str, mask: tf.Tensor | float = 1.0) -> tf.Tensor:
            scale, offset = weights[f"{name}/gamma"] * mask, weights[f"{name}/beta"] * mask
            if not training:
                factor = scale * tf.math.rsqrt(statistics[f"{name}/variance"] + _EPSILON)
                return features * factor + (offset - statistics[f"{name}/mean"] * factor)
            outputs, mean, variance = tf.compat.v1.nn.fused_batch_norm(features, scale, offset, epsilon=_EPSILON)
            for key, value in (("mean", mean), ("variance", variance)):
                old = statistics[f"{name}/{key}"]
                new[f"{name}/{key}"] = old * _MOMENTUM + tf.stop_gradient(value) * (1 - _MOMENTUM)
            return outputs

        def convolution(features: tf.Tensor, name: str, strides: int = 1) -> tf.Tensor:
            return tf.nn.conv2d(features, weights[f"{name}/kernel"], strides, "SAME")

        features = norm(convolution(images, "stem"), "stem")
        for stage in range(self.skeleton.stages):
            if stage:
                name = f"{stage}/reduction"
                main = norm(convolution(tf.nn.relu(features), f"{name}/first", 2), f"{name}/first")
                main = norm(convolution(tf.nn.relu(main), f"{name}/second"), f"{name}/second")
                features = main + convolution(tf.nn.avg_pool2d(features, 2, 2, "SAME"), f"{name}/shortcut")
            order = _FROM_INPUT[min(stage, 1)]
            choice = _Choice(codes, self.skeleton.channels * 2**stage, features.shape[1:3], order)
            for cell in range(self.skeleton.cells_per_stage):
                nodes: list[tf.Tensor | None] = [features, None, None, None]
                inputs = choice.rectified(features, 0)
                for edge, (source, target) in enumerate(NODE_EDGES):
                    if edge not in inputs:
                        inputs |= choice.rectified(nodes[source], source)
                    convolved, negative = choice.apply(inputs[edge], edge, f"{stage}/{cell}/{edge}", weights, norm)
                    before = nodes[target]
                    nodes[target] = convolved - negative if before is None else before - (negative - convolved)
                features = nodes[-1]
        pooled = tf.reduce_mean(tf.nn.relu(norm(features, "last")), axis=(1, 2))
        pooled = tf.reshape(pooled, [tf.shape(images)[0], -1, self._width])
        outputs = tf.einsum("bac,ack->bak", pooled, weights["classifier/kernel"]) + weights["classifier/bias"]
        return outputs, new


class _Choice:
    """The chosen operations of A cells as masks over A x C channels.

    Full-sized tensors are multiplied by masks and subtracted. Selecting and broadcasting take longer, and additions
    are put in another order by TensorFlow's graph optimiser.
    """

    def __init__(self, codes: tf.Tensor, channels: int, size: tf.TensorShape, order: tuple[int, ...]):
        height, width = size
        self._order = order
        self._masks = {
            name: tf.repeat(tf.cast(codes == EDGE_OPERATIONS.index(name), tf.float32), channels, axis=0)
            for name in (CONV1X1, CONV3X3, AVERAGE_POOL, SKIP)
        }  # [A C, 6] each
        count = tf.shape(codes)[0]
        self._identity = tf.tile(tf.eye(channels), (1, count))  # [C, A C]
        neighbours = np.minimum(3, np.minimum(np.arange(height) + 2, height - np.arange(height) + 1))[:, None]
        neighbours = neighbours * np.minimum(3, np.minimum(np.arange(width) + 2, width - np.arange(width) + 1))
        share = tf.constant(1.0 / neighbours[..., None], tf.float32)  # an average leaves out the border
        self._convolved = self._masks[CONV1X1] + self._masks[CONV3X3]
        self._thresholds = [
            tf.where(self._convolved[:, edge] > 0, 0.0, tf.float32.min) for edge in range(len(NODE_EDGES))
        ]  # [A C] each
        self._negatives = [
            (self._convolved[:, edge] - 1) * tf.where(self._masks[AVERAGE_POOL][:, edge] > 0, share, 1.0)
            for edge in range(len(NODE_EDGES))
        ]  # [height, width, A C] each

    def apply(
        self,
        inputs: tf.Tensor,
        edge: int,
        name: str,
        weights: Tensors,
        norm: Callable[[tf.Tensor, str, tf.Tensor], tf.Tensor],
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """What an edge computes of its rectified inputs: convolved channels, and what is to be subtracted from them.

        The second holds the negative outputs of all other operations. In every channel one of the two is 0.
        """
        conv1x1, conv3x3, pool, skip = (self._masks[key][:, edge] for key in (CONV1X1, CONV3X3, AVERAGE_POOL, SKIP))
        centre = weights[f"{name}/1x1/kernel"] * conv1x1 + self._identity * skip
        kernel = weights[f"{name}/3x3/kernel"] * conv3x3 + self._identity * pool
        kernel += tf.pad(centre, ((1, 1), (1, 1), (0, 0), (0, 0)))
        outputs = tf.nn.conv2d(inputs, kernel, 1, "SAME")
        return norm(outputs, name, self._convolved[:, edge]), outputs * self._negatives[edge]

    def rectified(self, inputs: tf.Tensor, node: int) -> dict[int, tf.Tensor]:
        """What every edge from a node reads: ReLU where a convolution follows; everything passes elsewhere."""
        edges = [edge for edge, (source, _) in enumerate(NODE_EDGES) if source == node]

        @tf.custom_gradient
        def rectify(features: tf.Tensor) -> tuple[list[tf.Tensor], Callable[..., tf.Tensor]]:
            masks = {edge: tf.cast(features >= self._thresholds[edge], features.dtype) for edge in edges}

            def gradient(*upstream: tf.Tensor) -> tf.Tensor:
                gradients = dict(zip(edges, upstream, strict=True))
                first, *later = self._order if node == 0 else edges
                total = gradients[first] * masks[first]
                for edge in later:
                    total -= gradients[edge] * -masks[edge]
                return total

            return [features * mask for mask in masks.values()], gradient

        return dict(zip(edges, rectify(inputs), strict=True))
