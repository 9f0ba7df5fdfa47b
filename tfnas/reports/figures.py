"""Every figure is written as PNG, and as SVG beside it."""

import collections
import os
import pathlib
import tempfile
from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib

if "MPLBACKEND" not in os.environ:  # a notebook has decided where its figures appear
    matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
from scipy.optimize import isotonic_regression

from tfnas.reports.planes import PrincipalPlane

COLOURS = ("#4269d0", "#efb118", "#ff725c", "#6cc5b0", "#3ca951", "#a463f2")
STYLES = ("-", "--", "-.", ":")
_GREY = "#8b93a1"
_ROOM_FOR_NAMES = 0.65  # widths of a panel, between panels whose curves are named at their ends
_TWO_SIDED_95 = 1.96  # standard errors


def save_figure(figure: plt.Figure, path: pathlib.Path, *, dots_per_inch: int = 150) -> None:
    """Writes a figure as PNG and SVG and closes it; files appear only once both are whole and on the disk.

    Args:
      figure: figure to write.
      path: file of the figure; the suffix is replaced.
      dots_per_inch: resolution of the PNG file.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{path.name}.", dir=path.parent) as folder:
        # Without dates and random ids the same data give the same file.
        formats = {".svg": {"metadata": {"Date": None}}, ".png": {"dpi": dots_per_inch}}
        for suffix, options in formats.items():
            target = path.with_suffix(suffix)
            try:
                with open(pathlib.Path(folder, suffix), "wb") as file, plt.rc_context({"svg.hashsalt": "tfnas"}):
                    figure.savefig(file, format=suffix[1:], bbox_inches="tight", **options)
                    file.flush()
                    os.fsync(file.fileno())
            except OSError as error:  # a full disk, which no library names the file of
                if error.errno is not None:  # others have a text of their own, which a file name would hide
                    error.filename = str(target)
                raise
        for suffix in formats:
            os.replace(pathlib.Path(folder, suffix), path.with_suffix(suffix))
    plt.close(figure)


def look(number: int) -> dict[str, str]:
    """Colour and style of a line; 24 lines differ, and neighbours differ in both.

    Example:
      >>> look(0), look(1)
      ({'color': '#4269d0', 'linestyle': '-'}, {'color': '#efb118', 'linestyle': '--'})
    """
    style = number + number // len(COLOURS)
    return {"color": COLOURS[number % len(COLOURS)], "linestyle": STYLES[style % len(STYLES)]}


def tidy(axes: plt.Axes) -> None:
    """Removes the upper and the right frame of axes and adds a faint grid."""
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
    """Training loss and shares against epochs.

    Args:
      history: records of epochs with `epoch`, `loss` and the shares.
      path: file of the figure; the suffix is replaced.
      title: text above the loss.
      shares: names of values between 0 and 1 for the right panel; empty for no right panel.
      shares_title: text above the shares.
    """
    figure, panels = plt.subplots(1, 2 if shares else 1, figsize=(10 if shares else 5, 3.6), squeeze=False)
    left, right = panels[0, 0], panels[0, -1]
    epochs = [record["epoch"] for record in history]
    left.plot(epochs, [record["loss"] for record in history], color=COLOURS[0], marker="o", markersize=3)
    left.set(xlabel="epoch", ylabel="training loss", title=title)
    for colour, name in zip(COLOURS, shares, strict=False):
        values = [record[name] for record in history]
        right.plot(epochs, values, color=colour, marker="o", markersize=3, label=name.replace("_", " "))
    if shares:
        right.set(xlabel="epoch", ylim=(0, 1.03), title=shares_title)
        right.legend(frameon=False)
    for axes in panels[0]:
        tidy(axes)
    save_figure(figure, path)


def search_curves(
    scores: Mapping[str, np.ndarray], path: pathlib.Path, *, title: str, metric: str = "accuracy"
) -> None:
    """Best validation score so far against queries; see `search_panels`.

    Args:
      scores: validation scores `[runs, queries]` by strategy.
      path: file of the figure; the suffix is replaced.
      title: text above the figure.
      metric: name of the score.
    """
    traces = {name: np.maximum.accumulate(values, axis=1) for name, values in scores.items()}
    search_panels({f"best validation {metric}": traces}, path, title=title)


def search_panels(panels: Mapping[str, Mapping[str, np.ndarray]], path: pathlib.Path, *, title: str) -> None:
    """Scores against queries: means over runs, with a band in which the mean lies with 95 % confidence.

    Names stand at the ends of the curves. The first twentieth of the queries may lie below a panel, so that the end of
    the search fills it.

    Args:
      panels: scores `[runs, queries]` by strategy, by the title of the vertical axis.
      path: file of the figure; the suffix is replaced.
      title: text above the figure.
    """
    figure, all_axes = plt.subplots(1, len(panels), figsize=(6.4 * len(panels), 4), squeeze=False)
    for axes, (label, traces) in zip(all_axes[0], panels.items(), strict=True):
        _curves(axes, traces)
        axes.set(ylabel=label)
    figure.suptitle(title)
    figure.subplots_adjust(wspace=_ROOM_FOR_NAMES)
    save_figure(figure, path)


def _curves(axes: plt.Axes, traces: Mapping[str, np.ndarray]) -> None:
    runs = {len(values) for values in traces.values()}
    lows, highs, ends = [], [], []
    for number, (name, values) in enumerate(traces.items()):
        queries = np.arange(1, values.shape[1] + 1)
        mean, band = values.mean(axis=0), _TWO_SIDED_95 * values.std(axis=0) / len(values) ** 0.5
        label = name if len(runs) == 1 else f"{name} ({len(values)} runs)"
        axes.plot(queries, mean, **look(number), linewidth=1.8, label=label)
        if len(values) > 1:
            axes.fill_between(queries, mean - band, mean + band, color=look(number)["color"], alpha=0.2, linewidth=0)
        lows.append(mean[len(mean) // 20])
        highs.append((mean + band).max())
        ends.append((queries[-1], mean[-1]))
    margin = 0.05 * (max(highs) - min(lows)) or 0.01
    of_runs = f"mean of {runs.pop()} runs with 95 % band" if len(runs) == 1 else "means with 95 % bands"
    axes.set(
        xlabel=f"architectures queried ({of_runs})",
        ylim=(min(lows) - margin, max(highs) + margin),
    )
    name_ends(axes, ends)
    tidy(axes)


def name_ends(axes: plt.Axes, ends: Sequence[tuple[float, float]]) -> None:
    """Writes the labels of the lines of axes to the right, level with their ends where there is room.

    Args:
      axes: axes with a line per end.
      ends: x and y of the last point of every line.
    """
    low, high = axes.get_ylim()
    order = np.argsort([y for _, y in ends])
    # Labels keep a line's height from each other and stay as near to their ends as that allows.
    room = np.arange(len(order)) * 0.05 * (high - low)
    heights = isotonic_regression(np.array(ends)[order, 1] - room).x + room
    heights -= max(heights[-1] - high, 0)
    for number, height in zip(order, heights, strict=True):
        line = axes.get_lines()[number]
        leader = {"arrowstyle": "-", "color": line.get_color(), "linestyle": line.get_linestyle(), "linewidth": 1.2}
        axes.annotate(
            line.get_label(), ends[number], (1.08, height), textcoords=axes.get_yaxis_transform(), va="center",
            fontsize=9, annotation_clip=False, arrowprops=leader | {"shrinkA": 2, "shrinkB": 0, "relpos": (0, 0.5)},
        )  # fmt: skip


def accuracy_spread(first: np.ndarray, second: np.ndarray, path: pathlib.Path, *, title: str) -> None:
    """The spread of accuracies, and the share of the spread that is chance.

    Args:
      first: test accuracies `[N]`; NaN for architectures without training.
      second: test accuracies `[N]` with another seed; NaN for architectures that were not trained twice.
      path: file of the figure; the suffix is replaced.
      title: text above the figure.
    """
    figure, (left, right) = plt.subplots(1, 2, figsize=(9, 4))
    left.hist(first[np.isfinite(first)], bins=60, color=COLOURS[0])
    left.set(xlabel="test accuracy", ylabel="cells", title=title)
    both = np.isfinite(first) & np.isfinite(second)
    right.scatter(first, second, s=6, color=COLOURS[1], linewidths=0, alpha=_opacity(both.sum(), 500))
    right.set(xlabel="test accuracy, seed 0", ylabel="seed 1", title=f"{both.sum():,} cells, two seeds")
    for axes in (left, right):
        tidy(axes)
    save_figure(figure, path)


def embedding_map(
    embeddings: np.ndarray,
    rows: Sequence[int] | np.ndarray,
    scores: Sequence[float] | np.ndarray,
    path: pathlib.Path,
    *,
    title: str,
    metric: str = "accuracy",
) -> None:
    """The first two principal components of all embeddings, with scored architectures coloured by score.

    The more architectures have scores, the smaller and the more transparent their dots are.

    Args:
      embeddings: float `[N, D]`.
      rows: rows of the scored architectures; may be empty.
      scores: validation scores of the scored architectures.
      path: file of the figure; the suffix is replaced.
      title: text above the figure.
      metric: name of the score.
    """
    points = PrincipalPlane(embeddings).points(embeddings)
    figure, axes = plt.subplots(figsize=(6.4, 5))
    axes.scatter(
        *points.T, s=4, color=_GREY, alpha=_opacity(len(points), 3000), linewidths=0, rasterized=True,
        label=f"all {len(points):,} cells",
    )  # fmt: skip
    if len(rows):
        order = np.argsort(scores)
        chosen, values = points[np.asarray(rows)[order]], np.asarray(scores)[order]
        few = len(rows) <= 500
        # The colours are for the upper scores: a few failed trainings would leave a single colour to the rest.
        low = np.quantile(values, 0.05)
        dots = axes.scatter(
            *chosen.T, c=values, s=26 if few else 9, cmap="viridis", vmin=low, alpha=_opacity(len(rows), 300),
            edgecolors="white" if few else "none", linewidths=0.4, rasterized=not few,
        )  # fmt: skip
        figure.colorbar(
            matplotlib.cm.ScalarMappable(dots.norm, dots.cmap), ax=axes, label=f"validation {metric}",
            extend="min" if values[0] < low else "neither",
        )  # fmt: skip
        best = points[rows[int(np.argmax(scores))]]
        axes.scatter(*best, s=160, facecolors="none", edgecolors=COLOURS[2], linewidths=1.8, label="best queried cell")
    legend = axes.legend(frameon=False, loc="upper center", bbox_to_anchor=(0.5, -0.06), ncols=2)
    legend.legend_handles[0].set(alpha=1, sizes=[16])
    axes.set(xticks=[], yticks=[], xlabel="first principal component", ylabel="second principal component", title=title)
    save_figure(figure, path)


def _opacity(count: int, opaque: int) -> float:
    """Opacity of a dot: 0.9 for up to `opaque` dots, then less, so that what lies below many dots shows through."""
    return float(np.clip(0.9 * (opaque / max(count, 1)) ** 0.5, 0.15, 0.9))


def family_map(
    embeddings: np.ndarray,
    families: Sequence[str],
    path: pathlib.Path,
    *,
    title: str,
    marked: np.ndarray | None = None,
) -> None:
    """The first two principal components of embeddings, coloured by family; the largest families get a name.

    Args:
      embeddings: float `[N, D]`.
      families: names `[N]`.
      path: file of the figure; the suffix is replaced.
      title: text above the figure.
      marked: embedding `[D]` that gets a ring; None for no ring.
    """
    plane = PrincipalPlane(embeddings)
    points = plane.points(embeddings)
    figure, axes = plt.subplots(figsize=(6.4, 5))
    largest = [name for name, _ in collections.Counter(families).most_common(len(COLOURS))]
    names = np.array(families)
    rest = ~np.isin(names, largest)
    shape = {"s": 9, "linewidths": 0, "alpha": _opacity(len(points), 1000), "rasterized": True}
    axes.scatter(*points[rest].T, color=_GREY, label="other families" if rest.any() else None, **shape)
    for colour, name in zip(COLOURS, largest, strict=False):
        axes.scatter(*points[names == name].T, color=colour, label=name, **shape)
    if marked is not None:
        point = plane.points(marked[None])[0]
        axes.scatter(*point, s=160, facecolors="none", edgecolors="black", linewidths=1.8, label="this network")
    legend = axes.legend(frameon=False, loc="upper left", bbox_to_anchor=(1, 1))
    for handle in legend.legend_handles:
        handle.set(alpha=1)
    axes.set(xticks=[], yticks=[], xlabel="first principal component", ylabel="second principal component", title=title)
    save_figure(figure, path)


def corpus_statistics(graphs: Sequence[Any], path: pathlib.Path) -> None:
    """Sizes of computation graphs by source, their largest families and their most frequent operators.

    Args:
      graphs: computation graphs.
      path: file of the figure; the suffix is replaced.
    """
    figure, (left, middle, right) = plt.subplots(1, 3, figsize=(15, 5))
    sources = sorted({graph.source for graph in graphs})
    sizes = [[graph.num_nodes for graph in graphs if graph.source == source] for source in sources]
    every = [count for size in sizes for count in size]
    bins = np.geomspace(min(every), max(every) + 1, 30)
    left.hist(sizes, bins=bins, stacked=True, label=sources, color=[COLOURS[i % 6] for i in range(len(sources))])
    left.set(xscale="log", xlabel="operators in a graph", ylabel="graphs", title=f"{len(graphs)} graphs")
    left.legend(frameon=False)
    families = collections.Counter(graph.family for graph in graphs)
    operators = collections.Counter(name for graph in graphs for name in set(graph.operator_names))
    for axes, counted, title in (
        (middle, families, f"largest of {len(families)} families"),
        (right, operators, f"most common of {len(operators)} operators"),
    ):
        names, counts = zip(*counted.most_common(25), strict=True)
        axes.barh(names, counts, color=COLOURS[0])
        axes.invert_yaxis()
        axes.tick_params(axis="y", labelsize=7)
        axes.set(xlabel="graphs", title=title)
    for axes in (left, middle, right):
        tidy(axes)
    figure.tight_layout()
    save_figure(figure, path)
