"""Pretraining from cells to an exported encoder: what `trainers.pretrain_arch2vec` and the demo call."""

import dataclasses
import pathlib
from typing import Any

import numpy as np
import tensorflow as tf

from tfnas import artefacts
from tfnas.encoders.arch2vec import export, metrics
from tfnas.encoders.arch2vec.config import Arch2VecConfig
from tfnas.encoders.arch2vec.model import Arch2Vec
from tfnas.encoders.arch2vec.task import NUM_SAMPLES, Arch2VecTask
from tfnas.errors import ConfigurationError, CorruptArtefactError
from tfnas.reports import figures
from tfnas.spaces import Space, get_space
from tfnas.spaces.base import CellTable
from tfnas.training import loop
from tfnas.training.log import read_metrics
from tfnas.training.strategies import is_chief

_TEST_SHARE = 0.1


def split(cells: CellTable) -> tuple[CellTable, CellTable]:
    """The training cells, and the last tenth, which is held out."""
    count = len(cells) - int(len(cells) * _TEST_SHARE)
    return cells[:count], cells[count:]


def pretrain(
    config: Arch2VecConfig,
    space: Space,
    cells: CellTable,
    output_dir: pathlib.Path,
    *,
    epochs: int,
    seed: int,
    strategy: tf.distribute.Strategy,
    resume: bool = False,
) -> dict[str, Any]:
    """Trains, evaluates, exports and draws.

    Writes `encoder/` (SavedModel), `metrics.jsonl`, `tensorboard/`, `checkpoints/`, `training.png` and `summary.json`.

    Args:
      config: network, loss and optimiser.
      space: the space of the cells.
      cells: N cells; the last tenth is held out.
      output_dir: an existing folder.
      epochs: passes over the training cells.
      seed: decides everything random.
      strategy: where to train.
      resume: continue from the last checkpoint.

    Returns:
      The summary.

    Raises:
      ConfigurationError: too few cells, or not a positive number of epochs.
    """
    if epochs < 1:
        raise ConfigurationError(f"epochs={epochs}, expected at least 1")
    train_cells, test_cells = split(cells)
    if len(train_cells) < config.batch_size or not len(test_cells):
        raise ConfigurationError(f"{len(cells)} cells, expected more than {max(config.batch_size, 10)}")
    with strategy.scope():
        task = Arch2VecTask(config, space, train_cells, test_cells, seed, epochs)
    schedule = loop.TrainingConfig(
        epochs=epochs,
        batch_size=config.batch_size,
        seed=seed,
        clip_norm=config.clip_norm,
        shuffle_each_epoch=config.shuffle_each_epoch,
    )
    loop.train(task, schedule, output_dir, strategy, resume=resume)
    if not is_chief(strategy):
        return {}
    history = read_metrics(output_dir / "metrics.jsonl")
    summary = {
        "space": space.name,
        "train_cells": len(train_cells),
        "test_cells": len(test_cells),
        "epochs": epochs,
        "seed": seed,
        "parameters": int(np.sum([np.prod(v.shape) for v in task.model.trainable_variables])),
        **{name: value for name, value in history[-1].items() if name != "epoch"},
        **metrics.evaluate_mixture(task.model, space, train_cells, NUM_SAMPLES, seed),
    }
    manifest = export.export(
        task.model, space, output_dir / "encoder", config=dataclasses.asdict(config), training=summary
    )
    summary["encoder_sha256"] = artefacts.fingerprint(manifest)
    figures.training_curves(history, output_dir / "training.png", title=f"arch2vec on {space.name}")
    artefacts.write_json(output_dir / "summary.json", summary)
    return summary


def read_run(run_dir: artefacts.PathLike) -> tuple[dict[str, Any], str, list[dict[str, Any]]]:
    """Settings, path of the last checkpoint, and metrics up to that checkpoint of a pretraining run.

    Raises:
      CorruptArtefactError: `run_dir` is not the output folder of such a run, or no epoch is finished.
    """
    run_dir = pathlib.Path(run_dir)
    settings = artefacts.read_json(run_dir / artefacts.RUN_NAME).get("settings", {})
    if settings.get("program") != "pretrain_arch2vec":
        raise CorruptArtefactError(f"{run_dir}: not an output folder of trainers.pretrain_arch2vec")
    path = tf.train.latest_checkpoint(str(run_dir / "checkpoints"))
    if path is None:
        raise CorruptArtefactError(f"{run_dir}: holds no checkpoint")
    # A run that was killed may have logged an epoch that its last checkpoint does not hold.
    finished = _progress(path, "epoch")
    history = [record for record in read_metrics(run_dir / "metrics.jsonl") if record["epoch"] <= finished]
    if not history:
        raise CorruptArtefactError(f"{run_dir}: holds no finished epoch")
    return settings, path, history


def _progress(checkpoint: str, name: str) -> int:
    try:
        return int(tf.train.load_variable(checkpoint, f"progress/{name}/.ATTRIBUTES/VARIABLE_VALUE"))
    except (tf.errors.OpError, ValueError) as error:
        raise CorruptArtefactError(f"{checkpoint}: not a readable checkpoint ({str(error).splitlines()[0]})") from error


def restored(config: Arch2VecConfig, space: Space, checkpoint: str) -> Arch2Vec:
    """The model that a run's checkpoint holds.

    Raises:
      CorruptArtefactError: the checkpoint is damaged, or of another model.
    """
    model = Arch2Vec(config, space.max_vertices, len(space.operations))
    try:
        tf.train.Checkpoint(model=model).restore(checkpoint).expect_partial().assert_existing_objects_matched()
    except (tf.errors.OpError, AssertionError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise CorruptArtefactError(f"{checkpoint}: not a readable checkpoint ({reason})") from error
    return model


def export_checkpoint(run_dir: artefacts.PathLike, output_dir: pathlib.Path) -> dict[str, Any]:
    """Exports the model of a pretraining run as its last checkpoint holds it.

    Args:
      run_dir: output folder of `trainers.pretrain_arch2vec`.
      output_dir: gets `encoder/`, `training.png`, `metrics.jsonl` and `summary.json`.

    Returns:
      The summary: the metrics of the last finished `epoch`, and how many updates the weights are beyond it
      (`steps_beyond_epoch`; 0 unless the run was killed in the middle of an epoch).

    Raises:
      CorruptArtefactError: `run_dir` is not such a folder, or holds no readable checkpoint.
    """
    settings, path, history = read_run(run_dir)
    fields = settings["config"]
    config = Arch2VecConfig(**{**fields, "hidden_dims": tuple(fields["hidden_dims"])})
    space = get_space(settings["space"])
    model = restored(config, space, path)
    summary = {
        "space": space.name,
        "seed": settings["seed"],
        "steps_beyond_epoch": _progress(path, "step"),
        **history[-1],
    }
    export.export(model, space, output_dir / "encoder", config=fields, training=summary)
    figures.training_curves(history, output_dir / "training.png", title=f"arch2vec on {space.name}")
    artefacts.write_json_lines(output_dir / "metrics.jsonl", history)
    artefacts.write_json(output_dir / "summary.json", summary)
    return summary
