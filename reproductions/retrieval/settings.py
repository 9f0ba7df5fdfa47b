"""Settings of the experiments with retrieval."""

import dataclasses

from tfnas.errors import ConfigurationError
from tfnas.settings import check_least

SETS = ("realworld", "corpus", "nas")
"""Collections that retrieval is measured on."""


@dataclasses.dataclass(frozen=True)
class Settings:
    """Sizes of the experiments.

    Attributes:
      seed: seed of everything random.
      trainings: trainings per method.
      lineages: ancestors per space of the synthetic networks, at least 4.
      descendants: networks per ancestor, at least 4.
      epochs: passes over real-world networks, the networks of the shipped index, and synthetic networks.

    Raises:
      ConfigurationError: a size is too small.
    """

    seed: int = 1
    trainings: int = 3
    lineages: int = 600
    descendants: int = 10
    epochs: tuple[int, ...] = (40, 20, 1)

    def __post_init__(self) -> None:
        check_least(self, seed=0, trainings=1, lineages=4, descendants=4)
        if len(self.epochs) != len(SETS) or min(self.epochs) < 1:
            raise ConfigurationError(f"epochs={self.epochs}, expected three positive numbers")

    def epochs_of(self, name: str) -> int:
        """Passes over the training rows of a set."""
        return self.epochs[SETS.index(name)]
