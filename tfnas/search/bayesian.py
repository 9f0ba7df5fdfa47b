"""Bayesian optimisation over a table of embeddings."""

from collections.abc import Sequence

from tfnas.search.acquisition import ExpectedImprovement
from tfnas.search.candidates import CandidateSet
from tfnas.search.pools import AllCandidates, RandomSample
from tfnas.search.surrogate_search import SurrogateSearch
from tfnas.search.surrogates import dngo


class BayesianOptimization(SurrogateSearch):
    """DNGO predicts every candidate's score; candidates with the largest expected improvement come next.

    Args:
      candidates: architectures with embeddings.
      seeds: seeds of the R runs.
      initial: number of random candidates before the first prediction.
      batch: number of suggestions per fit.
      incumbent: score to improve on; None for the best score of the run. (arch2vec sets 0.95 on NAS-Bench-101 and 1.0
        on NAS-Bench-201.)
      pool: number of random candidates that are judged after each fit; None for all.

    References:
      Yan et al. 2020 (arch2vec), section 3.3; Snoek et al. 2015. Unlike the published code, expected improvement uses
      the standard deviation, and no architecture is paid for twice.
    """

    name = "bo"

    def __init__(
        self,
        candidates: CandidateSet,
        seeds: Sequence[int],
        *,
        initial: int = 16,
        batch: int = 5,
        incumbent: float | None = None,
        pool: int | None = None,
    ):
        super().__init__(
            candidates,
            seeds,
            surrogate=dngo(candidates),
            acquisition=ExpectedImprovement(incumbent),
            pool=AllCandidates() if pool is None or pool >= len(candidates) else RandomSample(pool),
            initial=initial,
            batch=batch,
        )
