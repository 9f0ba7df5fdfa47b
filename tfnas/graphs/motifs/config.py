"""How motifs are found; apart from what finds them, so that flags can be read without TensorFlow."""

import dataclasses

from tfnas.errors import ConfigurationError


@dataclasses.dataclass(frozen=True)
class MotifConfig:
    """How motifs are found.

    Attributes:
      steps: s, how many edges upstream a node's code reaches.
      operators: codes begin with the operator and its kernel; else with nothing but the graph's form.
      min_length: nodes of the shortest motif.
      max_length: nodes of the longest.
      min_graphs: a motif occurs in at least so many graphs.

    Raises:
      ConfigurationError: a number is out of range.
    """

    steps: int = 2
    operators: bool = True
    min_length: int = 2
    max_length: int = 16
    min_graphs: int = 2

    def __post_init__(self) -> None:
        if self.steps < 0 or not 1 <= self.min_length <= self.max_length or self.min_graphs < 1:
            raise ConfigurationError(
                f"steps={self.steps}, lengths {self.min_length} to {self.max_length}, min_graphs={self.min_graphs}; "
                "expected steps >= 0, 1 <= min_length <= max_length and min_graphs >= 1"
            )
