"""Digits-201: every functionally distinct NAS-Bench-201 cell, trained as a small network on digit images.

The table ships with tfnas, so that search strategies can be compared with no download. This module makes it; the card
beside the table says what it holds and how noisy it is.
"""

import dataclasses
import pathlib
from collections.abc import Sequence
from typing import Any

import joblib
import numpy as np
import scipy.stats
from tqdm import tqdm

from tfnas import artefacts
from tfnas.benchmarks.table import write_table
from tfnas.benchmarks.trained.digits import DigitsConfig, PopulationTrainer
from tfnas.benchmarks.trained.images import ImageData
from tfnas.networks.nasbench201 import operation_codes, work
from tfnas.reports import figures
from tfnas.spaces import NASBench201

LENGTHS = (4, 12)
"""Epochs of the short and the long training."""

SEEDS = (0, 1, 2)
"""Seeds of the long training; the first seed has the short training and the accuracies of every epoch too."""

CONFIG = DigitsConfig(group=32)
"""How the shipped table was made."""


def build(output_dir: pathlib.Path, limit: int | None = None) -> dict[str, Any]:
    """Trains what is missing, and writes the table and its figure.

    Args:
      output_dir: gets `digits201.npz`, `digits201.png` and the trained groups under a folder per seed.
      limit: number of functionally distinct cells to train, drawn at random; all by default.

    Returns:
      Counts, quantiles and rank correlations.

    References:
      Dong and Yang 2020, "NAS-Bench-201", for the cells.
    """
    for seed in SEEDS:
        first = seed == SEEDS[0]
        lengths = LENGTHS if first else LENGTHS[1:]
        config = dataclasses.replace(CONFIG, seed=seed)
        train_all(output_dir / f"seed-{seed}", config, lengths, limit, every_epoch=first)
    space = NASBench201()
    cells = space.enumerate()
    representatives, positions = space.distinct_functions()
    columns = _columns(output_dir, len(representatives))
    codes = np.array([operation_codes(space.architecture(cells, row)) for row in representatives.tolist()])
    image_shape = ImageData.digits().train[0].shape[1:]
    columns["parameters"], columns["flops"] = work(CONFIG.skeleton, codes, image_shape)
    columns["trained_as"] = representatives
    config = dataclasses.asdict(CONFIG)
    write_table(
        output_dir / "digits201.npz",
        space,
        cells,
        {name: values[positions] for name, values in columns.items()},
        source="tfnas.benchmarks.trained.digits201",
        config={name: value for name, value in config.items() if name not in ("epochs", "seed")},
        lengths=list(LENGTHS),
        seeds=list(SEEDS),
    )
    summary = _summary(columns)
    figures.accuracy_spread(
        *columns[f"test_accuracy_{LENGTHS[1]}"].T[:2],
        output_dir / "digits201.png",
        title=f"Digits-201, {LENGTHS[1]} epochs: {len(representatives):,} distinct cells",
    )
    return summary


def _columns(folder: pathlib.Path, count: int) -> dict[str, np.ndarray]:
    """What was trained, by representative; NaN where nothing was."""
    columns: dict[str, np.ndarray] = {}
    for epochs in LENGTHS:
        first = _trained(folder / f"seed-{SEEDS[0]}", epochs, count)
        for name in ("validation", "test"):
            columns[f"{name}_accuracy_curve_{epochs}"] = first[name]
        columns[f"training_seconds_{epochs}"] = first["seconds"]
    trainings = [_trained(folder / f"seed-{seed}", LENGTHS[1], count) for seed in SEEDS]
    for name in ("validation", "test"):
        columns[f"{name}_accuracy_{LENGTHS[1]}"] = np.stack([training[name][:, -1] for training in trainings], axis=1)
    return columns


def _trained(folder: pathlib.Path, epochs: int, count: int) -> dict[str, np.ndarray]:
    """Curves `[count, epochs]` and seconds `[count]` of all groups of a length; NaN where nothing was trained.

    Curves of a training that was measured once hold the last accuracy in every epoch.
    """
    arrays = {name: np.full((count, epochs), np.nan, np.float32) for name in ("validation", "test")}
    arrays["seconds"] = np.full(count, np.nan, np.float32)
    for path in _group_path(folder, epochs, 0).parent.glob("*.npz"):
        group = artefacts.read_npz(path)
        for name, values in arrays.items():
            values[group["rows"]] = group[name]
    return arrays


def _summary(columns: dict[str, np.ndarray]) -> dict[str, Any]:
    short, long = LENGTHS
    final = {
        (name, epochs): columns[f"{name}_accuracy_curve_{epochs}"][:, -1]
        for name in ("validation", "test")
        for epochs in LENGTHS
    }
    trained = np.isfinite(columns[f"test_accuracy_{long}"]).all(axis=1)
    summary: dict[str, Any] = {"distinct_cells": len(trained), "trained_cells": int(trained.sum())}
    for epochs in LENGTHS:
        test = final["test", epochs]
        summary[f"epochs_{epochs}"] = {
            "test_quantiles": np.nanquantile(test, (0, 0.1, 0.25, 0.5, 0.75, 0.9, 1)).round(4).tolist(),
            "spearman_validation_test": _spearman(final["validation", epochs], test, trained),
        }
    summary["spearman_short_long"] = _spearman(final["test", short], final["test", long], trained)
    validations, tests = (columns[f"{name}_accuracy_{long}"][trained] for name in ("validation", "test"))
    first, second = tests.T[:2]
    best = int(validations.mean(axis=1).argmax())
    summary["seeds"] = {
        "spearman_two_seeds": _spearman(first, second, slice(None)),
        "spearman_two_seeds_better_half": _spearman(first, second, first > np.median(first)),
        "validation_deviation": _deviation(validations),
        "test_deviation": _deviation(tests),
        "best_mean_validation": round(float(validations[best].mean()), 4),
        "its_mean_test": round(float(tests[best].mean()), 4),
        "best_mean_test": round(float(tests.mean(axis=1).max()), 4),
    }
    return summary


def _deviation(accuracies: np.ndarray) -> float:
    """The standard deviation of a training around the mean of its cell, from `[N, seeds]`."""
    return round(float(np.sqrt(accuracies.var(axis=1, ddof=1).mean())), 4)


def _spearman(first: np.ndarray, second: np.ndarray, chosen: np.ndarray | slice) -> float:
    return round(float(scipy.stats.spearmanr(first[chosen], second[chosen]).statistic), 4)


def train_all(
    folder: pathlib.Path,
    config: DigitsConfig,
    lengths: Sequence[int],
    limit: int | None = None,
    *,
    every_epoch: bool = True,
) -> None:
    """Trains the representatives in random order, group by group; groups that `folder` holds are not trained again.

    Args:
      folder: gets a file per group and length.
      config: network and training; its `epochs` are replaced by each of `lengths`.
      lengths: epochs of the trainings of a representative.
      limit: number of representatives to train, rounded up to whole groups; all by default.
      every_epoch: whether networks are measured after every epoch, or, in a third of the time, after the last.
    """
    space = NASBench201()
    cells = space.enumerate()
    representatives, _ = space.distinct_functions()
    order = np.random.default_rng(config.split_seed).permutation(len(representatives))
    groups = [order[start : start + config.group] for start in range(0, limit or len(order), config.group)]
    folder.mkdir(parents=True, exist_ok=True)

    def train(trainer: PopulationTrainer, number: int) -> int:
        rows = groups[number]
        path = _group_path(folder, trainer.config.epochs, number)
        if not path.exists():
            codes = np.array([operation_codes(space.architecture(cells, int(representatives[row]))) for row in rows])
            curves = trainer.train(codes, every_epoch)
            artefacts.write_npz(
                path,
                rows=rows,
                validation=curves.validation,
                test=curves.test,
                seconds=np.full(len(rows), curves.seconds / len(rows), np.float32),
            )
        return len(rows)

    trainers = [PopulationTrainer(dataclasses.replace(config, epochs=epochs)) for epochs in lengths]
    parallel = joblib.Parallel(n_jobs=-1, require="sharedmem", return_as="generator_unordered")
    counts = parallel(joblib.delayed(train)(trainer, number) for number in range(len(groups)) for trainer in trainers)
    with tqdm(total=sum(map(len, groups)) * len(lengths), desc="Training cells", unit="cell", smoothing=0.05) as bar:
        for count in counts:
            bar.update(count)


def _group_path(folder: pathlib.Path, epochs: int, number: int) -> pathlib.Path:
    return folder / f"epochs-{epochs:02d}" / f"{number:04d}.npz"
