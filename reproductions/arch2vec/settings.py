"""Settings of the arch2vec experiments."""

import dataclasses

from tfnas.settings import check_least


@dataclasses.dataclass(frozen=True)
class Settings:
    """Sizes of the experiments.

    Attributes:
      runs: search runs per method of tables 2 and 3, at least 2.
      seed: seed of the first run.
      pretraining_seeds: table 1: pretrainings of arch2vec per space.
      other_seeds: table 1: pretrainings of every other row.
      darts_cells: table 1: sampled cells of DARTS, at least 1,000.

    Raises:
      ConfigurationError: a size is too small.
    """

    runs: int = 500
    seed: int = 1
    pretraining_seeds: int = 3
    other_seeds: int = 1
    darts_cells: int = 600_000

    def __post_init__(self) -> None:
        check_least(self, runs=2, seed=0, pretraining_seeds=1, other_seeds=1, darts_cells=1000)
