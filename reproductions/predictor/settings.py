"""Settings of the experiments with the transferable predictor."""

import dataclasses

from tfnas.settings import check_least


@dataclasses.dataclass(frozen=True)
class Settings:
    """Sizes of the experiments.

    Attributes:
      seed: seed of everything random.
      runs: fine-tunings per target, at least 2.
      epochs: table 1: epochs of contrastive pretraining.
      nasbench101_graphs: networks of NAS-Bench-101, at least 100.
      nasbench301_graphs: networks of NAS-Bench-301; the networks with a label are always among them.
      search_runs: searches per strategy on NAS-Bench-201, at least 2.
      draws: few labels: sets of labels, at least 2.
      own_draws: own labels: sets of labels of a space, at least 2.
      proxy_cells: cells of NAS-Bench-201 that are scored, at least 60: up to 4,096 without `none`, then others of the
        9,445 whose scores are published.
      trained_networks: networks of each further space that are trained, at least 2.

    Raises:
      ConfigurationError: a size is too small.
    """

    seed: int = 1
    runs: int = 5
    epochs: int = 3
    nasbench101_graphs: int = 50_000
    nasbench301_graphs: int = 10_000
    search_runs: int = 20
    draws: int = 20
    own_draws: int = 5
    proxy_cells: int = 500
    trained_networks: int = 60

    def __post_init__(self) -> None:
        check_least(
            self, seed=0, runs=2, epochs=1, search_runs=2, draws=2, own_draws=2, proxy_cells=60, trained_networks=2
        )
        check_least(self, nasbench101_graphs=100, nasbench301_graphs=1)
