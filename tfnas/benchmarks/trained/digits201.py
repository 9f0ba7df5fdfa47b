"""Digits-201: every functionally distinct NAS-Bench-201 cell, trained as a small network on digit images.

The table ships with tfnas, so that search strategies can be compared with no download. This module makes it; the card
beside the table says what it holds and how noisy it is.
"""

import dataclasses
import pathlib
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

CONFIG = DigitsConfig(group=32)
"""How the shipped table was made."""


def build(output_dir: pathlib.Path, sample: int, limit: int | None = None) -> dict[str, Any]:
    """Trains what is missing, and writes the table and its figure.

    Args:
      output_dir: gets `digits201.npz`, `digits201.png` and the trained groups under `seed-0` and `seed-1`.
      sample: number of cells, drawn at random, that are trained a second time with another seed.
      limit: number of functionally distinct cells to train, drawn at random; all by default.

    Returns:
      Counts, quantiles and rank correlations.

    References:
      Dong and Yang 2020, "NAS-Bench-201", for the cells.
    """
    for seed, count in ((0, limit), (1, sample)):
        train_all(output_dir / f"seed-{seed}", dataclasses.replace(CONFIG, seed=seed), count)
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
        config={name: value for name, value in config.items() if name != "epochs"},
        lengths=list(LENGTHS),
    )
    summary = _summary(columns)
    figures.accuracy_spread(
        columns[f"test_accuracy_curve_{LENGTHS[1]}"][:, -1],
        columns[f"second_seed_test_accuracy_{LENGTHS[1]}"],
        output_dir / "digits201.png",
        title=f"Digits-201, {LENGTHS[1]} epochs: {len(representatives):,} distinct cells",
    )
    return summary


def _columns(folder: pathlib.Path, count: int) -> dict[str, np.ndarray]:
    """What was trained, by representative; NaN where nothing was."""
    columns: dict[str, np.ndarray] = {}
    for epochs in LENGTHS:
        first, second = (_trained(folder / f"seed-{seed}", epochs, count) for seed in (0, 1))
        for name in ("validation", "test"):
            columns[f"{name}_accuracy_curve_{epochs}"] = first[name]
            columns[f"second_seed_{name}_accuracy_{epochs}"] = second[name][:, -1]
        columns[f"training_seconds_{epochs}"] = first["seconds"]
    return columns


def _trained(folder: pathlib.Path, epochs: int, count: int) -> dict[str, np.ndarray]:
    """Curves `[count, epochs]` and seconds `[count]` of all groups of a length; NaN where nothing was trained."""
    arrays = {name: np.full((count, epochs), np.nan, np.float32) for name in ("validation", "test")}
    arrays["seconds"] = np.full(count, np.nan, np.float32)
    for path in _group_path(folder, epochs, 0).parent.glob("*.npz"):
        group = artefacts.read_npz(path)
        for name, values in arrays.items():
            values[group["rows"]] = group[name]
    return arrays


def _summary(columns: dict[str, np.ndarray]) -> dict[str, Any]:
    final = {
        (name, epochs): columns[f"{name}_accuracy_curve_{epochs}"][:, -1]
        for name in ("validation", "test")
        for epochs in LENGTHS
    }
    short, long = LENGTHS
    trained = np.isfinite(final["test", long])
    summary: dict[str, Any] = {"distinct_cells": len(trained), "trained_cells": int(trained.sum())}
    for epochs in LENGTHS:
        test = final["test", epochs]
        second = columns[f"second_seed_test_accuracy_{epochs}"]
        both = np.isfinite(second) & np.isfinite(test)
        top = both & (test > np.nanmedian(test))
        summary[f"epochs_{epochs}"] = {
            "test_quantiles": np.nanquantile(test, (0, 0.1, 0.25, 0.5, 0.75, 0.9, 1)).round(4).tolist(),
            "spearman_validation_test": _spearman(final["validation", epochs], test, trained),
            "spearman_two_seeds": _spearman(test, second, both),
            "spearman_two_seeds_better_half": _spearman(test, second, top),
            "cells_with_two_seeds": int(both.sum()),
        }
    summary["spearman_short_long"] = _spearman(final["test", short], final["test", long], trained)
    return summary


def _spearman(first: np.ndarray, second: np.ndarray, chosen: np.ndarray) -> float:
    return round(float(scipy.stats.spearmanr(first[chosen], second[chosen]).statistic), 4)


def train_all(folder: pathlib.Path, config: DigitsConfig, limit: int | None = None) -> None:
    """Trains the representatives in random order, group by group; groups that `folder` holds are not trained again.

    Args:
      folder: gets a file per group and length.
      config: network and training; its `epochs` are replaced by each of `LENGTHS`.
      limit: number of representatives to train, rounded up to whole groups; all by default.
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
            curves = trainer.train(codes, every_epoch=True)
            artefacts.write_npz(
                path,
                rows=rows,
                validation=curves.validation,
                test=curves.test,
                seconds=np.full(len(rows), curves.seconds / len(rows), np.float32),
            )
        return len(rows)

    trainers = [PopulationTrainer(dataclasses.replace(config, epochs=epochs)) for epochs in LENGTHS]
    parallel = joblib.Parallel(n_jobs=-1, require="sharedmem", return_as="generator_unordered")
    counts = parallel(joblib.delayed(train)(trainer, number) for number in range(len(groups)) for trainer in trainers)
    with tqdm(total=sum(map(len, groups)) * len(LENGTHS), desc="Training cells", unit="cell", smoothing=0.05) as bar:
        for count in counts:
            bar.update(count)


def _group_path(folder: pathlib.Path, epochs: int, number: int) -> pathlib.Path:
    return folder / f"epochs-{epochs:02d}" / f"{number:04d}.npz"
