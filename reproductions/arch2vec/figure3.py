"""Observation 3 of arch2vec: cells that lie close in latent space are a few edits apart.

References:
  Yan et al. 2020 (arch2vec), section 4.1, observation (3), and figure 3.
"""

import pathlib

import numpy as np

from reproductions import plots, report
from reproductions.arch2vec.edit_distance import edit_distances
from reproductions.arch2vec.figure2 import COLUMN
from reproductions.arch2vec.inputs import shipped
from reproductions.arch2vec.settings import Settings
from reproductions.arch2vec.supervised import SupervisedEncoder
from reproductions.correlations import spearman
from tfnas.benchmarks.registry import load_table
from tfnas.benchmarks.table import CompactTable
from tfnas.encoders.arch2vec.saved import SavedCellEncoder
from tfnas.spaces import Architecture, CellTable, Space

_FURTHEST = 8


def run(output_dir: pathlib.Path, settings: Settings) -> report.Report:
    """Runs the experiment with the shipped encoder and the measured table, see `reproduce`."""
    return reproduce(load_table("nasbench101"), shipped("nasbench101")[1], output_dir, seed=settings.seed)


def reproduce(
    table: CompactTable,
    encoder: SavedCellEncoder,
    output_dir: pathlib.Path,
    *,
    steps: int = 1000,
    seed: int = 1,
    samples: int = 250,
) -> report.Report:
    """Runs the experiment and draws `figure3.png`.

    A random walk of one edit per step through cells of the largest size; pairs of its cells that are up to 16 steps
    apart are compared.

    Args:
      table: the NAS-Bench-101 table.
      encoder: encoder of NAS-Bench-101 cells.
      output_dir: an existing folder.
      steps: edits of the walk.
      seed: seed of the walk, and of the supervised encoder and its cells.
      samples: labelled cells that the supervised encoder learns from.

    Returns:
      The report; its values are, per embedding, the mean latent distance at every edit distance, and the rank
      correlation of the two distances.
    """
    rng = np.random.default_rng(seed)
    walk = random_walk(table.space, _start(table, rng), steps, rng)
    pairs = np.array([(i, j) for i in range(len(walk)) for j in range(i + 1, min(i + 17, len(walk)))])
    edits = edit_distances(walk[pairs[:, 0]], walk[pairs[:, 1]])
    apart = edits > 0  # a walk comes back now and then
    pairs, edits = pairs[apart], edits[apart]
    chosen = rng.choice(len(table), samples, replace=False)
    learner = SupervisedEncoder(table.space).fit(table.cells[chosen], table.values(COLUMN)[chosen], seed)
    distances, values = {}, {"steps": steps, "seed": seed, "pairs": len(pairs)}
    for name, embeddings in {"arch2vec": encoder.embed(walk), "supervised": learner.embed(walk)}.items():
        lengths = np.linalg.norm(embeddings[pairs[:, 0]] - embeddings[pairs[:, 1]], axis=1)
        distances[name] = lengths / lengths.mean()
        values[name] = {
            "mean_distance": {
                str(edit): float(distances[name][edits == edit].mean())
                for edit in range(1, _FURTHEST + 1)
                if (edits == edit).any()
            },
            "spearman": spearman(edits, lengths),
        }
    plots.distance_boxes(
        {
            name: {edit: lengths[edits == edit] for edit in range(1, _FURTHEST + 1) if (edits == edit).any()}
            for name, lengths in distances.items()
        },
        output_dir / "figure3.png",
        title=f"{len(pairs):,} pairs along a random walk of {steps:,} edits",
    )
    rows = [
        [
            name,
            *(f"{results['mean_distance'].get(str(edit), np.nan):.2f}" for edit in range(1, _FURTHEST + 1)),
            f"{results['spearman']:.3f}",
        ]
        for name, results in values.items()
        if isinstance(results, dict)
    ]
    return report.Report(
        title="Figure 3: mean latent distance of NAS-Bench-101 cells by edit distance (mean of all pairs = 1)",
        columns=["embedding", *map(str, range(1, _FURTHEST + 1)), "rank correlation"],
        rows=rows,
        comparison=[
            "The paper shows that latent distance grows with edit distance for arch2vec and hardly for the supervised "
            f"encoder; rank correlation here {values['arch2vec']['spearman']:.3f} and "
            f"{values['supervised']['spearman']:.3f}."
        ],
        values=values,
    )


def random_walk(space: Space, start: Architecture, steps: int, rng: np.random.Generator) -> CellTable:
    """Cells of one size, each an edit away from the one before: `steps` + 1 of them."""
    here = space.to_table([start])
    walk = [here]
    while len(walk) <= steps:
        there = space.to_table([space.mutate(space.architecture(here, 0), rng)])
        if there.num_vertices[0] == here.num_vertices[0] and edit_distances(here, there)[0] == 1:
            walk.append(there)
            here = there
    return CellTable.concatenate(walk)


def _start(table: CompactTable, rng: np.random.Generator) -> Architecture:
    largest = np.flatnonzero(table.cells.num_vertices == table.cells.num_vertices.max())
    return table.space.architecture(table.cells, int(rng.choice(largest)))
