"""Which strategies serve which goals: one row per strategy for several objectives."""

import functools
from collections.abc import Mapping, Sequence

from tfnas.errors import ConfigurationError
from tfnas.search import DEFAULT_STRATEGY, MakeStrategy, StrategyKind, sized, strategies
from tfnas.search.objectives import Goals
from tfnas.search.settings import SurrogateSettings

GOAL_STRATEGIES: dict[str, StrategyKind] = {
    row.name: row
    for row in (
        StrategyKind("random", "uniformly at random, without replacement", "goal_strategies:RandomGoals"),
        StrategyKind("nsga2", "generations of pymoo's NSGA-II, with the space's own mutation", "nsga2:NSGA2Search"),
        StrategyKind(
            "ehvi",
            "Gaussian processes on features of the cells, by expected gain of hypervolume; two objectives",
            "hypervolume_search:HypervolumeSearch",
        ),
        StrategyKind(
            "parego",
            "a Gaussian process on randomly weighted objectives, by expected improvement",
            "scalarised:ScalarisedSearch",
        ),
    )
}
"""The strategies for several objectives; a row also takes `goals`, see `objectives.Goals`."""


def strategies_for(
    goals: Goals, names: Sequence[str], queries: int, settings: SurrogateSettings | None = None
) -> Mapping[str, MakeStrategy]:
    """Makers of strategies by name: rows of `STRATEGIES`, or of `GOAL_STRATEGIES` where there are several objectives.

    Args:
      goals: objectives and limits.
      names: names of rows.
      queries: budget of every run.
      settings: settings of strategies with a surrogate; see `sized`.

    Raises:
      ConfigurationError: an unknown name, or a setting that no strategy takes.
    """
    if not goals.several:
        return sized(strategies(names), queries, settings)
    for name in names:
        if name not in GOAL_STRATEGIES:
            known = ", ".join(GOAL_STRATEGIES)
            raise ConfigurationError(f"strategy {name!r} with several objectives, expected one of {known}")
    made = sized({name: GOAL_STRATEGIES[name] for name in names}, queries, settings)
    return {name: functools.partial(make, goals=goals) for name, make in made.items()}


def default_strategy(goals: Goals) -> str:
    """Name of the strategy of a search that names none."""
    if not goals.several:
        return DEFAULT_STRATEGY
    return "ehvi" if len(goals.objectives) == 2 else "parego"
