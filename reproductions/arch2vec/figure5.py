"""Observation 5 of arch2vec: walks to the nearest neighbour in latent space change a cell little by little.

References:
  Yan et al. 2020 (arch2vec), section 4.1, observation (5), figures 5 and 11 to 13.
"""

import dataclasses
import pathlib
from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy.spatial.distance import cdist
from tqdm import tqdm

from reproductions import report
from reproductions.arch2vec.edit_distance import edit_distances
from reproductions.arch2vec.figure2 import COLUMN
from reproductions.arch2vec.inputs import shipped
from reproductions.arch2vec.settings import Settings
from reproductions.arch2vec.supervised import SupervisedEncoder
from tfnas.benchmarks.registry import load_table
from tfnas.benchmarks.table import CompactTable
from tfnas.encoders.arch2vec.saved import SavedCellEncoder
from tfnas.reports import diagrams
from tfnas.spaces import CellTable, Space

_DRAWN = 6


def run(output_dir: pathlib.Path, settings: Settings) -> report.Report:
    """Runs the experiment with the shipped encoders and the measured tables, see `reproduce`."""
    labelled = [
        (load_table("nasbench101"), COLUMN),
        (load_table("nasbench201"), "cifar10_validation_accuracy_200"),
    ]
    encoders = [shipped(name) for name in ("nasbench101", "nasbench201", "darts")]
    return reproduce(encoders, labelled, output_dir, seed=settings.seed)


def reproduce(
    encoders: Sequence[tuple[Space, SavedCellEncoder]],
    tables: Sequence[tuple[CompactTable, str]],
    output_dir: pathlib.Path,
    *,
    starts: int = 50,
    steps: int = 10,
    sampled_cells: int = 100_000,
    samples: int = 250,
    seed: int = 1,
) -> report.Report:
    """Walks, and draws one walk per space and embedding.

    Args:
      encoders: search spaces, each with an encoder.
      tables: tables of some spaces, each with the column of accuracies that a supervised encoder learns from.
      output_dir: an existing folder.
      starts: random cells that walks begin at.
      steps: steps of each walk.
      sampled_cells: cells of a space that can't be enumerated.
      samples: labelled cells of a supervised encoder.
      seed: seed of everything random.

    Returns:
      The report; its values are, per space and embedding, the mean edit distance of a step, of the whole walks, and of
      random pairs.
    """
    labelled = {table.space.name: (table, column) for table, column in tables}
    values: dict[str, Any] = {"starts": starts, "steps": steps, "seed": seed}
    rows = []
    for space, encoder in tqdm(encoders, desc="Figure 5", unit="space"):
        rng = np.random.default_rng(seed)
        if space.name in labelled:
            cells = labelled[space.name][0].cells
        else:
            cells = space.enumerate() if space.enumerable else space.sample(sampled_cells, rng)
        begin = rng.choice(len(cells), starts, replace=False)
        embeddings = {"arch2vec": encoder.embed(cells)}
        if space.name in labelled:
            table, column = labelled[space.name]
            chosen = rng.choice(len(cells), samples, replace=False)
            learner = SupervisedEncoder(space).fit(cells[chosen], table.values(column)[chosen], seed)
            embeddings["supervised"] = learner.embed(cells)
        inputs = 2 if space.name == "darts" else 1
        ends = rng.choice(len(cells), (2, 10 * starts))
        random_pairs = float(edit_distances(cells[ends[0]], cells[ends[1]], inputs).mean())
        for name, points in embeddings.items():
            points = points.astype(np.float64)
            walks = np.stack([nearest_walk(points, int(row), steps) for row in begin])
            step = edit_distances(cells[walks[:, :-1].ravel()], cells[walks[:, 1:].ravel()], inputs)
            whole = edit_distances(cells[walks[:, 0]], cells[walks[:, -1]], inputs)
            distances = {
                "step": float(step.mean()),
                "step_deviation_over_walks": float(step.reshape(starts, steps).mean(axis=1).std()),
                "whole_walk": float(whole.mean()),
                "random_pairs": random_pairs,
            }
            values[f"{space.name}, {name}"] = distances
            rows.append(
                [space.name, name, f"{distances['step']:.2f} ± {distances['step_deviation_over_walks']:.2f}"]
                + [f"{distances[key]:.2f}" for key in ("whole_walk", "random_pairs")]
            )
            _draw(space, cells, walks[0], output_dir / f"figure5_{space.name}_{name}.png", name)
    shown = {row[1]: row[2] for row in rows if row[0] == "nasbench101"}
    return report.Report(
        title=f"Figures 5 and 11-13: {starts} walks of {steps} steps to the nearest cell not seen yet",
        columns=["space", "embedding", "edit distance of a step", "of a whole walk", "of random pairs"],
        rows=rows,
        comparison=[
            f"NAS-Bench-101, edit distance of a step: arch2vec {shown.get('arch2vec', '-')} against the paper's 2.9, "
            f"supervised {shown.get('supervised', '-')} against 8.9."
        ],
        values=values,
    )


def nearest_walk(points: np.ndarray, start: int, steps: int) -> np.ndarray:
    """Rows int64 `[steps + 1]`: from `start`, always on to the closest of `points` `[N, D]` that was not visited."""
    visited = [start]
    for _ in range(steps):
        distances = cdist(points, points[visited[-1:]], "sqeuclidean")[:, 0]
        distances[visited] = np.inf
        visited.append(int(distances.argmin()))
    return np.array(visited)


def _draw(space: Space, cells: CellTable, walk: np.ndarray, path: pathlib.Path, name: str) -> None:
    pictures = [picture for row in walk[:_DRAWN] for picture in space.diagrams(space.architecture(cells, int(row)))]
    steps = [dataclasses.replace(picture, title=f"step {step}") for step, picture in enumerate(pictures)]
    diagrams.draw(steps, path, title=f"{space.name}, {name}: one walk")
