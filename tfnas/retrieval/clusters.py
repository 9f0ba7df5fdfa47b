"""Several models by their likeness: a tree of clusters, and pairs that are nearly the same."""

import dataclasses
import pathlib

import numpy as np
from scipy.cluster import hierarchy
from scipy.spatial.distance import squareform

from tfnas.reports import figures, tables
from tfnas.retrieval.collection import Collection
from tfnas.retrieval.evidence import Surroundings

NEARLY = 0.9
"""Share of operators, in both directions, that near-duplicates have in the same surroundings."""
_HEIGHT = 0.25  # inches of the figure per model


@dataclasses.dataclass(frozen=True, eq=False)
class Clusters:
    """N models by their likeness.

    Attributes:
      names: names of the models.
      similarities: float64 `[N, N]`, cosines of embeddings, each averaged with the mean of the two shares of operators.
      shared: float64 `[N, N]`, shares of the operators of one model (row) that another model (column) has.
      same_structure: bool `[N, N]`, whether operators, heights of kernels and flow are equal.
      tree: float64 `[N - 1, 4]`, merges of the average linkage of 1 - similarity; see `scipy.cluster.hierarchy`.

    References:
      Sokal and Michener 1958, "A statistical method for evaluating systematic relationships".
    """

    names: tuple[str, ...]
    similarities: np.ndarray
    shared: np.ndarray
    same_structure: np.ndarray
    tree: np.ndarray

    @classmethod
    def of(cls, collection: Collection, embeddings: np.ndarray) -> "Clusters":
        """The clusters of N architectures with embeddings float32 `[N, D]` of length 1."""
        surroundings, rows = Surroundings(collection.graphs), np.arange(len(collection))
        shared = np.stack([surroundings.shared(row, rows) for row in rows.tolist()])
        similarities = (embeddings @ embeddings.T + (shared + shared.T) / 2) / 2
        same = surroundings.structures[:, None] == surroundings.structures[None]
        distances = squareform(np.maximum(1 - similarities, 0), checks=False)
        tree = hierarchy.optimal_leaf_ordering(hierarchy.average(distances), distances)
        return cls(tuple(collection.names.tolist()), similarities, shared, same, tree)

    def near_duplicates(self) -> list[tuple[str, str, float]]:
        """Pairs that share 90 % of the operators in both directions, those that share most first, with that share."""
        least = np.minimum(self.shared, self.shared.T)
        pairs = zip(*np.nonzero(np.triu(least >= NEARLY, 1)), strict=True)
        ranked = sorted(pairs, key=lambda pair: -least[pair])
        return [(self.names[first], self.names[second], float(least[first, second])) for first, second in ranked]

    def __str__(self) -> str:
        """The nearest other model of every model, and the near-duplicates, as Markdown."""
        closeness = self.similarities - 2 * np.eye(len(self.names))
        nearest = closeness.argmax(axis=1)
        rows = [
            [
                self.names[row],
                self.names[other],
                f"{100 * self.shared[row, other]:.0f} %",
                "same structure" if self.same_structure[row, other] else "",
            ]
            for row, other in ((row, int(nearest[row])) for row in hierarchy.leaves_list(self.tree).tolist())
        ]
        lines = [tables.markdown(["model", "nearest model", "shared operators", ""], rows), ""]
        duplicates = self.near_duplicates()
        lines += [f"near-duplicates: {first} and {second}, {100 * share:.0f} %" for first, second, share in duplicates]
        return "\n".join(lines if duplicates else [*lines, "no near-duplicates"])


def draw_dendrogram(clusters: Clusters, path: pathlib.Path) -> None:
    """Draws the tree of clusters as PNG and as SVG.

    Args:
      clusters: N models.
      path: file of the figure; the suffix is replaced.
    """
    figure, axes = figures.plt.subplots(figsize=(7, 1 + _HEIGHT * len(clusters.names)))
    hierarchy.dendrogram(
        clusters.tree,
        labels=[name.replace("$", r"\$") for name in clusters.names],
        orientation="left",
        ax=axes,
        color_threshold=0,
        above_threshold_color=figures.COLOURS[0],
        leaf_font_size=8,
    )
    axes.set_xlabel("1 - similarity, average linkage")
    axes.set_xlim(right=0)
    for side in ("left", "right", "top"):
        axes.spines[side].set_visible(False)
    figures.save_figure(figure, path)
