"""The supervised counterpart of arch2vec: the same encoder, trained on accuracies instead of on architectures alone.

References:
  Yan et al. 2020 (arch2vec), section 4.1 ("supervised architecture representation learning").
"""

import numpy as np
import tensorflow as tf
import tf_keras

from tfnas.encoders.arch2vec import metrics
from tfnas.encoders.arch2vec.config import Arch2VecConfig
from tfnas.encoders.arch2vec.model import Arch2Vec
from tfnas.encoders.layers import linear
from tfnas.errors import ConfigurationError
from tfnas.spaces import CellTable, Space
from tfnas.training import loop


class SupervisedEncoder:
    """Fits encoder and a linear head to measured accuracies, and embeds with the encoder.

    One object can be fitted many times; each fit starts from new weights, and nothing is compiled twice for the same
    number of cells.

    Args:
      space: search space of the cells.
      config: configuration of the encoder, with batch size, learning rate and clipping of the training; by default
        arch2vec with a learning rate of 3e-3, which was chosen, with `epochs`, on Digits-201.
      epochs: passes over the labelled cells.
    """

    def __init__(self, space: Space, config: Arch2VecConfig | None = None, epochs: int = 100):
        self.space, self.epochs = space, epochs
        self.config = config or Arch2VecConfig(learning_rate=3e-3)
        self._task: _Regression | None = None

    def fit(self, cells: CellTable, targets: np.ndarray, seed: int) -> "SupervisedEncoder":
        """Trains on N cells.

        Args:
          cells: N cells.
          targets: accuracies `[N]`; they are standardised here.
          seed: seed of weights and order.

        Raises:
          ConfigurationError: fewer than two cells, another number of targets, or one that is not finite.
        """
        targets = np.asarray(targets, np.float64)
        if targets.shape != (len(cells),) or len(cells) < 2 or not np.isfinite(targets).all():
            raise ConfigurationError(f"{len(cells)} cells and targets {targets.shape}, expected at least 2 finite ones")
        spread = targets.std()
        standardised = (targets - targets.mean()) / (spread if spread > 0 else 1.0)
        schedule = loop.TrainingConfig(self.epochs, self.config.batch_size, seed, self.config.clip_norm)
        steps = -(-len(cells) // self.config.batch_size)
        if self._task is None or self._task.num_examples != len(cells):
            self._task = _Regression(self.space, self.config, len(cells))
            strategy = tf.distribute.get_strategy()
            self._program = loop.compile_steps(self._task, schedule, strategy, steps, training=True)
        self._task.start(cells, standardised, seed)
        for epoch in range(1, self.epochs + 1):
            indices, weights = loop.epoch_batches(len(cells), schedule, epoch)
            self._program(tf.constant(indices), tf.constant(weights), {}, tf.constant(steps))
        return self

    def embed(self, cells: CellTable) -> np.ndarray:
        """Embeddings float32 `[N, D]` of any cells of the space.

        Raises:
          ConfigurationError: nothing was fitted yet.
        """
        if self._task is None:
            raise ConfigurationError("fit the encoder before it embeds")
        return metrics.embeddings(self._task.encoder, cells)


class _Regression(loop.Task):
    """Mean squared error of a linear function of the embedding."""

    metric_names = ("loss",)

    def __init__(self, space: Space, config: Arch2VecConfig, count: int):
        self._space, self._config = space, config
        vertices, operations = space.max_vertices, len(space.operations)
        self.encoder = Arch2Vec(config, vertices, operations)
        self._head = linear(config.embedding_dim, 1, 0, "head")
        self._head.build((None, config.embedding_dim))
        self.model = tf_keras.Model()  # the weights that are trained, without the decoder
        self.model.trained_layers = [*self.encoder.graph_layers, self.encoder.mean_head, self._head]
        self.optimizer = loop.adam(config.learning_rate)
        self.optimizer.build(self.model.trainable_variables)
        self.num_examples = count
        self.data = (
            tf.Variable(tf.zeros([count, vertices], tf.uint8), trainable=False),
            tf.Variable(tf.zeros([count, vertices, vertices], tf.uint8), trainable=False),
            tf.Variable(tf.zeros([count]), trainable=False),
        )
        self._optimizer_start = [variable.numpy() for variable in self.optimizer.variables]

    def start(self, cells: CellTable, targets: np.ndarray, seed: int) -> None:
        """Takes new data, and weights as the seed gives them."""
        for variable, value in zip(self.data, (cells.operations, cells.adjacency, targets), strict=True):
            variable.assign(tf.cast(value, variable.dtype))
        fresh = Arch2Vec(self._config, self._space.max_vertices, len(self._space.operations), seed)
        self.encoder.set_weights(fresh.get_weights())
        head = linear(self._config.embedding_dim, 1, 1000 * seed + 950, "head")
        head.build((None, self._config.embedding_dim))
        self._head.set_weights(head.get_weights())
        self.optimizer.set_weights(self._optimizer_start)

    def loss(self, batch: loop.Minibatch) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
        codes, adjacency, targets = batch.data
        ops = tf.one_hot(tf.cast(codes, tf.int32), len(self._space.operations))
        embedding, _ = self.encoder.embed(ops, tf.cast(adjacency, tf.float32), batch.weights, batch.training)
        errors = (self._head(embedding)[:, 0] - targets) ** 2
        loss = tf.reduce_sum(errors * batch.weights) / batch.total_weight
        return loss, {"loss": loss}
