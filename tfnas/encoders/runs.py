"""Pretraining runs on disk, finished or killed, and exports of their last checkpoints."""

import dataclasses
import pathlib
from collections.abc import Mapping
from typing import Any, cast

import tensorflow as tf

from tfnas import artefacts
from tfnas.encoders import ENCODERS, EncoderKind
from tfnas.encoders.pretraining import ENCODER_NAME, Pretraining, restore
from tfnas.errors import CorruptArtefactError
from tfnas.training.log import read_metrics


@dataclasses.dataclass(frozen=True)
class Run:
    """A pretraining run.

    Attributes:
      pretraining: the learning, without data that an export does not need.
      settings: settings in `run.json`.
      checkpoint: path of the last checkpoint.
      history: metrics of the epochs that the checkpoint holds.
    """

    pretraining: Pretraining
    settings: dict[str, Any]
    checkpoint: str
    history: list[dict[str, Any]]


def read_run(run_dir: artefacts.PathLike) -> Run:
    """Reads the output folder of a pretraining run of any encoder, finished or killed.

    Args:
      run_dir: output folder of `trainers.pretrain`.

    Raises:
      CorruptArtefactError: `run_dir` is not such a folder, or the last stage has no finished epoch.
    """
    run_dir = pathlib.Path(run_dir)
    settings = artefacts.read_run(run_dir)["settings"]
    rows = [row for row in ENCODERS.values() if row.program == settings.get("program")]
    if not rows:
        raise CorruptArtefactError(f"{run_dir}: not an output folder of `tfnas pretrain`")
    if rows[0].epochs is None:
        raise CorruptArtefactError(
            f"{run_dir}: a {rows[0].name} encoder is computed in closed form: it has no checkpoints"
        )
    pretraining = _pretraining(rows[0], settings)
    folder = run_dir / pretraining.stages[-1]
    checkpoint = tf.train.latest_checkpoint(str(folder / "checkpoints"))
    if checkpoint is None:
        raise CorruptArtefactError(f"{folder}: holds no checkpoint")
    # A run that was killed may have logged an epoch that its last checkpoint does not hold.
    epoch = _progress(checkpoint, "epoch")
    history = [record for record in read_metrics(folder / "metrics.jsonl") if record["epoch"] <= epoch]
    if not history:
        raise CorruptArtefactError(f"{folder}: holds no finished epoch")
    return Run(pretraining, settings, checkpoint, history)


def _pretraining(row: EncoderKind, settings: dict[str, Any]) -> Pretraining:
    """The learning of a run's settings, in which tuples have become lists."""
    fields = [field.name for field in dataclasses.fields(row.inputs)]
    config = row.config(**_with_tuples(settings["config"]))
    inputs = row.inputs(**_with_tuples({name: settings[name] for name in fields}))
    return cast(type[Pretraining], row.pretraining).for_export(config, inputs, settings["seed"])


def _with_tuples(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: tuple(value) if isinstance(value, list) else value for name, value in values.items()}


def _progress(checkpoint: str, name: str) -> int:
    """A counter of the training loop in a checkpoint."""
    try:
        return int(tf.train.load_variable(checkpoint, f"progress/{name}/.ATTRIBUTES/VARIABLE_VALUE"))
    except (tf.errors.OpError, ValueError) as error:
        raise CorruptArtefactError(f"{checkpoint}: not a readable checkpoint ({str(error).splitlines()[0]})") from error


def export_checkpoint(run: Run, output_dir: pathlib.Path) -> dict[str, Any]:
    """Exports the model of a pretraining run as its last checkpoint holds it.

    Writes `encoder/`, `training.png`, `metrics.jsonl` and `summary.json`.

    Args:
      run: pretraining run, finished or killed.
      output_dir: an existing folder.

    Returns:
      The summary: the metrics of the last finished `epoch`, and how many updates the weights are beyond that epoch
      (`steps_beyond_epoch`; 0 unless the run was killed in the middle of an epoch).

    Raises:
      CorruptArtefactError: the checkpoint can't be read.
    """
    model = run.pretraining.new_model()
    restore(model, run.checkpoint)
    summary = {
        **run.pretraining.origin(),
        "seed": run.settings["seed"],
        "steps_beyond_epoch": _progress(run.checkpoint, "step"),
        **run.history[-1],
    }
    run.pretraining.export(model, output_dir / ENCODER_NAME, config=run.settings["config"], training=summary)
    run.pretraining.draw_curves(run.history, output_dir)
    artefacts.write_json_lines(output_dir / "metrics.jsonl", run.history)
    artefacts.write_json(output_dir / "summary.json", summary)
    return summary
