"""What a benchmark answers: how good an architecture is, and what it cost to find out."""

import abc
import dataclasses
import types
from collections.abc import Callable, Mapping, Sequence
from typing import Any

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
      failure: why there is no accuracy (all accuracies are then 0), or "".
      mean_validation: validation accuracy in [0, 1], mean over all trainings that the benchmark knows, which only the
        report looks at; by default `validation`.
    """

    validation: float
    test: float
    cost_seconds: float
    failure: str = ""
    mean_validation: float | None = None

    def __post_init__(self) -> None:
        if self.mean_validation is None:
            object.__setattr__(self, "mean_validation", self.validation)

    @classmethod
    def of_error(cls, error: Exception, cost_seconds: float) -> "Score":
        """The score of a trial that ended in an error.

        >>> Score.of_error(RuntimeError("no room"), 2.0).failure
        'RuntimeError: no room'
        """
        return cls(0.0, 0.0, cost_seconds, f"{type(error).__name__}: {' '.join(str(error).split())[:300]}")


@dataclasses.dataclass(frozen=True)
class Scores:
    """Results of n architectures as arrays.

    Attributes:
      validation: float64 `[n]`, in [0, 1].
      test: float64 `[n]`, in [0, 1].
      cost_seconds: float64 `[n]`.
      failure: texts `[n]`, why there is no accuracy (all accuracies are then 0), or "".
      mean_validation: float64 `[n]`, in [0, 1], means over all trainings that the benchmark knows; by default
        `validation`.
    """

    validation: np.ndarray
    test: np.ndarray
    cost_seconds: np.ndarray
    failure: np.ndarray
    mean_validation: np.ndarray | None = None

    def __post_init__(self) -> None:
        if self.mean_validation is None:
            object.__setattr__(self, "mean_validation", self.validation)

    def __len__(self) -> int:
        return len(self.validation)

    def __getitem__(self, rows: np.ndarray) -> "Scores":
        return Scores(*(getattr(self, field.name)[rows] for field in dataclasses.fields(self)))

    @property
    def failed(self) -> np.ndarray:
        """bool `[n]`: whether there is no accuracy."""
        return self.failure != ""

    @classmethod
    def combined(cls, combine: Callable[[list[np.ndarray]], np.ndarray], scores: Sequence["Scores"]) -> "Scores":
        """Scores whose every array a function makes from the same array of several scores."""
        return cls(*(combine([getattr(one, field.name) for one in scores]) for field in dataclasses.fields(cls)))

    @classmethod
    def of(cls, scores: Sequence[Score]) -> "Scores":
        """Arrays of single scores."""
        kinds = {"failure": np.str_}
        return cls(
            *(
                np.array([getattr(score, field.name) for score in scores], kinds.get(field.name, np.float64))
                for field in dataclasses.fields(cls)
            )
        )


class Evaluator(abc.ABC):
    """Scores architectures of one space.

    Attributes:
      name: name of the benchmark in tables and titles; "" where nobody named it.
      space: search space of the architectures.
      metric: name of the score, such as accuracy.
      batch: number of architectures worth asking for at once, which are lost if the process dies meanwhile; None if
        answers cost nothing.
      lists: whether a search chooses from a list of architectures, `cells`; if not, from all of the space.
      settings: settings by which the benchmark was named, JSON values.
    """

    name: str = ""
    space: Space
    metric: str = "accuracy"
    batch: int | None = 8
    lists: bool = True
    settings: Mapping[str, Any] = types.MappingProxyType({})

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

    def trainer(self) -> "Evaluator | None":
        """The `TrainedEvaluator` that trains networks as this benchmark does; None for a benchmark that trains none."""
        return None

    @abc.abstractmethod
    def query(self, architectures: Sequence[Architecture]) -> list[Score]:
        """One score per architecture, in order.

        Raises:
          InvalidArchitectureError: one of them is not in the space.
        """

    def query_cells(self, cells: CellTable, seeds: np.ndarray | None = None) -> Scores:
        """Scores of the rows of a table, in order.

        Args:
          cells: n architectures.
          seeds: int64 `[n]`, seeds of the runs that ask, which decide the answers of a benchmark with several trainings
            per architecture; by default 0.
        """
        return Scores.of(self.query([self.space.architecture(cells, row) for row in range(len(cells))]))
