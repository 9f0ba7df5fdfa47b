"""What a benchmark answers: how good an architecture is, and what it cost to find out."""

import abc
import dataclasses
from collections.abc import Sequence

from tfnas.errors import MismatchError
from tfnas.spaces import Architecture, Space


@dataclasses.dataclass(frozen=True)
class Score:
    """Result of one architecture.

    Attributes:
      validation: accuracy in [0, 1] that a search may look at.
      test: accuracy in [0, 1] that only the report looks at.
      cost_seconds: what the query cost, or would have cost, in training time.
    """

    validation: float
    test: float
    cost_seconds: float


class Evaluator(abc.ABC):
    """Scores architectures of one space.

    Attributes:
      space: the space whose architectures it scores.
    """

    space: Space

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
