"""The choice of `LabelPredictor` from a handful of own labels, beside all candidates, on fresh draws.

The rule of the choice was developed on Digits-201, which is left out, and with other seeds.
"""

import pathlib

import numpy as np

from reproductions import plots, report
from reproductions.predictor.settings import Settings
from reproductions.predictor.unseen_spaces import BENCHMARKS
from tfnas.benchmarks.registry import TABLES
from tfnas.graphs.computation_graph import ComputationGraph
from tfnas.networks import symbolic
from tfnas.predictors import label_candidates as candidates
from tfnas.predictors.base import rank_correlation
from tfnas.predictors.label_predictor import FOLDS, LabelPredictor
from tfnas.predictors.own_labels import OwnLabels

SPACES = tuple(name for name in BENCHMARKS if name != "digits201")
COUNTS = (5, 7, 10, 20, 50)
"""Numbers of labels."""

NETWORKS = 500
"""Random networks of a space: those of a draw are labelled, and the ranks of others are predicted."""

_TESTED = 300  # networks without a label whose ranks are predicted
_STREAM = 50  # of the random numbers of this experiment
CHOSEN, BEST = "chosen", "best baseline of each draw"
NAMES = (candidates.LEARNED, *candidates.BASELINES)


def run(output_dir: pathlib.Path, settings: Settings) -> report.Report:
    """Runs the experiment and draws `own_labels.png`.

    Args:
      output_dir: an existing folder.
      settings: seed, and sets of labels of every space.
    """
    correlations: dict[str, dict[str, np.ndarray]] = {}
    choices: dict[str, np.ndarray] = {}
    for space in SPACES:
        correlations[space], choices[space] = _space(space, output_dir / "parts", settings)
    means = {
        space: {name: values.mean(axis=0).tolist() for name, values in by_name.items()}
        for space, by_name in correlations.items()
    }
    title, measure = "Ranks of other networks by a handful of own labels", "Spearman's correlation"
    plots.label_curves(means, COUNTS, output_dir / "own_labels.png", title=title, measure=measure)
    return _report(correlations, choices, settings)


def _space(space: str, folder: pathlib.Path, settings: Settings) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Correlations `[draws, counts]` by candidate, and positions `[draws, counts]` in `NAMES` of what was chosen."""
    graphs: list[ComputationGraph] = []
    labels = np.zeros(0)

    def drawn(draw: int, count: int) -> dict[str, np.ndarray]:
        nonlocal graphs, labels
        if not graphs:
            graphs, labels = _networks(space, settings.seed)
        order = np.random.default_rng([settings.seed, _STREAM + 1, draw]).permutation(len(graphs))
        known, asked = order[:count], order[-_TESTED:]
        labelled = OwnLabels(tuple(graphs[row] for row in known), labels[known])
        chosen = LabelPredictor(settings.seed).fit(labelled).chosen
        scores = _scores(labelled, [graphs[row] for row in asked], settings.seed)
        reached = np.array([rank_correlation(scores[name], labels[asked]) or 0.0 for name in NAMES])
        return {"correlations": reached, "chosen": np.array(NAMES.index(chosen))}

    records = [
        [
            report.computed_once(folder / f"own_labels_{space}_{draw}_{count}.npz", lambda d=draw, c=count: drawn(d, c))
            for count in COUNTS
        ]
        for draw in range(settings.own_draws)
    ]
    values = np.array([[record["correlations"] for record in row] for row in records])
    chosen = np.array([[int(record["chosen"]) for record in row] for row in records])
    by_name = {CHOSEN: np.take_along_axis(values, chosen[..., None], axis=2)[..., 0]}
    by_name |= {name: values[..., number] for number, name in enumerate(NAMES)}
    by_name[BEST] = values[..., 1:].max(axis=2)
    return by_name, chosen


def _networks(name: str, seed: int) -> tuple[list[ComputationGraph], np.ndarray]:
    """Random labelled networks of a benchmark, and their labels."""
    table = TABLES[name].load()
    labels = table.values(TABLES[name].test)
    rows = np.random.default_rng([seed, _STREAM]).permutation(np.flatnonzero(np.isfinite(labels)))[:NETWORKS]
    graphs = [symbolic.build(table.space, table.architecture(int(row)), name=f"{name}:{row}") for row in rows]
    return graphs, labels[rows].astype(np.float64)


def _scores(labelled: OwnLabels, asked: list[ComputationGraph], seed: int) -> dict[str, np.ndarray]:
    """Scores of networks by every candidate."""
    inputs = candidates.Inputs(labelled.graphs)
    known, numbers = inputs.labelled, inputs.of(asked)
    ensemble = candidates.learns_in_ensemble(len(labelled.labels), FOLDS)
    scores = {name: candidates.baseline_scores(name, known, labelled.labels, numbers) for name in candidates.BASELINES}
    learned = candidates.Learned(seed).fit(known.blocks, labelled.labels, ensemble)
    return scores | {candidates.LEARNED: learned.predict(numbers.blocks)}


def _report(
    correlations: dict[str, dict[str, np.ndarray]], choices: dict[str, np.ndarray], settings: Settings
) -> report.Report:
    rows = [
        [space, name, *(report.spread(column, 2) for column in values.T)]
        for space, by_name in correlations.items()
        for name, values in by_name.items()
    ]
    names = (CHOSEN, *NAMES, BEST)
    means = {name: np.mean([by_name[name] for by_name in correlations.values()], axis=(0, 1)) for name in names}
    rows += [["mean", name, *(f"{value:.2f}" for value in values)] for name, values in means.items()]
    comparison = []
    for column, count in enumerate(COUNTS):
        best = max(candidates.BASELINES, key=lambda name: means[name][column])
        learned = np.mean([choice[:, column] == NAMES.index(candidates.LEARNED) for choice in choices.values()])
        reached = {name: f"{values[column]:.3f}" for name, values in means.items()}
        comparison.append(
            f"{count} labels: in the mean of the spaces, the choice has {reached[CHOSEN]}, the learned candidate "
            f"{reached[candidates.LEARNED]}, the baseline with the best mean {reached[best]} ({best}); the learned "
            f"candidate is chosen in {learned:.0%} of the sets."
        )
    values = {
        "correlations": {
            space: {name: v.tolist() for name, v in names.items()} for space, names in correlations.items()
        },
        "chosen": {space: [[NAMES[number] for number in row] for row in rows] for space, rows in choices.items()},
        "seed": settings.seed,
    }
    columns = ["space", "Spearman's correlation", *(f"{count} labels" for count in COUNTS)]
    title = f"Own labels: the choice and its candidates, {settings.own_draws} draws of a space"
    return report.Report(title=title, columns=columns, rows=rows, comparison=comparison, values=values)
