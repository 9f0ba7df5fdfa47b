"""Contrast between initialisations as a task of the training loop."""

from collections.abc import Mapping

import tensorflow as tf

from tfnas.encoders.contrastive import Members, contrastive_losses
from tfnas.encoders.jacobian.config import JacobianEncoderConfig
from tfnas.encoders.jacobian.corpus import JacobianCorpus
from tfnas.encoders.jacobian.model import Inputs, JacobianEncoder
from tfnas.errors import ConfigurationError
from tfnas.training.loop import Task


class InitializationTask(Task):
    """Trains a `JacobianEncoder` so that two initialisations of one architecture lie close together (NT-Xent).

    Args:
      config: network, loss and optimiser.
      corpus: M architectures in at least two initialisations, all of them usable.
      seed: of the initial weights.
      epochs: length of the run, over which the learning rate falls.

    Raises:
      ConfigurationError: one initialisation only, or a Jacobian that is zero or not finite.
    """

    metric_names = ("loss", "found")

    def __init__(self, config: JacobianEncoderConfig, corpus: JacobianCorpus, seed: int, epochs: int):
        self._initializations = corpus.state.shape[1]
        if self._initializations < 2:
            raise ConfigurationError("one initialisation per architecture, expected at least two to compare")
        if not corpus.usable.all():
            raise ConfigurationError(
                f"{(~corpus.usable).sum()} architectures have Jacobians that are zero or not finite"
            )
        self.config = config
        self.model = JacobianEncoder(config, *corpus.directions.shape[2:], corpus.frequencies.shape[-1], seed)
        self.model.adapt(flat_inputs(corpus))
        steps = -(-len(corpus) // config.batch_size)
        if config.schedule == "epoch":
            rate = tf.keras.optimizers.schedules.ExponentialDecay(config.learning_rate, steps, 0.95, staircase=True)
        else:
            rate = tf.keras.optimizers.schedules.CosineDecay(config.learning_rate, steps * epochs)
        if config.weight_decay:
            self.optimizer = tf.keras.optimizers.AdamW(
                rate, weight_decay=config.weight_decay, epsilon=1e-8, jit_compile=False
            )
        else:
            self.optimizer = tf.keras.optimizers.Adam(rate, epsilon=1e-8, jit_compile=False)
        self.num_examples = len(corpus)
        self.data = tuple(
            tf.constant(part) for part in (corpus.directions, corpus.scales, corpus.correlations, corpus.frequencies)
        )

    def draw(self, seed: tf.Tensor, steps: int, batch_size: int) -> dict[str, tf.Tensor]:
        """Two different initialisations `[steps, batch, 2]` for every architecture."""
        first = tf.random.stateless_uniform([steps, batch_size], seed, 0, self._initializations, tf.int32)
        shift = tf.random.stateless_uniform([steps, batch_size], seed + 1, 1, self._initializations, tf.int32)
        return {"pair": tf.stack([first, (first + shift) % self._initializations], axis=2)}

    def loss(
        self,
        batch: tuple[tf.Tensor, ...],
        draws: Mapping[str, tf.Tensor],
        row_weights: tf.Tensor,
        total_weight: tf.Tensor,
        training: bool,
    ) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
        count = tf.shape(row_weights)[0]
        views = [tf.gather(part, draws["pair"], batch_dims=1) for part in batch]
        inputs = Inputs(*(tf.concat([view[:, 0], view[:, 1]], 0) for view in views))
        context = tf.distribute.get_replica_context()
        numbers = tf.range(2 * count) + 2 * count * context.replica_id_in_sync_group
        nothing = tf.zeros([2 * count])
        own = Members(
            projection=self.model.project(self.model.encode(inputs)),
            family=tf.zeros([2 * count], tf.int32),
            descriptor=nothing[:, None],
            number=numbers,
            partner=tf.roll(numbers, count, 0),
            weight=tf.concat([row_weights, row_weights], 0),
        )
        every = own
        if context.num_replicas_in_sync > 1:
            every = Members(*(context.all_gather(part, axis=0) for part in own))
        losses = contrastive_losses(own, every, kind="simclr", temperature=self.config.temperature)
        loss = tf.reduce_sum(losses) / (2.0 * total_weight)
        return loss, {"loss": loss, "found": self._found(own, every) / (2.0 * total_weight)}

    @staticmethod
    def _found(own: Members, every: Members) -> tf.Tensor:
        """How many anchors have their partner as the nearest of the batch."""
        others = (own.number[:, None] != every.number[None]) & (every.weight[None] > 0)
        likeness = tf.where(others, tf.matmul(own.projection, every.projection, transpose_b=True), -2.0)
        nearest = tf.gather(every.number, tf.argmax(likeness, axis=1))
        return tf.reduce_sum(own.weight * tf.cast(nearest == own.partner, tf.float32))


def flat_inputs(corpus: JacobianCorpus) -> Inputs:
    """The Jacobians of all initialisations, one after the other: B = M A."""
    parts = (corpus.directions, corpus.scales, corpus.correlations, corpus.frequencies)
    return Inputs(*(tf.constant(part.reshape(-1, *part.shape[2:])) for part in parts))
