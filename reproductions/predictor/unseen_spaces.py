"""Ranks of networks of a space without any label of it, and intervals: every space in turn is left out.

All numbers are standardised within a space, and labels are normal scores within it, so that no method can learn which
space is good. The spaces are five benchmarks, and the labelled networks of `trained_spaces`.

References:
  White et al. 2022, "A Deeper Look at Zero-Cost Proxies for Lightweight NAS", for the baselines.
"""

import dataclasses
import itertools
import pathlib
from collections.abc import Mapping, Sequence

import numpy as np
from sklearn.ensemble import ExtraTreesRegressor
from sklearn.linear_model import RidgeCV

from reproductions import plots, report
from reproductions.correlations import spearman
from reproductions.predictor import trained_spaces
from reproductions.predictor.settings import Settings
from tfnas.benchmarks.registry import TABLES
from tfnas.graphs.form_numbers import form_numbers
from tfnas.networks import symbolic
from tfnas.networks.symbolic.packing import pack_cells
from tfnas.predictors import prior
from tfnas.predictors.features import standardised
from tfnas.predictors.kernel_mixture import normal_scores

BENCHMARKS = ("nasbench101", "nasbench201_cifar10", "nats_size", "nasbench301", "digits201")
NETWORKS = 500
"""Random networks of a benchmark with more."""

BASELINES: Mapping[str, Mapping[str, float]] = {
    "parameters": {"log_parameters": 1.0},
    "multiply-adds": {"log_multiply_adds": 1.0},
    "depth": {"longest_weighted": 1.0},
    "activation functions": {"total_activation": 1.0},
    "z(multiply-adds) + z(activations)": {"log_multiply_adds": 1.0, "total_activation": 1.0},
}
"""Sums of standardised numbers that a score must not lose to."""

_GOALS = ("multiply-adds", "z(multiply-adds) + z(activations)")
SHIPPED, CHOSEN = "zero-shot score", "weights chosen on the other spaces"
LEARNED = (CHOSEN, "ridge on the other spaces", "trees on the other spaces")
METHODS = (*BASELINES, SHIPPED, *LEARNED)
_SHARE = 0.8  # of the labels that an interval is to hold
_CAUTION = 0.5  # of the mean slope; with the whole slope, intervals hold too few labels where the score says little
_PENALTIES = np.logspace(-2, 4, 13)
_CANDIDATES = ("total_fan_in", "share_of_spatial", "narrowest_trunk", "total_spatial")
_CANDIDATE_WEIGHTS = (0.0, 0.5, 1.0)


@dataclasses.dataclass(frozen=True)
class Space:
    """Labelled networks of one space.

    Attributes:
      numbers: float64 `[N, F]`, numbers of `form_numbers`.
      labels: float64 `[N]`, normal scores of the accuracies.
    """

    numbers: np.ndarray
    labels: np.ndarray

    def total(self, weights: Mapping[str, float]) -> np.ndarray:
        """The standardised sum of weighted standardised numbers, float64 `[N]`."""
        return prior.weighted(self.numbers, weights).sum(axis=1)


def run(output_dir: pathlib.Path, settings: Settings) -> report.Report:
    """Runs the experiment and draws `unseen_spaces.png`.

    Args:
      output_dir: an existing folder.
      settings: seed of the choice of networks.
    """
    spaces = load(output_dir, settings)
    correlations: dict[str, dict[str, float]] = {}
    chosen: dict[str, dict[str, float]] = {}
    coverage: dict[str, float] = {}
    for name, space in spaces.items():
        rest = [other for key, other in spaces.items() if key != name]
        scores = {method: space.total(weights) for method, weights in BASELINES.items()}
        scores[SHIPPED] = space.total(prior.WEIGHTS)
        chosen[name] = choose(rest)
        scores[CHOSEN] = space.total(chosen[name])
        scores |= dict(zip(LEARNED[1:], _learned(rest, space, settings.seed), strict=True))
        correlations[name] = {method: _spearman(score, space.labels) for method, score in scores.items()}
        slope, bounds = calibrate(rest)
        above = space.labels - slope * scores[SHIPPED]
        coverage[name] = float(((above >= bounds[0]) & (above <= bounds[1])).mean())
    plots.unseen_spaces(correlations, coverage, _SHARE, output_dir / "unseen_spaces.png")
    slope, bounds = calibrate(list(spaces.values()))
    sizes = {name: len(space.labels) for name, space in spaces.items()}
    values = {"correlations": correlations, "coverage": coverage, "networks": sizes, "chosen": chosen}
    return _report(values | {"slope": slope, "interval": list(bounds), "seed": settings.seed})


def load(output_dir: pathlib.Path, settings: Settings) -> dict[str, Space]:
    """All spaces by name.

    Args:
      output_dir: folder that gets the numbers of the benchmarks' networks.
      settings: seed of the choice of networks.
    """
    pools = {
        name: report.computed_once(
            output_dir / "parts" / f"unseen_{name}.npz", lambda name=name: _benchmark(name, settings.seed)
        )
        for name in BENCHMARKS
    }
    trained = trained_spaces.load()
    numbers = form_numbers(trained)
    for number, family in enumerate(trained.families):
        rows = trained.family == number
        pools[family] = {"numbers": numbers[rows], "labels": trained.labels[rows]}
    return {
        name: Space(arrays["numbers"], normal_scores(arrays["labels"].astype(np.float64)))
        for name, arrays in pools.items()
    }


def choose(spaces: Sequence[Space]) -> dict[str, float]:
    """The weights beside the multiply-adds with the greatest mean correlation over spaces."""
    candidates = [
        {"log_multiply_adds": 1.0} | {name: weight for name, weight in zip(_CANDIDATES, weights, strict=True) if weight}
        for weights in itertools.product(_CANDIDATE_WEIGHTS, repeat=len(_CANDIDATES))
    ]
    return max(
        candidates,
        key=lambda weights: np.mean([_spearman(space.total(weights), space.labels) for space in spaces]),
    )


def calibrate(spaces: Sequence[Space]) -> tuple[float, tuple[float, float]]:
    """Slope and interval of the shipped score; every space counts the same.

    Returns:
      Half of the mean slope of labels over standardised sums, and the quantiles of what labels are above the sums times
      that slope.
    """
    totals = [space.total(prior.WEIGHTS) for space in spaces]
    slopes = [total @ space.labels / len(total) for total, space in zip(totals, spaces, strict=True)]
    slope = _CAUTION * float(np.mean(slopes))
    above = np.concatenate([space.labels - slope * total for total, space in zip(totals, spaces, strict=True)])
    weights = np.concatenate([np.full(len(total), 1 / len(total)) for total in totals])
    order = np.argsort(above)
    shares = (np.cumsum(weights[order]) - weights[order] / 2) / weights.sum()
    low, high = np.interp([(1 - _SHARE) / 2, (1 + _SHARE) / 2], shares, above[order])
    return slope, (float(low), float(high))


def _benchmark(name: str, seed: int) -> dict[str, np.ndarray]:
    table = TABLES[name].load()
    labels = table.values(TABLES[name].test)
    rows = np.random.default_rng([seed, 0]).permutation(np.flatnonzero(np.isfinite(labels)))[:NETWORKS]
    graphs = pack_cells(table.space, table.cells[rows], layout=symbolic.BENCHMARK, progress=True)
    return {"numbers": form_numbers(graphs), "labels": labels[rows]}


def _learned(rest: Sequence[Space], space: Space, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Ridge regression and trees on all standardised numbers, of which every space has the same weight."""
    numbers = np.concatenate([standardised(other.numbers) for other in rest])
    labels = np.concatenate([other.labels for other in rest])
    weights = np.concatenate([np.full(len(other.labels), 1 / len(other.labels)) for other in rest])
    ridge = RidgeCV(_PENALTIES).fit(numbers, labels, sample_weight=weights * len(labels) / len(rest))
    trees = ExtraTreesRegressor(100, max_features=0.3, min_samples_leaf=3, random_state=seed)
    trees.fit(numbers, labels, sample_weight=weights)
    target = standardised(space.numbers)
    return ridge.predict(target), trees.predict(target)


def _spearman(scores: np.ndarray, labels: np.ndarray) -> float:
    """0 where the scores do not vary."""
    return spearman(scores, labels) if np.ptp(scores) > 0 else 0.0


def _report(values: dict) -> report.Report:
    correlations, coverage = values["correlations"], values["coverage"]
    rows = []
    for method in METHODS:
        measured = [by_method[method] for by_method in correlations.values()]
        rows.append([method, *(f"{value:.2f}" for value in [*measured, np.mean(measured)])])
    shares = list(coverage.values())
    rows.append(["labels in 80 % intervals", *(f"{share:.0%}" for share in [*shares, np.mean(shares)])])
    above, below = [], []
    for name, by_method in correlations.items():
        best = max(_GOALS, key=by_method.__getitem__)
        line = f"{name} ({by_method[SHIPPED]:.3f} against {by_method[best]:.3f} of {best})"
        (above if by_method[SHIPPED] > by_method[best] else below).append(line)
    low, high = values["interval"]
    comparison = [
        f"The zero-shot score ranks better than {' and '.join(_GOALS)} in {', '.join(above) or 'no space'}.",
        f"It ranks worse than the better of the two in {', '.join(below) or 'no space'}.",
        f"Calibrated on all spaces: slope {values['slope']:.3f}, interval {low:.3f} to {high:.3f}.",
    ]
    columns = ["Spearman's correlation", *(f"{name} ({count})" for name, count in values["networks"].items()), "mean"]
    return report.Report(
        title="Ranks in a space without its labels", columns=columns, rows=rows, comparison=comparison, values=values
    )
