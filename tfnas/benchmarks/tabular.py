"""The evaluator over what is already measured."""

from collections.abc import Sequence

import numpy as np

from tfnas.benchmarks.base import Evaluator, Score, Scores
from tfnas.benchmarks.table import CompactTable
from tfnas.errors import ConfigurationError, InvalidArchitectureError
from tfnas.spaces import Architecture, CellTable

_UNMEASURED = "the table has no value"


class TableEvaluator(Evaluator):
    """Answers from a compact table.

    Args:
      table: compact table.
      validation: column that a search looks at.
      test: column that only the report looks at.
      seconds: column of training times; None if queries cost nothing.
      seconds_share: share of the time in `seconds` that the training behind `validation` takes.

    Raises:
      ConfigurationError: no such column, or a training time is missing where an accuracy is not.

    Example:
      >>> from tfnas.benchmarks.registry import load_table
      >>> evaluator = TableEvaluator(load_table("digits201"), *["test_accuracy_curve_12"] * 2)
      >>> len(evaluator.query_cells(evaluator.table.cells[:3]))
      3
    """

    batch = None

    def __init__(
        self, table: CompactTable, validation: str, test: str, seconds: str | None = None, seconds_share: float = 1.0
    ):
        self.space, self.table = table.space, table
        validations, tests = table.values(validation), table.values(test)
        failed = ~np.isfinite(validations) | ~np.isfinite(tests)
        cost = np.zeros(len(table)) if seconds is None else np.where(failed, 0.0, table.values(seconds) * seconds_share)
        if not np.isfinite(cost).all():
            row = int(np.argmin(np.isfinite(cost)))
            raise ConfigurationError(f"row {row} has an accuracy but no time in {seconds!r}; leave the times out")
        self.scores = Scores(np.where(failed, 0.0, validations), np.where(failed, 0.0, tests), cost, failed)

    def cells(self) -> CellTable:
        return self.table.cells

    def query(self, architectures: Sequence[Architecture]) -> list[Score]:
        scores = []
        for architecture in architectures:
            row = self.table.row(architecture)
            numbers = (self.scores.validation, self.scores.test, self.scores.cost_seconds)
            failure = _UNMEASURED if self.scores.failed[row] else ""
            scores.append(Score(*(float(column[row]) for column in numbers), failure))
        return scores

    def query_cells(self, cells: CellTable) -> Scores:
        rows = self.table.rows(cells)
        if (rows < 0).any():
            architecture = self.space.architecture(cells, int(np.argmin(rows)))
            raise InvalidArchitectureError(f"the table has no row for {self.space.to_string(architecture)}")
        return self.scores[rows]
