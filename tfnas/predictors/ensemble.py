"""A predictor for few labels: Gaussian processes on groups of features and trees, weighed by examples left out.

References:
  Akaike 1969, "Fitting autoregressive models for prediction", for the final prediction error.
  Geurts et al. 2006, "Extremely randomized trees".
  Wolpert 1992, "Stacked generalization", for weights from predictions of examples that were left out.
  Yeo and Johnson 2000, for the scale on which labels are learned.
"""

from collections.abc import Sequence
from typing import Protocol, Self

import numpy as np

from tfnas.errors import ConfigurationError
from tfnas.predictors import label_scores
from tfnas.predictors.additive_gp import AdditiveGP
from tfnas.predictors.base import block_sets, rank_correlation
from tfnas.predictors.block_kernels import Blocks
from tfnas.predictors.forest import Forest
from tfnas.predictors.kernel_mixture import FEW_LABELS
from tfnas.predictors.label_scores import power_scores

FOLDS = 5
"""Folds of the cross-validation of trees."""
LEAST_LABELS = 2 * FOLDS
"""Smallest number of labels."""

_TREES, _SHARE = 60, 0.3  # trees of a forest, and the share of the features that a split sees
_POWER, _HALF = 16, 40  # power of the rank correlation with many labels, and labels with which it is half as large
_LEAST = 0.01  # correlation of a member that ranks no better than chance
_TINY = 1e-9

Answer = tuple[np.ndarray, np.ndarray]
"""Means and standard deviations, in scores of labels."""


class Member(Protocol):
    """R regressions that also predict the examples they have learned, each as if it had been left out."""

    def fit(self, inputs: Blocks, targets: np.ndarray) -> Self:
        """Learns labels `[R, n]` of blocks `[R, n, D_b]`."""

    def left_out(self) -> Answer:
        """Predictions `[R, n]` of the learned examples by the others."""

    def predict(self, inputs: Blocks, run: int = 0) -> Answer:
        """Predictions `[m]` for blocks `[m, D_b]`."""


class Process:
    """Gaussian processes on some of the blocks.

    Args:
      blocks: numbers of the blocks.
      kernels: names of `block_kernels.KERNELS`.
    """

    def __init__(self, blocks: Sequence[int], kernels: Sequence[str] = ("linear", "smooth")):
        self._blocks = list(blocks)
        self._model = AdditiveGP(kernels=kernels, scores=power_scores, prior=FEW_LABELS)

    def fit(self, inputs: Blocks, targets: np.ndarray) -> Self:
        self._model.fit([inputs[number] for number in self._blocks], targets)
        return self

    def left_out(self) -> Answer:
        return self._model.left_out()

    def predict(self, inputs: Blocks, run: int = 0) -> Answer:
        return self._model.predict([inputs[number] for number in self._blocks], run)


class Trees:
    """Extremely randomised trees on some of the blocks side by side; five-fold cross-validation leaves examples out.

    Args:
      blocks: numbers of the blocks.
      seed: seed of the folds and of the trees.
    """

    def __init__(self, blocks: Sequence[int], seed: int = 0):
        self._blocks, self._seed = list(blocks), seed

    def fit(self, inputs: Blocks, targets: np.ndarray) -> Self:
        points, scores = self._joined(inputs), power_scores(targets)
        runs, count = scores.shape
        self._forest = self._grown(points, scores)
        order = np.random.default_rng(self._seed).permutation(count)
        self._means, self._deviations = np.zeros((runs, count)), np.zeros((runs, count))
        for fold in range(FOLDS):
            held = order[fold::FOLDS]
            seen = np.setdiff1d(order, held)
            forest = self._grown(points[:, seen], scores[:, seen])
            for run in range(runs):
                self._means[run, held], self._deviations[run, held] = forest.predict(points[run, held], run)
        return self

    def left_out(self) -> Answer:
        return self._means, self._deviations

    def predict(self, inputs: Blocks, run: int = 0) -> Answer:
        return self._forest.predict(self._joined(inputs), run)

    def _joined(self, inputs: Blocks) -> np.ndarray:
        return np.concatenate([inputs[number] for number in self._blocks], axis=-1)

    def _grown(self, points: np.ndarray, scores: np.ndarray) -> Forest:
        return Forest([self._seed] * len(scores), _TREES, _SHARE).fit(points, scores)


class LabelEnsemble:
    """R regressions of the same shape, each the weighted mean of members that learn the same labels.

    The weight of a member is a power of its rank correlation on examples that were left out, so that a member which
    ranks worse than others hardly counts. The power is 16 n / (n + 40): few labels tell little about members. Labels
    are learned on the scale of `label_scores.power_scores`.

    >>> block = np.linspace(-1.0, 1.0, 20)[:, None]
    >>> model = LabelEnsemble([Process([0]), Trees([0])]).fit([block], block[:, 0] ** 3)
    >>> mean, stddev = model.predict([block])
    >>> bool(np.corrcoef(mean, block[:, 0])[0, 1] > 0.9), stddev.shape
    (True, (20,))

    Args:
      members: regressions of the same labels, such as `Process` and `Trees`.

    Attributes:
      correlations: float64 `[R, members]`, Spearman's correlation of every member on examples that were left out; known
        after `fit`.
      correlation: float64 `[R]`, the same of the ensemble.
      shares: float64 `[R, members]`, weights of the members, whose predictions have equal spread; the sum is 1.

    Raises:
      ConfigurationError: no members.
    """

    correlations: np.ndarray
    correlation: np.ndarray
    shares: np.ndarray

    def __init__(self, members: Sequence[Member]):
        if not members:
            raise ConfigurationError("an ensemble without members, expected at least one")
        self._members = list(members)

    def fit(self, inputs: Blocks, targets: np.ndarray) -> Self:
        """Learns R sets of n labelled examples.

        Args:
          inputs: blocks of features, float `[R, n, D_b]` each, or `[n, D_b]` for a single set; centred, with a mean
            square norm near 1.
          targets: labels, float `[R, n]` or `[n]`.

        Raises:
          ConfigurationError: fewer than ten examples, other shapes, NaN or infinity.
        """
        blocks, targets = block_sets(inputs, targets, LEAST_LABELS)
        for member in self._members:
            member.fit(blocks, targets)
        return self.weigh(targets)

    def weigh(self, targets: np.ndarray) -> Self:
        """Decides weights of members that have learned labels `[R, n]`, and moments that turn their sum into scores."""
        self._labels, self._scores = targets, power_scores(targets)
        answers = [member.left_out() for member in self._members]
        left_out = np.stack([mean for mean, _ in answers], axis=1)  # [R, members, n]
        self._typical = np.stack([spread.mean(axis=1) for _, spread in answers], axis=1)
        scores = self._scores
        self.correlations = np.array(
            [
                [rank_correlation(member, row) or 0.0 for member in run]
                for run, row in zip(left_out, scores, strict=True)
            ]
        )
        count = scores.shape[1]
        trusted = np.maximum(self.correlations, _LEAST) ** (_POWER * count / (count + _HALF))
        self.shares = trusted / trusted.sum(axis=1, keepdims=True)
        weights = self.shares / np.maximum(left_out.std(axis=2), _TINY)
        combined = np.einsum("rm,rmn->rn", weights, left_out)
        self.correlation = np.array([rank_correlation(*pair) or 0.0 for pair in zip(combined, scores, strict=True)])
        mean = combined.mean(axis=1, keepdims=True)
        centred = combined - mean
        slope = (centred * scores).sum(axis=1, keepdims=True) / np.maximum(
            (centred**2).sum(axis=1, keepdims=True), _TINY
        )
        slope = np.maximum(slope, _TINY)  # a sum that ranks worse than chance says nothing
        self._weights, self._shift = slope * weights, -(slope * mean)[:, 0]
        # Akaike's final prediction error: the weights have seen the examples that were left out.
        optimism = (count + len(self._members)) / max(count - len(self._members), 1)
        self._error = np.sqrt(optimism * ((slope * centred - scores) ** 2).mean(axis=1))
        return self

    def predict(self, inputs: Blocks, run: int = 0) -> Answer:
        """Predictive mean and standard deviation, in scores of labels, float64 `[m]` each.

        The deviation is the final prediction error by the examples that were left out, times how much less sure the
        members are than they are of those examples.

        Args:
          inputs: blocks of features, float `[m, D_b]` each.
          run: number of the regression that predicts.
        """
        blocks = [np.asarray(block, np.float64) for block in inputs]
        return self.combine([member.predict(blocks, run) for member in self._members], run)

    def combine(self, answers: Sequence[Answer], run: int = 0) -> Answer:
        """The prediction that follows from those of the members, in their order; see `predict`."""
        mean = self._shift[run] + self._weights[run] @ np.stack([mean for mean, _ in answers])
        unsure = [
            spread / max(typical, _TINY) for (_, spread), typical in zip(answers, self._typical[run], strict=True)
        ]
        return mean, self._error[run] * np.mean(unsure, axis=0)

    def to_labels(self, scores: np.ndarray, run: int = 0) -> np.ndarray:
        """Scores `[m]` in the units of the labels, interpolated between labels and constant beyond them."""
        return label_scores.to_labels(scores, self._scores[run], self._labels[run])
