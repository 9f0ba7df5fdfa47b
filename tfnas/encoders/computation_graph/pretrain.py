"""Pretraining from packed graphs to an exported encoder: what `trainers.pretrain_cg_encoder` calls."""

import dataclasses
import pathlib
from typing import Any

import numpy as np
import tensorflow as tf

from tfnas import artefacts
from tfnas.encoders.computation_graph import export
from tfnas.encoders.computation_graph.config import GraphEncoderConfig
from tfnas.encoders.computation_graph.task import ContrastiveTask
from tfnas.errors import ConfigurationError
from tfnas.graphs.packed import PackedGraphs, embed_packed
from tfnas.reports import figures
from tfnas.training import loop
from tfnas.training.log import read_metrics
from tfnas.training.strategies import is_chief

_IN_MAP = 2000


def pretrain(
    config: GraphEncoderConfig,
    graphs: PackedGraphs,
    output_dir: pathlib.Path,
    *,
    epochs: int,
    seed: int,
    strategy: tf.distribute.Strategy,
    resume: bool = False,
    points: np.ndarray | None = None,
) -> dict[str, Any]:
    """Trains, exports and draws.

    Writes `encoder/` (SavedModel), `metrics.jsonl`, `tensorboard/`, `checkpoints/`, `training.png`, `map.png` and
    `summary.json`.

    Args:
      config: network, loss and optimiser.
      graphs: N graphs of one or more families.
      output_dir: an existing folder.
      epochs: passes over the graphs.
      seed: decides everything random.
      strategy: where to train.
      resume: continue from the last checkpoint.
      points: what graphs are compared by; see `ContrastiveTask`.

    Returns:
      The summary.

    Raises:
      ConfigurationError: not a positive number of epochs, fewer graphs than a batch, a batch that can't be split, or a
        family with too few graphs.
    """
    if epochs < 1:
        raise ConfigurationError(f"epochs={epochs}, expected at least 1")
    if len(graphs) < config.batch_size:
        raise ConfigurationError(f"{len(graphs)} graphs, expected at least batch_size={config.batch_size}")
    replicas = strategy.num_replicas_in_sync
    with strategy.scope():
        task = ContrastiveTask(config, graphs, seed, epochs, points, replicas)
    schedule = loop.TrainingConfig(
        epochs=epochs, batch_size=config.batch_size, seed=seed, clip_norm=config.clip_norm, steps_per_call=10
    )
    loop.train(task, schedule, output_dir, strategy, resume=resume)
    if not is_chief(strategy):
        return {}
    history = read_metrics(output_dir / "metrics.jsonl")
    summary = {
        "graphs": len(graphs),
        "families": {name: int(np.sum(graphs.family == place)) for place, name in enumerate(graphs.families)},
        "epochs": epochs,
        "seed": seed,
        "parameters": int(np.sum([np.prod(v.shape) for v in task.model.trainable_variables])),
        **{name: value for name, value in history[-1].items() if name != "epoch"},
    }
    manifest = export.export(task.model, output_dir / "encoder", config=dataclasses.asdict(config), training=summary)
    summary["encoder_sha256"] = artefacts.fingerprint(manifest)
    figures.training_curves(history, output_dir / "training.png", title="contrastive pretraining", shares=())
    rows = np.random.default_rng(seed).permutation(len(graphs))[:_IN_MAP]
    shown = graphs[np.sort(rows)]
    figures.family_map(
        embed_packed(tf.function(task.model.encode, reduce_retracing=True), shown),
        [graphs.families[place] for place in shown.family],
        output_dir / "map.png",
        title="embeddings of computation graphs",
    )
    artefacts.write_json(output_dir / "summary.json", summary)
    return summary
