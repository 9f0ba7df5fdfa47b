"""Every figure is written as PNG, and as SVG beside it."""

import pathlib
from collections.abc import Mapping, Sequence

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import networkx as nx
import numpy as np

from tfnas.spaces import Architecture

_COLOURS = ("#4269d0", "#efb118", "#ff725c", "#6cc5b0", "#3ca951", "#a463f2")
_STYLES = ("-", "--", ":")


def _save(figure: plt.Figure, path: pathlib.Path) -> None:
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
    """Loss on the left, what lies between 0 and 1 on the right, against epochs."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(10, 3.6))
    epochs = [record["epoch"] for record in history]
    left.plot(epochs, [record["loss"] for record in history], color=_COLOURS[0], marker="o", markersize=3)
    left.set(xlabel="epoch", ylabel="training loss", title=title)
    for colour, name in zip(_COLOURS, shares, strict=False):
        values = [record[name] for record in history]
        right.plot(epochs, values, color=colour, marker="o", markersize=3, label=name.replace("_", " "))
    right.set(xlabel="epoch", ylim=(0, 1.03), title=shares_title)
    right.legend(frameon=False)
    for axes in (left, right):
        _tidy(axes)
    _save(figure, path)


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
    _save(figure, path)


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
    _save(figure, path)


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
    _save(figure, path)


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
    _save(figure, path)


def draw_architecture(architecture: Architecture, path: pathlib.Path, *, title: str) -> None:
    """The cell as a graph from input to output, operations as labelled boxes."""
    graph = nx.DiGraph()
    graph.add_nodes_from(range(architecture.num_vertices))
    graph.add_edges_from(architecture.edges)
    for layer, vertices in enumerate(nx.topological_generations(graph)):
        for vertex in vertices:
            graph.nodes[vertex]["layer"] = layer
    positions = nx.multipartite_layout(graph, subset_key="layer", align="horizontal")
    positions = {vertex: (x, -y) for vertex, (x, y) in positions.items()}
    depth = 1 + max(graph.nodes[vertex]["layer"] for vertex in graph)
    figure, axes = plt.subplots(figsize=(7, 1.0 * depth + 0.6))
    nx.draw_networkx_edges(graph, positions, ax=axes, edge_color="#7a7f87", arrowsize=14, node_size=1500)
    kinds = sorted(set(architecture.operations))
    for vertex, (x, y) in positions.items():
        name = architecture.operations[vertex]
        colour = _COLOURS[kinds.index(name) % len(_COLOURS)]
        box = {"boxstyle": "round,pad=0.4", "facecolor": colour, "alpha": 0.9, "edgecolor": "white"}
        axes.text(x, y, name, ha="center", va="center", fontsize=9, color="white", bbox=box)
    axes.set_title(title, fontsize=9)
    axes.margins(0.25, 0.12)
    axes.axis("off")
    _save(figure, path)
