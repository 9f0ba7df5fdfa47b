"""Finding good architectures with few queries."""

from collections.abc import Sequence

from tfnas.errors import ConfigurationError
from tfnas.search.base import Candidates, RandomSearch, Strategy
from tfnas.search.bayesian import BayesianOptimization
from tfnas.search.evolution import RegularizedEvolution
from tfnas.search.forest import LatentForestSearch
from tfnas.search.local import LatentLocalSearch
from tfnas.search.reinforce import Reinforce

_STRATEGIES: dict[str, type[Strategy]] = {
    strategy.name: strategy
    for strategy in (
        RandomSearch,
        RegularizedEvolution,
        Reinforce,
        BayesianOptimization,
        LatentLocalSearch,
        LatentForestSearch,
    )
}
STRATEGY_NAMES = tuple(_STRATEGIES)


def check_strategies(names: list[str]) -> None:
    """Raises ConfigurationError unless every name is a strategy."""
    for name in names:
        if name not in _STRATEGIES:
            raise ConfigurationError(f"unknown strategy {name!r}, expected one of {', '.join(STRATEGY_NAMES)}")


def get_strategy(name: str, candidates: Candidates, seeds: Sequence[int]) -> Strategy:
    """A new strategy of that name with its default settings, for one run per seed.

    Raises:
      ConfigurationError: no such strategy.
    """
    check_strategies([name])
    return _STRATEGIES[name](candidates, seeds)


__all__ = [
    "STRATEGY_NAMES",
    "BayesianOptimization",
    "Candidates",
    "LatentForestSearch",
    "LatentLocalSearch",
    "RandomSearch",
    "RegularizedEvolution",
    "Reinforce",
    "Strategy",
    "check_strategies",
    "get_strategy",
]
