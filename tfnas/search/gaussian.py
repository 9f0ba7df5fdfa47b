"""Search by exact Gaussian processes over a table of embeddings.

References:
  Hesslow and Poli 2021.
"""

from collections.abc import Sequence

from tfnas.predictors.exact_gp import MaternProcess
from tfnas.search.acquisition import ExpectedImprovement
from tfnas.search.candidates import CandidateSet
from tfnas.search.pools import AllCandidates
from tfnas.search.surrogate_search import SurrogateSearch


class GaussianSearch(SurrogateSearch):
    """Expected improvement under a Gaussian process with Matérn's kernel (smoothness 5/2).

    Args:
      candidates: architectures with embeddings.
      seeds: seeds of the R runs.
      initial: number of random candidates before the first prediction.
      batch: number of suggestions per fit.
    """

    name = "gp"

    def __init__(self, candidates: CandidateSet, seeds: Sequence[int], *, initial: int = 10, batch: int = 1):
        process = MaternProcess(candidates.standardised, len(seeds))
        super().__init__(
            candidates,
            seeds,
            surrogate=lambda search: process,
            acquisition=ExpectedImprovement(),
            pool=AllCandidates(),
            initial=initial,
            batch=batch,
        )
