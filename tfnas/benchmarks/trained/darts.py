"""Training of DARTS networks: the query of a search, the final training, and the transfer to ImageNet.

References:
  Liu et al. 2019, "DARTS: Differentiable Architecture Search", section 3.2 and appendix A.
  Yan et al. 2020 (arch2vec), section 4.2, tables 4 and 5.
"""

import dataclasses
import pathlib
import tempfile
from collections.abc import Iterator
from typing import Any

import numpy as np
import tensorflow as tf
import tf_keras

from tfnas import artefacts, runtime
from tfnas.benchmarks.trained.darts_config import TRAININGS, DartsTraining
from tfnas.benchmarks.trained.evaluator import TrainedEvaluator
from tfnas.benchmarks.trained.images import ImageData, Labelled
from tfnas.benchmarks.trained.metrics import METRICS, weights_of_classes
from tfnas.networks.darts import CIFAR10, DartsNetwork, DartsSkeleton
from tfnas.networks.layers import forget_counts
from tfnas.reports import figures
from tfnas.spaces import Architecture, Darts
from tfnas.training.log import MetricsLog, read_metrics
from tfnas.training.loop import restore

_EVALUATION_BATCH = 256
_PADDING = 4


def fit(
    network: DartsNetwork,
    train: Labelled,
    validation: Labelled,
    config: DartsTraining,
    folder: pathlib.Path,
    *,
    resume: bool = False,
) -> list[dict[str, Any]]:
    """Trains a network, with a checkpoint after every epoch.

    Args:
      network: a network that was not called yet.
      train: standardised images float32 `[n, height, width, channels]` and labels int32 `[n]`.
      validation: images that the network is scored on after every epoch; they are never augmented.
      config: settings of the training.
      folder: gets `checkpoints/`, `metrics.jsonl` and TensorBoard events.
      resume: continue from the last checkpoint.

    Returns:
      A record per epoch: `loss`, `train_accuracy` and `validation_METRIC`.

    Raises:
      CorruptArtefactError: the checkpoint can't be read.
      FloatingPointError: the loss is not finite.
    """
    images, labels = (tf.constant(array) for array in train)
    steps = -(-len(labels) // config.batch_size)
    tf_keras.utils.set_random_seed(config.seed)
    network.with_auxiliary(images[:1], training=True)  # creates every variable
    forget_counts(network)
    optimizer = tf_keras.optimizers.SGD(
        config.learning_rate, momentum=0.9, global_clipnorm=config.clip_norm or None, jit_compile=False
    )
    optimizer.build(network.trainable_variables)
    epoch_done = tf.Variable(0, trainable=False, dtype=tf.int64)
    checkpoint = tf.train.Checkpoint(network=network, optimizer=optimizer, epoch=epoch_done)
    manager = tf.train.CheckpointManager(checkpoint, str(folder / "checkpoints"), max_to_keep=1)
    if resume:
        restore(checkpoint, manager)
    log = MetricsLog(folder, resume_after=int(epoch_done) if resume else None)
    weights = weights_of_classes(config.class_weights, train[1], network.skeleton.num_classes)
    update = _update_program(network, optimizer, config, weights)
    for epoch in range(int(epoch_done) + 1, config.epochs + 1):
        network.drop_path.assign(config.drop_path * (epoch - 1) / config.epochs)
        optimizer.learning_rate.assign(_learning_rate(config, epoch))
        losses, right = 0.0, 0.0
        with runtime.progress(total=steps, desc=f"Epoch {epoch}/{config.epochs}", unit="step") as advance:
            for step, rows in enumerate(_batches(len(labels), config, epoch)):
                seed = tf.constant([config.seed, epoch * 2**16 + step])
                loss, hits = update(tf.gather(images, rows), tf.gather(labels, rows), seed)
                losses, right = losses + float(loss) / steps, right + float(hits) / len(labels)
                advance()
        if not np.isfinite(losses):
            raise FloatingPointError(f"the loss is {losses} in epoch {epoch}")
        score = measured(network, validation, config.metric)
        values = {"loss": losses, "train_accuracy": right, f"validation_{config.metric}": score}
        log.write(epoch, values)
        epoch_done.assign(epoch)
        manager.save()
    return read_metrics(folder / "metrics.jsonl")


def train_cell(
    cell: Architecture,
    data: ImageData,
    skeleton: DartsSkeleton,
    config: DartsTraining,
    output_dir: pathlib.Path,
    *,
    hold_out: bool,
    resume: bool = False,
) -> dict[str, Any]:
    """Trains the network of one cell and measures it on the test images, once, at the end.

    Args:
      cell: a DARTS cell, or a NAS-Bench-301 pair.
      data: the images; their number of classes replaces the skeleton's.
      skeleton: the network around the cell.
      config: settings of the training.
      output_dir: an existing folder; gets what `fit` writes, `training.png` and `summary.json`.
      hold_out: do not learn from the validation images. Otherwise the validation score says how well images that the
        network learns from are fitted.
      resume: continue from the last checkpoint.

    Returns:
      The summary.
    """
    network = DartsNetwork(dataclasses.replace(skeleton, num_classes=data.num_classes), cell)
    train = data.train
    if not hold_out:
        train = tuple(np.concatenate(arrays) for arrays in zip(data.train, data.validation, strict=True))
    history = fit(network, train, data.validation, config, output_dir, resume=resume)
    head = network.auxiliary.trainable_variables if network.auxiliary is not None else []
    sizes = [
        [int(np.prod(variable.shape)) for variable in variables] for variables in (network.trainable_variables, head)
    ]
    summary = {
        "parameters": sum(sizes[0]) - sum(sizes[1]),
        "train_images": len(train[1]),
        f"test_{config.metric}": measured(network, data.test, config.metric),
        **history[-1],
    }
    figures.training_curves(
        history,
        output_dir / "training.png",
        title="DARTS network",
        shares=("train_accuracy", f"validation_{config.metric}"),
        shares_title="accuracy" if config.metric == "accuracy" else f"accuracy, {config.metric}",
    )
    artefacts.write_json(output_dir / "summary.json", summary)
    return summary


def measured(network: DartsNetwork, data: Labelled, metric: str) -> float:
    """Score of the network, in inference mode, by a metric of `METRICS`.

    Raises:
      FloatingPointError: an output of the network is not finite.
    """
    images, labels = data
    starts = range(0, len(labels), _EVALUATION_BATCH)
    logits = [network.logits(tf.constant(images[start : start + _EVALUATION_BATCH])).numpy() for start in starts]
    if not np.isfinite(np.concatenate(logits)).all():
        raise FloatingPointError("the network's outputs are not finite")
    return METRICS[metric].score(labels, np.concatenate(logits))


def _batches(count: int, config: DartsTraining, epoch: int) -> Iterator[np.ndarray]:
    order = np.random.default_rng([config.seed, epoch]).permutation(count).astype(np.int32)
    for start in range(0, count, config.batch_size):
        yield order[start : start + config.batch_size]


def _learning_rate(config: DartsTraining, epoch: int) -> float:
    if config.decay:
        return config.learning_rate * config.decay ** (epoch - 1)
    return 0.5 * config.learning_rate * (1 + np.cos(np.pi * (epoch - 1) / config.epochs))


def _update_program(
    network: DartsNetwork,
    optimizer: tf_keras.optimizers.Optimizer,
    config: DartsTraining,
    class_weights: np.ndarray | None,
) -> tf.types.experimental.GenericFunction:
    """One update on a batch; returns its loss and how many images were classified correctly."""
    weights = network.trainable_variables
    classes = network.skeleton.num_classes
    entropy = tf_keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=config.label_smoothing)

    @tf.function(autograph=False, reduce_retracing=True)
    def update(images: tf.Tensor, labels: tf.Tensor, seed: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        network.drop_seed.assign(seed)
        images = augment(images, config, seed)
        targets = tf.one_hot(labels, classes)
        with tf.GradientTape() as tape:
            logits, extra = network.with_auxiliary(images, training=True)
            factors = None if class_weights is None else tf.gather(class_weights, labels)
            loss = entropy(targets, logits, factors)
            if extra is not None:
                loss += config.auxiliary_weight * entropy(targets, extra, factors)
            penalty = tf.add_n([tf.nn.l2_loss(weight) for weight in weights])
            total = loss + config.weight_decay * penalty
        optimizer.apply_gradients(zip(tape.gradient(total, weights), weights, strict=True))
        hits = tf.argmax(logits, axis=-1, output_type=labels.dtype) == labels
        return loss, tf.reduce_sum(tf.cast(hits, tf.float32))

    return update


def augment(images: tf.Tensor, config: DartsTraining, seed: tf.Tensor) -> tf.Tensor:
    """Shifts, mirrors and cuts holes into images float32 `[B, height, width, channels]`.

    Args:
      images: standardised, so that 0 is the mean colour.
      config: settings of the augmentation.
      seed: int32 `[2]`; the same seed gives the same images.
    """
    count, (height, width) = tf.shape(images)[0], images.shape[1:3]
    seeds = tf.unstack(tf.random.experimental.stateless_split(seed, 4))
    if config.crop:
        margin = [_PADDING, _PADDING]
        padded = tf.pad(images, [[0, 0], margin, margin, [0, 0]])
        shifts = tf.random.stateless_uniform([count, 2], seeds[0], 0, 2 * _PADDING + 1, tf.int32)
        rows = shifts[:, :1] + tf.range(height)
        columns = shifts[:, 1:] + tf.range(width)
        images = tf.gather(tf.gather(padded, rows, axis=1, batch_dims=1), columns, axis=2, batch_dims=1)
        mirrored = tf.random.stateless_uniform([count, 1, 1, 1], seeds[1]) < 0.5
        images = tf.where(mirrored, images[:, :, ::-1], images)
    if config.cutout:
        top = tf.random.stateless_uniform([count, 1], seeds[2], 0, height, tf.int32) - config.cutout // 2
        left = tf.random.stateless_uniform([count, 1], seeds[3], 0, width, tf.int32) - config.cutout // 2
        in_rows = (tf.range(height) >= top) & (tf.range(height) < top + config.cutout)
        in_columns = (tf.range(width) >= left) & (tf.range(width) < left + config.cutout)
        hole = in_rows[:, :, None] & in_columns[:, None, :]
        images = tf.where(hole[..., None], 0.0, images)
    return images


class DartsEvaluator(TrainedEvaluator):
    """Trains the network of every queried DARTS cell from scratch: the search of arch2vec's table 4.

    Args:
      data: the images; a search sees the score on the validation images.
      skeleton: the network around the cell; its number of classes is taken from the data.
      training: settings of the training; by default the paper's query.
      cache: path of a `TrialLog`; see `TrainedEvaluator`.
    """

    lists = False

    def __init__(
        self,
        data: ImageData,
        skeleton: DartsSkeleton = CIFAR10,
        training: DartsTraining = TRAININGS["query"],
        cache: artefacts.PathLike | None = None,
    ):
        around = dataclasses.replace(skeleton, num_classes=data.num_classes)
        super().__init__(
            Darts(),
            lambda cell, *_: DartsNetwork(around, cell),
            data,
            training,
            cache,
            network=dataclasses.asdict(around),
        )

    def _fit(self, architecture: Architecture) -> tuple[DartsNetwork, float, float]:
        network = self._build(architecture, self.data.train[0].shape[1:], self.data.num_classes)
        with tempfile.TemporaryDirectory() as folder:
            history = fit(network, self.data.train, self.data.validation, self.config, pathlib.Path(folder))
        last = [record[f"validation_{self.metric}"] for record in history[-self.config.averaged_epochs :]]
        return network, float(np.mean(last)), measured(network, self.data.test, self.metric)
