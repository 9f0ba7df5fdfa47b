"""Kernels between the rows of blocks of features; the median distance of the examples is the unit of length.

References:
  Rasmussen and Williams 2006, "Gaussian Processes for Machine Learning", section 4.2.
  Balog et al. 2016, "The Mondrian Kernel", for the kernel of absolute distances as the limit of random trees.
"""

from collections.abc import Sequence

import numpy as np
from scipy.spatial.distance import cdist

from tfnas.errors import ConfigurationError

Blocks = Sequence[np.ndarray]
"""Blocks of features, `[n, D_b]` each."""

KERNELS = ("linear", "smooth", "rough")
"""Names: the inner product, the squared exponential kernel, and the exponential kernel of absolute distances.

The smooth kernel has the median distance of the examples as length scale, the rough kernel three times the median.
"""

_ROUGH_LENGTH = 3
_SAME = 1e-12  # squared or absolute distance of equal examples


class BlockKernels:
    """Kernels between n examples and other points, one for every pair of a kernel's name and a block.

    Args:
      examples: blocks of the examples, float `[n, D_b]` each.
      names: names in `KERNELS`.

    Raises:
      ConfigurationError: an unknown name, or none.

    Example:
      >>> BlockKernels([np.eye(3)], ["linear"])([np.ones((2, 3))]).shape
      (1, 3, 2)
    """

    def __init__(self, examples: Blocks, names: Sequence[str]):
        for name in names or ["none"]:
            if name not in KERNELS:
                raise ConfigurationError(f"no kernel {name!r}, expected some of {', '.join(KERNELS)}")
        self._examples, self._names = list(examples), tuple(names)
        self._lengths = [[_median(_distances(name, block, block)) for block in examples] for name in names]

    def __call__(self, points: Blocks) -> np.ndarray:
        """float64 `[kernels, n, m]` for blocks of points `[m, D_b]`; kernels of one name are adjacent."""
        return np.stack(
            [
                self._kernel(name, example, block, length)
                for name, lengths in zip(self._names, self._lengths, strict=True)
                for example, block, length in zip(self._examples, points, lengths, strict=True)
            ]
        )

    def variances(self, points: Blocks) -> np.ndarray:
        """float64 `[kernels, m]`: kernels of every point with itself."""
        return np.stack(
            [
                (block**2).sum(axis=1) if name == "linear" else np.ones(len(block))
                for name in self._names
                for block in points
            ]
        )

    @staticmethod
    def _kernel(name: str, example: np.ndarray, block: np.ndarray, length: float) -> np.ndarray:
        if name == "linear":
            return example @ block.T
        scale = 2 * length if name == "smooth" else _ROUGH_LENGTH * length
        return np.exp(-_distances(name, example, block) / scale)


def _distances(name: str, first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """`[n, m]`: squared distances for the smooth kernel, absolute distances for the rough kernel, else nothing."""
    if name == "smooth":
        squares = (first**2).sum(axis=1)[:, None] + (second**2).sum(axis=1) - 2 * first @ second.T
        return np.maximum(squares, 0)
    return cdist(first, second, "cityblock") if name == "rough" else np.zeros((0, 0))


def _median(distances: np.ndarray) -> float:
    """Median of the positive distances, or 1."""
    positive = distances[distances > _SAME]
    return float(np.median(positive)) if len(positive) else 1.0
