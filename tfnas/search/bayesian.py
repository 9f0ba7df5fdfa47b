"""Bayesian optimisation over a table of embeddings."""

import concurrent.futures
import os
from collections.abc import Sequence

import numpy as np
import scipy.special
import scipy.stats
import tensorflow as tf

from tfnas.predictors.dngo import DNGO
from tfnas.search.base import Candidates, Strategy

_LOG_ROOT_TWO_PI = 0.5 * np.log(2 * np.pi)


class BayesianOptimization(Strategy):
    """DNGO predicts every candidate's score; those with the largest expected improvement come next.

    Args:
      candidates: what can be suggested.
      seeds: one for each run.
      initial: random candidates before the first prediction.
      batch: suggestions per fit.
      incumbent: the score to improve on; None for the best one seen. (arch2vec sets 0.95 on NAS-Bench-101 and 1.0 on
        NAS-Bench-201.)
      pool: so many random candidates are judged after each fit, in place of all.

    References:
      Yan et al. 2020 (arch2vec), section 3.3; Snoek et al. 2015. Unlike the published code, expected improvement uses
      the standard deviation, and no architecture is paid for twice.
    """

    name = "bo"

    def __init__(
        self,
        candidates: Candidates,
        seeds: Sequence[int],
        initial: int = 16,
        batch: int = 5,
        incumbent: float | None = None,
        pool: int | None = None,
    ):
        super().__init__(candidates, seeds)
        self.initial, self.batch, self.incumbent = initial, batch, incumbent
        self.pool = pool if pool is not None and pool < len(candidates) else None

    def _suggest(self, count: int) -> np.ndarray:
        first = self._initial_rows(count, self.initial)
        if first is not None:
            return first
        scored = self.rows.shape[1]
        inputs = self.candidates.standardised
        model = DNGO(seed=[seed + scored for seed in self.seeds]).fit(inputs[self.rows], self.scores)
        everything = np.arange(len(inputs))
        on_device = None if self.pool else tf.constant(inputs)

        def best(run: int) -> np.ndarray:
            judged, points = everything, on_device
            if self.pool:
                judged = np.sort(self.rngs[run].choice(len(inputs), self.pool, replace=False, shuffle=False))
                points = tf.constant(inputs[judged])
            incumbent = self.scores[run].max() if self.incumbent is None else self.incumbent
            gain = log_expected_improvement(*model.predict(points, run), incumbent)
            gain[self._suggested[run, judged]] = -np.inf
            size = min(count, self.batch)
            top = np.argpartition(-gain, size - 1)[:size]
            chosen = judged[top[np.lexsort((top, -gain[top]))]]
            fresh = chosen[~self._suggested[run, chosen]]  # all, unless the pool held hardly anything new
            return np.concatenate([fresh, np.array(self._draw(run, size - len(fresh), fresh.tolist()), np.int64)])

        with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
            return np.stack(list(pool.map(best, range(self.runs))))


def expected_improvement(mean: np.ndarray, stddev: np.ndarray, incumbent: float) -> np.ndarray:
    """Expected excess over `incumbent` of a Gaussian, `[n]`.

    References:
      Jones et al. 1998, "Efficient Global Optimization of Expensive Black-Box Functions", equation 15.
    """
    excess = (mean - incumbent) / stddev
    return stddev * (excess * scipy.stats.norm.cdf(excess) + scipy.stats.norm.pdf(excess))


def log_expected_improvement(mean: np.ndarray, stddev: np.ndarray, incumbent: float) -> np.ndarray:
    """Logarithm of `expected_improvement`, finite and strictly increasing in the mean where that underflows to 0.

    Below an excess of -6 standard deviations the tail expansion `phi(u) / u^2` stands in for the difference of two
    nearly equal numbers.

    References:
      Ament et al. 2023, "Unexpected Improvements to Expected Improvement for Bayesian Optimization", section 4.1.
    """
    excess = (np.asarray(mean, np.float64) - incumbent) / stddev
    near = np.maximum(excess, -6.0)
    density = np.exp(-0.5 * near**2 - _LOG_ROOT_TWO_PI)
    direct = np.log(near * scipy.special.ndtr(near) + density)
    far = np.minimum(excess, -6.0)
    tail = -0.5 * far**2 - _LOG_ROOT_TWO_PI - 2 * np.log(-far) + np.log1p(-3 / far**2)
    return np.log(stddev) + np.where(excess > -6.0, direct, tail)
