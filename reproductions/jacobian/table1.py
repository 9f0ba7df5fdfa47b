"""How well embeddings rank architectures after few labels, beside every baseline that needs no labels.

References:
  Hesslow and Poli 2021 regress accuracies from 500 labelled architectures; their numbers are not at hand.
"""

import pathlib
from collections.abc import Mapping

import numpy as np
from sklearn.ensemble import RandomForestRegressor

from reproductions import plots, processes, report
from reproductions.correlations import kendall
from reproductions.jacobian import data
from reproductions.jacobian.data import SpaceData
from reproductions.jacobian.settings import Settings
from tfnas.encoders.arch2vec.saved import SavedCellEncoder
from tfnas.predictors.additive_gp import AdditiveGP
from tfnas.predictors.features import standardised
from tfnas.predictors.kernel_mixture import normal_scores
from tfnas.saved_models import SHIPPED

SPECTRA = ("scales", "frequencies", "correlations")
SIZES = ("parameters", "multiply-adds")
OURS = "contrastive, spectra (tfnas)"
_NOT_DRAWN = (
    "multiply-adds",
    "parameters, no labels",
    "multiply-adds, no labels",
    "jacov, one initialisation",
    "synflow",
    "snip",
    "grad_norm",
    "fisher",
)  # below what is drawn


def features(output_dir: pathlib.Path, settings: Settings, nasbench201: SpaceData) -> dict[str, list[np.ndarray]]:
    """Per method the features float64 `[M, D]`, once or for every training of an encoder.

    Features of several initialisations are averaged.
    """
    corpus = nasbench201.corpus
    sizes = data.sizes(corpus)
    scores = data.proxy_scores(output_dir, settings, corpus)
    scores = {"jacov": corpus.jacov, "jacov, one initialisation": data.first_initialization(corpus).jacov, **scores}
    ranks = {
        name: normal_scores(np.nan_to_num(values, nan=np.nanmin(values))[None])[0][:, None]
        for name, values in scores.items()
    }
    methods = {
        **{name: [sizes[name][:, None]] for name in SIZES},
        **{name: [values] for name, values in ranks.items()},
        "all proxies": [np.concatenate(list(ranks.values()), axis=1)],
        "log singular values": [data.log_spectra(corpus, SPECTRA[:1]).mean(axis=1)],
        "energy by frequency": [data.log_spectra(corpus, SPECTRA[1:2]).mean(axis=1)],
        "singular values and frequencies": [data.log_spectra(corpus, SPECTRA[:2]).mean(axis=1)],
        "all three spectra": [data.log_spectra(corpus, SPECTRA).mean(axis=1)],
        "arch2vec embedding": [SavedCellEncoder(SHIPPED / "arch2vec_nasbench201").embed(corpus.cells)],
    }
    seeds = [settings.seed + number for number in range(settings.encoders)]
    for preset, untrained, trained in (
        ("paper", "untrained encoder (published)", "contrastive, published"),
        ("tfnas", "untrained encoder, spectra", OURS),
    ):
        methods[untrained] = [data.untrained_embeddings(corpus, preset, seed).mean(axis=1) for seed in seeds]
        methods[trained] = [
            data.trained_embeddings(output_dir, "nasbench201", [corpus], preset, seed).mean(axis=1) for seed in seeds
        ]
    return methods


def run(output_dir: pathlib.Path, settings: Settings) -> report.Report:
    """Runs the experiment and draws `table1.png`."""
    nasbench201 = data.load(output_dir, settings, "nasbench201")
    methods = features(output_dir, settings, nasbench201)
    jobs = [(name, values, nasbench201.accuracies, settings) for name, values in methods.items()]
    results = without_labels(nasbench201, settings)
    results |= dict(zip(methods, processes.run(_correlations, jobs, "Table 1"), strict=True))
    sets = list(nasbench201.accuracies)
    rows = [
        [
            name,
            *(f"{np.mean(taus[f'{data_set}/{count}']):.3f}" for data_set in sets for count in settings.labels),
            report.spread(taus["forest"]) if "forest" in taus else "-",
        ]
        for name, taus in results.items()
    ]
    spread = max(np.std(results[OURS][f"{data_set}/{count}"]) for data_set in sets for count in settings.labels)
    beaten = {
        f"{data_set}, {count} labels": [
            name
            for name in results
            if name != OURS
            and np.mean(results[name][f"{data_set}/{count}"]) >= np.mean(results[OURS][f"{data_set}/{count}"])
        ]
        for data_set in sets
        for count in settings.labels
    }
    comparison = [
        f"{len(nasbench201.corpus)} cells of NAS-Bench-201, no two of the same function "
        f"({nasbench201.left_out} left out, whose Jacobian is zero); {settings.images} CIFAR-10 images, "
        f"{settings.initializations} initialisations, whose "
        "features are averaged.",
        f"Kendall's tau of the test accuracies of all cells without a label: mean over {settings.encoders} trainings "
        f"times {settings.draws} draws of labels; deviations of our row are at most {spread:.3f}.",
        "No labels: the number itself ranks, on the same cells as in the other rows.",
        f"All columns but the last: a Gaussian process (linear and squared exponential kernel); the last: a random "
        f"forest (100 trees, at most 8 features per split) on {settings.labels[-1]} labels of CIFAR-10.",
        f"{', '.join(data.PROXIES)} are of one initialisation, whose random numbers are the same for all cells.",
        "Rows called published have the published network, loss and training; the signs of singular vectors are made "
        "unique here, and no component is cut off.",
        *(
            f"{where}: {'no row is as good as' if not names else ', '.join(names) + ' as good as or better than'} "
            f"{OURS}."
            for where, names in beaten.items()
        ),
    ]
    columns = ["features", *(f"{data_set}, {count}" for data_set in sets for count in settings.labels), "forest"]
    drawn = {name: taus for name, taus in results.items() if name not in _NOT_DRAWN}
    plots.label_curves(
        {data_set: {name: _means(taus, data_set, settings) for name, taus in drawn.items()} for data_set in sets},
        settings.labels,
        output_dir / "table1.png",
        title="Rank correlation on NAS-Bench-201 after few labels",
    )
    values = {"tau": results, "as_good": beaten, "cells": len(nasbench201.corpus), "seed": settings.seed}
    title = "Rank correlation after few labels"
    return report.Report(title=title, columns=columns, rows=rows, comparison=comparison, values=values)


def _means(taus: Mapping[str, list[float]], data_set: str, settings: Settings) -> list[float]:
    return [float(np.mean(taus[f"{data_set}/{count}"])) for count in settings.labels]


def without_labels(nasbench201: SpaceData, settings: Settings) -> dict[str, dict[str, list[float]]]:
    """Kendall's correlations of sizes, which learn nothing, by row, data set and number of labels of the other rows."""
    sizes = data.sizes(nasbench201.corpus)
    return {
        f"{name}, no labels": {
            f"{data_set}/{count}": [
                kendall(np.delete(sizes[name], rows), np.delete(truth, rows))
                for rows in label_sets(count, len(truth), settings)
            ]
            for data_set, truth in nasbench201.accuracies.items()
            for count in settings.labels
        }
        for name in SIZES
    }


def label_sets(count: int, size: int, settings: Settings) -> list[np.ndarray]:
    """Rows that have labels, for every training and draw; the same for all methods."""
    return [
        np.random.default_rng([settings.seed, 41, count, number]).permutation(size)[:count]
        for number in range(settings.encoders * settings.draws)
    ]


def _correlations(job: tuple[str, list[np.ndarray], Mapping[str, np.ndarray], Settings]) -> dict[str, list[float]]:
    _, values, accuracies, settings = job
    blocks = [standardised(points) / np.sqrt(points.shape[1]) for points in values]
    runs = settings.encoders * settings.draws
    blocks = [blocks[number // settings.draws % len(blocks)] for number in range(runs)]
    taus: dict[str, list[float]] = {}
    for data_set, truth in accuracies.items():
        for count in settings.labels:
            sets = label_sets(count, len(truth), settings)
            model = AdditiveGP(iterations=40).fit(
                [np.stack([block[rows] for block, rows in zip(blocks, sets, strict=True)])],
                np.stack([truth[rows] for rows in sets]),
            )
            taus[f"{data_set}/{count}"] = [
                kendall(model.predict([np.delete(block, rows, axis=0)], number)[0], np.delete(truth, rows))
                for number, (block, rows) in enumerate(zip(blocks, sets, strict=True))
            ]
    truth = accuracies["CIFAR-10"]
    taus["forest"] = []
    for number, rows in enumerate(label_sets(settings.labels[-1], len(truth), settings)):
        forest = RandomForestRegressor(max_features=min(8, blocks[number].shape[1]), random_state=number)
        forest.fit(blocks[number][rows], truth[rows])
        rest = np.delete(blocks[number], rows, axis=0)
        taus["forest"].append(kendall(forest.predict(rest), np.delete(truth, rows)))
    return taus
