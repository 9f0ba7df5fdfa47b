"""Contrast between initialisations, from corpora of Jacobians to an exported encoder."""

import collections
import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf
import tf_keras

from tfnas import artefacts
from tfnas.encoders.contrastive import Members, contrastive_losses, members
from tfnas.encoders.jacobian.config import JacobianEncoderConfig
from tfnas.encoders.jacobian.corpus import ARRAYS, JacobianCorpus, load
from tfnas.encoders.jacobian.export import export
from tfnas.encoders.jacobian.model import JacobianEncoder
from tfnas.encoders.jacobian.program import Inputs, mask
from tfnas.encoders.pretraining import Pretraining
from tfnas.encoders.settings import Corpora
from tfnas.errors import ConfigurationError, MismatchError
from tfnas.training.loop import Minibatch, Task, adam

_CHUNK = 512


class InitializationTask(Task):
    """Trains a `JacobianEncoder` so that two initialisations of one architecture lie close together (NT-Xent).

    Args:
      config: network, loss and optimiser.
      corpus: M usable architectures in at least two initialisations.
      seed: seed of the initial weights.
      epochs: length of the run, over which the learning rate falls.

    Raises:
      ConfigurationError: a single initialisation, or a Jacobian that is zero or not finite.
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
            rate = tf_keras.optimizers.schedules.ExponentialDecay(config.learning_rate, steps, 0.95, staircase=True)
        else:
            rate = tf_keras.optimizers.schedules.CosineDecay(config.learning_rate, steps * epochs)
        if config.weight_decay:
            self.optimizer = tf_keras.optimizers.AdamW(
                rate, weight_decay=config.weight_decay, epsilon=1e-8, jit_compile=False
            )
        else:
            self.optimizer = adam(rate)
        self.num_examples = len(corpus)
        self.data = tuple(tf.constant(array) for array in corpus.inputs)

    def draw(self, seed: tf.Tensor, steps: int, batch_size: int) -> dict[str, tf.Tensor]:
        """Two different initialisations `[steps, batch, 2]` for every architecture."""
        first = tf.random.stateless_uniform([steps, batch_size], seed, 0, self._initializations, tf.int32)
        shift = tf.random.stateless_uniform([steps, batch_size], seed + 1, 1, self._initializations, tf.int32)
        return {"pair": tf.stack([first, (first + shift) % self._initializations], axis=2)}

    def loss(self, batch: Minibatch) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
        count = 2 * tf.shape(batch.weights)[0]
        views = [tf.gather(values, batch.draws["pair"], batch_dims=1) for values in batch.data]
        inputs = Inputs(*(tf.concat([view[:, 0], view[:, 1]], 0) for view in views))
        anchors, every = members(
            self.model.project(self.model.encode(inputs)),
            tf.zeros([count], tf.int32),
            tf.zeros([count, 1]),
            tf.concat([batch.weights, batch.weights], 0),
        )
        losses = contrastive_losses(anchors, every, kind="simclr", temperature=self.config.temperature)
        loss = tf.reduce_sum(losses) / (2.0 * batch.total_weight)
        return loss, {"loss": loss, "found": self._matched(anchors, every) / (2.0 * batch.total_weight)}

    @staticmethod
    def _matched(anchors: Members, every: Members) -> tf.Tensor:
        """Number of anchors whose partner is the nearest Jacobian of the batch."""
        distinct = (anchors.number[:, None] != every.number[None]) & (every.weight[None] > 0)
        likeness = tf.where(distinct, tf.matmul(anchors.projection, every.projection, transpose_b=True), -2.0)
        nearest = tf.gather(every.number, tf.argmax(likeness, axis=1))
        return tf.reduce_sum(anchors.weight * tf.cast(nearest == anchors.partner, tf.float32))


def flat_inputs(corpus: JacobianCorpus) -> Inputs:
    """The Jacobians of all initialisations in a row: B = M A."""
    return Inputs(*(tf.constant(array.reshape(-1, *array.shape[2:])) for array in corpus.inputs))


def embed(model: JacobianEncoder, corpus: JacobianCorpus) -> np.ndarray:
    """Embeddings float32 `[M, A, D]`; NaN for Jacobians that are zero or not finite."""
    inputs = flat_inputs(corpus)
    encode = tf.function(model.encode, autograph=False, reduce_retracing=True)
    embeddings = [
        encode(Inputs(*(values[start : start + _CHUNK] for values in inputs))).numpy()
        for start in range(0, corpus.state.size, _CHUNK)
    ]
    return mask(np.concatenate(embeddings), corpus.state.ravel()).reshape(*corpus.state.shape, -1)


def joined(corpora: Sequence[JacobianCorpus]) -> JacobianCorpus:
    """Jacobians of several spaces as a single corpus, for training; its cells are the cells of the first corpus.

    Raises:
      MismatchError: the corpora differ in their images or in the settings of their Jacobians.
    """
    first = corpora[0]
    for other in corpora[1:]:
        if not np.array_equal(other.images, first.images):
            raise MismatchError(
                f"{other.space.name} and {first.space.name}: Jacobians over other images can't be joined"
            )
        if dataclasses.replace(other.config, shard_size=first.config.shard_size) != first.config:
            raise MismatchError(
                f"{other.space.name} and {first.space.name}: Jacobians computed with {other.config} and {first.config} "
                "can't be joined"
            )
    return dataclasses.replace(
        first, **{name: np.concatenate([getattr(corpus, name) for corpus in corpora]) for name in ARRAYS}
    )


class JacobianPretraining(Pretraining):
    """Pretraining of the Jacobian encoder.

    Architectures with a Jacobian that is zero or not finite are left out and counted.

    Args:
      config: network, loss and optimiser.
      corpora: corpora of one or more spaces.

    Raises:
      MismatchError: see `joined`.
    """

    title = "contrast of initialisations"
    map_title = "embeddings of data Jacobians"
    shares = ("found",)
    steps_per_call = 20

    def __init__(self, config: JacobianEncoderConfig, corpora: Sequence[JacobianCorpus]):
        self.config = config
        self.corpora = corpora
        # A joined corpus has fewer cells than Jacobians: rows are taken only where there is something to leave out.
        self.usable = [corpus if corpus.usable.all() else corpus[np.flatnonzero(corpus.usable)] for corpus in corpora]
        self.everything = joined(self.usable)

    @classmethod
    def read(cls, config: JacobianEncoderConfig, inputs: Corpora, seed: int) -> "JacobianPretraining":
        return cls(config, [load(folder) for folder in inputs.corpus])

    def check(self) -> None:
        if len(self.everything) < self.config.batch_size:
            raise ConfigurationError(
                f"{len(self.everything)} architectures, expected at least batch_size={self.config.batch_size}"
            )

    def new_model(self) -> JacobianEncoder:
        corpus = self.everything
        return JacobianEncoder(self.config, *corpus.directions.shape[2:], corpus.frequencies.shape[-1], 0)

    def task(
        self, stage: str, model: JacobianEncoder | None, seed: int, epochs: int, replicas: int
    ) -> InitializationTask:
        return InitializationTask(self.config, self.everything, seed, epochs)

    def facts(self) -> dict[str, Any]:
        return {
            "architectures": _totals(self.usable, [len(corpus) for corpus in self.usable]),
            "left_out": _totals(self.corpora, [int((~corpus.usable).sum()) for corpus in self.corpora]),
            "initializations": self.everything.state.shape[1],
        }

    def export(self, model: JacobianEncoder, folder: artefacts.PathLike, **facts: Any) -> dict[str, Any]:
        return export(model, folder, self.everything, **facts)

    def mapped(self, model: JacobianEncoder, seed: int) -> tuple[np.ndarray, list[str]]:
        names = [corpus.space.name for corpus in self.usable for _ in range(len(corpus))]
        return embed(model, self.everything).mean(axis=1), names

    def headline(self, summary: Mapping[str, Any]) -> str:
        left_out = sum(summary["left_out"].values())
        count = sum(summary["architectures"].values())
        return f"{count} architectures ({left_out} left out), loss {summary['loss']:.4f}"


def _totals(corpora: Sequence[JacobianCorpus], counts: Sequence[int]) -> dict[str, int]:
    """Counts by space."""
    totals: collections.Counter[str] = collections.Counter()
    for corpus, count in zip(corpora, counts, strict=True):
        totals[corpus.space.name] += count
    return dict(totals)
