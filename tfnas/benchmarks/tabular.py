"""The evaluator over what is already measured."""

import dataclasses
from collections.abc import Sequence

import numpy as np

from tfnas.benchmarks.base import Evaluator, Score, Scores
from tfnas.benchmarks.settings import MEAN, RANDOM
from tfnas.benchmarks.table import CompactTable
from tfnas.errors import ConfigurationError, InvalidArchitectureError
from tfnas.spaces import Architecture, CellTable

_UNMEASURED = "the table has no value"
_QUANTITIES = ("seconds", "parameters", "flops", "latency", "energy")  # names of columns that hold no accuracies


class TableEvaluator(Evaluator):
    """Answers from a compact table.

    Args:
      table: compact table.
      validation: column that a search looks at.
      test: column that only the report looks at, as the mean over its trainings.
      seconds: column of training times; None if queries cost nothing.
      seconds_share: share of the time in `seconds` that the training behind `validation` takes.
      repeat: training that a search sees where `validation` holds several: "random" for a training that the seed of the
        run and the row decide, "mean" for the mean over all trainings, or the number of a training from "0".

    Attributes:
      table: compact table.
      scores: answers `[N]` for all rows, to runs with seed 0.

    Raises:
      ConfigurationError: no such column or training, a column that holds no accuracies in [0, 1], or a training time
        that is missing where an accuracy is not.

    Example:
      >>> from tfnas.benchmarks.registry import load_table
      >>> evaluator = TableEvaluator(load_table("digits201"), "validation_accuracy_12", "test_accuracy_12")
      >>> len(evaluator.query_cells(evaluator.table.cells[:3]))
      3
    """

    batch = None

    def __init__(
        self,
        table: CompactTable,
        validation: str,
        test: str,
        seconds: str | None = None,
        seconds_share: float = 1.0,
        repeat: str = MEAN,
    ):
        self.space, self.table = table.space, table
        for column in (validation, test):
            _check_accuracies(column, table.repeats(column))
        means, tests = table.values(validation), table.values(test)
        trainings = means[:, None] if repeat == MEAN else _trainings(table, validation, repeat)
        present = np.isfinite(trainings)
        failed = ~present.any(axis=1) | ~np.isfinite(tests)
        if failed.all():
            raise ConfigurationError(f"no row has a value in both {validation!r} and {test!r}")
        cost = np.zeros(len(table)) if seconds is None else np.where(failed, 0.0, table.values(seconds) * seconds_share)
        if not np.isfinite(cost).all():
            row = int(np.argmin(np.isfinite(cost)))
            raise ConfigurationError(f"row {row} has an accuracy but no time in {seconds!r}; leave the times out")
        # Trainings that were made stand first in their row, so that a number below their count names one of them.
        order = np.argsort(~present, axis=1, kind="stable")
        self._trainings = np.where(failed[:, None], 0.0, np.take_along_axis(trainings, order, axis=1))
        self._counts = np.where(failed, 1, present.sum(axis=1))
        self.scores = Scores(
            self._seen(np.arange(len(table)), np.zeros(len(table), np.int64)),
            np.where(failed, 0.0, tests),
            cost,
            np.where(failed, _UNMEASURED, ""),
            np.where(failed, 0.0, means),
        )

    def cells(self) -> CellTable:
        return self.table.cells

    def query(self, architectures: Sequence[Architecture]) -> list[Score]:
        names = [field.name for field in dataclasses.fields(Scores)]
        rows = [self.table.row(architecture) for architecture in architectures]
        return [Score(**{name: getattr(self.scores, name)[row].item() for name in names}) for row in rows]

    def query_cells(self, cells: CellTable, seeds: np.ndarray | None = None) -> Scores:
        rows = self.table.rows(cells)
        if (rows < 0).any():
            architecture = self.space.architecture(cells, int(np.argmin(rows)))
            raise InvalidArchitectureError(f"the table has no row for {self.space.to_string(architecture)}")
        scores = self.scores[rows]
        return scores if seeds is None else dataclasses.replace(scores, validation=self._seen(rows, seeds))

    def _seen(self, rows: np.ndarray, seeds: np.ndarray) -> np.ndarray:
        """The validation accuracies `[n]` that runs with some seeds see in some rows."""
        return self._trainings[rows, _mixed(seeds, rows) % self._counts[rows].astype(np.uint64)]


def _check_accuracies(column: str, values: np.ndarray) -> None:
    """Raises ConfigurationError unless a column holds accuracies in [0, 1], and at least one."""
    measured = values[np.isfinite(values)]
    if not measured.size:
        raise ConfigurationError(f"column {column!r} has no value in any row")
    quantities = [word for word in column.split("_") if word in _QUANTITIES]
    if quantities:
        raise ConfigurationError(f"column {column!r} holds {quantities[0]}, expected accuracies in [0, 1]")
    low, high = measured.min(), measured.max()
    if low < 0 or high > 1:
        hint = "; divide percentages by 100" if low >= 0 and high <= 100 else ""
        raise ConfigurationError(
            f"column {column!r} holds values from {low:.4g} to {high:.4g}, expected accuracies in [0, 1]{hint}"
        )


def _trainings(table: CompactTable, column: str, repeat: str) -> np.ndarray:
    """The trainings `[N, K]` that runs choose from: all of a column, or one."""
    repeats = table.repeats(column)
    if repeat == RANDOM:
        return repeats
    if int(repeat) >= repeats.shape[1]:
        raise ConfigurationError(
            f"--repeat={repeat}, but {column!r} holds {repeats.shape[1]} trainings, numbered from 0"
        )
    return repeats[:, int(repeat), None]


def _mixed(seeds: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """uint64 `[n]`: numbers that look random, the same for the same seed and row.

    References:
      Steele, Lea and Flood 2014, "Fast splittable pseudorandom number generators" (the finaliser of SplitMix64).
    """
    mixed = seeds.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    for numbers in (np.uint64(0), rows.astype(np.uint64)):
        mixed = mixed + numbers
        mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        mixed = mixed ^ (mixed >> np.uint64(31))
    return mixed
