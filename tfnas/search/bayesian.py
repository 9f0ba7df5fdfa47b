"""Bayesian optimisation over a table of embeddings."""

import numpy as np
import scipy.stats

from tfnas.predictors.dngo import DNGO
from tfnas.search.base import Candidates, Strategy


class BayesianOptimization(Strategy):
    """DNGO predicts every candidate's score; those with the largest expected improvement come next.

    Args:
      candidates: what can be suggested.
      seed: decides every suggestion, given the scores.
      initial: random candidates before the first prediction.
      batch: suggestions per fit.
      incumbent: the score to improve on; None for the best one seen. (arch2vec sets 0.95 on NAS-Bench-101 and 1.0 on
        NAS-Bench-201.)

    References:
      Yan et al. 2020 (arch2vec), section 3.3; Snoek et al. 2015. Unlike the published code, expected improvement uses
      the standard deviation, and no architecture is paid for twice.
    """

    name = "bo"

    def __init__(
        self,
        candidates: Candidates,
        seed: int,
        initial: int = 16,
        batch: int = 5,
        incumbent: float | None = None,
    ):
        super().__init__(candidates, seed)
        self.initial, self.batch, self.incumbent = initial, batch, incumbent
        self._seed = seed

    def _suggest(self, count: int) -> list[int]:
        waiting = self.initial - int(self._suggested.sum())
        if waiting > 0 or len(self.rows) < 2:
            return self._random_rows(min(count, max(waiting, 1)))
        inputs = self.candidates.standardised
        model = DNGO(seed=self._seed + len(self.rows)).fit(inputs[self.rows], np.array(self.scores))
        incumbent = max(self.scores) if self.incumbent is None else self.incumbent
        gain = log_expected_improvement(*model.predict(inputs), incumbent)
        gain[self._suggested] = -np.inf
        count = min(count, self.batch)
        best = np.argpartition(-gain, count - 1)[:count]
        return best[np.lexsort((best, -gain[best]))].tolist()


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
    excess = (mean - incumbent) / stddev
    near = np.maximum(excess, -6.0)
    direct = np.log(near * scipy.stats.norm.cdf(near) + scipy.stats.norm.pdf(near))
    far = np.minimum(excess, -6.0)
    tail = scipy.stats.norm.logpdf(far) - 2 * np.log(-far) + np.log1p(-3 / far**2)
    return np.log(stddev) + np.where(excess > -6.0, direct, tail)
