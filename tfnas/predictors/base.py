"""The protocol of all predictors: they learn from inputs with known values and predict means with uncertainty."""

from collections.abc import Sequence
from typing import Protocol, Self, TypeVar

import numpy as np
import scipy.stats

from tfnas.errors import ConfigurationError

Inputs = TypeVar("Inputs", contravariant=True)


class Surrogate(Protocol[Inputs]):
    """A regression with uncertainty.

    The type of the inputs belongs to the implementation: features `[n, D]`, a list of blocks of features `[n, D_b]`,
    row numbers `[n]` of a table of points, or computation graphs.
    """

    def fit(self, inputs: Inputs, targets: np.ndarray) -> Self:
        """Learns n values `[n]`."""

    def predict(self, inputs: Inputs) -> tuple[np.ndarray, np.ndarray]:
        """Predictive mean and standard deviation, `[m]` each."""


class BatchedSurrogate(Protocol[Inputs]):
    """R regressions of one shape that are fitted at once; a `Surrogate` whose data sets have a leading dimension."""

    def fit(self, inputs: Inputs, targets: np.ndarray) -> Self:
        """Learns values `[R, n]` of inputs `[R, n, ...]`."""

    def predict(self, inputs: Inputs, run: int = 0) -> tuple[np.ndarray, np.ndarray]:
        """Predictive mean and standard deviation, `[m]` each, of regression `run` for inputs `[m, ...]`."""


def example_sets(inputs: np.ndarray, targets: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Examples of several regressions as arrays of one form.

    Args:
      inputs: float `[R, n, D]`, or `[n, D]` for a single regression.
      targets: float `[R, n]`, or `[n]`.
      count: expected R.

    Returns:
      float64 `[R, n, D]` and `[R, n]`.

    Raises:
      ConfigurationError: fewer than two examples, other shapes, NaN or infinity.
    """
    inputs, targets = np.asarray(inputs, np.float64), np.asarray(targets, np.float64)
    if inputs.ndim == 2:
        inputs, targets = inputs[None], targets[None]
    if inputs.ndim != 3 or targets.shape != inputs.shape[:2] or len(inputs) != count or inputs.shape[1] < 2:
        raise ConfigurationError(
            f"inputs {inputs.shape} and targets {targets.shape}, expected [{count}, n, D] and [{count}, n], n >= 2"
        )
    if not (np.isfinite(inputs).all() and np.isfinite(targets).all()):
        raise ConfigurationError("inputs or targets hold NaN or infinity")
    return inputs, targets


def block_sets(inputs: Sequence[np.ndarray], targets: np.ndarray, least: int) -> tuple[list[np.ndarray], np.ndarray]:
    """Examples of several regressions on blocks of features as arrays of one form.

    Args:
      inputs: blocks, float `[R, n, D_b]` each, or `[n, D_b]` for a single regression.
      targets: float `[R, n]`, or `[n]`.
      least: smallest number of examples.

    Returns:
      float64 blocks `[R, n, D_b]` and targets `[R, n]`.

    Raises:
      ConfigurationError: fewer than `least` examples, other shapes, NaN or infinity.
    """
    targets = np.atleast_2d(np.asarray(targets, np.float64))
    blocks = [np.asarray(block, np.float64) for block in inputs]
    blocks = [block[None] if block.ndim == 2 else block for block in blocks]
    if targets.ndim != 2 or targets.shape[1] < least:
        raise ConfigurationError(f"{targets.shape[-1]} labels, expected at least {least}")
    for number, block in enumerate(blocks):
        if block.ndim != 3 or block.shape[:2] != targets.shape:
            expected = f"[{targets.shape[0]}, {targets.shape[1]}, D]"
            raise ConfigurationError(f"block {number}: shape {block.shape}, expected {expected} as targets have")
    for name, values in [("targets", targets), *((f"block {number}", block) for number, block in enumerate(blocks))]:
        if not np.isfinite(values).all():
            raise ConfigurationError(f"{name}: example {np.argwhere(~np.isfinite(values))[0][1]} holds NaN or infinity")
    return blocks, targets


def rank_correlation(scores: np.ndarray, labels: np.ndarray) -> float | None:
    """Spearman's rank correlation; None where one of the two does not vary."""
    if len(labels) < 2 or np.ptp(scores) == 0 or np.ptp(labels) == 0:
        return None
    return float(scipy.stats.spearmanr(scores, labels).statistic)
