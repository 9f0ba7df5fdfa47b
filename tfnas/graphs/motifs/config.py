"""Settings of the search for motifs, in a module without TensorFlow, so that flags are read fast."""

import dataclasses

from tfnas.errors import ConfigurationError


@dataclasses.dataclass(frozen=True)
class MotifConfig:
    """Settings of the search for motifs.

    Attributes:
      steps: s, number of edges upstream that a node's code reaches.
      operators: True for codes that begin with the operator and its kernel, False for codes of the graph's form alone.
      min_length: nodes of the shortest motif.
      max_length: nodes of the longest motif.
      min_graphs: least number of graphs in which a motif occurs.

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
