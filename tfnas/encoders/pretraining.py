"""The frame of every encoder's learning: training, export, metrics, pictures, and restored checkpoints."""

import abc
import dataclasses
import pathlib
from collections.abc import Callable, Mapping
from typing import Any, Self

import numpy as np
import tensorflow as tf
import tf_keras

from tfnas import artefacts
from tfnas.errors import ConfigurationError, CorruptArtefactError
from tfnas.reports import figures
from tfnas.training import loop
from tfnas.training.log import read_metrics
from tfnas.training.strategies import is_chief

ENCODER_NAME = "encoder"
"""Folder of the export in a run's output folder."""


class Learning(abc.ABC):
    """An encoder's learning, from its data to an export.

    Attributes:
      config: settings of the encoder.
      run: method that learns, exports, draws and returns the summary, of an output folder and a `seed`.
    """

    config: Any
    run: Callable[..., dict[str, Any]]

    @classmethod
    @abc.abstractmethod
    def read(cls, config: Any, inputs: Any, seed: int) -> Self:
        """The learning from data on disk or of a space.

        Args:
          config: settings of the encoder.
          inputs: sources of the data, an instance of the class that the row of `ENCODERS` names.
          seed: seed of what is sampled.
        """

    def settings(self, inputs: Any) -> dict[str, Any]:
        """Entries of `run.json` on the data."""
        return dataclasses.asdict(inputs)

    @abc.abstractmethod
    def check(self) -> None:
        """Raises ConfigurationError if the data don't suffice, LegacyKerasError if the model could not be exported."""

    @abc.abstractmethod
    def facts(self) -> dict[str, Any]:
        """Entries of the summary on the data."""

    @abc.abstractmethod
    def headline(self, summary: Mapping[str, Any]) -> str:
        """Text that a finished run prints."""


class Pretraining(Learning):
    """A learning by gradients, with metrics and pictures.

    Attributes:
      title: title of the learning curves.
      map_title: title of the map of embeddings, of encoders that draw it.
      shares: metrics between 0 and 1 that are drawn beside the loss.
      steps_per_call: updates per call of the compiled program.
      stages: folders of the trainings that follow each other, below the output folder.
    """

    title: str
    map_title: str
    shares: tuple[str, ...] = ()
    steps_per_call: int = 10
    stages: tuple[str, ...] = ("",)

    @classmethod
    def for_export(cls, config: Any, inputs: Any, seed: int) -> "Pretraining":
        """The learning for exports alone; a subclass may leave out data that an export does not need."""
        return cls.read(config, inputs, seed)

    @abc.abstractmethod
    def new_model(self) -> tf_keras.Model:
        """A model whose weights a checkpoint can be restored to."""

    @abc.abstractmethod
    def task(self, stage: str, model: tf_keras.Model | None, seed: int, epochs: int, replicas: int) -> loop.Task:
        """The task of a stage; later stages continue with the model of earlier ones."""

    @abc.abstractmethod
    def export(self, model: tf_keras.Model, folder: artefacts.PathLike, **facts: Any) -> dict[str, Any]:
        """Writes the SavedModel with a manifest, which is returned; `facts` are further entries of the manifest."""

    def origin(self) -> dict[str, Any]:
        """Entries on the data in the summary of an exported checkpoint; none by default."""
        return {}

    def mapped(self, model: tf_keras.Model, seed: int) -> tuple[np.ndarray, list[str]] | None:
        """Embeddings `[n, D]` and names of families `[n]` that a map shows; no map by default."""
        return None

    def schedule(self, epochs: int, seed: int) -> loop.TrainingConfig:
        """Settings of the training loop."""
        return loop.TrainingConfig(
            epochs, self.config.batch_size, seed, self.config.clip_norm, steps_per_call=self.steps_per_call
        )

    def draw_curves(self, history: list[dict[str, Any]], folder: pathlib.Path) -> None:
        """Draws loss and shares by epoch."""
        figures.training_curves(history, folder / "training.png", title=self.title, shares=self.shares)

    def train(
        self,
        output_dir: pathlib.Path,
        *,
        epochs: int,
        seed: int,
        strategy: tf.distribute.Strategy | None = None,
        resume: bool = False,
    ) -> tf_keras.Model:
        """Trains a model; checkpoints and metrics go to a folder per stage.

        Args:
          output_dir: an existing folder.
          epochs: passes over the data, in every stage.
          seed: seed of everything random.
          strategy: strategy of the training loop; the strategy in scope by default.
          resume: whether to continue from the last checkpoint.

        Raises:
          ConfigurationError: not a positive number of epochs, or data that don't suffice.
        """
        if epochs < 1:
            raise ConfigurationError(f"epochs={epochs}, expected at least 1")
        self.check()
        strategy = strategy or tf.distribute.get_strategy()
        model = None
        for stage in self.stages:
            with strategy.scope():
                task = self.task(stage, model, seed, epochs, strategy.num_replicas_in_sync)
            model = task.model
            folder = output_dir / stage
            folder.mkdir(exist_ok=True)
            loop.train(task, self.schedule(epochs, seed), folder, strategy, resume=resume)
        return model

    def run(
        self,
        output_dir: pathlib.Path,
        *,
        epochs: int,
        seed: int,
        strategy: tf.distribute.Strategy | None = None,
        resume: bool = False,
    ) -> dict[str, Any]:
        """Trains, exports and draws.

        Writes `encoder/` (SavedModel), `metrics.jsonl`, `tensorboard/` and `checkpoints/` of every stage,
        `training.png`, `summary.json` and, of encoders that draw their embeddings, `map.png`.

        Args:
          output_dir: an existing folder.
          epochs: passes over the data, in every stage.
          seed: seed of everything random.
          strategy: strategy of the training loop; the strategy in scope by default.
          resume: whether to continue from the last checkpoint.

        Returns:
          The summary; empty in workers that write nothing.

        Raises:
          ConfigurationError: not a positive number of epochs, or data that don't suffice.
        """
        strategy = strategy or tf.distribute.get_strategy()
        model = self.train(output_dir, epochs=epochs, seed=seed, strategy=strategy, resume=resume)
        if not is_chief(strategy):
            return {}
        history = read_metrics(output_dir / self.stages[-1] / "metrics.jsonl")
        summary = {
            **self.facts(),
            "epochs": epochs,
            "seed": seed,
            "parameters": int(np.sum([np.prod(variable.shape) for variable in model.trainable_variables])),
            **{name: value for name, value in history[-1].items() if name != "epoch"},
        }
        manifest = self.export(
            model, output_dir / ENCODER_NAME, config=dataclasses.asdict(self.config), training=summary
        )
        summary["encoder_sha256"] = artefacts.fingerprint(manifest)
        self.draw_curves(history, output_dir)
        mapped = self.mapped(model, seed)
        if mapped is not None:
            figures.family_map(*mapped, output_dir / "map.png", title=self.map_title)
        artefacts.write_json(output_dir / "summary.json", summary)
        return summary


def restore(model: tf_keras.Model, checkpoint: str) -> None:
    """Gives a model the weights of a run's checkpoint.

    Raises:
      CorruptArtefactError: the checkpoint is damaged, or holds another model.
    """
    try:
        tf.train.Checkpoint(model=model).restore(checkpoint).expect_partial().assert_existing_objects_matched()
    except (tf.errors.OpError, AssertionError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise CorruptArtefactError(f"{checkpoint}: not a readable checkpoint ({reason})") from error
