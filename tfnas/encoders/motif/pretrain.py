"""Training from packed graphs to an exported encoder: what `trainers.train_retrieval` calls."""

import dataclasses
import pathlib
from typing import Any

import numpy as np
import tensorflow as tf

from tfnas import artefacts
from tfnas.encoders.motif import export
from tfnas.encoders.motif.config import MotifEncoderConfig
from tfnas.encoders.motif.model import MotifEncoder
from tfnas.encoders.motif.splitting import Splitter
from tfnas.encoders.motif.task import RetrievalTask
from tfnas.errors import ConfigurationError
from tfnas.graphs.motifs.two_level import TwoLevelGraphs, embed_two_level
from tfnas.graphs.packed import PackedGraphs
from tfnas.reports import figures
from tfnas.training import loop
from tfnas.training.log import read_metrics
from tfnas.training.strategies import is_chief

_STEPS_PER_CALL = 10


def train(
    config: MotifEncoderConfig,
    graphs: TwoLevelGraphs,
    folder: pathlib.Path,
    *,
    epochs: int,
    seed: int,
    strategy: tf.distribute.Strategy,
    resume: bool = False,
) -> MotifEncoder:
    """Trains an encoder; one or two runs of the training loop, each in a folder of its stage.

    Args:
      config: network, losses and optimiser.
      graphs: N graphs with families.
      folder: an existing folder for checkpoints and logs.
      epochs: passes over the graphs; with two stages, of each.
      seed: decides everything random.
      strategy: where to train.
      resume: continue from the last checkpoints.

    Raises:
      ConfigurationError: not a positive number of epochs, no graphs, or a batch that can't be split.
    """
    if epochs < 1 or not len(graphs):
        raise ConfigurationError(f"epochs={epochs}, {len(graphs)} graphs, expected at least 1")
    model = None
    for stage in ("motif", "graph") if config.stages == "two_stage" else ("joint",):
        with strategy.scope():
            task = RetrievalTask(config, graphs, seed, epochs, stage, model, strategy.num_replicas_in_sync)
        model = task.model
        schedule = loop.TrainingConfig(
            epochs=epochs,
            batch_size=config.batch_size,
            seed=seed,
            clip_norm=config.clip_norm,
            steps_per_call=_STEPS_PER_CALL,
        )
        run = folder / stage
        run.mkdir(exist_ok=True)
        loop.train(task, schedule, run, strategy, resume=resume)
    return model


def pretrain(
    config: MotifEncoderConfig,
    graphs: PackedGraphs,
    output_dir: pathlib.Path,
    *,
    epochs: int,
    seed: int,
    strategy: tf.distribute.Strategy,
    resume: bool = False,
) -> dict[str, Any]:
    """Finds motifs, trains, exports and draws.

    Writes `encoder/` (SavedModel and motifs), checkpoints and logs by stage, `training.png`, `map.png` and
    `summary.json`.

    Args:
      config: network, losses and optimiser.
      graphs: N graphs with families.
      output_dir: an existing folder.
      epochs: see `train`.
      seed: decides everything random.
      strategy: where to train.
      resume: continue from the last checkpoints.

    Returns:
      The summary.

    Raises:
      ConfigurationError: see `train`; or fewer than two families.
    """
    if len(graphs.families) < 2:
        raise ConfigurationError(f"{len(graphs.families)} family, expected at least two to tell apart")
    splitter = Splitter.learned(config, graphs)
    levels = splitter(graphs)
    model = train(config, levels, output_dir, epochs=epochs, seed=seed, strategy=strategy, resume=resume)
    if not is_chief(strategy):
        return {}
    last = output_dir / ("graph" if config.stages == "two_stage" else "joint")
    history = read_metrics(last / "metrics.jsonl")
    summary = {
        "graphs": len(graphs),
        "motifs": int(levels.macro.num_nodes.sum()),
        "families": len(graphs.families),
        "epochs": epochs,
        "seed": seed,
        "parameters": int(np.sum([np.prod(v.shape) for v in model.trainable_variables])),
        **{name: value for name, value in history[-1].items() if name != "epoch"},
    }
    manifest = export.export(
        model, splitter, output_dir / "encoder", config=dataclasses.asdict(config), training=summary
    )
    summary["encoder_sha256"] = artefacts.fingerprint(manifest)
    figures.training_curves(history, output_dir / "training.png", title="training for retrieval", shares=())
    figures.family_map(
        embed_two_level(tf.function(model.encode, reduce_retracing=True), levels),
        [graphs.families[place] for place in graphs.family],
        output_dir / "map.png",
        title="embeddings of the training graphs",
    )
    artefacts.write_json(output_dir / "summary.json", summary)
    return summary
