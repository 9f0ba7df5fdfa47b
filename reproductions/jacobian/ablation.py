"""What Jacobians need and what they ignore: number of images and initialisations, and the encoding of a network."""

import pathlib
import time
from typing import Any

import numpy as np
import tensorflow as tf

from reproductions import processes, report
from reproductions.correlations import kendall
from reproductions.jacobian import data
from reproductions.jacobian.settings import Settings
from tfnas import artefacts
from tfnas.encoders.jacobian import corpus as jacobian_corpus
from tfnas.encoders.jacobian.corpus import JacobianCorpus
from tfnas.encoders.jacobian.data_config import JacobianConfig
from tfnas.encoders.jacobian.program import describe
from tfnas.encoders.jacobian.saved import SavedJacobianEncoder
from tfnas.encoders.jacobian.space_programs import space_jacobians
from tfnas.predictors.additive_gp import AdditiveGP
from tfnas.predictors.features import standardised
from tfnas.runtime import one_thread_per_operation
from tfnas.spaces import CellTable, NASBench201

_IMAGES = (8, 16, 32, 64)
_CELLS = 400
_PAIRS = 100
_LABELS = 100
_DRAWS = 9
_TIMED = 40


def run(output_dir: pathlib.Path, settings: Settings) -> report.Report:
    """Runs the experiment."""
    nasbench201 = data.load(output_dir, settings, "nasbench201")
    rows = np.sort(np.random.default_rng([settings.seed, 45]).permutation(len(nasbench201.corpus))[:_CELLS])
    corpus, accuracy = nasbench201.corpus[rows], nasbench201.accuracies["CIFAR-10"][rows]
    folder = output_dir / "ablation"
    encodings, pairs = _encodings(settings.seed)
    jobs = [(str(folder / f"images_{count}"), corpus.cells, corpus.images[:count], settings.seed) for count in _IMAGES]
    jobs.append((str(folder / "encodings"), encodings, corpus.images, settings.seed))
    seconds = processes.run(_extract, jobs, "Jacobians")
    values: dict[str, Any] = {"images": {}, "seconds": dict(zip(_IMAGES, seconds, strict=False))}
    table = []
    for count, spent in zip(_IMAGES, seconds, strict=False):
        jacobians = jacobian_corpus.load(folder / f"images_{count}")
        taus_by_views = {views: _taus(jacobians, views, accuracy, settings.seed) for views in (1, 2)}
        values["images"][count] = {str(views): taus for views, taus in taus_by_views.items()}
        table.append(
            [
                str(count),
                f"{spent:.3f}",
                *(report.spread(taus) for taus in taus_by_views.values()),
                f"{kendall(np.nan_to_num(jacobians.jacov, nan=-1e9), accuracy):.3f}",
            ]
        )
    encoder = SavedJacobianEncoder(data.trained_encoder(output_dir, nasbench201.corpus, settings.seed))
    distances = _distances(encoder.embed(jacobian_corpus.load(folder / "encodings")), pairs)
    values["encodings"] = distances
    comparison = [
        f"{len(corpus)} cells of NAS-Bench-201; Kendall's tau with CIFAR-10 test accuracy after {_LABELS} labels, mean "
        f"of {_DRAWS} draws, Gaussian process on log singular values and log energies by frequency; jacov needs no "
        "labels.",
        "Processor seconds per Jacobian, one thread.",
        f"{_PAIRS} pairs of NAS-Bench-201 cells that are written differently and compute the same function, trained "
        "encoder of preset tfnas, mean distances between embeddings of single initialisations: "
        f"{distances['one cell, two initialisations']:.3f} within a cell, "
        f"{distances['two cells of one function']:.3f} within a pair, "
        f"{distances['two cells of two functions']:.3f} between pairs.",
    ]
    return report.Report(
        title="Images, initialisations, encodings",
        columns=["images", "seconds", "tau, one initialisation", "tau, two", "jacov"],
        rows=table,
        comparison=comparison,
        values=values,
    )


def _extract(job: tuple[str, CellTable, np.ndarray, int]) -> float:
    """Seconds per Jacobian, tracing left out."""
    one_thread_per_operation()
    folder, cells, images, seed = pathlib.Path(job[0]), *job[1:]
    path = folder.with_suffix(".json")
    if not path.exists():
        processes.quiet(folder.parent)
        config = JacobianConfig(initializations=2, components=len(images))
        jacobian_corpus.extract(NASBench201(), cells, images, config, folder, seed=seed)
        program, batch = space_jacobians(NASBench201(), seed), tf.constant(images)
        architectures = [NASBench201().architecture(cells, row) for row in range(_TIMED)]
        program(batch, architectures[0])
        start = time.process_time()
        for architecture in architectures:
            describe(program(batch, architecture), images.shape[1:], len(images))
        artefacts.write_json(path, {"seconds": (time.process_time() - start) / _TIMED})
    return artefacts.read_json(path)["seconds"]


def _taus(corpus: JacobianCorpus, views: int, accuracy: np.ndarray, seed: int) -> list[float]:
    features = data.log_spectra(corpus, ("scales", "frequencies"))[:, :views].mean(axis=1)
    block = standardised(features) / np.sqrt(features.shape[1])
    sets = [np.random.default_rng([seed, 46, draw]).permutation(len(block))[:_LABELS] for draw in range(_DRAWS)]
    model = AdditiveGP().fit([np.stack([block[rows] for rows in sets])], np.stack([accuracy[rows] for rows in sets]))
    return [
        kendall(model.predict([np.delete(block, rows, axis=0)], draw)[0], np.delete(accuracy, rows))
        for draw, rows in enumerate(sets)
    ]


def _encodings(seed: int) -> tuple[CellTable, np.ndarray]:
    """Cells in pairs that compute the same function, and the rows `[pairs, 2]` of each pair."""
    numbers, representatives = NASBench201().distinct_functions()
    rng = np.random.default_rng([seed, 47])
    chosen = []
    for number in rng.permutation(np.flatnonzero(~np.isin(numbers, data.development_cells()))):
        members = np.flatnonzero(representatives == number)
        if len(members) > 1:
            chosen.append(rng.choice(members, 2, replace=False))
        if len(chosen) == _PAIRS:
            break
    return NASBench201().enumerate()[np.concatenate(chosen)], np.arange(2 * len(chosen)).reshape(-1, 2)


def _distances(embeddings: np.ndarray, pairs: np.ndarray) -> dict[str, float]:
    """Mean distances; pairs with a Jacobian that is zero are left out."""
    fine = np.isfinite(embeddings).all(axis=(1, 2))
    first, second = pairs[fine[pairs].all(axis=1)].T
    strangers = np.roll(first, 1)

    def mean(left: np.ndarray, right: np.ndarray) -> float:
        return float(np.linalg.norm(left - right, axis=1).mean())

    return {
        "one cell, two initialisations": mean(embeddings[first, 0], embeddings[first, 1]),
        "two cells of one function": mean(embeddings[first, 0], embeddings[second, 1]),
        "two cells of two functions": mean(embeddings[first, 0], embeddings[strangers, 1]),
    }
