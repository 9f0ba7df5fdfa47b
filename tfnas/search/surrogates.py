"""Surrogates whose inputs are rows of candidates."""

from collections.abc import Callable
from typing import Self

import numpy as np

from tfnas.errors import ConfigurationError
from tfnas.predictors.additive_gp import AdditiveGP
from tfnas.predictors.base import BatchedSurrogate
from tfnas.predictors.dngo import DNGO
from tfnas.predictors.kernel_mixture import FEW_LABELS
from tfnas.search.additive_process import RowFeatures
from tfnas.search.base import Strategy
from tfnas.search.candidates import CandidateSet
from tfnas.spaces import CellTable

Featurizer = Callable[[CellTable], list[np.ndarray]]
"""From cells to blocks of features `[n, D_b]`."""


class OnTable:
    """A surrogate on features, asked about rows of a table of features.

    Args:
      surrogate: surrogate on features `[n, D]`.
      table: features float32 `[N, D]`.
    """

    def __init__(self, surrogate: BatchedSurrogate[np.ndarray], table: np.ndarray):
        self._surrogate, self._table = surrogate, table

    def fit(self, rows: np.ndarray, targets: np.ndarray) -> Self:
        """Learns targets `[R, n]` of rows `[R, n]`."""
        self._surrogate.fit(self._table[rows], targets)
        return self

    def predict(self, rows: np.ndarray, run: int = 0) -> tuple[np.ndarray, np.ndarray]:
        """Mean and standard deviation `[m]` of rows `[m]`."""
        everything = np.array_equal(rows, np.arange(len(self._table)))
        return self._surrogate.predict(self._table if everything else self._table[rows], run)


def dngo(candidates: CandidateSet) -> Callable[[Strategy], OnTable]:
    """Function that gives an untrained `DNGO` on the standardised embeddings, seeded by the runs and their scores."""
    table = candidates.standardised

    def surrogate(search: Strategy) -> OnTable:
        scored = search.rows.shape[1]
        return OnTable(DNGO(seed=[seed + scored for seed in search.seeds]), table)

    return surrogate


class NetworkProcess:
    """A Gaussian process on features of the candidates' cells and computation graphs.

    Args:
      candidates: architectures that are judged.
      featurize: features of cells.
    """

    def __init__(self, candidates: CandidateSet, featurize: Featurizer):
        self._features = RowFeatures(candidates, featurize)
        self._model: AdditiveGP | None = None

    def fit(self, rows: np.ndarray, targets: np.ndarray) -> Self:
        """Learns targets `[R, n]` of rows `[R, n]`."""
        blocks = [block.reshape(*rows.shape, -1) for block in self._features(rows.ravel())]
        self._model = AdditiveGP(prior=FEW_LABELS).fit(blocks, targets)
        return self

    def predict(self, rows: np.ndarray, run: int = 0) -> tuple[np.ndarray, np.ndarray]:
        """Mean and standard deviation of normal scores, float64 `[m]` each.

        Raises:
          ConfigurationError: the process was not fitted.
        """
        if self._model is None:
            raise ConfigurationError("a predictor ranks nothing before it has learned")
        return self._model.predict(self._features(rows), run)


class FixedScores:
    """Scores of all candidates that nothing changes, such as a zero-cost proxy.

    Args:
      scores: float `[N]`; candidates without a finite score come last.

    Raises:
      ConfigurationError: no score is finite.
    """

    def __init__(self, scores: np.ndarray):
        scores = np.asarray(scores, np.float64)
        if not np.isfinite(scores).any():
            raise ConfigurationError("no candidate has a finite score to guide the search")
        self._scores = np.where(np.isfinite(scores), scores, -np.inf)

    def fit(self, rows: np.ndarray, targets: np.ndarray) -> Self:
        """Learns nothing."""
        return self

    def predict(self, rows: np.ndarray, run: int = 0) -> tuple[np.ndarray, np.ndarray]:
        """The scores `[m]`, without uncertainty."""
        return self._scores[rows], np.zeros(len(rows))
