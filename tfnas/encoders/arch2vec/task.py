"""arch2vec's learning, from cells to an exported encoder."""

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from tfnas import artefacts
from tfnas.corpora import cell_sources
from tfnas.encoders.arch2vec import metrics
from tfnas.encoders.arch2vec.config import Arch2VecConfig, Arch2VecInputs
from tfnas.encoders.arch2vec.export import export
from tfnas.encoders.arch2vec.model import Arch2Vec, batch_loss, loss_terms
from tfnas.encoders.pretraining import Pretraining
from tfnas.errors import ConfigurationError
from tfnas.graphs import gnn
from tfnas.spaces import CellTable, Space, get_space
from tfnas.training.loop import Minibatch, Task, TrainingConfig, adam

NUM_SAMPLES = 10_000
"""Prior samples that validity and uniqueness are judged by."""
_TEST_SHARE = 0.1


class Arch2VecTask(Task):
    """Trains on one table of cells and evaluates on another.

    Args:
      config: network, loss and optimiser.
      space: the space of the cells.
      train_cells: N cells.
      test_cells: held-out cells for reconstruction accuracy.
      seed: seed of the initial weights and of the samples drawn in evaluation.
      epochs: length of the run, over which the learning rate falls.
    """

    metric_names = ("loss", "operations_loss", "edges_loss", "divergence")

    def __init__(
        self,
        config: Arch2VecConfig,
        space: Space,
        train_cells: CellTable,
        test_cells: CellTable,
        seed: int,
        epochs: int,
    ):
        self.config = config
        self.space = space
        self.model = Arch2Vec(config, space.max_vertices, len(space.operations), seed)
        steps = epochs * -(-len(train_cells) // config.batch_size)
        self.optimizer = adam(config.learning_rate, steps if config.decay_learning_rate else None)
        self.num_examples = len(train_cells)
        self.data = (tf.constant(train_cells.operations), tf.constant(train_cells.adjacency))
        self._train_cells, self._test_cells = train_cells, test_cells
        self._seed = seed

    def draw(self, seed: tf.Tensor, steps: int, batch_size: int) -> dict[str, tf.Tensor]:
        shape = [steps, batch_size, self.space.max_vertices, self.config.embedding_dim]
        draws = {}
        if self.config.variational:
            draws["noise"] = tf.random.stateless_normal(shape, seed)
        if self.config.dropout:
            retained = tf.random.stateless_uniform(shape, tf.add(seed, [0, 1 << 19])) >= self.config.dropout
            draws["kept"] = tf.cast(retained, tf.float32) / (1.0 - self.config.dropout)
        return draws

    def loss(self, batch: Minibatch) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
        ops = tf.one_hot(tf.cast(batch.data[0], tf.int32), len(self.space.operations))
        adjacency = tf.cast(batch.data[1], tf.float32)
        posterior = self.model.encode(ops, adjacency, batch.weights, batch.training)
        latent = posterior.mean
        if batch.training and self.config.variational:
            latent += tf.exp(posterior.log_stddev) * batch.draws["noise"]
        if batch.training and self.config.dropout:
            latent *= batch.draws["kept"]
        terms = loss_terms(
            self.config, ops, adjacency, self.model.vertex_mask(ops), posterior, *self.model.decode(latent)
        )
        loss = batch_loss(self.config, terms, batch.weights, batch.total_weight)
        shares = [tf.reduce_sum(term * batch.weights) / batch.total_weight for term in terms]
        return loss, dict(zip(self.metric_names, [loss, *shares], strict=True))

    def training_mode(self, epoch: int) -> bool:
        return self.config.training_mode_epochs == 0 or epoch <= self.config.training_mode_epochs

    def evaluate(self, epoch: int) -> dict[str, float]:
        return metrics.evaluate(
            self.model,
            self.space,
            self._train_cells,
            self._test_cells,
            NUM_SAMPLES,
            np.random.default_rng([self._seed, epoch]),
        )


def split(cells: CellTable) -> tuple[CellTable, CellTable]:
    """The training cells, and the last tenth, which is held out."""
    count = len(cells) - int(len(cells) * _TEST_SHARE)
    return cells[:count], cells[count:]


class Arch2VecPretraining(Pretraining):
    """Pretraining of arch2vec.

    Args:
      config: network, loss and optimiser.
      space: space of the cells.
      cells: N cells; the last tenth is held out.
    """

    shares = ("reconstruction_accuracy", "validity", "uniqueness")
    steps_per_call = 100

    def __init__(self, config: Arch2VecConfig, space: Space, cells: CellTable):
        self.config = config
        self.space = space
        self.cells = cells
        self.train_cells, self.test_cells = split(cells)
        self.title = f"arch2vec on {space.name}"

    @classmethod
    def read(cls, config: Arch2VecConfig, inputs: Arch2VecInputs, seed: int) -> "Arch2VecPretraining":
        millions = inputs.max_multiply_adds_millions
        bound = None if millions is None else 1e6 * millions
        space = get_space(inputs.space)
        return cls(config, space, cell_sources.cells_of(space, inputs.corpus, inputs.num_cells, seed, bound))

    @classmethod
    def for_export(cls, config: Arch2VecConfig, inputs: Arch2VecInputs, seed: int) -> "Arch2VecPretraining":
        space = get_space(inputs.space)
        none = CellTable(
            np.zeros((0, space.max_vertices), np.uint8), np.zeros((0, space.max_vertices, space.max_vertices), np.uint8)
        )
        return cls(config, space, none)

    def settings(self, inputs: Arch2VecInputs) -> dict[str, Any]:
        return dataclasses.asdict(inputs) | {"num_cells": len(self.cells)}

    def check(self) -> None:
        gnn.load()  # which the export needs
        if len(self.train_cells) < self.config.batch_size or not len(self.test_cells):
            raise ConfigurationError(f"{len(self.cells)} cells, expected more than {max(self.config.batch_size, 10)}")

    def new_model(self) -> Arch2Vec:
        return Arch2Vec(self.config, self.space.max_vertices, len(self.space.operations))

    def task(self, stage: str, model: Arch2Vec | None, seed: int, epochs: int, replicas: int) -> Arch2VecTask:
        return Arch2VecTask(self.config, self.space, self.train_cells, self.test_cells, seed, epochs)

    def schedule(self, epochs: int, seed: int) -> TrainingConfig:
        schedule = super().schedule(epochs, seed)
        return dataclasses.replace(schedule, shuffle_each_epoch=self.config.shuffle_each_epoch)

    def facts(self) -> dict[str, Any]:
        return {**self.origin(), "train_cells": len(self.train_cells), "test_cells": len(self.test_cells)}

    def origin(self) -> dict[str, Any]:
        return {"space": self.space.name}

    def export(self, model: Arch2Vec, folder: artefacts.PathLike, **facts: Any) -> dict[str, Any]:
        return export(model, self.space, folder, **facts)

    def headline(self, summary: Mapping[str, Any]) -> str:
        return "\n".join(f"{name:24s} {summary[name]:.4f}" for name in self.shares)
