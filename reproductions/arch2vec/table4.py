"""Tables 4 and 5 of arch2vec in miniature: a search on DARTS in which every query trains, and training what it found.

The real thing needs GPU days: `trainers.search --benchmark=darts` and `trainers.train_darts` have the paper's settings
as their defaults. This runs the same code on small images, for proof.

References:
  Yan et al. 2020 (arch2vec), section 4.2, tables 4 and 5, figure 10.
"""

import dataclasses
import functools
import pathlib
from typing import Any

import numpy as np
from tqdm import tqdm

from reproductions import report
from reproductions.arch2vec.inputs import shipped
from reproductions.arch2vec.settings import Settings
from tfnas.benchmarks.trained.darts import DartsEvaluator, train_cell
from tfnas.benchmarks.trained.darts_config import TRAININGS, query
from tfnas.benchmarks.trained.images import ImageData
from tfnas.encoders.arch2vec.saved import SavedCellEncoder
from tfnas.networks import darts
from tfnas.search import Candidates, loop
from tfnas.search.bayesian import BayesianOptimization
from tfnas.search.reinforce import Reinforce
from tfnas.spaces import Darts

_STRATEGIES = {
    "arch2vec-BO": functools.partial(BayesianOptimization, initial=4, batch=2, incumbent=0.95),
    "arch2vec-RL": functools.partial(Reinforce, baseline=0.95, discount=0.8),
}
_PAPER = {"arch2vec-RL": "2.65 ± 0.05 (best 2.60)", "arch2vec-BO": "2.56 ± 0.05 (best 2.48)"}
_SKELETON = darts.DartsSkeleton(channels=4, layers=3, auxiliary=False)


def run(output_dir: pathlib.Path, settings: Settings) -> report.Report:
    """Searches and trains with the shipped encoder, see `reproduce`."""
    return reproduce(shipped("darts")[1], output_dir, seed=settings.seed)


def reproduce(
    encoder: SavedCellEncoder,
    output_dir: pathlib.Path,
    *,
    queries: int = 8,
    candidates: int = 10_000,
    query_epochs: int = 5,
    final_epochs: int = 20,
    seed: int = 1,
) -> report.Report:
    """Searches, trains, and draws the best cell of each strategy.

    Args:
      encoder: encoder of DARTS cells.
      output_dir: an existing folder.
      queries: trainings of each search; the paper has 100.
      candidates: sampled cells to choose from; the paper has 600,000.
      query_epochs: epochs of every query's training; the paper has 50.
      final_epochs: epochs of the final training; the paper has 600.
      seed: seed of everything random.

    Returns:
      The report; its values are, per strategy, the best cell, its validation accuracy, and its test error after the
      final training, and sizes of the paper's cells.
    """
    space, data = Darts(), ImageData.digits(400, seed)
    cells = space.sample(candidates, np.random.default_rng(seed))
    pool = Candidates(space, cells, encoder.embed(cells))
    final = dataclasses.replace(TRAININGS["final"], epochs=final_epochs, cutout=2, crop=False, seed=seed)
    training = dataclasses.replace(query(query_epochs), cutout=2, crop=False, seed=seed)
    values: dict[str, Any] = {"queries": queries, "candidates": candidates, "seed": seed}
    rows = []
    for name, make in _STRATEGIES.items():
        folder = output_dir / "table4" / name
        folder.mkdir(parents=True, exist_ok=True)
        evaluator = DartsEvaluator(data, _SKELETON, training, cache=folder / "trained.jsonl")
        with tqdm(total=queries, desc=f"Table 4, {name}", unit="query") as bar:
            history = loop.run_search(make(pool, [seed]), evaluator, queries, folder, bar)
        best = pool.architecture(int(history.at_best(history.rows)[0]))
        (folder / "final").mkdir(exist_ok=True)
        summary = train_cell(best, data, _SKELETON, final, folder / "final", hold_out=False, resume=True)
        space.draw(best, output_dir / f"table4_{name}.png", title=f"{name}: best of {queries} cells")
        values[name] = {
            "genotype": ",".join(
                f"{operation}:{state}" for operation, state in zip(*space.to_genotype(best), strict=True)
            ),
            "validation_accuracy": float(history.at_best(history.scores.validation)[0]),
            "test_error": 1 - summary["test_accuracy"],
        }
        error = f"{100 * values[name]['test_error']:.2f}"
        rows.append([name, f"{100 * values[name]['validation_accuracy']:.2f}", error, _PAPER[name]])
    published = space.to_table([darts.cell(genotype) for genotype in darts.GENOTYPES.values()])
    parameters, _ = darts.work(darts.CIFAR10, published, 32)
    _, multiply_adds = darts.work(darts.IMAGENET, published, 224)
    sizes = [
        f"{name}: {count / 1e6:.3f} million parameters on CIFAR-10, {work / 1e6:.0f} million multiply-adds on ImageNet"
        for name, count, work in zip(darts.GENOTYPES, parameters, multiply_adds, strict=True)
    ]
    values["published_cells"] = sizes
    return report.Report(
        title=f"Table 4 in miniature: {queries} queries on 8 x 8 digits, networks of {_SKELETON.layers} cells",
        columns=["search", "validation % of the best query", "test error % after final training", "paper, on CIFAR-10"],
        rows=rows,
        comparison=[
            "Not comparable with the paper: images, networks and trainings are tiny, the code is that of the real run.",
            f"The cells of figure 10: {'; '.join(sizes)}. The published log has 3.617 million for arch2vec_bo.",
        ],
        values=values,
    )
