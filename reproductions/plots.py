"""Figures that only the papers' experiments draw."""

import pathlib
from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np

from tfnas.reports.figures import COLOURS, look, save_figure, tidy


def _save_with_legend(figure: plt.Figure, axes: plt.Axes, path: pathlib.Path, *, columns: int, title: str) -> None:
    """Writes a figure of several panels with a title, and with the legend of one panel below."""
    handles, labels = axes.get_legend_handles_labels()
    figure.legend(handles, labels, frameon=False, loc="upper center", bbox_to_anchor=(0.5, 0.02), ncols=columns)
    figure.suptitle(title, y=1.03)
    save_figure(figure, path)


def regret_curves(
    regrets: Mapping[str, np.ndarray],
    seconds: Mapping[str, np.ndarray],
    budget_seconds: float,
    path: pathlib.Path,
    *,
    title: str,
) -> None:
    """Mean regret against queries on the left, against training time on the right; logarithmic.

    Args:
      regrets: regret of the best architecture so far `[runs, queries]` per method.
      seconds: time spent after each query `[runs, queries]` per method.
      budget_seconds: end of the time axis.
      path: PNG file.
      title: text above the figure.
    """
    figure, (left, right) = plt.subplots(1, 2, figsize=(12, 4.4), sharey=True)
    times = np.linspace(budget_seconds / 50, budget_seconds, 50)
    for number, (name, regret) in enumerate(regrets.items()):
        left.plot(np.arange(1, regret.shape[1] + 1), regret.mean(axis=0), label=name, **look(number))
        done = np.stack([np.searchsorted(spent, times, side="right") for spent in seconds[name]])
        started = (done > 0).all(axis=0)
        at_time = np.take_along_axis(regret, np.maximum(done - 1, 0), axis=1).mean(axis=0)
        right.plot(times[started], at_time[started], **look(number))
    left.set(xlabel="architectures queried", ylabel="mean test regret", yscale="log", title=title)
    right.set(xlabel="simulated training time in seconds", title=f"{regret.shape[0]} runs")
    left.legend(frameon=False, fontsize=8)
    for axes in (left, right):
        tidy(axes)
    save_figure(figure, path)


def distributions(values: Mapping[str, np.ndarray], path: pathlib.Path, *, label: str, title: str) -> None:
    """Empirical cumulative distributions of `values` `[runs]` per method."""
    figure, axes = plt.subplots(figsize=(6.4, 4.2))
    for number, (name, results) in enumerate(values.items()):
        axes.ecdf(results, label=name, **look(number))
    axes.set(xlabel=label, ylabel="share of runs", title=title)
    axes.legend(frameon=False, fontsize=8)
    tidy(axes)
    save_figure(figure, path)


def grouped_bars(
    values: Mapping[str, Mapping[str, Sequence[float]]], names: Sequence[str], path: pathlib.Path, *, title: str
) -> None:
    """A panel per group with bars per name, side by side for every series.

    Args:
      values: a share for each name, per group and series.
      names: names of the measurements.
      path: PNG file.
      title: text above the figure.
    """
    figure, panels = plt.subplots(1, len(values), figsize=(5 * len(values), 3.6), sharey=True, squeeze=False)
    for axes, (group, series) in zip(panels[0], values.items(), strict=True):
        width = 0.8 / len(series)
        for number, (label, shares) in enumerate(series.items()):
            positions = np.arange(len(names)) - 0.4 + (number + 0.5) * width
            axes.bar(positions, shares, width, color=COLOURS[number % len(COLOURS)], label=label)
        axes.set(xticks=np.arange(len(names)), xticklabels=names, title=group, ylim=(0, 1.02))
        tidy(axes)
    _save_with_legend(figure, panels[0][0], path, columns=3, title=title)


def prediction_density(truth: np.ndarray, predicted: np.ndarray, path: pathlib.Path, *, title: str) -> None:
    """Density of many architectures over measured and predicted accuracy.

    Args:
      truth: measured accuracies `[N]`.
      predicted: predicted accuracies `[N]`.
      path: PNG file.
      title: text above the figure.
    """
    figure, axes = plt.subplots(figsize=(5.4, 5))
    low, high = np.quantile(np.concatenate([truth, predicted]), (0.001, 0.999))
    cells = axes.hexbin(truth, predicted, gridsize=70, bins="log", cmap="viridis", extent=(low, high, low, high))
    axes.plot([low, high], [low, high], color=COLOURS[2], linewidth=1)
    figure.colorbar(cells, label="architectures")
    axes.set(xlabel="measured accuracy", ylabel="predicted accuracy", title=title)
    tidy(axes)
    save_figure(figure, path)


def prediction_scatter(panels: Mapping[str, tuple[np.ndarray, np.ndarray, np.ndarray]], path: pathlib.Path) -> None:
    """A panel per title: predicted against measured accuracies `[n]`, coloured by the predictor's deviation `[n]`."""
    figure, axes = plt.subplots(1, len(panels), figsize=(4.6 * len(panels), 4), squeeze=False, layout="constrained")
    for panel, (title, (truth, predicted, deviation)) in zip(axes[0], panels.items(), strict=True):
        dots = panel.scatter(truth, predicted, c=deviation, s=6, cmap="viridis_r", linewidths=0, rasterized=True)
        low = np.quantile(truth, 0.02)  # a few failed trainings would squeeze the rest into a corner
        panel.set(xlim=(low, truth.max()), xlabel="measured accuracy", ylabel="predicted accuracy", title=title)
        figure.colorbar(dots, ax=panel, label="deviation in normal scores")
        tidy(panel)
    save_figure(figure, path)


def distance_boxes(distances: Mapping[str, Mapping[int, np.ndarray]], path: pathlib.Path, *, title: str) -> None:
    """A panel per embedding: the distribution of latent distances at every edit distance.

    Args:
      distances: latent distances of some pairs, per embedding and edit distance.
      path: PNG file.
      title: text above the figure.
    """
    figure, panels = plt.subplots(1, len(distances), figsize=(5 * len(distances), 3.8), sharey=True, squeeze=False)
    for axes, colour, (name, groups) in zip(panels[0], COLOURS, distances.items(), strict=False):
        boxes = axes.boxplot(list(groups.values()), positions=list(groups), widths=0.6, sym="", patch_artist=True)
        for box in boxes["boxes"]:
            box.set(facecolor=colour, alpha=0.5)
        axes.set(xlabel="edit distance", title=name)
        tidy(axes)
    panels[0, 0].set_ylabel("latent distance (mean of all pairs = 1)")
    figure.suptitle(title)
    save_figure(figure, path)


def coloured_maps(maps: Mapping[str, np.ndarray], values: np.ndarray, path: pathlib.Path, *, label: str) -> None:
    """A panel per embedding: the mean of `values` over the plane.

    Args:
      maps: points `[N, 2]` per embedding.
      values: numbers `[N]` that become colours.
      path: PNG file.
      label: text beside the colours.
    """
    figure, panels = plt.subplots(1, len(maps), figsize=(5.4 * len(maps), 4.6), squeeze=False, layout="constrained")
    low, high = np.quantile(values, (0.05, 0.99))
    for axes, (name, points) in zip(panels[0], maps.items(), strict=True):
        cells = axes.hexbin(*points.T, C=values, gridsize=60, cmap="viridis", vmin=low, vmax=high)
        axes.set(xticks=[], yticks=[], title=f"{name}, {len(points):,} cells")
    figure.colorbar(cells, ax=panels[0].tolist(), label=label)
    save_figure(figure, path)


def scattered_maps(maps: Mapping[str, np.ndarray], values: np.ndarray, path: pathlib.Path, *, label: str) -> None:
    """A panel per embedding: points `[N, 2]` coloured by `values` `[N]`, which `label` names."""
    columns = min(len(maps), 2)
    shape = (-(-len(maps) // columns), columns)
    size = (5.0 * shape[1], 4.4 * shape[0])
    figure, panels = plt.subplots(*shape, figsize=size, squeeze=False, layout="constrained")
    low, high = np.quantile(values, (0.05, 0.99))
    for axes, (name, points) in zip(panels.ravel(), maps.items(), strict=False):
        dots = axes.scatter(*points.T, c=values, s=8, cmap="viridis", vmin=low, vmax=high, linewidths=0)
        axes.set(xticks=[], yticks=[], title=name)
    for axes in panels.ravel()[len(maps) :]:
        axes.set_axis_off()
    figure.colorbar(dots, ax=panels.ravel().tolist(), label=label)
    save_figure(figure, path)


def label_curves(
    panels: Mapping[str, Mapping[str, Sequence[float]]],
    labels: Sequence[int],
    path: pathlib.Path,
    *,
    title: str,
    measure: str = "Kendall's tau",
) -> None:
    """A panel per data set: the rank correlation of every method against the number of labels.

    Args:
      panels: a correlation for each number of labels, per data set and method; the last methods are drawn on top.
      labels: numbers of labels.
      path: PNG file.
      title: text above the figure.
      measure: name of the rank correlation.
    """
    figure, axes_row = plt.subplots(1, len(panels), figsize=(4.6 * len(panels), 5), sharey=True, squeeze=False)
    for axes, (group, methods) in zip(axes_row[0], panels.items(), strict=True):
        for number, (name, values) in enumerate(methods.items()):
            axes.plot(labels, values, marker="o", markersize=3, label=name, **look(number))
        axes.set(xscale="log", xticks=labels, xticklabels=labels, xlabel="labels", title=group)
        axes.minorticks_off()
        tidy(axes)
    axes_row[0][0].set_ylabel(measure)
    _save_with_legend(figure, axes_row[0][0], path, columns=4, title=title)


def paths_in_map(
    points: np.ndarray, values: np.ndarray, paths: Mapping[str, np.ndarray], file: pathlib.Path, *, label: str
) -> None:
    """Paths of some networks through the map of all networks.

    Args:
      points: positions `[N, 2]` of all networks.
      values: numbers `[N]` that become the points' colours.
      paths: positions `[steps, 2]` per network.
      file: PNG file.
      label: text beside the colours.
    """
    figure, axes = plt.subplots(figsize=(7, 5.4))
    low, high = np.quantile(values, (0.05, 0.99))
    dots = axes.scatter(*points.T, c=values, s=6, cmap="viridis", vmin=low, vmax=high, linewidths=0, alpha=0.5)
    for number, (name, steps) in enumerate(paths.items()):
        colour = look(number)["color"]
        axes.plot(*steps.T, color="white", linewidth=3.2)
        axes.plot(*steps.T, linewidth=1.6, label=name, **look(number))
        axes.plot(*steps[0], marker="o", color=colour, markeredgecolor="white")
        axes.plot(*steps[-1], marker=">", color=colour, markeredgecolor="white")
    axes.set(xticks=[], yticks=[], title="from initialisation (circle) to the end of training (triangle)")
    axes.legend(frameon=False, loc="upper center", bbox_to_anchor=(0.5, -0.02), ncols=3)
    figure.colorbar(dots, label=label).solids.set_alpha(1)
    save_figure(figure, file)


def learning_curves(
    correlations: Mapping[str, Mapping[str, Mapping[str, Sequence[float]]]], path: pathlib.Path
) -> None:
    """Mean rank correlation against the number of labels, a panel per space; bands are a deviation over draws.

    Args:
      correlations: correlations of the draws by space, method and number of labels.
      path: PNG file.
    """
    figure, panels = plt.subplots(1, len(correlations), figsize=(5 * len(correlations), 4.2), squeeze=False)
    for axes, (space, methods) in zip(panels[0], correlations.items(), strict=True):
        for number, (name, by_count) in enumerate(methods.items()):
            counts = [int(count) for count in by_count]
            mean, deviation = (
                np.array([moment(values) for values in by_count.values()]) for moment in (np.mean, np.std)
            )
            axes.plot(counts, mean, label=name, **look(number))
            axes.fill_between(counts, mean - deviation, mean + deviation, alpha=0.12, color=look(number)["color"])
        axes.set(xlabel="labels", ylabel="Spearman's correlation", xscale="log", title=space)
        axes.set_xticks(counts, [str(count) for count in counts])
        axes.minorticks_off()
        tidy(axes)
    # A space may lack methods, such as published proxies; the panel of the most methods names all.
    fullest = max(panels[0], key=lambda axes: len(axes.get_lines()))
    _save_with_legend(figure, fullest, path, columns=4, title="Ranks of unseen networks by few labels")


def unseen_spaces(
    correlations: Mapping[str, Mapping[str, float]], coverage: Mapping[str, float], share: float, path: pathlib.Path
) -> None:
    """Correlations of every method in every space on the left, shares of labels inside the intervals on the right.

    Args:
      correlations: correlation by method, by space.
      coverage: share by space.
      share: share that the intervals are to hold.
      path: PNG file.
    """
    figure, (left, right) = plt.subplots(1, 2, figsize=(12, 4.6), sharey=True, width_ratios=(3, 1))
    positions = np.arange(len(correlations))
    for number, method in enumerate(next(iter(correlations.values()))):
        values = [by_method[method] for by_method in correlations.values()]
        colour, marker = COLOURS[number % len(COLOURS)], "osD^vP*Xd"[number % 9]
        left.scatter(values, positions, s=42, color=colour, marker=marker, label=method, alpha=0.85, zorder=3)
    left.set(yticks=positions, yticklabels=list(correlations), xlabel="Spearman's correlation with the accuracy")
    left.invert_yaxis()
    left.axvline(0, color="0.7", linewidth=0.8)
    right.barh(positions, list(coverage.values()), color=COLOURS[0], height=0.55)
    right.axvline(share, color=COLOURS[2], linewidth=1.2)
    right.set(xlabel=f"labels inside the {share:.0%} intervals", xlim=(0, 1))
    for axes in (left, right):
        tidy(axes)
    _save_with_legend(figure, left, path, columns=3, title="Every space in turn without labels")
