"""arch2vec as a task of the training loop."""

from collections.abc import Mapping

import numpy as np
import tensorflow as tf

from tfnas.encoders.arch2vec import losses, metrics
from tfnas.encoders.arch2vec.config import Arch2VecConfig
from tfnas.encoders.arch2vec.model import Arch2Vec
from tfnas.spaces import Space
from tfnas.spaces.base import CellTable
from tfnas.training.loop import Task

NUM_SAMPLES = 10_000
"""Prior samples that validity and uniqueness are judged by."""


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
        learning_rate = config.learning_rate
        if config.decay_learning_rate:
            steps = epochs * -(-len(train_cells) // config.batch_size)
            learning_rate = tf.keras.optimizers.schedules.CosineDecay(learning_rate, steps)
        # The loop compiles the update together with everything else; a jitted optimizer inside would be a second one.
        self.optimizer = tf.keras.optimizers.Adam(learning_rate, epsilon=1e-8, jit_compile=False)
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
            kept = tf.random.stateless_uniform(shape, tf.add(seed, [0, 1 << 19])) >= self.config.dropout
            draws["kept"] = tf.cast(kept, tf.float32) / (1.0 - self.config.dropout)
        return draws

    def loss(
        self,
        batch: tuple[tf.Tensor, ...],
        draws: Mapping[str, tf.Tensor],
        row_weights: tf.Tensor,
        total_weight: tf.Tensor,
        training: bool,
    ) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
        ops = tf.one_hot(tf.cast(batch[0], tf.int32), len(self.space.operations))
        adjacency = tf.cast(batch[1], tf.float32)
        posterior = self.model.encode(ops, adjacency, row_weights, training)
        latent = posterior.mean
        if training and self.config.variational:
            latent += tf.exp(posterior.log_stddev) * draws["noise"]
        if training and self.config.dropout:
            latent *= draws["kept"]
        terms = losses.loss_terms(
            self.config, ops, adjacency, self.model.vertex_mask(ops), posterior, *self.model.decode(latent)
        )
        loss = losses.batch_loss(self.config, terms, row_weights, total_weight)
        shares = [tf.reduce_sum(term * row_weights) / total_weight for term in terms]
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
