"""The protocol of all predictors: they learn from inputs with known values and predict means with uncertainty."""

from typing import Protocol, Self, TypeVar

import numpy as np

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
