"""The training loop: data on the device, many updates per call, exact resumption, any `tf.distribute` strategy.

Everything random comes from (seed, epoch, step), so a run that was killed and resumed equals one that was not.
"""

import abc
import dataclasses
import pathlib
import time
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import tensorflow as tf
import tf_keras
from tqdm import tqdm

from tfnas.errors import ConfigurationError, CorruptArtefactError
from tfnas.training.log import MetricsLog
from tfnas.training.strategies import is_chief

CHECKPOINT_SECONDS = 60.0
"""Age of the last checkpoint from which a new checkpoint is written in the middle of an epoch."""


class Minibatch(NamedTuple):
    """A replica's rows of one update.

    Attributes:
      data: rows of `Task.data`.
      draws: this replica's rows of one step of `Task.draw`.
      weights: float32 `[rows]`, 0 for rows that only fill the batch.
      total_weight: sum of the weights over all replicas; losses and metrics must add up over replicas.
      training: whether the model runs in training mode.
    """

    data: tuple[tf.Tensor, ...]
    draws: Mapping[str, tf.Tensor]
    weights: tf.Tensor
    total_weight: tf.Tensor
    training: bool


def adam(
    learning_rate: float | tf_keras.optimizers.schedules.LearningRateSchedule, steps: int | None = None
) -> tf_keras.optimizers.Adam:
    """Adam for tasks of the loop, which compiles the update together with everything else.

    Args:
      learning_rate: learning rate of the first update, or a schedule.
      steps: number of updates in which the rate falls to 0 along a cosine; by default the rate stays.
    """
    if steps is not None:
        learning_rate = tf_keras.optimizers.schedules.CosineDecay(learning_rate, steps)
    return tf_keras.optimizers.Adam(learning_rate, epsilon=1e-8, jit_compile=False)


class Task(abc.ABC):
    """A model, its data and its loss.

    Attributes:
      model: a Keras model, created under the strategy's scope.
      optimizer: a Keras optimizer, created under the strategy's scope.
      num_examples: N; every tensor of `data` has N rows.
      data: tensors that stay on the device.
      metric_names: keys of the dictionary that `loss` returns.
      jit_compile: whether updates on one replica become one XLA program. On CPUs XLA adds up scattered rows one by one:
        a network that gathers and scatters along edges is faster without.
    """

    model: tf_keras.Model
    optimizer: tf_keras.optimizers.Optimizer
    num_examples: int
    data: tuple[tf.Tensor, ...]
    metric_names: tuple[str, ...]
    jit_compile: bool = True

    def draw(self, seed: tf.Tensor, steps: int, batch_size: int) -> dict[str, tf.Tensor]:
        """Random numbers for some updates, each `[steps, batch_size, ...]`, from an int32 seed `[2]`."""
        return {}

    @abc.abstractmethod
    def loss(self, batch: Minibatch) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
        """This replica's share of the loss of a batch, and of its metrics."""

    def gather(self, rows: tf.Tensor) -> tuple[tf.Tensor, ...]:
        """The batch that `loss` gets: the rows int32 `[rows]` of `data`. Runs inside the compiled program."""
        return tuple(tf.gather(tensor, rows) for tensor in self.data)

    def evaluate(self, epoch: int) -> dict[str, float]:
        """Held-out metrics at the end of an epoch (counted from 1)."""
        return {}

    def training_mode(self, epoch: int) -> bool:
        """Whether the model runs in training mode in this epoch (counted from 1)."""
        return True


@dataclasses.dataclass(frozen=True)
class TrainingConfig:
    """Settings of the loop.

    Attributes:
      epochs: passes over the data.
      batch_size: global batch size.
      seed: decides order and noise.
      clip_norm: bound on the global gradient norm; 0 for none.
      shuffle_each_epoch: whether every epoch has a new order; otherwise the run has a single order.
      steps_per_call: updates per call of the compiled program.
    """

    epochs: int
    batch_size: int
    seed: int
    clip_norm: float = 0.0
    shuffle_each_epoch: bool = True
    steps_per_call: int = 100


class _Progress(tf.Module):
    """Position in the run, saved with the weights."""

    def __init__(self, num_metrics: int):
        super().__init__()
        self.epoch = tf.Variable(0, dtype=tf.int64, trainable=False)
        self.step = tf.Variable(0, dtype=tf.int64, trainable=False)
        self.sums = tf.Variable(tf.zeros([num_metrics], tf.float64), trainable=False)


def train(
    task: Task,
    config: TrainingConfig,
    folder: pathlib.Path,
    strategy: tf.distribute.Strategy,
    *,
    resume: bool = False,
) -> None:
    """Trains `task.model` in place.

    Writes checkpoints, `metrics.jsonl` and TensorBoard scalars to `folder`.

    Args:
      task: model, data and loss.
      config: schedule and seed.
      folder: the run's output folder.
      strategy: the strategy whose scope the model was created in.
      resume: whether to continue from the last checkpoint in `folder`, if there is a checkpoint.

    Raises:
      ConfigurationError: the batch can't be split over the replicas.
      CorruptArtefactError: the checkpoint can't be read.
    """
    if config.batch_size % strategy.num_replicas_in_sync:
        raise ConfigurationError(
            f"batch_size={config.batch_size} can't be split over {strategy.num_replicas_in_sync} replicas"
        )
    chief = is_chief(strategy)
    progress = _Progress(len(task.metric_names))
    with strategy.scope():
        task.optimizer.build(task.model.trainable_variables)
    checkpoint = tf.train.Checkpoint(model=task.model, optimizer=task.optimizer, progress=progress)
    manager = tf.train.CheckpointManager(checkpoint, str(folder / "checkpoints"), max_to_keep=2)
    if resume:
        restore(checkpoint, manager)
    log = None
    if chief:
        log = MetricsLog(folder, resume_after=int(progress.epoch) if resume else None)

    steps_per_epoch = -(-task.num_examples // config.batch_size)
    calls_per_epoch = -(-steps_per_epoch // config.steps_per_call)
    steps_per_call = -(-steps_per_epoch // calls_per_epoch)
    programs: dict[bool, tf.types.experimental.GenericFunction] = {}
    saved_at = time.monotonic()
    while int(progress.epoch) < config.epochs:
        epoch = int(progress.epoch) + 1
        training = task.training_mode(epoch)
        if training not in programs:
            programs[training] = compile_steps(task, config, strategy, steps_per_call, training)
        indices, weights = epoch_batches(task.num_examples, config, epoch)
        with tqdm(
            total=steps_per_epoch,
            initial=int(progress.step),
            desc=f"Epoch {epoch}/{config.epochs}",
            unit="step",
            disable=not chief,
        ) as bar:
            while int(progress.step) < steps_per_epoch:
                start = int(progress.step)
                count = min(steps_per_call, steps_per_epoch - start)
                call = slice(start, start + count)
                draws = task.draw(tf.constant([config.seed, epoch * 2**20 + start]), steps_per_call, config.batch_size)
                sums = programs[training](
                    tf.constant(_pad(indices[call], steps_per_call)),
                    tf.constant(_pad(weights[call], steps_per_call)),
                    draws,
                    tf.constant(count),
                )
                progress.sums.assign_add(tf.cast(sums, tf.float64))
                progress.step.assign(start + count)
                bar.update(count)
                bar.set_postfix(loss=f"{float(progress.sums[0]) / (start + count):.4f}")
                if time.monotonic() - saved_at > CHECKPOINT_SECONDS and start + count < steps_per_epoch:
                    manager.save()
                    saved_at = time.monotonic()
        values = {
            name: float(value) / steps_per_epoch
            for name, value in zip(task.metric_names, progress.sums.numpy(), strict=True)
        }
        values |= task.evaluate(epoch)
        progress.epoch.assign(epoch)
        progress.step.assign(0)
        progress.sums.assign(tf.zeros_like(progress.sums))
        if log is not None:
            log.write(epoch, values)
        manager.save()
        saved_at = time.monotonic()


def restore(checkpoint: tf.train.Checkpoint, manager: tf.train.CheckpointManager) -> None:
    """Continues from the last checkpoint of a run, if there is a checkpoint.

    Raises:
      CorruptArtefactError: the checkpoint is damaged, or of another run.
    """
    if manager.latest_checkpoint is None:
        return
    try:
        checkpoint.restore(manager.latest_checkpoint).assert_consumed()
    except (tf.errors.OpError, AssertionError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise CorruptArtefactError(f"{manager.latest_checkpoint}: not a checkpoint of this run ({reason})") from error


def epoch_batches(num_examples: int, config: TrainingConfig, epoch: int) -> tuple[np.ndarray, np.ndarray]:
    """Row numbers int32 `[steps, batch]` and weights float32 of the same shape; the last batch may be filled up."""
    order = np.random.default_rng([config.seed, epoch if config.shuffle_each_epoch else 0]).permutation(num_examples)
    missing = -num_examples % config.batch_size
    indices = np.concatenate([order, np.zeros(missing, order.dtype)]).astype(np.int32)
    weights = np.concatenate([np.ones(num_examples, np.float32), np.zeros(missing, np.float32)])
    return indices.reshape(-1, config.batch_size), weights.reshape(-1, config.batch_size)


def _pad(rows: np.ndarray, count: int) -> np.ndarray:
    return np.concatenate([rows, np.zeros((count - len(rows), *rows.shape[1:]), rows.dtype)])


def compile_steps(
    task: Task, config: TrainingConfig, strategy: tf.distribute.Strategy, steps_per_call: int, training: bool
) -> tf.types.experimental.GenericFunction:
    """The compiled updates.

    Args:
      task: model, data and loss.
      config: batch size and clipping.
      strategy: the strategy whose scope the model was created in.
      steps_per_call: S, the length of the arguments.
      training: whether the model runs in training mode.

    Returns:
      A function of row numbers int32 `[S, batch]`, row weights float32 `[S, batch]`, the task's draws, and the number
      of steps to do (at most S; the same program serves all); it returns the sums of the metrics over these steps.
    """
    replicas = strategy.num_replicas_in_sync
    rows = config.batch_size // replicas
    variables = task.model.trainable_variables

    @tf.autograph.experimental.do_not_convert
    def replica_step(indices: tf.Tensor, weights: tf.Tensor, draws: Mapping[str, tf.Tensor]) -> tf.Tensor:
        total_weight = tf.reduce_sum(weights)
        context = tf.distribute.get_replica_context()
        if replicas > 1:
            start = context.replica_id_in_sync_group * rows
            indices, weights = indices[start : start + rows], weights[start : start + rows]
            draws = {name: value[start : start + rows] for name, value in draws.items()}
        batch = Minibatch(task.gather(indices), draws, weights, total_weight, training)
        with tf.GradientTape() as tape:
            loss, metrics = task.loss(batch)
        gradients = tape.gradient(loss, variables, unconnected_gradients=tf.UnconnectedGradients.ZERO)
        values = tf.stack([metrics[name] for name in task.metric_names])
        if replicas > 1:
            # Replicas look up different numbers of rows, which only dense gradients have in common.
            gradients = [tf.convert_to_tensor(gradient) for gradient in gradients]
            *gradients, values = context.all_reduce(tf.distribute.ReduceOp.SUM, [*gradients, values])
        if config.clip_norm:
            gradients, _ = tf.clip_by_global_norm(gradients, config.clip_norm)
        task.optimizer.apply_gradients(zip(gradients, variables, strict=True), skip_gradients_aggregation=True)
        return values

    # One replica: the whole loop is one XLA program. Several: XLA can't hold the exchange between replicas.
    @tf.function(jit_compile=replicas == 1 and task.jit_compile)
    def run(indices: tf.Tensor, weights: tf.Tensor, draws: Mapping[str, tf.Tensor], count: tf.Tensor) -> tf.Tensor:
        sums = tf.zeros([len(task.metric_names)])
        for step in tf.range(count):
            step_draws = {name: value[step] for name, value in draws.items()}
            if replicas == 1:
                sums += replica_step(indices[step], weights[step], step_draws)
            else:
                values = strategy.run(replica_step, args=(indices[step], weights[step], step_draws))
                sums += strategy.experimental_local_results(values)[0]
        return sums

    return run
