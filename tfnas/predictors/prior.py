"""What the form of networks says about their ranks before any label: a score without labels, with an interval.

The score is a sum of four standardised numbers: the logarithm of the multiply-adds, the sum of the logarithms of
fan-ins, and, at half the weight, the share of windows that have weights and the trunk's least width.
`python -m reproductions predictor --experiment=unseen_spaces` gives `SLOPE` and `INTERVAL`, and shows that weights that
are learned on other spaces rank worse.

References:
  White et al. 2022, "A Deeper Look at Zero-Cost Proxies for Lightweight NAS", for multiply-adds as a baseline. Shen et
  al. 2023, "DeepMAD: Mathematical Architecture Design for Deep Convolutional Neural Network", for fan-ins.
"""

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np

from tfnas.graphs.computation_graph import ComputationGraph
from tfnas.graphs.form_numbers import FORM_NUMBERS, form_numbers
from tfnas.graphs.packed import PackedGraphs, pack
from tfnas.predictors.features import standardised

WEIGHTS: Mapping[str, float] = {
    "log_multiply_adds": 1.0,
    "total_fan_in": 1.0,
    "share_of_spatial": 0.5,
    "narrowest_trunk": 0.5,
}
"""Weights of standardised numbers, by their names in `FORM_NUMBERS`."""

TITLES: Mapping[str, str] = {
    "log_multiply_adds": "multiply-adds",
    "total_fan_in": "fan-ins of all layers",
    "share_of_spatial": "convolutions rather than pooling",
    "narrowest_trunk": "least width",
}
"""Names of the numbers for readers."""

SLOPE = 0.331
"""Score of a network whose standardised sum is 1: half of the mean normal score of such networks' accuracies, as the
accuracies of a new space may follow the sum less."""

INTERVAL = (-1.025, 1.009)
"""Quantiles .1 and .9 of the difference between the normal score of the accuracy and the score."""

_TINY = 1e-9


@dataclasses.dataclass(frozen=True, eq=False)
class ZeroShot:
    """Scores of N networks among each other, without labels.

    Attributes:
      score: float64 `[N]`, a cautious estimate of the accuracy's normal score, which is 0 for the median network of the
        set and 1.28 for a network that beats 90 % of the set.
      low: float64 `[N]`, lower end of the interval that holds the accuracy's normal score with probability 80 %.
      high: float64 `[N]`, upper end of the interval.
      reasons: part of every score that each number of the network gives, by its title in `TITLES`, N mappings; the
        parts of a network add up to its score.
    """

    score: np.ndarray
    low: np.ndarray
    high: np.ndarray
    reasons: tuple[Mapping[str, float], ...]


def zero_shot(graphs: Sequence[ComputationGraph] | PackedGraphs) -> ZeroShot:
    """Scores of networks of one task among each other, by their form alone.

    Args:
      graphs: N graphs; a single graph has nothing to be compared with and gets score 0.

    Raises:
      InvalidArchitectureError: a graph is empty.

    Example:
      >>> from tfnas.networks import symbolic
      >>> from tfnas.spaces import get_space
      >>> space = get_space("nats_size")
      >>> cells = space.sample(3, 0)
      >>> graphs = [symbolic.build(space, space.architecture(cells, row)) for row in range(3)]
      >>> answer = zero_shot(graphs)
      >>> np.argsort(answer.score).tolist() == np.argsort([g.multiply_adds.sum() for g in graphs]).tolist()
      True
    """
    numbers = form_numbers(pack(graphs)) if len(graphs) else np.zeros((0, len(FORM_NUMBERS)))
    contributions = SLOPE * weighted(numbers, WEIGHTS)
    score = contributions.sum(axis=1)
    titles = [TITLES[name] for name in WEIGHTS]
    reasons = tuple(dict(zip(titles, row, strict=True)) for row in contributions.tolist())
    return ZeroShot(score, score + INTERVAL[0], score + INTERVAL[1], reasons)


def form_scores(numbers: np.ndarray) -> np.ndarray:
    """Scores float64 `[N]` of `zero_shot` from numbers `[N, F]` of `form_numbers`."""
    return SLOPE * weighted(numbers, WEIGHTS).sum(axis=1)


def weighted(numbers: np.ndarray, weights: Mapping[str, float]) -> np.ndarray:
    """Weighted standardised numbers, whose sum over a row has mean 0 and deviation 1 over the networks.

    Args:
      numbers: float64 `[N, F]` of `form_numbers`.
      weights: weights of D numbers by their names in `FORM_NUMBERS`.

    Returns:
      float64 `[N, D]`; 0 where no number varies.
    """
    columns = numbers[:, [FORM_NUMBERS.index(name) for name in weights]]
    if not len(columns):
        return columns
    terms = standardised(columns) * np.array(list(weights.values()))
    spread = terms.sum(axis=1).std()
    return terms / (spread if spread > _TINY else np.inf)
