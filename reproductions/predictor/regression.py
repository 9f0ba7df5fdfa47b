"""The encoder with a regression head, trained on labels from end to end: the baseline, and fine-tuning unfrozen.

References:
  Han et al. 2023, sections 4.3 and 5.1 ("GNN-fine-tune").
"""

import dataclasses
import pathlib
from collections.abc import Callable

import numpy as np
import tensorflow as tf
import tf_keras

from tfnas.corpora.graphs import require_labels
from tfnas.encoders.computation_graph.config import GraphEncoderConfig
from tfnas.encoders.computation_graph.model import GraphEncoder
from tfnas.graphs.packed import DeviceGraphs, FlatBatch, PackedGraphs, embed_packed
from tfnas.training import loop


@dataclasses.dataclass(frozen=True)
class RegressionConfig:
    """Schedules of training on labels.

    Attributes:
      epochs: passes over the source labels.
      batch_size: source labels per update.
      learning_rate: learning rate of Adam for source labels; it falls to 0 along a cosine.
      tune_epochs: passes over the labels of fine-tuning.
      tune_batch_size: labels of fine-tuning per update.
      tune_learning_rate: learning rate of Adam in fine-tuning; it falls to 0 along a cosine.
      clip_norm: bound on the global gradient norm.
    """

    epochs: int = 3
    batch_size: int = 128
    learning_rate: float = 1e-3
    tune_epochs: int = 60
    tune_batch_size: int = 10
    tune_learning_rate: float = 3e-4
    clip_norm: float = 5.0


class GraphRegressor(tf_keras.Model):
    """A `GraphEncoder` and three hidden layers.

    Args:
      config: configuration of the encoder.
      seed: seed of the initial weights.
      hidden: widths of the hidden layers.
    """

    def __init__(self, config: GraphEncoderConfig, seed: int = 0, hidden: tuple[int, ...] = (128, 128, 128)):
        super().__init__()
        self.encoder = GraphEncoder(config, seed)
        # These layers belong to the contrastive loss.
        self.encoder.hidden.trainable = self.encoder.projection.trainable = False
        first = seed * 10_000 + 5000
        self.head = [
            tf_keras.layers.Dense(
                width,
                activation,
                kernel_initializer=tf_keras.initializers.HeNormal(first + layer),
                name=f"head_{layer}",
            )
            for layer, (width, activation) in enumerate([*((width, "relu") for width in hidden), (1, None)])
        ]
        self.score(tf.zeros([1, config.embedding_dim]))

    def score(self, embeddings: tf.Tensor) -> tf.Tensor:
        """Standardised accuracies float32 `[B]` from embeddings `[B, D]`."""
        for layer in self.head:
            embeddings = layer(embeddings)
        return embeddings[:, 0]

    def call(self, batch: FlatBatch, features: tf.Tensor | None = None) -> tf.Tensor:
        """Standardised accuracies float32 `[B]`; the arguments are those of `GraphEncoder.encode`."""
        return self.score(self.encoder.encode(batch, features))


class RegressionTask(loop.Task):
    """Squared error of standardised accuracies.

    Args:
      model: trained in place.
      graphs: N graphs with standardised labels.
      steps: length of the run, over which the learning rate falls.
      batch_size: graphs per update.
      learning_rate: learning rate of Adam.
      replicas: number of replicas over which every batch is split.

    Raises:
      ConfigurationError: a label is missing.
    """

    metric_names = ("loss",)
    jit_compile = False  # as for `ContrastiveTask`

    def __init__(
        self,
        model: GraphRegressor,
        graphs: PackedGraphs,
        steps: int,
        batch_size: int,
        learning_rate: float,
        replicas: int = 1,
    ):
        require_labels(graphs)
        self.model = model
        self.optimizer = loop.adam(learning_rate, steps)
        self.num_examples = len(graphs)
        self._graphs = DeviceGraphs(graphs, batch_size // replicas)
        self.data = (tf.range(len(graphs)), tf.constant(graphs.labels))

    def loss(self, batch: loop.Minibatch) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
        rows, labels = batch.data
        flat, present = self._graphs.batch(rows)
        errors = self.model(flat, self._graphs.features) - labels
        loss = tf.reduce_sum(batch.weights * present * errors**2) / batch.total_weight
        return loss, {"loss": loss}


def train(
    model: GraphRegressor,
    graphs: PackedGraphs,
    config: RegressionConfig,
    folder: pathlib.Path,
    *,
    seed: int,
    strategy: tf.distribute.Strategy,
    resume: bool = False,
) -> None:
    """Trains in place on graphs with standardised labels; writes checkpoints and metrics to `folder`."""
    steps = config.epochs * -(-len(graphs) // config.batch_size)
    with strategy.scope():
        task = RegressionTask(
            model, graphs, steps, config.batch_size, config.learning_rate, strategy.num_replicas_in_sync
        )
    schedule = loop.TrainingConfig(config.epochs, config.batch_size, seed, config.clip_norm, steps_per_call=10)
    loop.train(task, schedule, folder, strategy, resume=resume)


class FineTuner:
    """Fine-tunes a trained regressor on several small sets of labels, each from the same weights.

    Args:
      model: trained regressor; its weights are put back after every set.
      config: schedules.
      graphs: all graphs that labels may come from.
      labels_per_set: number n of labels in each set.
    """

    def __init__(self, model: GraphRegressor, config: RegressionConfig, graphs: PackedGraphs, labels_per_set: int):
        self._model, self._config, self._graphs = model, config, graphs
        self._start = model.get_weights()
        self._device = DeviceGraphs(graphs, config.tune_batch_size)
        steps = config.tune_epochs * -(-labels_per_set // config.tune_batch_size)
        self._optimizer = loop.adam(config.tune_learning_rate, steps)
        self._optimizer.build(model.trainable_variables)
        self._fresh = [variable.numpy() for variable in self._optimizer.variables]

        @tf.function
        def run(rows: tf.Tensor, weights: tf.Tensor, targets: tf.Tensor) -> None:
            for step in tf.range(tf.shape(rows)[0]):
                with tf.GradientTape() as tape:
                    flat, present = self._device.batch(rows[step])
                    errors = model(flat, self._device.features) - targets[step]
                    loss = tf.reduce_sum(weights[step] * present * errors**2) / tf.reduce_sum(weights[step])
                gradients, _ = tf.clip_by_global_norm(tape.gradient(loss, model.trainable_variables), config.clip_norm)
                self._optimizer.apply_gradients(zip(gradients, model.trainable_variables, strict=True))

        self._run = run
        self._predict: Callable[[FlatBatch], tf.Tensor] = tf.function(
            lambda batch: model(batch)[:, None], reduce_retracing=True
        )

    def predictions(self, rows: np.ndarray, targets: np.ndarray, tests: np.ndarray, seed: int) -> np.ndarray:
        """Fine-tunes on one set and predicts.

        Args:
          rows: int `[n]`, graphs with labels.
          targets: standardised accuracies `[n]` of the graphs.
          tests: int `[m]`, graphs to predict.
          seed: seed of the order.

        Returns:
          float32 `[m]`.
        """
        config = self._config
        self._model.set_weights(self._start)
        self._optimizer.set_weights(self._fresh)
        schedule = loop.TrainingConfig(config.tune_epochs, config.tune_batch_size, seed)
        batches = [loop.epoch_batches(len(rows), schedule, epoch) for epoch in range(config.tune_epochs)]
        chosen, weights = (np.concatenate(arrays) for arrays in zip(*batches, strict=True))
        self._run(tf.constant(rows[chosen], tf.int32), tf.constant(weights), tf.constant(targets[chosen], tf.float32))
        return embed_packed(self._predict, self._graphs[tests])[:, 0]
