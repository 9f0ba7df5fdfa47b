"""Evolution whose children are ranked by a predictor or a proxy before the best of them are queried.

References:
  Han et al. 2023, section 5.3 (the algorithm is not published in detail).
"""

from collections.abc import Callable, Sequence

import numpy as np

from tfnas.errors import ConfigurationError
from tfnas.predictors.base import BatchedSurrogate
from tfnas.search.acquisition import UpperConfidenceBound
from tfnas.search.base import Strategy
from tfnas.search.candidates import CandidateSet
from tfnas.search.evolution import RegularizedEvolution
from tfnas.search.pools import Offspring
from tfnas.search.surrogate_search import SurrogateSearch

Guide = BatchedSurrogate[np.ndarray]
"""A surrogate on rows of candidates."""

_CHILDREN, _STRANGERS = 100, 300
_OPTIMISM = 0.5


class GuidedEvolution(SurrogateSearch):
    """Mutants and crosses of the best queried architectures, and strangers; the guide picks the candidates to query.

    Args:
      candidates: architectures to choose from; children outside them are dropped. `OpenCandidates` have no outside.
      seeds: seeds of the R runs.
      guide: surrogate that ranks candidates.
      labels: number of random queries that the guide learns from first; at least two are made.
      batch: number of queries per generation.
      children: number of mutants and crosses per generation.
      strangers: number of random candidates that compete with the children; three times as many in the first
        generation.
      refit_every: number of new scores after which the guide learns again.

    Raises:
      ConfigurationError: a number is below 1.

    The batch and the number of strangers were chosen on validation accuracies of Digits-201.
    """

    name = "guided_evolution"

    def __init__(
        self,
        candidates: CandidateSet,
        seeds: Sequence[int],
        guide: Guide,
        *,
        labels: int = 0,
        batch: int = 5,
        children: int = _CHILDREN,
        strangers: int = _STRANGERS,
        refit_every: int = 5,
    ):
        if min(batch, children, strangers, refit_every) < 1:
            raise ConfigurationError("batch, children, strangers and refit_every must be at least 1")
        initial = max(2, labels)
        super().__init__(
            candidates,
            seeds,
            surrogate=lambda search: guide,
            acquisition=UpperConfidenceBound(_OPTIMISM),
            pool=Offspring(children, strangers, initial),
            initial=initial,
            batch=batch,
            refit_every=refit_every,
            patient=True,
        )


def evolution(
    candidates: CandidateSet,
    seeds: Sequence[int],
    *,
    guide: Callable[[CandidateSet], Guide] | None = None,
    **settings: int,
) -> Strategy:
    """Regularized evolution, or evolution whose children a guide ranks.

    Args:
      candidates: architectures to choose from.
      seeds: seeds of the R runs.
      guide: function that gives the guide for the candidates; None for regularized evolution.
      **settings: settings of `GuidedEvolution` or of `RegularizedEvolution`.
    """
    if guide is None:
        return RegularizedEvolution(candidates, seeds, **settings)
    return GuidedEvolution(candidates, seeds, guide(candidates), **settings)
