"""Histories of searches that differ in length, and histories under a budget of time."""

import dataclasses
from collections.abc import Iterable, Sequence

import numpy as np

from tfnas.benchmarks import Scores
from tfnas.search.loop import History


def joined(histories: Sequence[History]) -> History:
    """The runs of several histories; shorter histories repeat their last query."""
    queries = max(history.rows.shape[1] for history in histories)

    def join(arrays: Iterable[np.ndarray]) -> np.ndarray:
        return np.concatenate([np.pad(array, ((0, 0), (0, queries - array.shape[1])), "edge") for array in arrays])

    scores = Scores.combined(join, [history.scores for history in histories])
    return History(join(history.rows for history in histories), scores, join(history.picks for history in histories))


def within(history: History, budget_seconds: float) -> History:
    """The history in which queries that begin after a run's budget is spent have accuracy 0 and change no pick."""
    seconds = history.scores.cost_seconds
    begun = np.cumsum(seconds, axis=1) - seconds < budget_seconds
    accuracies = {
        name: np.where(begun, getattr(history.scores, name), 0.0) for name in ("validation", "test", "mean_validation")
    }
    scores = dataclasses.replace(history.scores, **accuracies)
    last = np.minimum(np.arange(begun.shape[1]), begun.sum(axis=1, keepdims=True) - 1)
    return History(history.rows, scores, np.take_along_axis(history.picks, last, axis=1))
