"""Transfer between the NATS size space and NAS-Bench-201: one encoder for both, a forest trained on one of them.

References:
  Hesslow and Poli 2021, published code: joint encoder, random forests on the embeddings of all initialisations.
"""

import itertools
import pathlib

import numpy as np
from sklearn.ensemble import RandomForestRegressor

from reproductions import plots, report
from reproductions.correlations import kendall
from reproductions.jacobian import data
from reproductions.jacobian.settings import Settings
from tfnas.encoders.jacobian.task import joined

SPACES = ("nats_size", "nasbench201")
_TRAINED_SHARE = 0.7
_FORESTS = 3


def run(output_dir: pathlib.Path, settings: Settings) -> report.Report:
    """Runs the experiment and draws `transfer.png`."""
    spaces = {space: data.load(output_dir, settings, space) for space in SPACES}
    corpora = [spaces[space].corpus for space in SPACES]
    both = joined(corpora)
    bounds = np.cumsum([0, *(len(corpus) for corpus in corpora)])
    seeds = [settings.seed + number for number in range(settings.encoders)]

    def trained(preset: str) -> list[np.ndarray]:
        return [data.trained_embeddings(output_dir, "both", corpora, preset, seed) for seed in seeds]

    methods = {
        "log singular values": [data.log_spectra(both, ("scales",))],
        "singular values and frequencies": [data.log_spectra(both, ("scales", "frequencies"))],
        "untrained encoder (published)": [data.untrained_embeddings(both, "paper", seed) for seed in seeds],
        "contrastive, published": trained("paper"),
        "untrained encoder, spectra": [data.untrained_embeddings(both, "tfnas", seed) for seed in seeds],
        "contrastive, spectra (tfnas)": trained("tfnas"),
    }
    labels = [spaces[space].accuracies["CIFAR-10"] for space in SPACES]
    values: dict[str, dict[str, list[float]]] = {}
    rows = []
    for name, trainings in methods.items():
        taus: dict[str, list[float]] = {f"{a} -> {b}": [] for a, b in itertools.product(SPACES, SPACES)}
        for number, embeddings in itertools.product(range(_FORESTS), trainings):
            blocks = [embeddings[start:stop] for start, stop in itertools.pairwise(bounds)]
            _add(taus, blocks, labels, settings.seed, number)
        values[name] = taus
        rows.append([name, *(report.spread(numbers) for numbers in taus.values())])
    counts = [int(_TRAINED_SHARE * len(spaces[space].corpus)) for space in SPACES]
    comparison = [
        f"Kendall's tau on architectures that the forest was not trained on; forests of 100 trees (8 features per "
        f"split) on {counts[0]} widths or {counts[1]} cells (10,000 in the publication), every initialisation a row, "
        f"predictions averaged; {_FORESTS} forests for each of {settings.encoders} encoders.",
        "One encoder for both spaces, trained on all architectures of both without labels (one epoch in the "
        "publication, here as many as for one space).",
        "Labels are test accuracies after 200 epochs on NAS-Bench-201 and those of the size space (probably after 90 "
        "epochs).",
    ]
    pairs = list(values["log singular values"])
    plots.grouped_bars(
        {"": {name: [float(np.mean(taus[pair])) for pair in pairs] for name, taus in values.items()}},
        [pair.replace(" -> ", "\n→ ") for pair in pairs],
        output_dir / "transfer.png",
        title="Kendall's tau of transfer",
    )
    return report.Report(
        title="Transfer between spaces",
        columns=["features", *pairs],
        rows=rows,
        comparison=comparison,
        values=values,
    )


def _add(
    taus: dict[str, list[float]], blocks: list[np.ndarray], labels: list[np.ndarray], seed: int, number: int
) -> None:
    """Adds the correlations of a forest for each space."""
    splits = []
    for space, block in enumerate(blocks):
        order = np.random.default_rng([seed, 42, number, space]).permutation(len(block))
        splits.append(np.split(order, [int(_TRAINED_SHARE * len(block))]))
    for source, target in itertools.product(range(2), range(2)):
        train, test = splits[source][0], splits[target][1]
        views, width = blocks[source].shape[1:]
        if target == 0:
            forest = RandomForestRegressor(max_features=min(8, width), random_state=number, n_jobs=-1)
            forest.fit(blocks[source][train].reshape(-1, width), np.repeat(labels[source][train], views))
        predicted = forest.predict(blocks[target][test].reshape(-1, width)).reshape(-1, views).mean(axis=1)
        taus[f"{SPACES[source]} -> {SPACES[target]}"].append(kendall(predicted, labels[target][test]))
