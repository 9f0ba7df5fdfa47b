"""Ablations of the contrastive encoder: what each difference from the paper's preset is worth.

References:
  Han et al. 2023, section 4.2.
"""

import dataclasses
import functools
import math
import pathlib
from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

from reproductions import report
from reproductions.predictor import methods
from reproductions.predictor.corpus import TARGETS, Corpus, load
from reproductions.predictor.methods import Task
from reproductions.predictor.settings import Settings
from reproductions.predictor.table1 import predicted_once
from tfnas.encoders.computation_graph import config as encoder_config
from tfnas.encoders.computation_graph import similarity
from tfnas.encoders.computation_graph.model import GraphEncoder
from tfnas.encoders.computation_graph.task import ContrastiveTask
from tfnas.graphs.packed import FlatBatch, PackedGraphs, embed_packed
from tfnas.predictors.features import GraphFeatures
from tfnas.training import loop

_GRAPHS = 12_000  # random graphs that a variant is pretrained on
_EPOCHS = 2
_OURS = encoder_config.preset("tfnas")
_SPECTRA = {"similarity": "spectrum", "similarity_temperature": 0.05, "relative_temperature": False}
VARIANTS: dict[str, encoder_config.GraphEncoderConfig] = {
    "tfnas": _OURS,
    "messages forward only": dataclasses.replace(_OURS, directions="forward"),
    "mean over the last layer only": dataclasses.replace(_OURS, pooling="last"),
    "sizes not as logarithms": dataclasses.replace(_OURS, shape_scale="linear"),
    "similarity by spectrum, temperature 0.05": dataclasses.replace(_OURS, **_SPECTRA),
    "distant graphs weigh more": dataclasses.replace(_OURS, favour_distant=True),
    "SupCon": dataclasses.replace(_OURS, loss="supcon"),
    "SimCLR": dataclasses.replace(_OURS, loss="simclr"),
    "paper": encoder_config.preset("paper"),
}


def run(output_dir: pathlib.Path, settings: Settings) -> report.Report:
    """Runs the experiment: a Gaussian process on the embeddings of each variant.

    Args:
      output_dir: an existing folder.
      settings: numbers of networks, and of sets of labels per target.
    """
    corpus = load(output_dir, settings)
    chosen = np.sort(np.random.default_rng([settings.seed, 20]).permutation(len(corpus.graphs))[:_GRAPHS])
    tasks = {family: Task.of(corpus, family, settings) for family in TARGETS}
    correlations: dict[str, dict[str, list[float]]] = {}
    for number, (name, config) in enumerate(VARIANTS.items()):
        for trained in (False, True) if name in ("tfnas", "paper") else (True,):
            encoder = _Lazily(config, corpus, chosen, settings.seed, _EPOCHS if trained else 0)
            label = name if trained else f"{name}, untrained"
            correlations[label] = {}
            for family, task in tasks.items():
                file_name = f"table2_{number}_{int(trained)}_{family}"
                predictions, _ = predicted_once(output_dir, file_name, functools.partial(_predictions, task, encoder))
                correlations[label][family] = task.correlations(predictions)
    rows = [[name, *(report.spread(families[family]) for family in TARGETS)] for name, families in correlations.items()]
    sizes = {"runs": settings.runs, "seed": settings.seed, "graphs": _GRAPHS, "epochs": _EPOCHS}
    values = {**sizes, "correlations": correlations}
    trained = [families for name, families in correlations.items() if "untrained" not in name]
    spread = {family: np.ptp([np.mean(families[family]) for families in trained]) for family in TARGETS}
    comparison = [
        f"Every variant: {_GRAPHS:,} graphs, {_EPOCHS} epochs, then a Gaussian process on the embedding alone.",
        "Between the best and the worst trained variant lie "
        + ", ".join(f"{value:.3f} ({family})" for family, value in spread.items())
        + ".",
    ]
    columns = ["Spearman's correlation", *(f"{name} ({count} labels)" for name, count in TARGETS.items())]
    title = "Ablations of the contrastive encoder"
    return report.Report(title=title, columns=columns, rows=rows, comparison=comparison, values=values)


class _Lazily:
    """A variant's encoder, trained when its embeddings are first asked for."""

    def __init__(self, *arguments: Any):
        self._arguments = arguments

    @functools.cached_property
    def _encode(self) -> Callable[[FlatBatch], tf.Tensor]:
        return tf.function(_encoder(*self._arguments).encode, reduce_retracing=True)

    def embed(self, graphs: PackedGraphs) -> np.ndarray:
        """Embeddings float32 `[N, D]`."""
        return embed_packed(self._encode, graphs)


def _predictions(task: Task, encoder: _Lazily) -> tuple[methods.Predictions, float]:
    blocks = GraphFeatures(task.corpus.graphs[task.pool], ["embedding"], encoder.embed).blocks
    return methods.process(task, blocks)[0], math.nan


def _encoder(
    config: encoder_config.GraphEncoderConfig, corpus: Corpus, rows: np.ndarray, seed: int, epochs: int
) -> GraphEncoder:
    """An encoder trained on some graphs; with its initial weights for 0 epochs."""
    if not epochs:
        return GraphEncoder(config, seed)
    graphs = corpus.graphs[rows]
    points = similarity.descriptors(graphs, config.similarity, eigenvalues=corpus.spectra[rows])
    task = ContrastiveTask(config, graphs, seed, epochs, points)
    schedule = loop.TrainingConfig(epochs, config.batch_size, seed, config.clip_norm)
    task.optimizer.build(task.model.trainable_variables)
    steps = -(-len(graphs) // config.batch_size)
    program = loop.compile_steps(task, schedule, tf.distribute.get_strategy(), steps, True)
    for epoch in range(1, epochs + 1):
        draws = task.draw(tf.constant([seed, epoch]), steps, config.batch_size)
        indices, weights = loop.epoch_batches(len(graphs), schedule, epoch)
        program(tf.constant(indices), tf.constant(weights), draws, tf.constant(steps))
    return task.model
