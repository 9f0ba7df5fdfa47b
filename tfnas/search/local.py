"""Local search in the latent space: predictions decide which neighbours of the best architectures come next."""

import concurrent.futures
import os
from collections.abc import Sequence

import numpy as np
import tensorflow as tf
from sklearn.neighbors import NearestNeighbors

from tfnas.predictors.dngo import DNGO
from tfnas.search.base import Candidates, Strategy


class Neighbourhoods(Strategy):
    """What local searches share: pools of candidates around the best architectures so far.

    Args:
      candidates: what can be suggested.
      seeds: one for each run.
      initial: random candidates before the first prediction.
      batch: suggestions per fit.
      parents: so many of the best architectures have their neighbours in the pool.
      neighbours: so many of each.
      strangers: random candidates in every pool.
    """

    def __init__(
        self,
        candidates: Candidates,
        seeds: Sequence[int],
        initial: int,
        batch: int,
        parents: int,
        neighbours: int,
        strangers: int,
    ):
        super().__init__(candidates, seeds)
        self.initial, self.batch = initial, batch
        self.parents, self.strangers = parents, min(strangers, len(candidates))
        self._neighbours = min(neighbours, len(candidates))
        self._index = NearestNeighbors(n_neighbors=self._neighbours).fit(candidates.standardised)
        self._known: dict[int, np.ndarray] = {}

    def _pools(self, size: int) -> list[np.ndarray]:
        """For every run rows that it was not given yet, at least `size`."""
        order = np.argsort(-self.scores, axis=1, kind="stable")[:, : self.parents]
        parents = np.take_along_axis(self.rows, order, axis=1)
        missing = [row for row in np.unique(parents).tolist() if row not in self._known]
        if missing:
            found = self._index.kneighbors(self.candidates.standardised[missing], return_distance=False)
            self._known.update(zip(missing, found, strict=True))
        return [self._pool(run, parents[run], size) for run in range(self.runs)]

    def _pool(self, run: int, parents: np.ndarray, size: int) -> np.ndarray:
        strangers = self.rngs[run].integers(len(self.candidates), size=self.strangers)
        pool = np.unique(np.concatenate([*(self._known[row] for row in parents.tolist()), strangers]))
        pool = pool[~self._suggested[run, pool]]
        if len(pool) < size:
            pool = np.concatenate([pool, self._draw(run, size - len(pool), pool.tolist())])
        return pool.astype(np.int64)


class LatentLocalSearch(Neighbourhoods):
    """DNGO predicts the latent neighbours of the best architectures so far; the most promising ones come next.

    Where Bayesian optimisation trusts its regression all over the space, this asks it only near what was measured,
    and exploration is left to the random candidates in every pool.

    Args:
      candidates: what can be suggested.
      seeds: one for each run.
      initial: random candidates before the first prediction.
      batch: suggestions per fit.
      parents: so many of the best architectures have their neighbours in the pool.
      neighbours: so many of each.
      strangers: random candidates in every pool.

    The sizes were chosen on validation accuracies of Digits-201.
    """

    name = "local"

    def __init__(
        self,
        candidates: Candidates,
        seeds: Sequence[int],
        initial: int = 16,
        batch: int = 5,
        parents: int = 10,
        neighbours: int = 50,
        strangers: int = 60,
    ):
        super().__init__(candidates, seeds, initial, batch, parents, neighbours, strangers)

    def _suggest(self, count: int) -> np.ndarray:
        first = self._initial_rows(count, self.initial)
        if first is not None:
            return first
        scored = self.rows.shape[1]
        model = DNGO(seed=[seed + scored for seed in self.seeds])
        model.fit(self.candidates.standardised[self.rows], self.scores)
        size = min(count, self.batch)
        pools = self._pools(size)

        def best(run: int) -> np.ndarray:
            pool = pools[run]
            padded = np.zeros(self.parents * self._neighbours + self.strangers + self.batch, np.int64)
            padded[: len(pool)] = pool
            mean, _ = model.predict(tf.constant(self.candidates.standardised[padded]), run)
            return pool[np.argsort(-mean[: len(pool)], kind="stable")[:size]]

        with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
            return np.stack(list(pool.map(best, range(self.runs))))
