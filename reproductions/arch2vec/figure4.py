"""Observation 4 of arch2vec: accuracy changes smoothly over maps of the latent space.

References:
  Yan et al. 2020 (arch2vec), section 4.1, observation (4), and figure 4.
"""

import pathlib

import numpy as np
from sklearn.manifold import TSNE
from sklearn.neighbors import NearestNeighbors

from reproductions import plots, report
from reproductions.arch2vec import projector
from reproductions.arch2vec.figure2 import COLUMN
from reproductions.arch2vec.inputs import shipped
from reproductions.arch2vec.settings import Settings
from reproductions.arch2vec.supervised import SupervisedEncoder
from tfnas.benchmarks.registry import load_table
from tfnas.benchmarks.table import CompactTable
from tfnas.encoders.arch2vec.saved import SavedCellEncoder

_NEIGHBOURS = 10
_LEAST_ACCURACY = 0.8


def run(output_dir: pathlib.Path, settings: Settings) -> report.Report:
    """Runs the experiment with the shipped encoder and the measured table, see `reproduce`."""
    return reproduce(load_table("nasbench101"), shipped("nasbench101")[1], output_dir, seed=settings.seed)


def reproduce(
    table: CompactTable,
    encoder: SavedCellEncoder,
    output_dir: pathlib.Path,
    *,
    cells: int = 10_000,
    seed: int = 1,
    samples: int = 250,
) -> report.Report:
    """Draws `figure4.png`, and writes the folder `figure4_projector` for TensorBoard.

    Args:
      table: the NAS-Bench-101 table.
      encoder: encoder of NAS-Bench-101 cells.
      output_dir: an existing folder.
      cells: number of random cells on the maps.
      seed: seed of everything random.
      samples: labelled cells that the supervised encoder learns from; the maps do not show these cells.

    Returns:
      The report; its values say, per embedding, how well the accuracy of a cell agrees with the mean of its ten nearest
      neighbours, as a Pearson correlation over cells above 80 %: in the embedding itself and on the map.
    """
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(table))
    accuracy = table.values(COLUMN)
    shown = order[samples:][accuracy[order[samples:]] > _LEAST_ACCURACY][:cells]
    learner = SupervisedEncoder(table.space).fit(table.cells[order[:samples]], accuracy[order[:samples]], seed)
    some, truth = table.cells[shown], accuracy[shown]
    maps, values = {}, {"cells": len(shown), "seed": seed}
    for name, embeddings in {"arch2vec": encoder.embed(some), "supervised": learner.embed(some)}.items():
        maps[name] = TSNE(2, random_state=seed, n_jobs=-1).fit_transform(embeddings)
        values[name] = {
            "smoothness_of_embedding": smoothness(embeddings, truth),
            "smoothness_of_map": smoothness(maps[name], truth),
        }
        if name == "arch2vec":
            labels = {
                "cell": [table.space.to_string(table.space.architecture(some, row)) for row in range(len(some))],
                "test_accuracy": [f"{value:.4f}" for value in truth],
                "vertices": some.num_vertices.tolist(),
                "edges": some.adjacency.sum(axis=(1, 2)).tolist(),
            }
            projector.write(output_dir / "figure4_projector", "arch2vec", embeddings, labels)
    plots.coloured_maps(maps, truth, output_dir / "figure4.png", label="test accuracy")
    return report.Report(
        title=f"Figure 4: t-SNE maps of {len(shown):,} NAS-Bench-101 cells",
        columns=["embedding", "accuracy beside that of ten neighbours: in the embedding", "on the map"],
        rows=[
            [name, f"{values[name]['smoothness_of_embedding']:.3f}", f"{values[name]['smoothness_of_map']:.3f}"]
            for name in maps
        ],
        comparison=[
            "The paper judges its maps by eye: accuracy changes smoothly for arch2vec, in stripes and patches for the "
            "supervised encoder. The table gives Pearson correlations instead. "
            "`tensorboard --logdir figure4_projector` shows the same cells in three dimensions."
        ],
        values=values,
    )


def smoothness(points: np.ndarray, accuracy: np.ndarray) -> float:
    """Pearson correlation of accuracies `[n]` with the mean over the ten nearest other points `[n, D]`."""
    neighbours = NearestNeighbors(n_neighbors=_NEIGHBOURS + 1).fit(points).kneighbors(points, return_distance=False)
    return float(np.corrcoef(accuracy, accuracy[neighbours[:, 1:]].mean(axis=1))[0, 1])
