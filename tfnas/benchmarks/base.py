"""What a benchmark answers: how good an architecture is, and what it cost to find out."""

import abc
import dataclasses
from collections.abc import Callable, Sequence

import numpy as np

from tfnas.errors import MismatchError
from tfnas.spaces import Architecture, CellTable, Space


@dataclasses.dataclass(frozen=True)
class Score:
    """Result of one architecture.

    Attributes:
      validation: accuracy in [0, 1] that a search may look at.
      test: accuracy in [0, 1] that only the report looks at.
      cost_seconds: training time of the query, spent or, for a table, recorded.
      failure: why there is no accuracy (both are then 0), or "".
    """

    validation: float
    test: float
    cost_seconds: float
    failure: str = ""


@dataclasses.dataclass(frozen=True)
class Scores:
    """Results of n architectures as arrays.

    Attributes:
      validation: float64 `[n]`, in [0, 1].
      test: float64 `[n]`, in [0, 1].
      cost_seconds: float64 `[n]`.
      failed: bool `[n]`; where True, both accuracies are 0.
    """

    validation: np.ndarray
    test: np.ndarray
    cost_seconds: np.ndarray
    failed: np.ndarray

    def __len__(self) -> int:
        return len(self.validation)

    def __getitem__(self, rows: np.ndarray) -> "Scores":
        return Scores(*(getattr(self, field.name)[rows] for field in dataclasses.fields(self)))

    @classmethod
    def combined(cls, combine: Callable[[list[np.ndarray]], np.ndarray], scores: Sequence["Scores"]) -> "Scores":
        """Scores whose every array a function makes from the same array of several scores."""
        return cls(*(combine([getattr(one, field.name) for one in scores]) for field in dataclasses.fields(cls)))

    @classmethod
    def of(cls, scores: Sequence[Score]) -> "Scores":
        """Arrays of single scores."""
        return cls(
            np.array([score.validation for score in scores], np.float64),
            np.array([score.test for score in scores], np.float64),
            np.array([score.cost_seconds for score in scores], np.float64),
            np.array([bool(score.failure) for score in scores], bool),
        )


class Evaluator(abc.ABC):
    """Scores architectures of one space.

    Attributes:
      name: name of the benchmark in tables and titles; "" where nobody named it.
      space: search space of the architectures.
      batch: number of architectures worth asking for at once, which are lost if the process dies meanwhile; None if
        answers cost nothing.
      lists: whether a search chooses from a list of architectures, `cells`.
    """

    name: str = ""
    space: Space
    batch: int | None = 8
    lists: bool = True

    def cells(self) -> CellTable:
        """The architectures that a search chooses from, by default the whole space.

        Raises:
          ConfigurationError: the space is too large to enumerate.
        """
        return self.space.enumerate()

    def check_space(self, space: Space) -> None:
        """Raises MismatchError unless the benchmark scores architectures of that space."""
        if space.name != self.space.name:
            raise MismatchError(f"this benchmark scores {self.space.name}, the candidates are of {space.name}")

    @abc.abstractmethod
    def query(self, architectures: Sequence[Architecture]) -> list[Score]:
        """One score per architecture, in order.

        Raises:
          InvalidArchitectureError: one of them is not in the space.
        """

    def query_cells(self, cells: CellTable) -> Scores:
        """Scores of the rows of a table, in order."""
        return Scores.of(self.query([self.space.architecture(cells, row) for row in range(len(cells))]))
