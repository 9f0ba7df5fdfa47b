"""One compiled program that scores every architecture of a space: what distinguishes them is its input.

All architectures of a seed start from the same random numbers, so that scores differ by architecture alone.
"""

import math
from collections.abc import Iterable, Sequence

import numpy as np
import tensorflow as tf
from tqdm import tqdm

from tfnas.networks.layers import LayerSettings
from tfnas.networks.nasbench201 import NASBench201Network, Skeleton, operation_codes
from tfnas.proxies import rewiring
from tfnas.proxies.scores import PROXIES, ProxyProgram
from tfnas.spaces import Architecture


class NASBench201Proxies:
    """Scores of NAS-Bench-201 cells in the benchmark's network, operations as data.

    Args:
      images: float32 `[B, height, width, channels]`, standardised.
      labels: int `[B]`.
      proxies: which scores.
      skeleton: the network around the cell.
      seed: of the initial weights, which PyTorch's rule scales.
    """

    def __init__(
        self,
        images: np.ndarray,
        labels: np.ndarray,
        proxies: Sequence[str] = PROXIES,
        skeleton: Skeleton = Skeleton(),  # noqa: B008 (frozen)
        seed: int = 0,
    ):
        self.images, self.labels = images, labels
        self.network = NASBench201Network(skeleton, None, LayerSettings("pytorch"))
        self.network(tf.zeros([1, *images.shape[1:]]), tf.zeros([6], tf.int32))
        draw_weights(self.network, seed)
        self._program = ProxyProgram(
            self.network, proxies, lambda batch, codes: self.network(batch, codes, training=False)
        )

    def scores(self, architectures: Iterable[Architecture], *, progress: bool = False) -> dict[str, np.ndarray]:
        """Scores float64 `[N]` of N cells; see `ProxyProgram.scores`.

        Raises:
          InvalidArchitectureError: not a cell of the space.
        """
        codes = [operation_codes(architecture) for architecture in architectures]
        bar = tqdm(codes, desc="Zero-cost scores", unit="cell", disable=not progress, leave=False)
        rows = [self._program.scores(self.images, self.labels, tf.constant(row, tf.int32)) for row in bar]
        return {name: np.array([row[name] for row in rows]) for name in self._program.proxies}


def draw_weights(model: rewiring.Layer, seed: int) -> None:
    """Draws all kernels and biases anew, uniform within 1 / sqrt(fan-in) as PyTorch does; norms start from 1 and 0."""
    for number, layer in enumerate(rewiring.all_layers(model)):
        names = rewiring.weight_names(layer)
        kernels = rewiring.kernel_names(layer)
        for place, name in enumerate(names):
            variable = getattr(layer, name)
            if not kernels:
                continue
            kernel = getattr(layer, kernels[0])
            fan_in = math.prod(kernel.shape[:2]) if name == "depthwise_kernel" else math.prod(kernel.shape[:-1])
            bound = 1 / math.sqrt(fan_in)
            variable.assign(tf.random.stateless_uniform(variable.shape, (seed, 1000 * number + place), -bound, bound))
