"""Training from a corpus of Jacobians to an exported encoder: what `trainers.pretrain_jacobian_encoder` calls."""

import collections
import dataclasses
import pathlib
from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from tfnas import artefacts
from tfnas.encoders.jacobian import export
from tfnas.encoders.jacobian.config import JacobianEncoderConfig
from tfnas.encoders.jacobian.corpus import JacobianCorpus
from tfnas.encoders.jacobian.model import JacobianEncoder
from tfnas.encoders.jacobian.task import InitializationTask, flat_inputs
from tfnas.errors import ConfigurationError, MismatchError
from tfnas.reports import figures
from tfnas.training import loop
from tfnas.training.log import read_metrics
from tfnas.training.strategies import is_chief

_CHUNK = 512


def joined(corpora: Sequence[JacobianCorpus]) -> JacobianCorpus:
    """Jacobians of several spaces as one corpus, for training; its cells are those of the first.

    Raises:
      MismatchError: the corpora hold other images, or were computed otherwise.
    """
    first = corpora[0]
    for other in corpora[1:]:
        if not np.array_equal(other.images, first.images):
            raise MismatchError(
                f"{other.space.name} and {first.space.name}: Jacobians over other images can't be joined"
            )
        if dataclasses.replace(other.config, shard_size=first.config.shard_size) != first.config:
            raise MismatchError(
                f"{other.space.name} and {first.space.name}: Jacobians computed with {other.config} and {first.config} "
                "can't be joined"
            )
    names = ("directions", "scales", "correlations", "frequencies", "state")
    return dataclasses.replace(
        first, **{name: np.concatenate([getattr(corpus, name) for corpus in corpora]) for name in names}
    )


def train(
    config: JacobianEncoderConfig,
    corpus: JacobianCorpus,
    output_dir: pathlib.Path,
    *,
    epochs: int,
    seed: int,
    strategy: tf.distribute.Strategy,
    resume: bool = False,
) -> JacobianEncoder:
    """Trains an encoder; `output_dir` gets checkpoints and metrics.

    Raises:
      ConfigurationError: not a positive number of epochs, fewer architectures than a batch, a batch that can't be
        split, or a corpus that `InitializationTask` can't use.
    """
    if epochs < 1:
        raise ConfigurationError(f"epochs={epochs}, expected at least 1")
    if len(corpus) < config.batch_size:
        raise ConfigurationError(f"{len(corpus)} architectures, expected at least batch_size={config.batch_size}")
    with strategy.scope():
        task = InitializationTask(config, corpus, seed, epochs)
    schedule = loop.TrainingConfig(epochs, config.batch_size, seed, config.clip_norm, steps_per_call=20)
    loop.train(task, schedule, output_dir, strategy, resume=resume)
    return task.model


def embed(model: JacobianEncoder, corpus: JacobianCorpus) -> np.ndarray:
    """Embeddings float32 `[M, A, D]`; NaN for Jacobians that are zero or not finite."""
    inputs = flat_inputs(corpus)
    encode = tf.function(model.encode, reduce_retracing=True)
    parts = [
        encode(type(inputs)(*(part[start : start + _CHUNK] for part in inputs))).numpy()
        for start in range(0, corpus.state.size, _CHUNK)
    ]
    return mask(np.concatenate(parts), corpus.state.ravel()).reshape(*corpus.state.shape, -1)


def mask(embeddings: np.ndarray, state: np.ndarray) -> np.ndarray:
    """Embeddings `[B, D]` with NaN where the state of `[B]` is not fine."""
    return np.where((state == 0)[:, None], embeddings, np.nan)


def pretrain(
    config: JacobianEncoderConfig,
    corpora: Sequence[JacobianCorpus],
    output_dir: pathlib.Path,
    *,
    epochs: int,
    seed: int,
    strategy: tf.distribute.Strategy,
    resume: bool = False,
) -> dict[str, Any]:
    """Trains, exports and draws.

    Architectures with a Jacobian that is zero or not finite are left out and counted. Writes `encoder/` (SavedModel),
    `metrics.jsonl`, `tensorboard/`, `checkpoints/`, `training.png`, `map.png` and `summary.json`.

    Args:
      config: network, loss and optimiser.
      corpora: of one or more spaces.
      output_dir: an existing folder.
      epochs: passes over the architectures.
      seed: decides everything random.
      strategy: where to train.
      resume: continue from the last checkpoint.

    Returns:
      The summary.

    Raises:
      ConfigurationError: see `train`.
      MismatchError: see `joined`.
    """
    usable = [corpus[np.flatnonzero(corpus.usable)] for corpus in corpora]
    everything = joined(usable)
    model = train(config, everything, output_dir, epochs=epochs, seed=seed, strategy=strategy, resume=resume)
    if not is_chief(strategy):
        return {}
    history = read_metrics(output_dir / "metrics.jsonl")
    summary = {
        "architectures": _totals(usable, [len(corpus) for corpus in usable]),
        "left_out": _totals(corpora, [int((~corpus.usable).sum()) for corpus in corpora]),
        "initializations": everything.state.shape[1],
        "epochs": epochs,
        "seed": seed,
        "parameters": int(np.sum([np.prod(v.shape) for v in model.trainable_variables])),
        **{name: value for name, value in history[-1].items() if name != "epoch"},
    }
    manifest = export.export(
        model, output_dir / "encoder", everything, config=dataclasses.asdict(config), training=summary
    )
    summary["encoder_sha256"] = artefacts.fingerprint(manifest)
    figures.training_curves(
        history, output_dir / "training.png", title="contrast of initialisations", shares=("found",)
    )
    embeddings = embed(model, everything).mean(axis=1)
    names = [corpus.space.name for corpus in usable for _ in range(len(corpus))]
    figures.family_map(embeddings, names, output_dir / "map.png", title="embeddings of data Jacobians")
    artefacts.write_json(output_dir / "summary.json", summary)
    return summary


def _totals(corpora: Sequence[JacobianCorpus], counts: Sequence[int]) -> dict[str, int]:
    """Counts by space."""
    totals: collections.Counter[str] = collections.Counter()
    for corpus, count in zip(corpora, counts, strict=True):
        totals[corpus.space.name] += count
    return dict(totals)
