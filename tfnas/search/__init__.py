"""Finding good architectures with few queries: one row per strategy.

Importing this package does not import TensorFlow: a row's strategy is imported when it is asked for.
"""

import dataclasses
import functools
import inspect
import pkgutil
import sys
import types
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from tfnas.errors import ConfigurationError
from tfnas.search.base import RandomSearch, Strategy
from tfnas.search.candidates import Candidates, CandidateSet
from tfnas.search.open_candidates import OpenCandidates
from tfnas.search.settings import SurrogateSettings

MakeStrategy = Callable[[CandidateSet, Sequence[int]], Strategy]
"""From candidates and the seeds of the runs to a fresh strategy."""


@dataclasses.dataclass(frozen=True)
class StrategyKind:
    """A row of `STRATEGIES`.

    Attributes:
      name: name in flags and results.
      summary: choice of the next architecture, in a few words.
      implementation: class or function in this package, as `module:name`.

    Example:
      >>> from tfnas.spaces import MobileNetV3
      >>> candidates = OpenCandidates(MobileNetV3())
      >>> STRATEGIES["evolution"](candidates, seeds=[1, 2], population_size=10).suggest(3).shape
      (2, 3)
    """

    name: str
    summary: str
    implementation: str

    def __call__(self, candidates: CandidateSet, seeds: Sequence[int], **settings: object) -> Strategy:
        """A fresh strategy.

        Args:
          candidates: architectures to choose from.
          seeds: seeds of the R runs.
          **settings: settings of the strategy, by keyword.

        Raises:
          ConfigurationError: an unknown setting, or candidates that do not suit the strategy.
        """
        make = self._make
        try:
            inspect.signature(make).bind(candidates, seeds, **settings)
        except TypeError as error:
            raise ConfigurationError(f"strategy {self.name!r}: {error}") from error
        return make(candidates, seeds, **settings)

    @property
    def settings(self) -> dict[str, Any]:
        """Defaults of the strategy's settings, by name."""
        parameters = inspect.signature(self._make).parameters.values()
        return {row.name: row.default for row in parameters if row.kind is row.KEYWORD_ONLY}

    @property
    def _make(self) -> Any:
        return pkgutil.resolve_name(f"{__name__}.{self.implementation}")


STRATEGIES: dict[str, StrategyKind] = {
    row.name: row
    for row in (
        StrategyKind(
            "additive",
            "an additive Gaussian process on latents and graph features, by expected improvement",
            "additive:AdditiveSearch",
        ),
        StrategyKind("random", "uniformly at random, without replacement", "base:RandomSearch"),
        StrategyKind(
            "evolution",
            "regularized evolution of the cells themselves; with a guide, evolution whose children the guide ranks",
            "guided:evolution",
        ),
        StrategyKind("reinforce", "an LSTM policy walks through the embeddings", "reinforce:Reinforce"),
        StrategyKind(
            "categorical_reinforce",
            "a policy draws every operation and edge of a cell; no embeddings",
            "categorical:CategoricalReinforce",
        ),
        StrategyKind("bo", "DNGO on all embeddings, by expected improvement", "bayesian:BayesianOptimization"),
        StrategyKind(
            "gp", "an exact Gaussian process on all embeddings, by expected improvement", "gaussian:GaussianSearch"
        ),
        StrategyKind(
            "local", "DNGO on the neighbours of the best embeddings, by predicted mean", "local:LatentLocalSearch"
        ),
        StrategyKind(
            "forest",
            "a forest on embeddings and latents of the neighbours of the best, by mean and half a deviation",
            "forest:LatentForestSearch",
        ),
    )
}


DEFAULT_STRATEGY = "additive"
"""The strategy of a search that names none; docs/how_to/search.md compares all."""


def strategies(names: Sequence[str]) -> Mapping[str, StrategyKind]:
    """The rows of some strategies, by name.

    Raises:
      ConfigurationError: an unknown name.
    """
    for name in names:
        if name not in STRATEGIES:
            raise ConfigurationError(f"unknown strategy {name!r}, expected one of {', '.join(STRATEGIES)}")
    return {name: STRATEGIES[name] for name in names}


def sized(
    kinds: Mapping[str, StrategyKind], queries: int, settings: SurrogateSettings | None = None
) -> dict[str, MakeStrategy]:
    """Makers of strategies by name, whose random start suits a budget.

    The start takes a quarter of the budget, at least two queries, and at most the strategy's own number.

    Args:
      kinds: rows of strategies, by name.
      queries: budget of every run.
      settings: settings of strategies with a surrogate; by default all as described.

    Raises:
      ConfigurationError: settings that none of the strategies takes.
    """
    given = {name: value for name, value in vars(settings or SurrogateSettings()).items() if value is not None}
    for name, value in given.items():
        if not any(name in kind.settings for kind in kinds.values()):
            raise ConfigurationError(f"--{name}={value} is no setting of {', '.join(kinds)}")
    made: dict[str, MakeStrategy] = {}
    for name, kind in kinds.items():
        defaults = kind.settings
        chosen = {key: value for key, value in given.items() if key in defaults}
        if "initial" in defaults:
            chosen.setdefault("initial", min(defaults["initial"], max(2, queries // 4)))
        made[name] = functools.partial(kind, **chosen)
    return made


class _Search(types.ModuleType):
    """This package, which can be called: `tfnas.search(benchmark)` is `experiment.search(benchmark)`."""

    def __call__(self, *arguments: Any, **settings: Any) -> Any:
        """See `experiment.search`."""
        return pkgutil.resolve_name(f"{__name__}.experiment:search")(*arguments, **settings)


sys.modules[__name__].__class__ = _Search

__all__ = [
    "DEFAULT_STRATEGY",
    "STRATEGIES",
    "CandidateSet",
    "Candidates",
    "MakeStrategy",
    "OpenCandidates",
    "RandomSearch",
    "Strategy",
    "StrategyKind",
    "sized",
    "strategies",
]
