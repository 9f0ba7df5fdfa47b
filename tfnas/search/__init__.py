"""Finding good architectures with few queries: one row per strategy.

Importing this package does not import TensorFlow: a row's strategy is imported when it is asked for.
"""

import dataclasses
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
      >>> candidates = OpenCandidates(MobileNetV3(), capacity=100)
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
        make = pkgutil.resolve_name(f"{__name__}.{self.implementation}")
        try:
            inspect.signature(make).bind(candidates, seeds, **settings)
        except TypeError as error:
            raise ConfigurationError(f"strategy {self.name!r}: {error}") from error
        return make(candidates, seeds, **settings)


STRATEGIES: dict[str, StrategyKind] = {
    row.name: row
    for row in (
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


DEFAULT_STRATEGY = "forest"
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
    "strategies",
]
