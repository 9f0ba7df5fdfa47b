"""What the form of networks says about their ranks before any label: a score without labels, with an interval.

`python -m reproductions predictor --experiment=unseen_spaces` fits and checks the constants of this file.

References:
  White et al. 2022, "A Deeper Look at Zero-Cost Proxies for Lightweight NAS", for multiply-adds as a baseline.
"""

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np

from tfnas.graphs.computation_graph import ComputationGraph
from tfnas.predictors.sizes import activation_count

WEIGHTS: Mapping[str, float] = {"multiply-adds": 1.0, "activation functions": 1.0}
"""Weight of every number in the sum of standardised numbers."""

SLOPE = 0.6
"""Expected normal score of the accuracy where the standardised sum of a network is 1."""

INTERVAL = (-1.0, 1.0)
"""Quantiles .1 and .9 of what the normal score of the accuracy is above the expected one."""

_TINY = 1e-9


@dataclasses.dataclass(frozen=True, eq=False)
class ZeroShot:
    """Scores of N networks among each other, without labels.

    Attributes:
      score: float64 `[N]`, the expected normal score of the accuracy: 0 for the median network of the set, 1.28 for a
        network that beats 90 % of the set.
      low: float64 `[N]`, lower end of the interval that holds the accuracy's normal score with probability 80 %.
      high: float64 `[N]`, upper end of the interval.
      reasons: part of every score that each number of the network gives, by name of the number, N mappings; the parts
        of a network add up to its score.
    """

    score: np.ndarray
    low: np.ndarray
    high: np.ndarray
    reasons: tuple[Mapping[str, float], ...]


def zero_shot(graphs: Sequence[ComputationGraph]) -> ZeroShot:
    """Scores of networks of one task among each other, by their form alone.

    Args:
      graphs: N graphs; a single graph has nothing to be compared with and gets score 0.

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
    values = np.array([_numbers(graph) for graph in graphs], np.float64).reshape(-1, len(WEIGHTS))
    contributions = _standardised(values) * np.array(list(WEIGHTS.values()))
    total = contributions.sum(axis=1)
    spread = total.std() if len(total) else 0.0
    contributions = SLOPE * contributions / (spread if spread > _TINY else np.inf)
    score = contributions.sum(axis=1)
    reasons = tuple(dict(zip(WEIGHTS, row, strict=True)) for row in contributions.tolist())
    return ZeroShot(score, score + INTERVAL[0], score + INTERVAL[1], reasons)


def _numbers(graph: ComputationGraph) -> list[float]:
    return [np.log1p(graph.multiply_adds.sum()), activation_count(graph)]


def _standardised(values: np.ndarray) -> np.ndarray:
    """`[N, D]` with mean 0 and deviation 1 per column; columns that do not vary are 0."""
    if not len(values):
        return values
    spread = values.std(axis=0)
    return (values - values.mean(axis=0)) / np.where(spread > _TINY, spread, np.inf)
