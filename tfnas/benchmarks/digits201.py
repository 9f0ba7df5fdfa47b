"""Digits-201: every functionally distinct NAS-Bench-201 cell, trained as a small network on digit images.

The table ships with tfnas, so that search strategies can be compared with no download. This module makes it.
"""

import concurrent.futures
import dataclasses
import os
import pathlib

import numpy as np
from tqdm import tqdm

from tfnas import artefacts
from tfnas.benchmarks.digits import DigitsConfig, PopulationTrainer
from tfnas.networks.nasbench201 import operation_codes
from tfnas.spaces import NASBench201

LENGTHS = (4, 12)
"""Epochs of the short and the long training."""


def distinct_cells() -> tuple[np.ndarray, np.ndarray]:
    """One cell for every function that NAS-Bench-201 cells compute.

    Returns:
      The numbers of the representatives int64 `[M]` (the benchmark's; the cell with the fewest convolutions, then the
      smallest number), and for every cell its place in that list, int64 `[15625]`.
    """
    space = NASBench201()
    cells = space.enumerate()
    operations = np.array(space.operations)[cells.operations[:, 1:-1]]
    work = 10 * (operations == "nor_conv_3x3").sum(axis=1) + (operations == "nor_conv_1x1").sum(axis=1)
    order = np.lexsort((np.arange(len(cells)), work))
    _, first, inverse = np.unique(space.functional_hashes(cells)[order], return_index=True, return_inverse=True)
    places = np.empty(len(cells), np.int64)
    places[order] = inverse
    return order[first], places


def train_all(folder: pathlib.Path, config: DigitsConfig, limit: int | None = None) -> None:
    """Trains the representatives in random order, group by group; groups that `folder` holds are not trained again.

    Args:
      folder: gets a file per group and length.
      config: network and training; its `epochs` are replaced by each of `LENGTHS`.
      limit: train only so many representatives, rounded up to whole groups.
    """
    space = NASBench201()
    cells = space.enumerate()
    representatives, _ = distinct_cells()
    order = np.random.default_rng(config.split_seed).permutation(len(representatives))[:limit]
    groups = [order[start : start + config.group] for start in range(0, len(order), config.group)]
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
    with (
        tqdm(total=len(order) * len(LENGTHS), desc="Training cells", unit="cell", smoothing=0.05) as bar,
        concurrent.futures.ThreadPoolExecutor(os.cpu_count() or 1) as pool,
    ):
        futures = [pool.submit(train, trainer, number) for number in range(len(groups)) for trainer in trainers]
        try:
            for future in concurrent.futures.as_completed(futures):
                bar.update(future.result())
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


def _group_path(folder: pathlib.Path, epochs: int, number: int) -> pathlib.Path:
    return folder / f"epochs-{epochs:02d}" / f"{number:04d}.npz"
