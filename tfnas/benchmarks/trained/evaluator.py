"""A benchmark that trains the Keras network of every architecture it is asked for."""

import dataclasses
import math
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import tf_keras

from tfnas import artefacts, runtime
from tfnas.benchmarks.base import Evaluator, Score
from tfnas.benchmarks.trained.images import ImageData, Labelled
from tfnas.benchmarks.trained.metrics import METRICS, check_scoring, weights_of_classes
from tfnas.benchmarks.trained.trial_log import TrialLog
from tfnas.errors import ConfigurationError, CorruptArtefactError
from tfnas.spaces import Architecture, Space


@dataclasses.dataclass(frozen=True)
class TrainedConfig:
    """How `TrainedEvaluator` trains.

    Attributes:
      epochs: passes over the training images.
      batch_size: images per update.
      learning_rate: first learning rate of SGD with Nesterov momentum 0.9, which falls to 0 along a cosine.
      weight_decay: share of a weight, times the learning rate, that every update subtracts.
      seed: seed of the initial weights and of the order of images.
      time_limit_seconds: longest training in seconds, after which it is stopped and recorded as failed; 0 for no limit.
      metric: name in `METRICS` of the score that a search maximises.
      class_weights: name in `CLASS_WEIGHTS` of the classes' weights in the loss.

    Raises:
      ConfigurationError: an unknown metric, or unknown weights.
    """

    epochs: int = 12
    batch_size: int = 64
    learning_rate: float = 0.05
    weight_decay: float = 0.0
    seed: int = 0
    time_limit_seconds: float = 0.0
    metric: str = "accuracy"
    class_weights: str = "none"

    def __post_init__(self) -> None:
        check_scoring(self)


class TrainedEvaluator(Evaluator):
    """Trains the Keras network of every queried architecture from scratch on a set of images.

    A training that fails (an exception, a loss that is not finite, too much time) is a score of 0 with the reason in
    `failure`; the search goes on. Answers are kept by canonical hash, and in a file if one is given.

    Args:
      space: the search space.
      build: gives the Keras model (version 2 or 3) of an architecture for some image shape and number of classes. It
        maps images float32 `[B, height, width, channels]` to logits `[B, classes]`.
      data: the images.
      config: settings of the training.
      cache: path of a `TrialLog`, whose answers are not computed again; by default answers are kept in memory.
      network: JSON value that tells the builder's networks from the networks of other builders; a `TrialLog` needs it.

    Attributes:
      metric: name of the score.
      watcher: function that is called with the score of every finished training; by default none.

    Raises:
      ConfigurationError: a metric that is undefined on the images, or a log without the value for `network`.
    """

    batch = 1

    def __init__(
        self,
        space: Space,
        build: Callable[[Architecture, tuple[int, int, int], int], tf_keras.Model],
        data: ImageData,
        config: TrainedConfig | None = None,
        cache: artefacts.PathLike | None = None,
        network: Any = None,
    ):
        self.space, self.data = space, data
        self.config = config or TrainedConfig()
        self.metric = self.config.metric
        for name in ("validation", "test"):
            METRICS[self.metric].check(name, getattr(data, name)[1], data.class_names)
        self._build, self._network = build, network
        self._known: dict[str, Score] = {}
        self._log: TrialLog | None = None
        self.watcher: Callable[[Score], None] | None = None
        if cache is not None:
            self.keep_in(cache)

    def trainer(self) -> "TrainedEvaluator":
        return self

    def __str__(self) -> str:
        """Images and networks in two lines."""
        sizes = self._network if isinstance(self._network, Mapping) else {"networks": self._network}
        networks = ", ".join(f"{name} {value}" for name, value in sizes.items())
        return f"Images: {self.data}\nNetworks: {networks}; validation {self.metric} decides"

    def query(self, architectures: Sequence[Architecture]) -> list[Score]:
        return [
            self.known(architecture) or self.remember(architecture, self._score_of(architecture))
            for architecture in architectures
        ]

    def known(self, architecture: Architecture) -> Score | None:
        """The answer that was given before, here or by another process that keeps its answers in the same file."""
        key = self.space.canonical_hash(architecture)
        if key not in self._known and self._log is not None:
            record = self._log.get(key)
            if record is not None:
                self._known[key] = self._score(record)
        return self._known.get(key)

    @property
    def logged(self) -> int:
        """Number of trainings in the log."""
        return 0 if self._log is None else len(self._log.records())

    def remember(self, architecture: Architecture, score: Score) -> Score:
        """Keeps the answer of a training; returns what counts, which is the first answer that anybody kept."""
        key = self.space.canonical_hash(architecture)
        if self._log is not None:
            score = self._score(self._log.add(key, dataclasses.asdict(score)))
        if self.watcher is not None:
            self.watcher(score)
        return self._known.setdefault(key, score)

    def _score(self, record: Mapping[str, Any]) -> Score:
        try:
            return Score(**record)
        except TypeError as error:
            raise CorruptArtefactError(f"{self._log.path}: {record} is not a score") from error

    def _score_of(self, architecture: Architecture) -> Score:
        started = time.perf_counter()
        try:
            return self.train(architecture)[1]
        except Exception as error:  # whatever a user's model raises is its own failure, not the search's
            return Score.of_error(error, time.perf_counter() - started)

    def train(self, architecture: Architecture) -> tuple[Any, Score]:
        """The Keras model of an architecture, trained as a query trains it, and its score.

        Raises:
          FloatingPointError: the loss is not finite.
          TimeoutError: the training takes longer than the limit.
        """
        started = time.perf_counter()
        model, validation, test = self._fit(architecture)
        return model, Score(validation, test, time.perf_counter() - started)

    def _fit(self, architecture: Architecture) -> tuple[Any, float, float]:
        """The trained model, its score on the validation images and its score on the test images."""
        started = time.perf_counter()
        config, data = self.config, self.data
        tf_keras.utils.set_random_seed(config.seed)
        model = self._build(architecture, data.train[0].shape[1:], data.num_classes)
        keras = _keras_of(model)
        steps = config.epochs * math.ceil(len(data.train[1]) / config.batch_size)
        schedule = keras.optimizers.schedules.CosineDecay(config.learning_rate, steps)
        model.compile(
            keras.optimizers.SGD(schedule, momentum=0.9, nesterov=True, weight_decay=config.weight_decay or None),
            keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        )
        if keras is tf_keras:  # a step that makes no variables is traced once, not twice
            if not model.built:
                model(data.train[0][: config.batch_size])
            model.optimizer.build(model.trainable_variables)
        limit = config.time_limit_seconds
        weights = weights_of_classes(config.class_weights, data.train[1], data.num_classes)
        with runtime.progress(total=config.epochs, desc="Training", unit="epoch", delay=1.0) as advance:
            history = model.fit(
                *data.train,
                batch_size=config.batch_size,
                epochs=config.epochs,
                verbose=0,
                class_weight=None if weights is None else dict(enumerate(weights.tolist())),
                callbacks=[_progress(keras, advance), *([_stopwatch(keras, started + limit)] if limit else [])],
            )
        loss = history.history["loss"][-1]
        if not math.isfinite(loss):
            raise FloatingPointError(f"the loss is {loss}")
        return model, self._measured(model, data.validation), self._measured(model, data.test)

    def _measured(self, model: Any, data: Labelled) -> float:
        images, labels = data
        logits = model.predict(images, batch_size=256, verbose=0)
        if not np.isfinite(logits).all():
            raise FloatingPointError("the network's outputs are not finite")
        return METRICS[self.metric].score(labels, logits)

    def keep_in(self, cache: artefacts.PathLike) -> None:
        """Takes the answers in a `TrialLog`, and adds every new answer to it from now on.

        Several searches, in as many processes, may keep their answers in one file.

        Raises:
          ConfigurationError: nothing tells which networks are trained; see the argument `network`.
          CorruptArtefactError: a line is damaged, or the file is no log; a torn last line is cut off.
          MismatchError: the answers were made with other data, another space, other networks or another configuration.
        """
        if self._network is None:
            raise ConfigurationError("a trial log needs network=..., a value that names the networks of the builder")
        header = {
            "space": self.space.name,
            "data": self.data.fingerprint,
            "classes": self.data.num_classes,
            "network": self._network,
            "config": dataclasses.asdict(self.config),
        }
        self._log = TrialLog(cache, header)


def _keras_of(model: object) -> Any:
    """The Keras that made a model: version 2 inside tfnas, maybe version 3 outside."""
    if isinstance(model, tf_keras.Model):
        return tf_keras
    import keras

    if isinstance(model, keras.Model):
        return keras
    raise ConfigurationError(f"the builder returned {type(model).__name__}, expected a Keras model")


def _progress(keras: Any, advance: Callable[[], object]) -> Any:
    """A callback that moves a bar ahead after every epoch."""

    class Progress(keras.callbacks.Callback):
        def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
            advance()

    return Progress()


def _stopwatch(keras: Any, deadline: float) -> Any:
    """A callback that raises TimeoutError after a time of `time.perf_counter`."""

    class Stopwatch(keras.callbacks.Callback):
        def on_train_batch_end(self, batch: int, logs: dict | None = None) -> None:
            if time.perf_counter() > deadline:
                raise TimeoutError(f"time limit reached in batch {batch + 1}")

    return Stopwatch()
