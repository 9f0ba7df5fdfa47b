"""Jacobian embeddings as a block of features beside sizes and graphs: ranks after few labels within each space.

The learned rows are `predictors.label_candidates.Learned`, what `trainers.train_predictor --data` compares.
"""

import pathlib
from collections.abc import Mapping

import numpy as np

from reproductions import report
from reproductions.correlations import spearman
from reproductions.jacobian import calibration, data
from reproductions.jacobian.settings import Settings
from reproductions.jacobian.transfer import SPACES
from tfnas.encoders.jacobian.corpus import JacobianCorpus
from tfnas.graphs.computation_graph import ComputationGraph
from tfnas.networks.models import named_model
from tfnas.predictors import label_candidates as candidates

LABELS = 40
_DRAWS = 20
_FOLDS = 5
_MOST = 600  # architectures of a space
_CHANNELS = "ridge: five channel numbers"


def run(output_dir: pathlib.Path, settings: Settings) -> report.Report:
    """Runs the experiment; the embeddings are those of `transfer`, by the first encoder of preset `tfnas`."""
    spaces = {space: data.load(output_dir, settings, space) for space in SPACES}
    corpora = [spaces[space].corpus for space in SPACES]
    embeddings = data.trained_embeddings(output_dir, "both", corpora, "tfnas", settings.seed).mean(axis=1)
    blocks = dict(zip(SPACES, np.split(embeddings, [len(corpora[0])]), strict=True))
    values: dict[str, dict[str, list[float]]] = {}
    counts = {}
    for space in SPACES:
        order = np.random.default_rng([settings.seed, 48]).permutation(len(spaces[space].corpus))
        rows = np.sort(order[:_MOST])
        corpus, accuracy = spaces[space].corpus[rows], spaces[space].accuracies["CIFAR-10"][rows]
        counts[space] = len(rows)
        for name, correlations in _correlations(corpus, blocks[space][rows], accuracy, settings.seed).items():
            values.setdefault(name, {})[space] = correlations
    comparison = [
        f"{' and '.join(f'{counts[space]} architectures of {space}' for space in SPACES)}; CIFAR-10 test accuracy; "
        f"{LABELS} labels, {_DRAWS} draws, Spearman's correlation on the architectures without a label.",
        f"Jacobians: embedding by an encoder of preset tfnas, trained on both spaces without labels; {settings.images} "
        f"images, mean of {settings.initializations} initialisations.",
        f"{candidates.LEARNED}: the ensemble of `train_predictor --data` on graphs; {candidates.WITH_JACOBIANS}: the "
        "same with the embedding as one more block; rows with Jacobians alone: the same ensemble on these blocks.",
    ]
    for space in SPACES:
        plain, beside = (np.array(values[name][space]) for name in (candidates.LEARNED, candidates.WITH_JACOBIANS))
        comparison.append(
            f"{space}, {candidates.WITH_JACOBIANS} minus {candidates.LEARNED}: {np.mean(beside - plain):+.3f} on "
            f"average, above 0 in {np.sum(beside > plain)} of {_DRAWS} draws."
        )
    return report.Report(
        title="Jacobians as a block of features",
        columns=["features", *SPACES],
        rows=[
            [name, *(report.spread(by_space[space]) if space in by_space else "-" for space in SPACES)]
            for name, by_space in values.items()
        ],
        comparison=comparison,
        values=values,
    )


def _correlations(
    corpus: JacobianCorpus, embeddings: np.ndarray, accuracy: np.ndarray, seed: int
) -> dict[str, list[float]]:
    """Spearman's correlations of every row of the table, one for each draw of labels."""
    space = corpus.space
    architectures = (space.architecture(corpus.cells, row) for row in range(len(corpus)))
    graphs = [named_model(f"{space.name}:{space.to_string(architecture)}") for architecture in architectures]
    values: dict[str, list[float]] = {}
    for draw in range(_DRAWS):
        order = np.random.default_rng([seed, 49, draw]).permutation(len(graphs))
        seen, rest = order[:LABELS], order[LABELS:]
        answers = _answers(graphs, embeddings, accuracy[seen], seen, rest, seed)
        if space.name == "nats_size":
            channels = calibration.channels(corpus)
            answers[_CHANNELS] = calibration.ridge(channels[seen], accuracy[seen], channels[rest])
        for name, predicted in answers.items():
            values.setdefault(name, []).append(spearman(predicted, accuracy[rest]))
    return values


def _answers(
    graphs: list[ComputationGraph],
    embeddings: np.ndarray,
    labels: np.ndarray,
    seen: np.ndarray,
    rest: np.ndarray,
    seed: int,
) -> Mapping[str, np.ndarray]:
    """Predictions for the rows `rest` after labels of the rows `seen`, by row of the table."""
    inputs = candidates.Inputs([graphs[row] for row in seen])
    known, asked = inputs.labelled, inputs.of([graphs[row] for row in rest])
    parameters = (known.sizes[:, :1], asked.sizes[:, :1])
    blocks = {
        "Jacobians": [_scaled(embeddings[seen], embeddings[rest])],
        "parameters and Jacobians": [_scaled(*parameters), _scaled(embeddings[seen], embeddings[rest])],
        candidates.LEARNED: list(zip(known.blocks, asked.blocks, strict=True)),
    }
    blocks[candidates.WITH_JACOBIANS] = [*blocks[candidates.LEARNED], *blocks["Jacobians"]]
    answers = {f"{name}, no labels": asked.sizes[:, column] for column, name in enumerate(candidates.NUMBERS[:2])}
    answers[candidates.RIDGE] = candidates.ridge(known.counts, labels, asked.counts)
    for name, pairs in blocks.items():
        model = candidates.Learned(seed).fit(
            [known for known, _ in pairs], labels, candidates.learns_in_ensemble(len(labels), _FOLDS)
        )
        answers[name] = model.predict([queries for _, queries in pairs])
    return answers


def _scaled(known: np.ndarray, queries: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Columns of labelled and other architectures as a block, scaled by the labelled ones."""
    block = candidates.EmbeddingBlock(known)
    return block(known), block(queries)
