"""Every figure is written as PNG, and as SVG beside it."""

import collections
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import networkx as nx
import numpy as np

from tfnas.spaces import Architecture

_COLOURS = ("#4269d0", "#efb118", "#ff725c", "#6cc5b0", "#3ca951", "#a463f2")
_STYLES = ("-", "--", ":")


def save_figure(figure: plt.Figure, path: pathlib.Path) -> None:
    """Writes a figure as PNG and SVG and closes it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    # Without dates and random ids the same data give the same file.
    with plt.rc_context({"svg.hashsalt": "tfnas"}):
        figure.savefig(path.with_suffix(".svg"), bbox_inches="tight", metadata={"Date": None})
    figure.savefig(path.with_suffix(".png"), dpi=150, bbox_inches="tight")
    plt.close(figure)


def _tidy(axes: plt.Axes) -> None:
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(alpha=0.25)


def training_curves(
    history: Sequence[Mapping[str, float]],
    path: pathlib.Path,
    *,
    title: str,
    shares: Sequence[str] = ("reconstruction_accuracy", "validity", "uniqueness"),
    shares_title: str = "held-out cells and prior samples",
) -> None:
    """Loss on the left, `shares` (what lies between 0 and 1; may be none) on the right, against epochs."""
    figure, panels = plt.subplots(1, 2 if shares else 1, figsize=(10 if shares else 5, 3.6), squeeze=False)
    left, right = panels[0, 0], panels[0, -1]
    epochs = [record["epoch"] for record in history]
    left.plot(epochs, [record["loss"] for record in history], color=_COLOURS[0], marker="o", markersize=3)
    left.set(xlabel="epoch", ylabel="training loss", title=title)
    for colour, name in zip(_COLOURS, shares, strict=False):
        values = [record[name] for record in history]
        right.plot(epochs, values, color=colour, marker="o", markersize=3, label=name.replace("_", " "))
    if shares:
        right.set(xlabel="epoch", ylim=(0, 1.03), title=shares_title)
        right.legend(frameon=False)
    for axes in panels[0]:
        _tidy(axes)
    save_figure(figure, path)


def search_curves(scores: Mapping[str, np.ndarray], path: pathlib.Path, *, title: str) -> None:
    """Best validation accuracy so far against queries: mean over runs, with a band of one standard deviation.

    Args:
      scores: per strategy, the validation accuracies `[runs, queries]`.
      path: where.
      title: above the figure.
    """
    figure, axes = plt.subplots(figsize=(6.4, 4))
    for number, (name, values) in enumerate(scores.items()):
        colour, style = _COLOURS[number % len(_COLOURS)], _STYLES[number // len(_COLOURS) % len(_STYLES)]
        traces = np.maximum.accumulate(values, axis=1)
        queries = np.arange(1, traces.shape[1] + 1)
        mean, spread = traces.mean(axis=0), traces.std(axis=0)
        axes.plot(queries, mean, color=colour, linestyle=style, label=f"{name} ({len(traces)} runs)")
        axes.fill_between(queries, mean - spread, mean + spread, color=colour, alpha=0.15, linewidth=0)
    axes.set(xlabel="architectures queried", ylabel="best validation accuracy", title=title)
    axes.legend(frameon=False, loc="lower right")
    _tidy(axes)
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
      regrets: per method, the regret of the best so far `[runs, queries]`.
      seconds: per method, the time spent after each query `[runs, queries]`.
      budget_seconds: where the time axis ends.
      path: where.
      title: above the figure.
    """
    figure, (left, right) = plt.subplots(1, 2, figsize=(12, 4.4), sharey=True)
    times = np.linspace(budget_seconds / 50, budget_seconds, 50)
    for number, (name, regret) in enumerate(regrets.items()):
        look = {"color": _COLOURS[number % len(_COLOURS)], "linestyle": _STYLES[number // len(_COLOURS)]}
        left.plot(np.arange(1, regret.shape[1] + 1), regret.mean(axis=0), label=name, **look)
        done = np.stack([np.searchsorted(spent, times, side="right") for spent in seconds[name]])
        started = (done > 0).all(axis=0)
        at_time = np.take_along_axis(regret, np.maximum(done - 1, 0), axis=1).mean(axis=0)
        right.plot(times[started], at_time[started], **look)
    left.set(xlabel="architectures queried", ylabel="mean test regret", yscale="log", title=title)
    right.set(xlabel="simulated training time in seconds", title=f"{regret.shape[0]} runs")
    left.legend(frameon=False, fontsize=8)
    for axes in (left, right):
        _tidy(axes)
    save_figure(figure, path)


def distributions(values: Mapping[str, np.ndarray], path: pathlib.Path, *, label: str, title: str) -> None:
    """Empirical cumulative distributions of `values` `[runs]` per method."""
    figure, axes = plt.subplots(figsize=(6.4, 4.2))
    for number, (name, found) in enumerate(values.items()):
        axes.ecdf(found, label=name, color=_COLOURS[number % len(_COLOURS)], linestyle=_STYLES[number // len(_COLOURS)])
    axes.set(xlabel=label, ylabel="share of runs", title=title)
    axes.legend(frameon=False, fontsize=8)
    _tidy(axes)
    save_figure(figure, path)


def grouped_bars(
    values: Mapping[str, Mapping[str, Sequence[float]]], names: Sequence[str], path: pathlib.Path, *, title: str
) -> None:
    """A panel per group, in it bars per name, side by side for every series.

    Args:
      values: per group and series, a share for each name.
      names: what is measured.
      path: where.
      title: above the figure.
    """
    figure, panels = plt.subplots(1, len(values), figsize=(5 * len(values), 3.6), sharey=True, squeeze=False)
    for axes, (group, series) in zip(panels[0], values.items(), strict=True):
        width = 0.8 / len(series)
        for number, (label, shares) in enumerate(series.items()):
            places = np.arange(len(names)) - 0.4 + (number + 0.5) * width
            axes.bar(places, shares, width, color=_COLOURS[number % len(_COLOURS)], label=label)
        axes.set(xticks=np.arange(len(names)), xticklabels=names, title=group, ylim=(0, 1.02))
        _tidy(axes)
    handles, labels = panels[0][0].get_legend_handles_labels()
    figure.legend(handles, labels, frameon=False, loc="upper center", bbox_to_anchor=(0.5, 0.02), ncols=3)
    figure.suptitle(title)
    save_figure(figure, path)


def accuracy_spread(first: np.ndarray, second: np.ndarray, path: pathlib.Path, *, title: str) -> None:
    """How far architectures lie apart, and how much of that is chance.

    Args:
      first: test accuracies `[N]`; NaN where nothing was trained.
      second: the same with another seed; NaN for most.
      path: where.
      title: above the figure.
    """
    figure, (left, right) = plt.subplots(1, 2, figsize=(9, 4))
    left.hist(first[np.isfinite(first)], bins=60, color=_COLOURS[0])
    left.set(xlabel="test accuracy", ylabel="cells", title=title)
    right.scatter(first, second, s=6, color=_COLOURS[1], linewidths=0, alpha=0.6)
    both = np.isfinite(first) & np.isfinite(second)
    right.set(xlabel="test accuracy, seed 0", ylabel="seed 1", title=f"{both.sum():,} cells trained twice")
    for axes in (left, right):
        _tidy(axes)
    save_figure(figure, path)


def prediction_density(truth: np.ndarray, predicted: np.ndarray, path: pathlib.Path, *, title: str) -> None:
    """Predicted against measured accuracy of so many architectures that only their density can be seen.

    Args:
      truth: measured accuracies `[N]`.
      predicted: predicted accuracies `[N]`.
      path: where.
      title: above the figure.
    """
    figure, axes = plt.subplots(figsize=(5.4, 5))
    low, high = np.quantile(np.concatenate([truth, predicted]), (0.001, 0.999))
    cells = axes.hexbin(truth, predicted, gridsize=70, bins="log", cmap="viridis", extent=(low, high, low, high))
    axes.plot([low, high], [low, high], color=_COLOURS[2], linewidth=1)
    figure.colorbar(cells, label="architectures")
    axes.set(xlabel="measured accuracy", ylabel="predicted accuracy", title=title)
    _tidy(axes)
    save_figure(figure, path)


def prediction_scatter(panels: Mapping[str, tuple[np.ndarray, np.ndarray, np.ndarray]], path: pathlib.Path) -> None:
    """A panel per title: predicted against measured accuracies `[n]`, coloured by the predictor's deviation `[n]`."""
    figure, axes = plt.subplots(1, len(panels), figsize=(4.6 * len(panels), 4), squeeze=False, layout="constrained")
    for panel, (title, (truth, predicted, deviation)) in zip(axes[0], panels.items(), strict=True):
        dots = panel.scatter(truth, predicted, c=deviation, s=6, cmap="viridis_r", linewidths=0, rasterized=True)
        low = np.quantile(truth, 0.02)  # a few failed trainings would squeeze all others into a corner
        panel.set(xlim=(low, truth.max()), xlabel="measured accuracy", ylabel="predicted accuracy", title=title)
        figure.colorbar(dots, ax=panel, label="deviation in normal scores")
        _tidy(panel)
    save_figure(figure, path)


def embedding_map(
    embeddings: np.ndarray, rows: Sequence[int], scores: Sequence[float], path: pathlib.Path, *, title: str
) -> None:
    """The first two principal components of all embeddings, with scored architectures coloured by score.

    Args:
      embeddings: float `[N, D]`.
      rows: the scored ones; may be empty.
      scores: their accuracies.
      path: where.
      title: above the figure.
    """
    from sklearn.decomposition import PCA

    points = PCA(2, random_state=0).fit_transform(embeddings)
    figure, axes = plt.subplots(figsize=(6.4, 5))
    axes.scatter(*points.T, s=3, color="#c9ccd1", linewidths=0, rasterized=True, label=f"all {len(points):,} cells")
    if len(rows):
        order = np.argsort(scores)
        chosen = points[np.asarray(rows)[order]]
        dots = axes.scatter(
            *chosen.T, c=np.asarray(scores)[order], s=26, cmap="viridis", edgecolors="white", linewidths=0.4
        )
        figure.colorbar(dots, label="validation accuracy")
        best = points[rows[int(np.argmax(scores))]]
        axes.scatter(*best, s=160, facecolors="none", edgecolors=_COLOURS[2], linewidths=1.8, label="best found")
    axes.legend(frameon=False, loc="upper center", bbox_to_anchor=(0.5, -0.06), ncols=2)
    axes.set(xticks=[], yticks=[], xlabel="first principal component", ylabel="second", title=title)
    save_figure(figure, path)


def family_map(
    embeddings: np.ndarray,
    families: Sequence[str],
    path: pathlib.Path,
    *,
    title: str,
    marked: np.ndarray | None = None,
) -> None:
    """The first two principal components of embeddings `[N, D]`, coloured by family `[N]`; the largest get a name.

    `marked` `[D]` gets a ring.
    """
    from sklearn.decomposition import PCA

    plane = PCA(2, random_state=0).fit(embeddings)
    points = plane.transform(embeddings)
    figure, axes = plt.subplots(figsize=(6.4, 5))
    largest = [name for name, _ in collections.Counter(families).most_common(len(_COLOURS))]
    names = np.array(families)
    rest = ~np.isin(names, largest)
    axes.scatter(*points[rest].T, s=6, color="#c9ccd1", linewidths=0, label="other families" if rest.any() else None)
    for colour, name in zip(_COLOURS, largest, strict=False):
        axes.scatter(*points[names == name].T, s=6, color=colour, linewidths=0, label=name, rasterized=True)
    if marked is not None:
        place = plane.transform(marked[None])[0]
        axes.scatter(*place, s=160, facecolors="none", edgecolors="black", linewidths=1.8, label="this network")
    axes.legend(frameon=False)
    axes.set(xticks=[], yticks=[], xlabel="first principal component", ylabel="second", title=title)
    save_figure(figure, path)


def distance_boxes(distances: Mapping[str, Mapping[int, np.ndarray]], path: pathlib.Path, *, title: str) -> None:
    """A panel per embedding: the distribution of latent distances at every edit distance.

    Args:
      distances: per embedding and edit distance, the latent distances of some pairs.
      path: where.
      title: above the figure.
    """
    figure, panels = plt.subplots(1, len(distances), figsize=(5 * len(distances), 3.8), sharey=True, squeeze=False)
    for axes, colour, (name, groups) in zip(panels[0], _COLOURS, distances.items(), strict=False):
        boxes = axes.boxplot(list(groups.values()), positions=list(groups), widths=0.6, sym="", patch_artist=True)
        for box in boxes["boxes"]:
            box.set(facecolor=colour, alpha=0.5)
        axes.set(xlabel="edit distance", title=name)
        _tidy(axes)
    panels[0, 0].set_ylabel("latent distance (mean of all pairs = 1)")
    figure.suptitle(title)
    save_figure(figure, path)


def coloured_maps(maps: Mapping[str, np.ndarray], values: np.ndarray, path: pathlib.Path, *, label: str) -> None:
    """A panel per embedding: the mean of `values` over the plane.

    Args:
      maps: per embedding, points `[N, 2]`.
      values: what colours them, `[N]`.
      path: where.
      label: of the colours.
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
    panels: Mapping[str, Mapping[str, Sequence[float]]], labels: Sequence[int], path: pathlib.Path, *, title: str
) -> None:
    """A panel per data set: the rank correlation of every method after so many labels.

    Args:
      panels: per data set and method, a correlation for each number of labels; the last methods are drawn on top.
      labels: the numbers of labels.
      path: where.
      title: above the figure.
    """
    figure, axes_row = plt.subplots(1, len(panels), figsize=(4.6 * len(panels), 5), sharey=True, squeeze=False)
    for axes, (group, methods) in zip(axes_row[0], panels.items(), strict=True):
        for number, (name, values) in enumerate(methods.items()):
            colour, style = _COLOURS[number % len(_COLOURS)], _STYLES[number // len(_COLOURS) % len(_STYLES)]
            axes.plot(labels, values, color=colour, linestyle=style, marker="o", markersize=3, label=name)
        axes.set(xscale="log", xticks=labels, xticklabels=labels, xlabel="labels", title=group)
        axes.minorticks_off()
        _tidy(axes)
    axes_row[0][0].set_ylabel("Kendall's tau")
    handles, names = axes_row[0][0].get_legend_handles_labels()
    figure.legend(handles, names, frameon=False, loc="upper center", bbox_to_anchor=(0.5, 0.02), ncols=4)
    figure.suptitle(title)
    save_figure(figure, path)


def paths_in_map(
    points: np.ndarray, values: np.ndarray, paths: Mapping[str, np.ndarray], file: pathlib.Path, *, label: str
) -> None:
    """Where some networks travel among all others.

    Args:
      points: `[N, 2]`, coloured by `values` `[N]`, which `label` names.
      values: see there.
      paths: per network its places `[steps, 2]`.
      file: where the figure goes.
      label: of the colours.
    """
    figure, axes = plt.subplots(figsize=(7, 5.4))
    low, high = np.quantile(values, (0.05, 0.99))
    dots = axes.scatter(*points.T, c=values, s=6, cmap="viridis", vmin=low, vmax=high, linewidths=0, alpha=0.5)
    for number, (name, places) in enumerate(paths.items()):
        colour = _COLOURS[number % len(_COLOURS)]
        axes.plot(*places.T, color=colour, linewidth=1.6, label=name)
        axes.plot(*places[0], marker="o", color=colour)
        axes.plot(*places[-1], marker=">", color=colour)
    axes.set(xticks=[], yticks=[], title="from initialisation (circle) to the end of training (triangle)")
    axes.legend(frameon=False, loc="upper center", bbox_to_anchor=(0.5, -0.02), ncols=3)
    figure.colorbar(dots, label=label)
    save_figure(figure, file)


def draw_architecture(architecture: Architecture, path: pathlib.Path, *, title: str) -> None:
    """The cell as a graph from input to output, operations as labelled boxes."""
    figure, axes = plt.subplots(figsize=(7, _depth(architecture) + 0.6))
    _draw_on(axes, architecture, sorted(set(architecture.operations)), 9)
    axes.set_title(title, fontsize=9)
    save_figure(figure, path)


def draw_architectures(architectures: Sequence[Architecture], path: pathlib.Path, *, title: str) -> None:
    """Some cells side by side, in order."""
    figure, panels = plt.subplots(
        1,
        len(architectures),
        figsize=(2.2 * len(architectures), 0.7 * max(map(_depth, architectures)) + 0.8),
        squeeze=False,
    )
    kinds = sorted({name for architecture in architectures for name in architecture.operations})
    for number, (axes, architecture) in enumerate(zip(panels[0], architectures, strict=True)):
        _draw_on(axes, architecture, kinds, 6)
        axes.set_title(str(number), fontsize=8)
    figure.suptitle(title)
    save_figure(figure, path)


def _depth(architecture: Architecture) -> int:
    return len(list(nx.topological_generations(nx.DiGraph(architecture.edges)))) or 1


def _draw_on(axes: plt.Axes, architecture: Architecture, kinds: Sequence[str], fontsize: int) -> None:
    """Draws one cell; `kinds` lists the operations that share the colours."""
    graph = nx.DiGraph()
    graph.add_nodes_from(range(architecture.num_vertices))
    graph.add_edges_from(architecture.edges)
    for layer, vertices in enumerate(nx.topological_generations(graph)):
        for vertex in vertices:
            graph.nodes[vertex]["layer"] = layer
    positions = nx.multipartite_layout(graph, subset_key="layer", align="horizontal")
    positions = {vertex: (x, -y) for vertex, (x, y) in positions.items()}
    nx.draw_networkx_edges(graph, positions, ax=axes, edge_color="#7a7f87", arrowsize=14, node_size=1500)
    for vertex, (x, y) in positions.items():
        name = architecture.operations[vertex]
        colour = _COLOURS[kinds.index(name) % len(_COLOURS)]
        box = {"boxstyle": "round,pad=0.4", "facecolor": colour, "alpha": 0.9, "edgecolor": "white"}
        axes.text(x, y, name, ha="center", va="center", fontsize=fontsize, color="white", bbox=box)
    axes.margins(0.25, 0.12)
    axes.axis("off")


def corpus_statistics(graphs: Sequence[Any], path: pathlib.Path) -> None:
    """Sizes of computation graphs by source, their largest families and their most frequent operators."""
    figure, (left, middle, right) = plt.subplots(1, 3, figsize=(15, 5))
    sources = sorted({graph.source for graph in graphs})
    sizes = [[graph.num_nodes for graph in graphs if graph.source == source] for source in sources]
    every = [count for size in sizes for count in size]
    bins = np.geomspace(min(every), max(every) + 1, 30)
    left.hist(sizes, bins=bins, stacked=True, label=sources, color=[_COLOURS[i % 6] for i in range(len(sources))])
    left.set(xscale="log", xlabel="operators in a graph", ylabel="graphs", title=f"{len(graphs)} graphs")
    left.legend(frameon=False)
    families = collections.Counter(graph.family for graph in graphs)
    operators = collections.Counter(name for graph in graphs for name in set(graph.operator_names))
    for axes, counted, title in (
        (middle, families, f"largest of {len(families)} families"),
        (right, operators, f"most common of {len(operators)} operators"),
    ):
        names, counts = zip(*counted.most_common(25), strict=True)
        axes.barh(names, counts, color=_COLOURS[0])
        axes.invert_yaxis()
        axes.tick_params(axis="y", labelsize=7)
        axes.set(xlabel="graphs", title=title)
    for axes in (left, middle, right):
        _tidy(axes)
    figure.tight_layout()
    save_figure(figure, path)
