"""A benchmark that trains: small networks on the digit images that scikit-learn ships."""

import dataclasses
import functools
import time
from collections.abc import Sequence

import joblib
import numpy as np
import tensorflow as tf

from tfnas.benchmarks.base import Evaluator, Score
from tfnas.benchmarks.trained.evaluator import TrainedConfig, TrainedEvaluator
from tfnas.benchmarks.trained.images import ImageData
from tfnas.networks.nasbench201 import NASBench201Network, Skeleton, operation_codes
from tfnas.networks.nasbench201_population import Population, Tensors
from tfnas.spaces import Architecture, NASBench201


@dataclasses.dataclass(frozen=True)
class DigitsConfig:
    """How each network is trained.

    Attributes:
      skeleton: the network around the cell.
      train_images: number of training images, few enough that architectures differ.
      epochs: passes over them.
      batch_size: images per update.
      learning_rate: first learning rate of SGD with Nesterov momentum 0.9, which falls to 0 along a cosine.
      seed: decides the initial weights and the order of the images.
      split_seed: decides which images train, validate and test.
      group: largest number of networks in one tensor program. A network's numbers depend on no other network.
    """

    skeleton: Skeleton = dataclasses.field(default_factory=lambda: Skeleton(channels=8, cells_per_stage=1, stages=2))
    train_images: int = 200
    epochs: int = 12
    batch_size: int = 40
    learning_rate: float = 0.05
    seed: int = 0
    split_seed: int = 0
    group: int = 8


@dataclasses.dataclass(frozen=True)
class Curves:
    """What training A networks gave.

    Attributes:
      validation: accuracy in [0, 1] after every epoch, float32 `[A, epochs]`.
      test: accuracy in [0, 1] on the test images after every epoch, float32 `[A, epochs]`.
      seconds: wall-clock time of the whole training, of all A networks together.
    """

    validation: np.ndarray
    test: np.ndarray
    seconds: float


class PopulationTrainer:
    """Trains networks of NAS-Bench-201 cells from scratch, `config.group` at a time.

    Args:
      config: network and training.
    """

    def __init__(self, config: DigitsConfig):
        self.config = config
        # Networks, epochs, learning rate and seed are arguments of the programs.
        self._programs = _programs(dataclasses.replace(config, epochs=1, learning_rate=0.0, seed=0, group=1))

    def train(self, codes: np.ndarray, every_epoch: bool = False) -> Curves:
        """Trains the networks of some cells.

        Args:
          codes: int `[A, 6]`, indices into `EDGE_OPERATIONS`; A is at most `config.group`.
          every_epoch: measure after every epoch, and not only after the last.
        """
        config = self.config
        started = time.perf_counter()
        cells = tf.constant(codes, tf.int32)
        weights, statistics = self._programs.population.initial(len(codes), config.seed)
        momentum = tf.nest.map_structure(tf.zeros_like, weights)
        per_epoch = config.train_images // config.batch_size
        rng = np.random.default_rng(config.seed)
        steps = np.arange(config.epochs * per_epoch)
        rates = 0.5 * config.learning_rate * (1 + np.cos(np.pi * steps / len(steps)))
        curves = []
        for epoch, epoch_rates in enumerate(np.split(rates.astype(np.float32), config.epochs), start=1):
            order = rng.permutation(config.train_images)[: per_epoch * config.batch_size]
            weights, statistics, momentum = self._programs.epoch(
                weights,
                statistics,
                momentum,
                cells,
                tf.constant(order.reshape(per_epoch, -1), tf.int32),
                tf.constant(epoch_rates),
            )
            if every_epoch or epoch == config.epochs:
                curves.append(self._programs.accuracies(weights, statistics, cells).numpy())
        validation, test = np.moveaxis(np.array(curves), 0, -1)
        return Curves(validation, test, time.perf_counter() - started)


class _Programs:
    """The images of a benchmark, and the programs that train and measure a group of networks on them."""

    def __init__(self, config: DigitsConfig):
        self._config = config
        images = ImageData.digits(config.train_images, config.split_seed)
        self._train = tuple(tf.constant(array) for array in images.train)
        measured = images.validation, images.test
        self._measured = tuple(tf.constant(np.concatenate(arrays)) for arrays in zip(*measured, strict=True))
        self._sizes = [len(labels) for _, labels in measured]
        self.population = Population(config.skeleton, images.train[0].shape[-1])
        weights, statistics = tf.nest.map_structure(
            _spec, self.population.initial(1, config.seed), self.population.initial(2, config.seed)
        )
        codes = tf.TensorSpec([None, None], tf.int32)
        batches = (tf.TensorSpec([None, config.batch_size], tf.int32), tf.TensorSpec([None]))
        self.epoch = tf.function(self._epoch, [weights, statistics, weights, codes, *batches])
        self.accuracies = tf.function(self._accuracies, [weights, statistics, codes], autograph=False)

    def _epoch(
        self,
        weights: Tensors,
        statistics: Tensors,
        momentum: Tensors,
        codes: tf.Tensor,
        order: tf.Tensor,
        rates: tf.Tensor,
    ) -> tuple[Tensors, Tensors, Tensors]:
        """Weights, statistics and momentum after one pass over the images."""
        images, labels = self._train
        for step in tf.range(tf.shape(rates)[0]):
            chosen = tf.repeat(tf.gather(labels, order[step])[:, None], tf.shape(codes)[0], axis=1)
            with tf.GradientTape() as tape:
                tape.watch(weights)
                logits, statistics = self.population.logits(
                    weights, statistics, codes, tf.gather(images, order[step]), training=True
                )
                losses = tf.nn.sparse_softmax_cross_entropy_with_logits(chosen, logits)
                loss = tf.reduce_sum(losses) / self._config.batch_size  # the networks share no weights
            gradients = tape.gradient(loss, weights)
            momentum = {name: 0.9 * momentum[name] + gradients[name] for name in weights}
            weights = {name: weights[name] - rates[step] * (0.9 * momentum[name] + gradients[name]) for name in weights}
        return weights, statistics, momentum

    def _accuracies(self, weights: Tensors, statistics: Tensors, codes: tf.Tensor) -> tf.Tensor:
        """Validation and test accuracy, float32 `[2, A]`."""
        images, labels = self._measured
        logits, _ = self.population.logits(weights, statistics, codes, images, training=False)
        right = tf.cast(tf.argmax(logits, axis=-1, output_type=tf.int32) == labels[:, None], tf.float32)
        return tf.stack([tf.reduce_mean(images, axis=0) for images in tf.split(right, self._sizes)])


def _spec(one: tf.Tensor, two: tf.Tensor) -> tf.TensorSpec:
    """The type of a tensor of any number of networks, from those of one network and of two."""
    lengths = zip(one.shape, two.shape, strict=True)
    return tf.TensorSpec([length if length == other else None for length, other in lengths], one.dtype)


# Trainings of the same networks that differ in length, rate or seed are traced once.
_programs = functools.lru_cache(maxsize=4)(_Programs)


class DigitsEvaluator(Evaluator):
    """Trains the network of every queried NAS-Bench-201 cell from scratch.

    Answers are kept by canonical hash: the same architecture is trained once. The cost of a query is its share of the
    time that its group took.

    Args:
      config: network and training; by default those of the benchmark.
    """

    def __init__(self, config: DigitsConfig | None = None):
        self.space = NASBench201()
        self.config = config or DigitsConfig()
        self._known: dict[str, Score] = {}

    @functools.cached_property
    def _trainer(self) -> PopulationTrainer:
        return PopulationTrainer(self.config)

    def trainer(self) -> TrainedEvaluator:
        config = self.config
        return TrainedEvaluator(
            self.space,
            lambda cell, *_: NASBench201Network(config.skeleton, cell),
            ImageData.digits(config.train_images, config.split_seed),
            TrainedConfig(config.epochs, config.batch_size, config.learning_rate, seed=config.seed),
        )

    def query(self, architectures: Sequence[Architecture]) -> list[Score]:
        hashes = [self.space.canonical_hash(architecture) for architecture in architectures]
        missing = {h: a for h, a in zip(hashes, architectures, strict=True) if h not in self._known}
        codes = np.array([operation_codes(architecture) for architecture in missing.values()])
        groups = [codes[start : start + self.config.group] for start in range(0, len(codes), self.config.group)]
        trainer = self._trainer  # made here, on one thread
        curves = joblib.Parallel(n_jobs=-1, require="sharedmem")(
            joblib.delayed(trainer.train)(group) for group in groups
        )
        scores = [
            Score(float(validation), float(test), curve.seconds / len(curve.test))
            for curve in curves
            for (validation,), (test,) in zip(curve.validation, curve.test, strict=True)
        ]
        self._known.update(zip(missing, scores, strict=True))
        return [self._known[h] for h in hashes]
