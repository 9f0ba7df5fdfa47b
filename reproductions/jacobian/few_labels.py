"""Jacobian embeddings as a block of features beside sizes and graphs: ranks on NAS-Bench-201 after few labels.

The learned rows are `predictors.label_candidates.Learned`, what `trainers.train_predictor --data` compares.
"""

import pathlib

import numpy as np

from reproductions import report
from reproductions.correlations import spearman
from reproductions.jacobian import data
from reproductions.jacobian.settings import Settings
from tfnas.encoders.jacobian.saved import SavedJacobianEncoder
from tfnas.networks.models import named_model
from tfnas.predictors import label_candidates as candidates

LABELS = 40
_DRAWS = 20
_FOLDS = 5
_SPACE = "nasbench201"


def run(output_dir: pathlib.Path, settings: Settings) -> report.Report:
    """Runs the experiment; the images must be as many as the shipped encoder reads."""
    nasbench201 = data.load(output_dir, settings, _SPACE)
    corpus, accuracy = nasbench201.corpus, nasbench201.accuracies["CIFAR-10"]
    embeddings = SavedJacobianEncoder().embed(corpus).mean(axis=1)
    architectures = (corpus.space.architecture(corpus.cells, row) for row in range(len(corpus)))
    graphs = [named_model(f"{_SPACE}:{corpus.space.to_string(architecture)}") for architecture in architectures]
    numbers = np.array([candidates.size_numbers(graph) for graph in graphs])
    values: dict[str, list[float]] = {}
    for draw in range(_DRAWS):
        order = np.random.default_rng([settings.seed, 48, draw]).permutation(len(graphs))
        seen, rest = order[:LABELS], order[LABELS:]
        inputs = candidates.Inputs([graphs[row] for row in seen])
        others = inputs.of([graphs[row] for row in rest])
        labels = accuracy[seen]
        block = candidates.EmbeddingBlock(embeddings[seen])
        jacobians = (block(embeddings[seen]), block(embeddings[rest]))
        scale = candidates.EmbeddingBlock(numbers[seen][:, :1])
        parameters = (scale(numbers[seen][:, :1]), scale(numbers[rest][:, :1]))
        blocks = {
            "Jacobians": [jacobians],
            "parameters and Jacobians": [parameters, jacobians],
            candidates.LEARNED: list(zip(inputs.blocks, others[0], strict=True)),
        }
        blocks[candidates.WITH_JACOBIANS] = [*blocks[candidates.LEARNED], jacobians]
        answers = {f"{name}, no labels": numbers[rest][:, column] for column, name in enumerate(candidates.NUMBERS[:2])}
        answers[candidates.RIDGE] = candidates.ridge(inputs.counts, labels, others[2])
        for name, pairs in blocks.items():
            model = candidates.Learned(settings.seed).fit(
                [known for known, _ in pairs], labels, candidates.learns_in_ensemble(LABELS, _FOLDS)
            )
            answers[name] = model.predict([query for _, query in pairs])
        for name, predicted in answers.items():
            values.setdefault(name, []).append(spearman(predicted, accuracy[rest]))
    plain, beside = (np.array(values[name]) for name in (candidates.LEARNED, candidates.WITH_JACOBIANS))
    comparison = [
        f"{len(graphs)} random cells of NAS-Bench-201, no two of the same function; CIFAR-10 test accuracy; {LABELS} "
        f"labels, {_DRAWS} draws, Spearman's correlation on the cells without a label.",
        f"Jacobians: embedding by the shipped encoder, {settings.images} images, mean of {settings.initializations} "
        "initialisations.",
        f"{candidates.WITH_JACOBIANS} minus {candidates.LEARNED}: {np.mean(beside - plain):+.3f} on average, above 0 "
        f"in {np.sum(beside > plain)} of {_DRAWS} draws.",
    ]
    return report.Report(
        title="Jacobians as a block of features",
        columns=["features", f"Spearman's correlation, {LABELS} labels"],
        rows=[[name, report.spread(correlations)] for name, correlations in values.items()],
        comparison=comparison,
        values=values,
    )
