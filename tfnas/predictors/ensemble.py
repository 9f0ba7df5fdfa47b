"""A predictor for few labels: Gaussian processes on groups of features and trees, weighed by cross-validation.

References:
  Geurts et al. 2006, "Extremely randomized trees".
  Wolpert 1992, "Stacked generalization", for weights from predictions of examples that were left out.
"""

from collections.abc import Sequence

import numpy as np
import scipy.stats
from sklearn.ensemble import ExtraTreesRegressor

from tfnas.errors import ConfigurationError
from tfnas.predictors.additive_gp import AdditiveGP, Blocks
from tfnas.predictors.kernel_mixture import normal_scores
from tfnas.runtime import in_threads

FOLDS = 5
"""Folds of the cross-validation."""

_TREES, _SHARE = 60, 0.3  # trees of a forest, and the share of the features that a split sees
_POWER, _UNTRUSTED = 8, 20  # power of the rank correlation with many labels, and labels that decide no weights
_LEAST = 0.01  # correlation of a member that ranks no better than chance
_TINY = 1e-9


class LabelEnsemble:
    """R regressions of the same shape, each the weighted mean of processes and trees that learn the same labels.

    The weight of a member is a power of its rank correlation on examples that five-fold cross-validation leaves out, so
    that a member which ranks worse than others hardly counts. The power is 8 (1 - 20 / n): few labels tell little about
    members, which then have equal weights. Predictions are normal scores of ranks.

    >>> block = np.linspace(-1.0, 1.0, 20)[:, None]
    >>> mean, stddev = LabelEnsemble([[0]], trees=[0]).fit([block], block[:, 0] ** 3).predict([block])
    >>> bool(np.corrcoef(mean, block[:, 0])[0, 1] > 0.95), stddev.shape
    (True, (20,))

    Args:
      processes: groups of numbers of blocks; every group has a Gaussian process.
      trees: numbers of the blocks that extremely randomised trees see; none for no trees.
      seed: seed of the folds and of the trees.

    Attributes:
      correlations: float64 `[R, members]`, Spearman's correlation of every member, the trees last, on examples that
        were left out; known after `fit`.
      correlation: float64 `[R]`, the same of the ensemble.
      shares: float64 `[R, members]`, weights of the members, whose predictions have equal spread; the sum is 1.

    Raises:
      ConfigurationError: no members.
    """

    correlations: np.ndarray
    correlation: np.ndarray
    shares: np.ndarray

    def __init__(self, processes: Sequence[Sequence[int]], trees: Sequence[int] = (), seed: int = 0):
        if not processes and not trees:
            raise ConfigurationError("an ensemble without members, expected groups of blocks or blocks for trees")
        self._groups, self._tree_blocks, self._seed = [list(group) for group in processes], list(trees), seed

    def fit(self, inputs: Blocks, targets: np.ndarray) -> "LabelEnsemble":
        """Learns R sets of n labelled examples.

        Args:
          inputs: blocks of features, float `[R, n, D_b]` each, or `[n, D_b]` for a single set; centred, with a mean
            square norm near 1.
          targets: labels, float `[R, n]` or `[n]`.

        Raises:
          ConfigurationError: fewer than ten examples, other shapes, NaN or infinity.
        """
        targets = np.atleast_2d(np.asarray(targets, np.float64))
        blocks = [np.asarray(block, np.float64) for block in inputs]
        blocks = [block[None] if block.ndim == 2 else block for block in blocks]
        if targets.shape[1] < 2 * FOLDS:
            raise ConfigurationError(f"{targets.shape[1]} labels, expected at least {2 * FOLDS}")
        left_out, spreads = self._cross_validated(blocks, targets)
        self._typical = spreads.mean(axis=2)
        self._weigh(left_out, normal_scores(targets))
        self._processes = [AdditiveGP().fit(_chosen(blocks, group), targets) for group in self._groups]
        self._forests = self._grown(self._joined(blocks), targets)
        return self

    def predict(self, inputs: Blocks, run: int = 0) -> tuple[np.ndarray, np.ndarray]:
        """Predictive mean and standard deviation, in normal scores, float64 `[m]` each.

        The deviation is the root mean square error on examples that were left out, times how much less sure the
        processes are than they are of those examples.

        Args:
          inputs: blocks of features, float `[m, D_b]` each.
          run: number of the regression that predicts.
        """
        blocks = [np.asarray(block, np.float64) for block in inputs]
        pairs = zip(self._processes, self._groups, strict=True)
        answers = [process.predict(_chosen(blocks, group), run) for process, group in pairs]
        means = [mean for mean, _ in answers] + [forest.predict(self._joined(blocks)) for forest in self._forests[run]]
        unsure = [spread / typical for (_, spread), typical in zip(answers, self._typical[run], strict=True)]
        mean = self._shift[run] + self._weights[run] @ np.stack(means)
        spread = np.mean(unsure, axis=0) if unsure else np.ones(len(mean))
        return mean, self._error[run] * spread

    def _cross_validated(self, blocks: Blocks, targets: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Predictions `[R, members, n]` and deviations of the processes `[R, processes, n]` for left-out examples."""
        runs, count = targets.shape
        order = np.random.default_rng(self._seed).permutation(count)
        held = [order[fold::FOLDS] for fold in range(FOLDS)]
        # Sets of one length are learned in one program.
        size = count - len(held[0])
        seen = [np.setdiff1d(order, rows)[:size] for rows in held]
        sets = [np.concatenate([block[:, rows] for rows in seen]) for block in blocks]  # fold by fold, run by run
        learned = np.concatenate([targets[:, rows] for rows in seen])
        means = np.zeros((runs, len(self._groups) + bool(self._tree_blocks), count))
        spreads = np.zeros((runs, len(self._groups), count))
        for member, group in enumerate(self._groups):
            process = AdditiveGP().fit(_chosen(sets, group), learned)
            for fold, run in np.ndindex(FOLDS, runs):
                asked = [block[run, held[fold]] for block in _chosen(blocks, group)]
                answer = process.predict(asked, fold * runs + run)
                means[run, member, held[fold]], spreads[run, member, held[fold]] = answer
        asked = self._joined(blocks)
        for number, forests in enumerate(self._grown(self._joined(sets), learned)):
            fold, run = divmod(number, runs)
            for forest in forests:
                means[run, -1, held[fold]] = forest.predict(asked[run, held[fold]])
        return means, spreads

    def _weigh(self, left_out: np.ndarray, scores: np.ndarray) -> None:
        """Decides weights of the members, and moments that turn their sum into normal scores."""
        self.correlations = np.array(
            [[_rank_correlation(member, row) for member in run] for run, row in zip(left_out, scores, strict=True)]
        )
        power = _POWER * max(0.0, 1 - _UNTRUSTED / scores.shape[1])
        trusted = np.maximum(self.correlations, _LEAST) ** power
        self.shares = trusted / trusted.sum(axis=1, keepdims=True)
        weights = self.shares / np.maximum(left_out.std(axis=2), _TINY)
        combined = np.einsum("rm,rmn->rn", weights, left_out)
        self.correlation = np.array([_rank_correlation(*pair) for pair in zip(combined, scores, strict=True)])
        mean = combined.mean(axis=1, keepdims=True)
        centred = combined - mean
        slope = (centred * scores).sum(axis=1, keepdims=True) / np.maximum(
            (centred**2).sum(axis=1, keepdims=True), _TINY
        )
        slope = np.maximum(slope, _TINY)  # a sum that ranks worse than chance says nothing
        self._weights, self._shift = slope * weights, -(slope * mean)[:, 0]
        self._error = np.sqrt(((slope * centred - scores) ** 2).mean(axis=1))

    def _joined(self, blocks: Blocks) -> np.ndarray:
        """The blocks of the trees side by side, `[..., D]`."""
        return np.concatenate(_chosen(blocks, self._tree_blocks), axis=-1) if self._tree_blocks else np.zeros(0)

    def _grown(self, inputs: np.ndarray, targets: np.ndarray) -> list[list[ExtraTreesRegressor]]:
        """A list with the forest of every regression; empty lists without trees."""
        if not self._tree_blocks:
            return [[] for _ in targets]
        scores = normal_scores(targets)

        def grow(run: int) -> list[ExtraTreesRegressor]:
            forest = ExtraTreesRegressor(_TREES, max_features=_SHARE, random_state=self._seed)
            return [forest.fit(inputs[run], scores[run])]

        return in_threads(grow, range(len(targets)))


def _chosen(blocks: Blocks, numbers: Sequence[int]) -> list[np.ndarray]:
    return [blocks[number] for number in numbers]


def _rank_correlation(first: np.ndarray, second: np.ndarray) -> float:
    """Spearman's correlation, 0 where one side does not vary."""
    if np.ptp(first) == 0 or np.ptp(second) == 0:
        return 0.0
    return float(scipy.stats.spearmanr(first, second).statistic)
