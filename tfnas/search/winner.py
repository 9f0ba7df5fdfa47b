"""The best architecture of a search as a trained model that can be taken away.

The network is trained once more, on training and validation images together, and becomes a functional model of plain
Keras 3 that takes raw pixels.
"""

import copy
import dataclasses
import math
import pathlib
from collections.abc import Mapping
from typing import Any

import numpy as np
import tf_keras

from tfnas import artefacts, saved_models
from tfnas.benchmarks.base import Evaluator
from tfnas.benchmarks.trained.evaluator import TrainedEvaluator
from tfnas.benchmarks.trained.images import ImageData
from tfnas.benchmarks.trained.metrics import METRICS
from tfnas.errors import ConfigurationError
from tfnas.networks import functional
from tfnas.networks.functional_code import python_source
from tfnas.networks.registry import network_of
from tfnas.spaces import Architecture, Space

_MODEL = "model.keras"
_SUMMARY = "summary.json"


@dataclasses.dataclass(frozen=True)
class TrainedArchitecture:
    """An architecture with its trained network.

    Attributes:
      space: space of the architecture.
      architecture: the architecture.
      model: functional `keras.Model` from images float32 `[B, height, width, channels]`, of raw pixels where the data
        know how they were standardised, to logits `[B, classes]`.
      block: rows of the network that the model is made of.
      data: images of the training; the training images hold the search's validation images too.
      epochs: passes over the training images.
      test_accuracy: share of the test images that the model puts into the right class.
      metric: name in `METRICS` of the search's score.
      test_score: score of the model on the test images by the metric.
      searched: accuracies of the search's query, by name.
    """

    space: Space
    architecture: Architecture
    model: Any
    block: functional.Block
    data: ImageData
    epochs: int
    test_accuracy: float
    metric: str
    test_score: float
    searched: Mapping[str, float]

    @property
    def test_deviation(self) -> float:
        """Standard deviation of the test accuracy over sets of as many test images."""
        return math.sqrt(self.test_accuracy * (1 - self.test_accuracy) / len(self.data.test[1]))

    @property
    def summary(self) -> dict[str, Any]:
        """Facts of the model as JSON values."""
        return {
            "space": self.space.name,
            "architecture": self.space.to_string(self.architecture),
            "image_shape": list(self.data.train[0].shape[1:]),
            "inputs": "raw pixels" if self.data.pixel_mean else "standardised pixels",
            "outputs": functional.OUTPUT,
            "class_names": list(self.data.class_names),
            "parameters": self.model.count_params(),
            "epochs": self.epochs,
            "train_images": len(self.data.train[1]),
            "test_images": len(self.data.test[1]),
            "test_accuracy": self.test_accuracy,
            "test_deviation": self.test_deviation,
            "metric": self.metric,
            "test_score": self.test_score,
            "searched": dict(self.searched),
        }

    def save(self, folder: artefacts.PathLike) -> None:
        """Writes the model as `model.keras`, `saved_model` and `build_model.py`, and what is known of it.

        `model.keras` opens in plain Keras 3, `saved_model` in plain TensorFlow, and `build_model.py` builds the model
        without tfnas. `architecture.txt`, `summary.json`, `cell.png` and `cell.svg` describe the model.

        Args:
          folder: folder, which is replaced as a whole.
        """
        summary = self.summary
        image_shape, text = summary["image_shape"], summary["architecture"]
        title = f"Network of the {self.space.name} architecture {text}."
        with artefacts.atomic_folder(folder) as staging:
            saved_models.save_keras_file(self.model, staging / _MODEL, **summary)
            saved_models.save_classifier(self.model, staging / "saved_model", image_shape)
            source = python_source(self.block, image_shape, self.data.num_classes, title)
            artefacts.write_text(staging / "build_model.py", source)
            artefacts.write_text(staging / "architecture.txt", text + "\n")
            artefacts.write_json(staging / _SUMMARY, summary)
            self.space.draw(self.architecture, staging / "cell.png", title=f"{text}\ntest {self.test_accuracy:.2%}")


def train(
    space: Space,
    architecture: Architecture,
    images: ImageData | Evaluator,
    epochs: int | None = None,
    searched: Mapping[str, float] | None = None,
) -> TrainedArchitecture:
    """Trains the network of an architecture from scratch on training and validation images together.

    Args:
      space: space of the architecture.
      architecture: the architecture.
      images: images, whose network is the space's in `networks.registry`, or a benchmark that trains, whose network and
        settings the training has.
      epochs: passes over the images; by default those of the benchmark.
      searched: accuracies of the search's query, for the summary.

    Raises:
      ConfigurationError: a benchmark that trains nothing or another space, an epoch number below 1, a Keras on another
        backend than TensorFlow, a network of layers that plain Keras lacks, or a loss that is not finite.
    """
    trainer = _on_all_images(_trainer(space, images), epochs)
    text = space.to_string(architecture)
    # Names of layers decide the order of sums: with the names of a fresh process, a resumed search gives the same bits.
    tf_keras.backend.reset_uids()
    try:
        network, _ = trainer.train(architecture)
    except FloatingPointError as error:
        raise ConfigurationError(f"the final training of {text} failed: {error}") from error
    data = trainer.data
    block = functional.block_of(network, data.pixel_mean, data.pixel_deviation)
    model = functional.to_keras(block, data.train[0].shape[1:])
    images, labels = data.test
    if data.pixel_mean:
        images = images * np.float32(data.pixel_deviation) + np.float32(data.pixel_mean)
    logits = model.predict(images, batch_size=256, verbose=0)
    return TrainedArchitecture(
        space,
        architecture,
        model,
        block,
        data,
        trainer.config.epochs,
        test_accuracy=METRICS["accuracy"].score(labels, logits),
        metric=trainer.metric,
        test_score=METRICS[trainer.metric].score(labels, logits),
        searched=dict(searched or {}),
    )


def check(evaluator: Evaluator, epochs: int | None) -> None:
    """Raises ConfigurationError if a benchmark can't train its best architecture for some epochs.

    Args:
      evaluator: the benchmark.
      epochs: passes over the images; 0 for no training, and None for a training where the benchmark trains.
    """
    if epochs or (epochs is None and evaluator.trainer() is not None):
        _trainer(evaluator.space, evaluator)


def hand_over(
    space: Space,
    architecture: Architecture,
    evaluator: Evaluator,
    folder: pathlib.Path,
    epochs: int | None = None,
    searched: Mapping[str, float] | None = None,
) -> str:
    """Trains the best architecture of a search and saves the model, unless the folder holds the model already.

    Args:
      space: space of the architecture.
      architecture: the architecture.
      evaluator: the search's benchmark.
      folder: folder of the model; see `TrainedArchitecture.save`.
      epochs: passes over the images; 0 for no model, and by default those of a benchmark that trains.
      searched: accuracies of the search's query, for the summary.

    Returns:
      Lines that say how good the model is and how to use it; "" for no model.

    Raises:
      ConfigurationError: a training that `train` refuses.
    """
    trainer = evaluator.trainer()
    if epochs == 0 or (epochs is None and trainer is None):
        return ""
    identity = {"architecture": space.to_string(architecture), "epochs": epochs or trainer.config.epochs}
    path = folder / _SUMMARY
    summary = artefacts.read_json(path) if path.is_file() else {}
    if not identity.items() <= summary.items():
        trained = train(space, architecture, evaluator, epochs, searched)
        trained.save(folder)
        summary = trained.summary
    return _report(folder, summary)


def _report(folder: pathlib.Path, summary: Mapping[str, Any]) -> str:
    percent, deviation = 100 * summary["test_accuracy"], 100 * summary["test_deviation"]
    metric = summary["metric"]
    score = "" if metric == "accuracy" else f", {metric.replace('_', ' ')} {100 * summary['test_score']:.1f} %"
    return f"""\
The best architecture, trained for {summary["epochs"]} epochs on all {summary["train_images"]} images that are not for \
tests: {percent:.1f} ± {deviation:.1f} % of {summary["test_images"]} test images right{score}.
Model: {folder}/model.keras takes {summary["inputs"]} and gives {summary["outputs"]}; build_model.py and saved_model \
lie beside the file.
Use it:     keras.saving.load_model("{folder}/model.keras").predict(images)
Look at it: tfnas inspect --model={folder}/model.keras
Compare it: tfnas predict --model={folder}/model.keras
"""


def _trainer(space: Space, images: ImageData | Evaluator) -> TrainedEvaluator:
    """What trains the final network.

    Raises:
      ConfigurationError: a benchmark that trains nothing, or Keras on another backend than TensorFlow.
      MismatchError: a benchmark of another space.
    """
    import keras

    if keras.backend.backend() != "tensorflow":
        raise ConfigurationError(f"KERAS_BACKEND={keras.backend.backend()}, expected tensorflow for the final model")
    if isinstance(images, ImageData):
        return TrainedEvaluator(space, network_of(space).build, images)
    images.check_space(space)
    trainer = images.trainer()
    if trainer is None:
        raise ConfigurationError(
            f"the benchmark {images.name or type(images).__name__} trains no networks, so that none can be handed over"
        )
    return trainer


def _on_all_images(trainer: TrainedEvaluator, epochs: int | None) -> TrainedEvaluator:
    """A trainer that learns from training and validation images, without a limit of time."""
    if epochs is not None and epochs < 1:
        raise ConfigurationError(f"epochs={epochs}, expected at least 1")
    data = trainer.data
    together = tuple(np.concatenate(arrays) for arrays in zip(data.train, data.validation, strict=True))
    changes = {"epochs": epochs or trainer.config.epochs, "averaged_epochs": 1, "time_limit_seconds": 0.0}
    names = [field.name for field in dataclasses.fields(trainer.config)]
    final = copy.copy(trainer)
    final.data = dataclasses.replace(data, train=together)
    final.config = dataclasses.replace(trainer.config, **{name: changes[name] for name in names if name in changes})
    return final
