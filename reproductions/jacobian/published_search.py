"""Gaussian-process search as in the published code, but that no candidate is paid for twice.

Scores are percentages without a shift; length scale and variance of the kernel are 1; several embeddings of a
candidate are observed with its score, and predictions are averaged over them.

References:
  Hesslow and Poli 2021, published code.
"""

from collections.abc import Sequence
from typing import Self

import numpy as np

from tfnas.errors import ConfigurationError
from tfnas.predictors.exact_gp import GrowingProcess
from tfnas.search.acquisition import log_expected_improvement
from tfnas.search.base import Strategy
from tfnas.search.candidates import CandidateSet
from tfnas.search.surrogate_search import SurrogateSearch

_NOISE = 0.1  # variance
_INITIAL = 5
_POOL = 20
_OFFSET = 0.0015  # the score to improve on lies so far above the best score


class PublishedSearch(SurrogateSearch):
    """Expected improvement over a little more than the best score, among 20 random candidates.

    Args:
      candidates: architectures to choose from.
      seeds: seeds of the R runs.
      views: several embeddings of every candidate, float32 `[N, A, D]`.

    Raises:
      ConfigurationError: views of another number of candidates, or NaN among them.
    """

    name = "gp_published"

    def __init__(self, candidates: CandidateSet, seeds: Sequence[int], views: np.ndarray):
        if views.ndim != 3 or len(views) != len(candidates) or not np.isfinite(views).all():
            raise ConfigurationError(f"views {views.shape}, expected [{len(candidates)}, A, D] without NaN")
        process = ViewsProcess(views, len(seeds))
        super().__init__(
            candidates,
            seeds,
            surrogate=lambda search: process,
            acquisition=lambda mean, stddev, scores: log_expected_improvement(mean, stddev, scores.max() + _OFFSET),
            pool=UnseenSample(),
            initial=_INITIAL,
            batch=1,
        )


class UnseenSample:
    """20 random candidates that a run was not given yet."""

    def rows(self, search: Strategy, size: int) -> list[np.ndarray]:
        rows = np.arange(len(search.candidates))
        unseen = [np.setdiff1d(rows, suggested, assume_unique=True) for suggested in search.suggested]
        return [
            rng.choice(rows, _POOL, replace=False) if len(rows) > _POOL else rows
            for rng, rows in zip(search.rngs, unseen, strict=True)
        ]


class ViewsProcess:
    """R processes whose inputs are rows of candidates with A embeddings each.

    Args:
      views: float32 `[N, A, D]`.
      runs: R, the number of processes.
    """

    def __init__(self, views: np.ndarray, runs: int):
        self._views = views.shape[1]
        self._processes = [GrowingProcess(views.reshape(-1, views.shape[2]), 1.0, _NOISE) for _ in range(runs)]

    def fit(self, rows: np.ndarray, targets: np.ndarray) -> Self:
        """Learns targets `[R, n]` of rows `[R, n]`; the targets of earlier calls come first."""
        for run, process in enumerate(self._processes):
            for column in range(process.count // self._views, rows.shape[1]):
                for point in self._points(rows[run, column]).tolist():
                    process.observe(point, 100 * targets[run, column])
        return self

    def predict(self, rows: np.ndarray, run: int = 0) -> tuple[np.ndarray, np.ndarray]:
        """Mean and standard deviation `[m]` of rows `[m]`."""
        mean, variance = (
            values.reshape(-1, self._views).mean(axis=1)
            for values in self._processes[run].predict(self._points(rows), 0.0, 1.0)
        )
        return mean / 100, np.sqrt(variance) / 100

    def _points(self, rows: np.ndarray) -> np.ndarray:
        """Row numbers of all embeddings of candidates."""
        return (np.atleast_1d(rows)[:, None] * self._views + np.arange(self._views)).ravel()
