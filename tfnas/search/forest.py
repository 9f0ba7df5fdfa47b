"""Local search in the latent space with a forest that sees the latents of every vertex."""

import concurrent.futures
import os
from collections.abc import Sequence

import numpy as np
from sklearn.ensemble import ExtraTreesRegressor

from tfnas.search.base import Candidates
from tfnas.search.local import Neighbourhoods


class LatentForestSearch(Neighbourhoods):
    """Extremely randomised trees score the latent neighbours of the best architectures; optimism breaks the ties.

    The pooled embedding says how often operations occur, and not where. The trees see both the embedding and what it
    was pooled from, if the candidates have `latents`, and pick what helps; the deviation over trees is the uncertainty.

    Args:
      candidates: what can be suggested.
      seeds: one for each run.
      initial: random candidates before the first prediction.
      batch: suggestions per fit.
      parents: so many of the best architectures have their neighbours in the pool.
      neighbours: so many of each.
      strangers: random candidates in every pool.
      trees: size of the forest.
      optimism: candidates are ranked by mean plus so many deviations.

    The sizes were chosen on validation accuracies of Digits-201.

    References:
      Geurts et al. 2006, "Extremely randomized trees"; Hutter et al. 2011, "Sequential Model-Based Optimization for
      General Algorithm Configuration" (forests for Bayesian optimisation).
    """

    name = "forest"

    def __init__(
        self,
        candidates: Candidates,
        seeds: Sequence[int],
        initial: int = 16,
        batch: int = 5,
        parents: int = 10,
        neighbours: int = 50,
        strangers: int = 200,
        trees: int = 25,
        optimism: float = 0.5,
    ):
        super().__init__(candidates, seeds, initial, batch, parents, neighbours, strangers)
        self.trees, self.optimism = trees, optimism
        self._inputs = candidates.standardised
        if candidates.latents is not None:
            self._inputs = np.concatenate([self._inputs, candidates.latents], axis=1, dtype=np.float32)

    def _suggest(self, count: int) -> np.ndarray:
        first = self._initial_rows(count, self.initial)
        if first is not None:
            return first
        size = min(count, self.batch)
        pools = self._pools(size)
        fits = [int(rng.integers(1 << 31)) for rng in self.rngs]

        def best(run: int) -> np.ndarray:
            forest = ExtraTreesRegressor(self.trees, max_features=0.5, random_state=fits[run])
            forest.fit(self._inputs[self.rows[run]], self.scores[run])
            inputs = self._inputs[pools[run]]
            # The trees themselves: every `predict` of scikit-learn checks its input again.
            predictions = np.stack([tree.tree_.predict(inputs)[:, 0] for tree in forest.estimators_])
            merit = predictions.mean(axis=0) + self.optimism * predictions.std(axis=0)
            return pools[run][np.argsort(-merit, kind="stable")[:size]]

        with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as executor:
            return np.stack(list(executor.map(best, range(self.runs))))
