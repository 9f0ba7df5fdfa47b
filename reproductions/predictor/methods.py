"""The predictors that the experiments compare: each from labels of source families and few of a target to ranks."""

import dataclasses
import math
import pathlib
from collections.abc import Callable, Sequence

import numpy as np
import tensorflow as tf

from reproductions.correlations import spearman
from reproductions.predictor import regression
from reproductions.predictor.corpus import Corpus, fine_tuning_sets
from reproductions.predictor.regression import FineTuner, GraphRegressor, RegressionConfig
from reproductions.predictor.settings import Settings
from tfnas.encoders.computation_graph.config import GraphEncoderConfig
from tfnas.encoders.computation_graph.model import GraphEncoder
from tfnas.graphs.packed import embed_packed
from tfnas.predictors import features
from tfnas.predictors.additive_gp import AdditiveGP
from tfnas.predictors.config import MLPConfig
from tfnas.predictors.mlp import MLPEnsemble

Predictions = list[np.ndarray]
"""Per run, float32 for the graphs `Task.tests`."""

_FRESH_EPOCHS = 30  # passes over few source labels
_FEW = 5000


@dataclasses.dataclass(frozen=True)
class Task:
    """One target family.

    Attributes:
      corpus: all graphs.
      family: the target.
      pool: int `[m]`, labelled graphs of the family.
      sets: int `[R, n]`, graphs whose labels fine-tuning may see, per run.
      seed: seed of everything random.
    """

    corpus: Corpus
    family: str
    pool: np.ndarray
    sets: list[np.ndarray]
    seed: int

    @classmethod
    def of(cls, corpus: Corpus, family: str, settings: Settings) -> "Task":
        """The task of a family, with a pool and sets that the seed decides."""
        pool = corpus.pool(family, settings.seed)
        return cls(corpus, family, pool, fine_tuning_sets(pool, family, settings.runs, settings.seed), settings.seed)

    def positions(self, rows: np.ndarray) -> np.ndarray:
        """Positions int `[n]` in the pool of some of its graphs."""
        order = np.argsort(self.pool)
        return order[np.searchsorted(self.pool, rows, sorter=order)]

    def tests(self, run: int) -> np.ndarray:
        """The graphs of the pool that the run may not see."""
        return np.setdiff1d(self.pool, self.sets[run])

    def targets(self) -> np.ndarray:
        """Labels of the sets with mean 0 and deviation 1 in each, float `[R, n]`."""
        labels = np.stack([self.corpus.graphs.labels[rows] for rows in self.sets])
        return (labels - labels.mean(axis=1, keepdims=True)) / labels.std(axis=1, keepdims=True)

    def predictions(self, predict: Callable[[int, np.ndarray], np.ndarray]) -> Predictions:
        """What a function of run and graphs says of the test graphs of every run."""
        return [np.asarray(predict(run, self.tests(run)), np.float32) for run in range(len(self.sets))]

    def correlations(self, predictions: Predictions) -> list[float]:
        """Spearman's correlation of every run."""
        labels = self.corpus.graphs.labels
        return [spearman(values, labels[self.tests(run)]) for run, values in enumerate(predictions)]


def mlp(task: Task, embeddings: np.ndarray, *, source: bool = True) -> tuple[Predictions, float]:
    """A multi-layer perceptron on frozen embeddings `[N, D]`, trained on the sources and fine-tuned on the target.

    Args:
      task: the target.
      embeddings: float `[N, D]`.
      source: whether to train on the sources first.

    Returns:
      Predictions, and the correlation on the whole pool before fine-tuning (NaN without sources).
    """
    inputs = features.standardised(embeddings).astype(np.float32)
    sources = task.corpus.without(task.family)
    ensemble = MLPEnsemble(MLPConfig(epochs=_FRESH_EPOCHS if len(sources) < _FEW else 10), task.seed)
    before = math.nan
    if source:
        ensemble.fit(inputs[sources], task.corpus.standardised_labels()[sources])
        labels = task.corpus.graphs.labels[task.pool]
        before = spearman(ensemble.predict(inputs[task.pool])[0], labels)
    else:
        ensemble.start(inputs.shape[1])
    tuned = ensemble.fine_tune(np.stack([inputs[rows] for rows in task.sets]), task.targets(), calibrate=False)
    return task.predictions(lambda run, rows: tuned.predict(inputs[rows], run)[0]), before


def end_to_end(
    task: Task,
    config: GraphEncoderConfig,
    folder: pathlib.Path,
    *,
    encoder: Sequence[np.ndarray] | None = None,
    schedule: RegressionConfig = RegressionConfig(),  # noqa: B008 (frozen)
) -> Predictions:
    """A graph network trained on the sources and fine-tuned on the target with all its weights.

    Args:
      task: the target.
      config: configuration of the encoder.
      folder: folder of checkpoints and metrics of the training on the sources.
      encoder: weights that the encoder starts from; by default fresh ones.
      schedule: epochs, batch sizes and learning rates of both trainings.
    """
    strategy = tf.distribute.get_strategy()
    model = GraphRegressor(config, task.seed)
    if encoder is not None:
        model.encoder.set_weights(encoder)
    graphs = task.corpus.graphs
    sources = task.corpus.without(task.family)
    labelled = graphs[sources].with_labels(task.corpus.standardised_labels()[sources])
    if len(sources) < _FEW:
        schedule = dataclasses.replace(schedule, epochs=_FRESH_EPOCHS // 2)
    regression.train(model, labelled, schedule, folder, seed=task.seed, strategy=strategy, resume=True)
    pool = graphs[task.pool]
    tuner = FineTuner(model, schedule, pool, len(task.sets[0]))
    targets = task.targets()

    def predict(run: int, rows: np.ndarray) -> np.ndarray:
        return tuner.predictions(task.positions(task.sets[run]), targets[run], task.positions(rows), task.seed + run)

    return task.predictions(predict)


def process(task: Task, blocks: Sequence[np.ndarray]) -> tuple[Predictions, AdditiveGP]:
    """A Gaussian process on blocks `[m, D_b]` of features of the pool's graphs; sources are not used.

    Returns:
      Predictions, and the process.
    """
    sets = [task.positions(rows) for rows in task.sets]
    labels = np.stack([task.corpus.graphs.labels[rows] for rows in task.sets])
    model = AdditiveGP().fit([np.stack([block[rows] for rows in sets]) for block in blocks], labels)

    def predict(run: int, rows: np.ndarray) -> np.ndarray:
        positions = task.positions(rows)
        return model.predict([block[positions] for block in blocks], run)[0]

    return task.predictions(predict), model


def mean(predictions: Sequence[Predictions]) -> Predictions:
    """The mean of several methods' predictions, each brought to mean 0 and deviation 1 over the test graphs."""
    return [
        np.mean([(values - values.mean()) / (values.std() + 1e-9) for values in run], axis=0)
        for run in zip(*predictions, strict=True)
    ]


def untrained_embeddings(config: GraphEncoderConfig, corpus: Corpus, seed: int) -> np.ndarray:
    """Embeddings float32 `[N, D]` by an encoder with its initial weights."""
    model = GraphEncoder(config, seed)
    return embed_packed(tf.function(model.encode, reduce_retracing=True), corpus.graphs, progress=True)
