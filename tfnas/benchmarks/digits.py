"""A benchmark that trains: small networks on the digit images that scikit-learn ships."""

import concurrent.futures
import dataclasses
import functools
import os
import queue
import time
from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from tfnas.benchmarks.base import Evaluator, Score
from tfnas.networks.nasbench201 import NASBench201Network, Skeleton, operation_codes
from tfnas.spaces import Architecture, NASBench201


@dataclasses.dataclass(frozen=True)
class DigitsConfig:
    """How each network is trained.

    Attributes:
      skeleton: the network around the cell.
      train_images: images to learn from; so few that architectures differ.
      epochs: passes over them.
      batch_size: images per update.
      learning_rate: of SGD with Nesterov momentum 0.9, falling to 0 along a cosine.
      seed: decides the split, the initial weights and the order of the images.
    """

    skeleton: Skeleton = dataclasses.field(default_factory=lambda: Skeleton(channels=8, cells_per_stage=1, stages=2))
    train_images: int = 200
    epochs: int = 12
    batch_size: int = 40
    learning_rate: float = 0.05
    seed: int = 0


class Images:
    """scikit-learn's 1,797 digits, 8 x 8 grey values scaled to [-1, 1], split into train, validation and test.

    What is not used for training is halved into validation and test; all three keep the shares of the ten classes.
    """

    def __init__(self, train_images: int, seed: int):
        from sklearn.datasets import load_digits
        from sklearn.model_selection import train_test_split

        digits = load_digits()
        images = (digits.images[..., None] / 8.0 - 1.0).astype(np.float32)
        labels = digits.target.astype(np.int32)
        train, rest = train_test_split(
            np.arange(len(labels)), train_size=train_images, stratify=labels, random_state=seed
        )
        validation, test = train_test_split(rest, train_size=0.5, stratify=labels[rest], random_state=seed)
        self.train = images[train], labels[train]
        self.validation = images[validation], labels[validation]
        self.test = images[test], labels[test]


class DigitsEvaluator(Evaluator):
    """Trains the network of every queried NAS-Bench-201 cell from scratch.

    The operations of the cell are data of one traced program, so that no architecture waits for a trace of its own.
    Answers are kept by canonical hash: the same architecture is trained once.

    Args:
      config: network and training.
      workers: networks that train at the same time; by default one per processor.
    """

    def __init__(self, config: DigitsConfig | None = None, workers: int | None = None):
        self.space = NASBench201()
        self.config = config or DigitsConfig()
        self._count = workers or os.cpu_count() or 1
        self._known: dict[str, Score] = {}

    @functools.cached_property
    def _idle(self) -> "queue.SimpleQueue[_Trainer]":
        images = Images(self.config.train_images, self.config.seed)
        trainers: queue.SimpleQueue[_Trainer] = queue.SimpleQueue()
        for _ in range(self._count):
            trainers.put(_Trainer(self.config, images))
        return trainers

    def query(self, architectures: Sequence[Architecture]) -> list[Score]:
        hashes = [self.space.canonical_hash(architecture) for architecture in architectures]
        missing = {h: a for h, a in zip(hashes, architectures, strict=True) if h not in self._known}
        trainers = self._idle  # made here, on one thread
        with concurrent.futures.ThreadPoolExecutor(self._count) as pool:
            trained = pool.map(lambda architecture: self._train(architecture, trainers), missing.values())
            self._known.update(zip(missing, trained, strict=True))
        return [self._known[h] for h in hashes]

    @staticmethod
    def _train(architecture: Architecture, idle: "queue.SimpleQueue[_Trainer]") -> Score:
        trainer = idle.get()
        try:
            return trainer.train(architecture)
        finally:
            idle.put(trainer)


class _Trainer:
    """One network with its optimizer and its traced training run."""

    def __init__(self, config: DigitsConfig, images: Images):
        self._config = config
        self._network = NASBench201Network(config.skeleton)
        self._data = [
            tuple(tf.constant(part) for part in parts) for parts in (images.train, images.validation, images.test)
        ]
        self._network(self._data[0][0][:1], codes=tf.zeros([6], tf.int32))
        steps = config.epochs * (config.train_images // config.batch_size)
        schedule = tf.keras.optimizers.schedules.CosineDecay(config.learning_rate, steps)
        self._optimizer = tf.keras.optimizers.SGD(schedule, momentum=0.9, nesterov=True)
        self._optimizer.build(self._network.trainable_variables)
        self._run = tf.function(self._train_and_score)

    def train(self, architecture: Architecture) -> Score:
        started = time.perf_counter()
        self._reset()
        validation, test = self._run(tf.constant(operation_codes(architecture)), tf.constant(self._orders()))
        return Score(float(validation), float(test), time.perf_counter() - started)

    def _reset(self) -> None:
        """Initial weights are the same for every architecture with the same operation at the same place."""
        for number, variable in enumerate(self._network.variables):
            if len(variable.shape) > 1:
                fan_in = int(np.prod(variable.shape[:-1]))
                value = tf.random.stateless_normal(
                    variable.shape, (self._config.seed, number), stddev=np.sqrt(2.0 / fan_in)
                )
            else:
                starts_at_one = variable.name.split("/")[-1].startswith(("gamma", "moving_variance"))
                value = tf.ones_like(variable) if starts_at_one else tf.zeros_like(variable)
            variable.assign(value)
        for variable in self._optimizer.variables:
            if variable.dtype.is_floating and variable is not self._optimizer.learning_rate:
                variable.assign(tf.zeros_like(variable))
        self._optimizer.iterations.assign(0)

    def _orders(self) -> np.ndarray:
        """Image numbers int32 `[steps, batch]`."""
        config = self._config
        rng = np.random.default_rng(config.seed)
        per_epoch = config.train_images // config.batch_size
        orders = [rng.permutation(config.train_images)[: per_epoch * config.batch_size] for _ in range(config.epochs)]
        return np.concatenate(orders).reshape(-1, config.batch_size).astype(np.int32)

    def _train_and_score(self, codes: tf.Tensor, orders: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        images, labels = self._data[0]
        variables = self._network.trainable_variables
        for step in tf.range(tf.shape(orders)[0]):
            rows = orders[step]
            with tf.GradientTape() as tape:
                logits = self._network(tf.gather(images, rows), codes=codes, training=True)
                losses = tf.nn.sparse_softmax_cross_entropy_with_logits(tf.gather(labels, rows), logits)
                loss = tf.reduce_mean(losses)
            self._optimizer.apply_gradients(zip(tape.gradient(loss, variables), variables, strict=True))
        return self._accuracy(codes, *self._data[1]), self._accuracy(codes, *self._data[2])

    def _accuracy(self, codes: tf.Tensor, images: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
        predicted = tf.argmax(self._network(images, codes=codes), axis=-1, output_type=tf.int32)
        return tf.reduce_mean(tf.cast(predicted == labels, tf.float32))
