"""Figures of searches with several objectives."""

import pathlib
from collections.abc import Mapping

import matplotlib.pyplot as plt
import numpy as np

from tfnas.reports.figures import look, name_ends, save_figure, tidy

_GREY = "#8b93a1"
_Z = 1.96  # standard errors in half a 95 % interval


def pareto_fronts(
    points: Mapping[str, np.ndarray],
    path: pathlib.Path,
    *,
    names: tuple[str, str],
    maximise: tuple[bool, bool],
    title: str,
) -> None:
    """All queries as dots, and the front of every strategy as a staircase; points far below may lie outside.

    Args:
      points: values of two objectives `[n, 2]` by strategy; rows of NaN are left out.
      path: file of the figure; the suffix is replaced.
      names: names of the objectives; the first is drawn upwards.
      maximise: whether more of each objective is better.
      title: text above the figure.
    """
    figure, axes = plt.subplots(figsize=(6.4, 4.4))
    every = np.concatenate(list(points.values()))
    every = every[np.isfinite(every).all(axis=1)]
    axes.scatter(every[:, 1], every[:, 0], s=5, color=_GREY, alpha=0.3, linewidths=0, rasterized=True)
    staircases = [_staircase(values, maximise) for values in points.values()]
    for number, (name, steps) in enumerate(zip(points, staircases, strict=True)):
        where = "post" if not maximise[1] else "pre"
        axes.step(steps[:, 1], steps[:, 0], where=where, **look(number), linewidth=1.6, label=name)
        axes.plot(steps[:, 1], steps[:, 0], "o", color=look(number)["color"], markersize=3.5)
    corners = np.concatenate(staircases)
    if len(corners):
        low, high = _range(corners[:, 0])
        margin = 0.08 * (high - low) or 0.01
        axes.set_ylim(low - margin, high + margin)
    better = ["more" if more else "less" for more in maximise]
    axes.set(ylabel=f"{names[0]} ({better[0]} is better)", xlabel=f"{names[1]} ({better[1]} is better)", title=title)
    axes.legend(frameon=False)
    tidy(axes)
    save_figure(figure, path)


def _range(values: np.ndarray) -> tuple[float, float]:
    """Bounds of the values; values further from the median than four times the farther quartile lie outside."""
    low, lower, median, upper, high = np.quantile(values, [0, 0.25, 0.5, 0.75, 1])
    reach = 4 * max(upper - median, median - lower) or np.inf
    return max(low, median - reach), min(high, median + reach)


def _staircase(values: np.ndarray, maximise: tuple[bool, bool]) -> np.ndarray:
    """Points `[k, 2]` that no other point dominates, in the order of the second objective."""
    values = values[np.isfinite(values).all(axis=1)]
    first = values[:, 0] if maximise[0] else -values[:, 0]
    second = values[:, 1] if maximise[1] else -values[:, 1]
    order = np.lexsort((-first, -second))
    best = np.maximum.accumulate(first[order])
    steps = values[order[np.append(True, best[1:] > best[:-1])]] if len(order) else values
    return steps[np.argsort(steps[:, 1], kind="stable")]


def hypervolume_curves(hypervolumes: Mapping[str, np.ndarray], path: pathlib.Path, *, title: str) -> None:
    """Hypervolume against queries: mean over runs, with a band of 95 % confidence of the mean.

    Args:
      hypervolumes: shares `[runs, queries]` by strategy.
      path: file of the figure; the suffix is replaced.
      title: text above the figure.
    """
    figure, axes = plt.subplots(figsize=(6.4, 4))
    lows, highs, ends = [], [], []
    for number, (name, curves) in enumerate(hypervolumes.items()):
        queries = np.arange(1, curves.shape[1] + 1)
        mean, error = 100 * curves.mean(axis=0), 100 * _Z * curves.std(axis=0) / len(curves) ** 0.5
        axes.plot(queries, mean, **look(number), linewidth=1.8, label=name)
        axes.fill_between(queries, mean - error, mean + error, color=look(number)["color"], alpha=0.15, linewidth=0)
        lows.append(mean[len(mean) // 10])
        highs.append(min((mean + error).max(), 100.0))
        ends.append((queries[-1], mean[-1]))
    margin = 0.05 * (max(highs) - min(lows)) or 0.01
    runs = max(len(curves) for curves in hypervolumes.values())
    axes.set(
        xlabel=f"architectures queried (mean of {runs} runs, 95 % confidence)",
        ylabel="hypervolume in %",
        title=title,
        ylim=(min(lows) - margin, max(highs) + margin),
    )
    name_ends(axes, ends)
    tidy(axes)
    save_figure(figure, path)
