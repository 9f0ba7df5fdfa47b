"""Local search in the latent space: predictions decide which neighbours of the best architectures come next."""

from collections.abc import Sequence

from tfnas.search.acquisition import predicted_mean
from tfnas.search.candidates import CandidateSet
from tfnas.search.pools import LatentNeighbours
from tfnas.search.surrogate_search import SurrogateSearch
from tfnas.search.surrogates import dngo

_STRANGERS = 60


class LatentLocalSearch(SurrogateSearch):
    """DNGO predicts the latent neighbours of the best architectures so far; the most promising neighbours come next.

    Where Bayesian optimisation trusts its regression all over the space, local search asks it only near architectures
    with scores, and exploration is left to the 60 random candidates in every pool. The sizes were chosen on validation
    accuracies of Digits-201.

    Args:
      candidates: architectures with embeddings.
      seeds: seeds of the R runs.
      initial: number of random candidates before the first prediction.
      batch: number of suggestions per fit.
    """

    name = "local"

    def __init__(self, candidates: CandidateSet, seeds: Sequence[int], *, initial: int = 16, batch: int = 5):
        super().__init__(
            candidates,
            seeds,
            surrogate=dngo(candidates),
            acquisition=predicted_mean,
            pool=LatentNeighbours(candidates, _STRANGERS),
            initial=initial,
            batch=batch,
        )
