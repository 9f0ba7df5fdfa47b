"""Transfer between the NATS size space and NAS-Bench-201: one encoder for both, a forest trained on one of them.

Beside the forests stand the sizes of networks, which need no label, and ridge regression on a few labels of the space
that is predicted.

References:
  Hesslow and Poli 2021, published code: joint encoder, random forests on the embeddings of all initialisations.
"""

import itertools
import pathlib
from collections.abc import Callable, Sequence

import numpy as np
from sklearn.ensemble import RandomForestRegressor

from reproductions import plots, report
from reproductions.correlations import kendall
from reproductions.jacobian import calibration, data
from reproductions.jacobian.data import SpaceData
from reproductions.jacobian.settings import Settings
from tfnas.encoders.jacobian.task import joined

SPACES = ("nats_size", "nasbench201")
PAIRS = tuple(itertools.product(SPACES, SPACES))
CALIBRATED = (10, 30)
"""Numbers of labels of the space that is predicted."""

SPECTRA = ("scales", "frequencies")
_TRAINED_SHARE = 0.7
_FORESTS = 3
_DRAWS = 10

Predict = Callable[[str, np.ndarray], np.ndarray]
"""From a target and rows `[m]` to predictions `[m]`."""

Learn = Callable[[str, np.ndarray], Predict]
"""From a source and its rows with labels to what has learned them."""


def run(output_dir: pathlib.Path, settings: Settings) -> report.Report:
    """Runs the experiment and draws `transfer.png`."""
    spaces = {space: data.load(output_dir, settings, space) for space in SPACES}
    task = _Transfer(spaces, settings.seed)
    values = {
        f"{name}, no labels": task.without_labels({space: data.sizes(spaces[space].corpus)[name] for space in SPACES})
        for name in ("parameters", "multiply-adds")
    }
    for name, trainings in _features(output_dir, settings, spaces).items():
        values[name] = task.with_forests(trainings)
    values |= _beside_size(output_dir, settings, task)
    values |= _calibrated(task)
    pairs = [f"{source} -> {target}" for source, target in PAIRS]
    rows = [
        [name, *(report.spread(taus[pair]) if pair in taus else "-" for pair in pairs)] for name, taus in values.items()
    ]
    counts = [int(_TRAINED_SHARE * len(spaces[space].corpus)) for space in SPACES]
    comparison = [
        f"Kendall's tau on {_FORESTS} divisions of each space into architectures with labels ({counts[0]} widths or "
        f"{counts[1]} cells; 10,000 in the publication) and the others, which are predicted; "
        f"{spaces[SPACES[0]].corpus.images.shape[0]} images, {settings.initializations} initialisations.",
        f"Rows without a note: forests of 100 trees (8 features per split), every initialisation a row, predictions "
        f"averaged; a forest for each division and each of {settings.encoders} encoders.",
        "One encoder for both spaces, trained on all architectures of both without labels (one epoch in the "
        "publication, here as many as for one space).",
        "Without size: singular values and frequencies after what parameters and depth explain within a space (least "
        "squares on logarithms) is taken away; the encoder is trained on the rest.",
        f"Ridge: strength 3 on twice the rank of the parameters within a space and half of {calibration.COMPONENTS} "
        "standardised principal components, labels as normal scores.",
        f"N labels of the target: the same ridge on N labels of the space that is predicted, whatever the source is, "
        f"and principal components of its spectra; {_DRAWS} draws for each division.",
        "Labels are test accuracies after 200 epochs on NAS-Bench-201 and those of the size space (probably after 90 "
        "epochs).",
        *_verdicts(values, pairs),
    ]
    drawn = {name: taus for name, taus in values.items() if set(pairs) <= set(taus)}
    plots.grouped_bars(
        {"": {name: [float(np.mean(taus[pair])) for pair in pairs] for name, taus in drawn.items()}},
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


class _Transfer:
    """Two spaces, each divided into architectures with labels and others.

    Args:
      spaces: data by name of the space.
      seed: seed of the divisions.
    """

    def __init__(self, spaces: dict[str, SpaceData], seed: int):
        self.spaces, self.seed = spaces, seed
        self.labels = {space: space_data.accuracies["CIFAR-10"] for space, space_data in spaces.items()}

    def division(self, number: int, space: str) -> tuple[np.ndarray, np.ndarray]:
        """Rows with labels, and the other rows."""
        size = len(self.labels[space])
        order = np.random.default_rng([self.seed, 42, number, SPACES.index(space)]).permutation(size)
        return order[: int(_TRAINED_SHARE * size)], order[int(_TRAINED_SHARE * size) :]

    def taus(self, learn: Learn, pairs: Sequence[tuple[str, str]] = PAIRS) -> dict[str, list[float]]:
        """Kendall's correlations of a method, one for each division, by pair."""
        taus: dict[str, list[float]] = {f"{source} -> {target}": [] for source, target in pairs}
        for number, source in itertools.product(range(_FORESTS), dict(pairs)):
            predict = learn(source, self.division(number, source)[0])
            for target in (target for known, target in pairs if known == source):
                rows = self.division(number, target)[1]
                taus[f"{source} -> {target}"].append(kendall(predict(target, rows), self.labels[target][rows]))
        return taus

    def without_labels(self, scores: dict[str, np.ndarray]) -> dict[str, list[float]]:
        """Correlations of scores `[M]` by space."""
        return self.taus(lambda source, labelled: lambda target, rows: scores[target][rows])

    def with_forests(self, trainings: Sequence[np.ndarray]) -> dict[str, list[float]]:
        """Correlations of forests on features `[M, A, D]` of both spaces, one set for each training of an encoder."""
        runs = [self._with_forest(self.divided(features)) for features in trainings]
        return {pair: [tau for taus in runs for tau in taus[pair]] for pair in runs[0]}

    def _with_forest(self, blocks: dict[str, np.ndarray]) -> dict[str, list[float]]:
        views, width = blocks[SPACES[0]].shape[1:]

        def learn(source: str, labelled: np.ndarray) -> Predict:
            forest = RandomForestRegressor(max_features=min(8, width), random_state=self.seed, n_jobs=-1)
            forest.fit(blocks[source][labelled].reshape(-1, width), np.repeat(self.labels[source][labelled], views))
            return lambda target, rows: (
                forest.predict(blocks[target][rows].reshape(-1, width)).reshape(-1, views).mean(axis=1)
            )

        return self.taus(learn)

    def divided(self, features: np.ndarray) -> dict[str, np.ndarray]:
        """Features of both spaces, one below the other, by space."""
        blocks = np.split(features, [len(self.labels[SPACES[0]])])
        return dict(zip(SPACES, blocks, strict=True))

    def with_ridge(self, inputs: dict[str, np.ndarray], *pairs: tuple[str, str]) -> dict[str, list[float]]:
        """Correlations of ridge regression on all labels of the source, from inputs `[M, D]` by space."""

        def learn(source: str, labelled: np.ndarray) -> Predict:
            known, labels = inputs[source][labelled], self.labels[source][labelled]
            return lambda target, rows: calibration.ridge(known, labels, inputs[target][rows])

        return self.taus(learn, pairs or PAIRS)

    def with_labels_of_target(self, inputs: np.ndarray, target: str, count: int) -> list[float]:
        """Correlations of ridge regression on a few labels of the space that is predicted, from its inputs `[M, D]`."""
        taus = []
        for number, draw in itertools.product(range(_FORESTS), range(_DRAWS)):
            known, test = self.division(number, target)
            rows = np.random.default_rng([self.seed, 43, number, draw]).permutation(known)[:count]
            predicted = calibration.ridge(inputs[rows], self.labels[target][rows], inputs[test])
            taus.append(kendall(predicted, self.labels[target][test]))
        return taus


def _features(
    output_dir: pathlib.Path, settings: Settings, spaces: dict[str, SpaceData]
) -> dict[str, list[np.ndarray]]:
    """Features `[M, A, D]` of both spaces for the forests, once or for every training of an encoder."""
    corpora = [spaces[space].corpus for space in SPACES]
    both = joined(corpora)
    seeds = [settings.seed + number for number in range(settings.encoders)]

    def trained(preset: str) -> list[np.ndarray]:
        return [data.trained_embeddings(output_dir, "both", corpora, preset, seed) for seed in seeds]

    return {
        "log singular values": [data.log_spectra(both, SPECTRA[:1])],
        "singular values and frequencies": [data.log_spectra(both, SPECTRA)],
        "untrained encoder (published)": [data.untrained_embeddings(both, "paper", seed) for seed in seeds],
        "contrastive, published": trained("paper"),
        "untrained encoder, spectra": [data.untrained_embeddings(both, "tfnas", seed) for seed in seeds],
        "contrastive, spectra (tfnas)": trained("tfnas"),
    }


def _beside_size(output_dir: pathlib.Path, settings: Settings, task: _Transfer) -> dict[str, dict[str, list[float]]]:
    """Correlations of what the source's labels say about spectra from which size is taken away."""
    corpora = [calibration.without_size(task.spaces[space].corpus) for space in SPACES]
    seeds = [settings.seed + number for number in range(settings.encoders)]
    trainings = [data.trained_embeddings(output_dir, "without_size", corpora, "tfnas", seed) for seed in seeds]
    parameters = {space: data.sizes(task.spaces[space].corpus)["parameters"] for space in SPACES}

    def ridge(features: np.ndarray) -> dict[str, list[float]]:
        blocks = task.divided(calibration.components(features.mean(axis=1)))
        return task.with_ridge({space: calibration.beside_size(parameters[space], blocks[space]) for space in SPACES})

    ridges = [ridge(embeddings) for embeddings in trainings]
    return {
        "contrastive, spectra without size": task.with_forests(trainings),
        "ridge: parameters, spectra without size": ridge(data.log_spectra(joined(corpora), SPECTRA)),
        "ridge: parameters, contrastive without size": {
            pair: [tau for taus in ridges for tau in taus[pair]] for pair in ridges[0]
        },
    }


def _calibrated(task: _Transfer) -> dict[str, dict[str, list[float]]]:
    """Correlations after a few labels of the space that is predicted, and of the widths themselves."""
    widths, within = calibration.channels(task.spaces["nats_size"].corpus), ("nats_size", "nats_size")
    values = {"ridge: five channel numbers": task.with_ridge({"nats_size": widths}, within)}
    for count in CALIBRATED:
        row = f"{count} labels of the target"
        values[f"{row}: five channel numbers"] = {
            " -> ".join(within): task.with_labels_of_target(widths, "nats_size", count)
        }
        for name in ("spectra", "parameters and spectra"):
            values[f"{row}: {name}"] = {}
        for space in SPACES:
            corpus = task.spaces[space].corpus
            spectra = calibration.components(data.log_spectra(corpus, SPECTRA).mean(axis=1))
            inputs = {
                "spectra": spectra,
                "parameters and spectra": calibration.beside_size(data.sizes(corpus)["parameters"], spectra),
            }
            for name, columns in inputs.items():
                taus = task.with_labels_of_target(columns, space, count)
                values[f"{row}: {name}"] |= {f"{source} -> {space}": taus for source in SPACES}
    return values


def _verdicts(values: dict[str, dict[str, list[float]]], pairs: Sequence[str]) -> list[str]:
    """A sentence for each pair: the rows that rank better than the parameters alone."""
    size = "parameters, no labels"
    sentences = []
    for pair in pairs:
        bar = np.mean(values[size][pair])
        ahead = [name for name, taus in values.items() if pair in taus and np.mean(taus[pair]) > bar]
        sentences.append(f"{pair}: {'; '.join(ahead) or 'no row'} above the parameters alone ({bar:.3f}).")
    return sentences
