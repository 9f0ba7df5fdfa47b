"""Rank correlations with few labels of a space: the paper's protocol, its baselines, and what is better.

Labels of the target are seen by fine-tuning alone. Its unlabelled graphs, those of the tests too, are seen by the
contrastive pretraining (as in the paper) and decide the scale of features.

References:
  Han et al. 2023, sections 5.1-5.2 and the table of Spearman correlations there.
"""

import math
import pathlib
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from reproductions import plots, report
from reproductions.predictor import methods
from reproductions.predictor.corpus import TARGETS, Corpus, load
from reproductions.predictor.methods import Task
from reproductions.predictor.settings import Settings
from tfnas.encoders.computation_graph import config as encoder_config
from tfnas.encoders.computation_graph import similarity
from tfnas.encoders.computation_graph.saved import SavedGraphEncoder
from tfnas.encoders.computation_graph.task import GraphPretraining
from tfnas.predictors.features import GraphFeatures

PAPER = {
    "GNN fine-tuned": ("0.542 ± 0.14", "0.884 ± 0.03", "0.872 ± 0.01"),
    "CL fine-tuned": ("0.553 ± 0.09", "0.917 ± 0.01", "0.892 ± 0.01"),
}
GOALS = {"nasbench101": 0.65, "nasbench201": 0.93, "nasbench301": 0.90}
_GP = "GP on graph features and tfnas embedding"
_TUNED = "tfnas: CL, all weights fine-tuned"
_MAIN = "mean of the last two"
_PAPERS = "paper: CL embedding, MLP fine-tuned"


def run(output_dir: pathlib.Path, settings: Settings) -> report.Report:
    """Runs the experiment and draws `table1.png`; `parts/` keeps finished methods.

    Args:
      output_dir: an existing folder.
      settings: numbers of networks, of fine-tunings per target, and of epochs of contrastive pretraining.
    """
    corpus = load(output_dir, settings)
    encoders = {name: pretrained(corpus, output_dir, name, settings) for name in ("paper", "tfnas")}
    tasks = {family: Task.of(corpus, family, settings) for family in TARGETS}
    correlations: dict[str, dict[str, list[float]]] = {}
    before: dict[str, dict[str, float]] = {}
    for family, task in tasks.items():
        predictions = {}
        for name, (predicted, earlier) in rows(task, encoders, output_dir).items():
            predictions[name] = predicted
            correlations.setdefault(name, {})[family] = task.correlations(predicted)
            if np.isfinite(earlier):
                before.setdefault(name, {})[family] = earlier
        joined = methods.mean([predictions[_GP], predictions[_TUNED]])
        correlations.setdefault(_MAIN, {})[family] = task.correlations(joined)
    sizes = {"runs": settings.runs, "seed": settings.seed}
    values = {**sizes, "correlations": correlations, "before_fine_tuning": before}
    _scatter(tasks, encoders["tfnas"][1], output_dir)
    return _report(values)


def pretrained(
    corpus: Corpus, output_dir: pathlib.Path, preset: str, settings: Settings
) -> tuple[SavedGraphEncoder, np.ndarray]:
    """The encoder that a preset's pretraining on all graphs gives, and its embeddings float32 `[N, D]`."""
    folder = output_dir / "encoders" / preset
    config = encoder_config.preset(preset)
    if not (folder / "summary.json").exists():
        folder.mkdir(parents=True, exist_ok=True)
        points = similarity.descriptors(corpus.graphs, config.similarity, eigenvalues=corpus.spectra)
        GraphPretraining(config, corpus.graphs, points).run(
            folder, epochs=settings.epochs, seed=settings.seed, resume=True
        )
    encoder = SavedGraphEncoder(folder / "encoder")
    arrays = report.computed_once(
        folder / "embeddings.npz", lambda: {"embeddings": encoder.embed(corpus.graphs, progress=True)}
    )
    return encoder, arrays["embeddings"]


def predicted_once(
    output_dir: pathlib.Path, name: str, compute: Callable[[], tuple[methods.Predictions, float]]
) -> tuple[methods.Predictions, float]:
    """Result of `compute`, which a file in `parts/` keeps for a resumed run."""

    def arrays_of() -> dict[str, np.ndarray]:
        predictions, before = compute()
        return {"before": np.array(before), **{f"run_{run}": values for run, values in enumerate(predictions)}}

    arrays = report.computed_once(output_dir / "parts" / f"{name}.npz", arrays_of)
    return [arrays[f"run_{number}"] for number in range(len(arrays) - 1)], float(arrays["before"])


def feature_blocks(task: Task, embeddings: np.ndarray) -> dict[str, list[np.ndarray]]:
    """Blocks of features of the pool's graphs: `features` of the graphs themselves, and the `embedding`."""
    graphs = task.corpus.graphs[task.pool]
    return {"features": GraphFeatures(graphs).blocks, "embedding": embedded(task, embeddings)}


def embedded(task: Task, embeddings: np.ndarray) -> list[np.ndarray]:
    """The block that the pool's embeddings `[N, D]` make."""
    graphs = task.corpus.graphs[task.pool]
    return GraphFeatures(graphs, ["embedding"], lambda _: embeddings[task.pool]).blocks


def rows(
    task: Task, encoders: dict[str, tuple[SavedGraphEncoder, np.ndarray]], output_dir: pathlib.Path
) -> dict[str, tuple[methods.Predictions, float]]:
    """All methods on one target: predictions, and the correlation before fine-tuning where there is one."""
    paper, ours = encoders["paper"][1], encoders["tfnas"][1]
    folder = output_dir / "trainings" / task.family
    blocks = feature_blocks(task, ours)
    every = blocks["features"]

    def process(features: Sequence[np.ndarray]) -> tuple[methods.Predictions, float]:
        return methods.process(task, features)[0], math.nan

    def ends(name: str, preset: str, weights: list[np.ndarray] | None) -> tuple[methods.Predictions, float]:
        (folder / name).mkdir(parents=True, exist_ok=True)
        config = encoder_config.preset(preset)
        return methods.end_to_end(task, config, folder / name, encoder=weights), math.nan

    def untrained() -> np.ndarray:
        return methods.untrained_embeddings(encoder_config.preset("tfnas"), task.corpus, task.seed)

    computations: dict[str, Callable[[], tuple[methods.Predictions, float]]] = {
        _PAPERS: lambda: methods.mlp(task, paper),
        "paper: CL, all weights fine-tuned": lambda: ends("cl_paper", "paper", encoders["paper"][0].variables()),
        "paper: GNN end to end, fine-tuned": lambda: ends("gnn", "paper", None),
        "paper: CL embedding, MLP without source labels": lambda: methods.mlp(task, paper, source=False),
        "tfnas: CL embedding, MLP fine-tuned": lambda: methods.mlp(task, ours),
        "GP on untrained embedding": lambda: process(embedded(task, untrained())),
        "GP on paper's embedding": lambda: process(embedded(task, paper)),
        "GP on tfnas embedding": lambda: process(blocks["embedding"]),
        "GP on structure": lambda: process(every[:1]),
        "GP on graph features": lambda: process(every),
        _GP: lambda: process(every + blocks["embedding"]),
        _TUNED: lambda: ends("cl_tfnas", "tfnas", encoders["tfnas"][0].variables()),
    }
    return {
        name: predicted_once(output_dir, f"table1_{task.family}_{number}", compute)
        for number, (name, compute) in enumerate(computations.items())
    }


def _scatter(tasks: dict[str, Task], embeddings: np.ndarray, output_dir: pathlib.Path) -> None:
    """Predicted against measured accuracy in the first run of a Gaussian process on features and embeddings."""
    panels = {}
    for family, task in tasks.items():
        blocks = [block for group in feature_blocks(task, embeddings).values() for block in group]
        predictions, model = methods.process(task, blocks)
        correlations = task.correlations(predictions)
        mean, deviation = model.predict(blocks, 0)
        shown = np.isin(task.pool, task.tests(0))
        title = f"{family}: {len(task.sets[0])} labels, Spearman {correlations[0]:.3f}"
        panels[title] = (task.corpus.graphs.labels[task.pool[shown]], model.to_labels(mean[shown], 0), deviation[shown])
    plots.prediction_scatter(panels, output_dir / "table1.png")


def _report(values: dict[str, Any]) -> report.Report:
    correlations = values["correlations"]
    table = [["published: " + name, *row] for name, row in PAPER.items()]
    for name, families in correlations.items():
        table.append([name, *(report.spread(families[family]) for family in TARGETS)])
    best = {family: float(np.mean(correlations[_MAIN][family])) for family in TARGETS}
    comparison = [
        f"{family}: {best[family]:.3f} with {labels} labels, goal {GOALS[family]:.2f} "
        f"{'reached' if best[family] >= GOALS[family] else 'missed'}; "
        f"the paper's method reaches {np.mean(correlations[_PAPERS][family]):.3f} here and "
        f"{PAPER['CL fine-tuned'][number]} in the paper."
        for number, (family, labels) in enumerate(TARGETS.items())
    ]
    comparison.append(
        "Before fine-tuning, with source labels alone: "
        + "; ".join(
            f"{name} " + ", ".join(f"{row[family]:.3f}" for family in TARGETS)
            for name, row in values["before_fine_tuning"].items()
        )
        + "."
    )
    columns = ["Spearman's correlation", *(f"{name} ({count} labels)" for name, count in TARGETS.items())]
    title = f"Accuracy of unseen networks by rank, {values['runs']} fine-tunings each"
    return report.Report(title=title, columns=columns, rows=table, comparison=comparison, values=values)
