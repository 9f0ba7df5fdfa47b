"""Local search in the latent space with a forest that sees the latents of every vertex."""

from collections.abc import Sequence

import numpy as np

from tfnas.predictors.forest import Forest
from tfnas.search.acquisition import UpperConfidenceBound
from tfnas.search.candidates import Candidates
from tfnas.search.pools import LatentNeighbours
from tfnas.search.surrogate_search import SurrogateSearch
from tfnas.search.surrogates import OnTable

_STRANGERS = 200
_OPTIMISM = 0.5


class LatentForestSearch(SurrogateSearch):
    """Extremely randomised trees score the latent neighbours of the best architectures; optimism breaks the ties.

    The pooled embedding says how often operations occur, and not where. The trees see both the embedding and the
    latents that it was pooled from, if the candidates have them, and pick what helps; the deviation over trees is the
    uncertainty. The sizes were chosen on validation accuracies of Digits-201.

    Args:
      candidates: architectures with embeddings.
      seeds: seeds of the R runs.
      initial: number of random candidates before the first prediction.
      batch: number of suggestions per fit.
    """

    name = "forest"

    def __init__(self, candidates: Candidates, seeds: Sequence[int], *, initial: int = 16, batch: int = 5):
        table = candidates.standardised
        if candidates.latents is not None:
            table = np.concatenate([table, candidates.latents], axis=1, dtype=np.float32)
        super().__init__(
            candidates,
            seeds,
            surrogate=lambda search: OnTable(Forest([int(rng.integers(1 << 31)) for rng in search.rngs]), table),
            acquisition=UpperConfidenceBound(_OPTIMISM),
            pool=LatentNeighbours(candidates, _STRANGERS),
            initial=initial,
            batch=batch,
        )
