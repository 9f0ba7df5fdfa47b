"""Settings of the experiments with Jacobians."""

import dataclasses

from tfnas.errors import ConfigurationError
from tfnas.settings import check_least


@dataclasses.dataclass(frozen=True)
class Settings:
    """Sizes of the experiments.

    Attributes:
      seed: seed of everything random.
      cells: architectures of NAS-Bench-201, no two of which compute the same function; at most 5,666.
      widths: architectures of the NATS size space.
      images: images that Jacobians are taken of, at least 2.
      initializations: networks per architecture, at least 2.
      labels: table 1: numbers of architectures with labels.
      encoders: trainings per encoder.
      draws: sets of labels per training.
      runs: searches per method, at least 2.
      queries: queries of a search, at least 20.
      corpora: folder of Jacobians, kept for later runs; by default among the results.

    Raises:
      ConfigurationError: a size is too small.
    """

    seed: int = 1
    cells: int = 2000
    widths: int = 1000
    images: int = 64
    initializations: int = 4
    labels: tuple[int, ...] = (50, 100, 500)
    encoders: int = 3
    draws: int = 3
    runs: int = 500
    queries: int = 200
    corpora: str | None = None

    def __post_init__(self) -> None:
        check_least(self, seed=0, images=2, initializations=2, encoders=1, draws=1, runs=2, queries=20)
        if not self.labels or min(self.labels) < 2:
            raise ConfigurationError(f"labels={self.labels}, expected numbers of at least 2")
        check_least(self, cells=max(self.labels) + 100, widths=2)
