"""A predictor for any network: an encoder of computation graphs, and an ensemble on its embeddings.

Scores are standardised within a family, so that families with other data, schedules and ranges can teach together.

References:
  Han et al. 2023, section 4.3.
"""

import dataclasses
import pathlib
from collections.abc import Mapping
from typing import Any, Self

import numpy as np
import scipy.stats
import tensorflow as tf

from tfnas import artefacts
from tfnas.corpora.graphs import require_labels
from tfnas.encoders.computation_graph.saved import SavedGraphEncoder
from tfnas.errors import ConfigurationError
from tfnas.graphs.computation_graph import smallest_graph, to_example
from tfnas.graphs.packed import PackedGraphs
from tfnas.predictors.config import MLPConfig
from tfnas.predictors.mlp import MLPEnsemble, outputs
from tfnas.predictors.saved import KIND
from tfnas.saved_models import save_module

_HELD_OUT = 0.1  # share of a family that is held out
_REFERENCES = 500  # known networks of a family that an export knows


class _ServingModule(tf.Module):
    """`predict_examples` over the variables of an encoder and of an ensemble."""

    def __init__(self, encoder: SavedGraphEncoder, ensemble: MLPEnsemble, mean: np.ndarray, deviation: np.ndarray):
        super().__init__(name="computation_graph_predictor")
        self.encoder = encoder.module
        self.weights = [tf.Variable(array, trainable=False) for array in ensemble.weights]
        self.mean, self.deviation = tf.Variable(mean, trainable=False), tf.Variable(deviation, trainable=False)
        self.scale = tf.Variable(np.float32(ensemble.scale[0]), trainable=False)

        @tf.function(autograph=False, input_signature=[tf.TensorSpec([None], tf.string, "examples")])
        def predict_examples(examples: tf.Tensor) -> dict[str, tf.Tensor]:
            embedding = self.encoder.encode_examples(examples)["embedding"]
            inputs = (embedding - self.mean) / self.deviation
            scores = outputs(list(self.weights), tf.repeat(inputs[None], ensemble.config.members, 0))
            return {
                "score": tf.reduce_mean(scores, 0),
                "stddev": tf.math.reduce_std(scores, 0) * self.scale,
                "embedding": embedding,
            }

        self.predict_examples = predict_examples


class GraphPredictor:
    """A regression on computation graphs, a `Surrogate` whose scores are standard deviations above a family's mean.

    A tenth of every family is held out, to report rank correlations and to calibrate the deviations. With a target,
    the predictor is trained on all other families, fine-tuned on some labels of the target, and the rest of the target
    is held out.

    Args:
      encoder: encoder of the graphs.
      config: settings of the ensemble.
      seed: seed of everything random.
      target: family to fine-tune on; None for a predictor of all families.
      labels: number of the target's labels that fine-tuning sees.

    Attributes:
      summary: Spearman's correlation on held-out graphs by family, and facts about the families; known after `fit`.
    """

    summary: dict[str, Any]

    def __init__(
        self, encoder: SavedGraphEncoder, config: MLPConfig, seed: int, *, target: str | None = None, labels: int = 50
    ):
        self.encoder, self.config, self.seed, self.target, self.labels = encoder, config, seed, target, labels

    def fit(self, inputs: PackedGraphs, targets: np.ndarray) -> Self:
        """Learns the labels of graphs.

        Args:
          inputs: N graphs.
          targets: labels, float `[N]`.

        Raises:
          ConfigurationError: a graph without label, a family of fewer than ten graphs, an unknown target, or a target
            without other families.
        """
        graphs = inputs.with_labels(targets)
        require_labels(graphs)
        split = _Split(graphs, self.seed, self.target, self.labels)
        embeddings = self.encoder.embed(graphs, progress=True)
        self._mean, self._deviation = embeddings.mean(axis=0), np.maximum(embeddings.std(axis=0), 1e-6)
        features = (embeddings - self._mean) / self._deviation
        ensemble = MLPEnsemble(self.config, self.seed).fit(features[split.train], split.standardised[split.train])
        if self.target is not None:
            ensemble = ensemble.fine_tune(features[split.tune][None], split.standardised[split.tune][None])
        predicted, spread = ensemble.predict(features)
        if self.target is None:
            # Squared errors on held-out graphs are as large in the mean as the squared deviations say.
            errors = predicted[split.held_out] - split.standardised[split.held_out]
            ratio = errors / np.maximum(spread[split.held_out], 1e-6)
            ensemble.scale = np.sqrt(np.mean(ratio**2, keepdims=True))
        self._ensemble = ensemble
        self.summary = {**_facts(graphs, split, predicted), "target": self.target, "seed": self.seed}
        self._families = list(graphs.families)
        self._reference = self._references(graphs, embeddings, predicted)
        return self

    def predict(self, inputs: PackedGraphs) -> tuple[np.ndarray, np.ndarray]:
        """Mean and calibrated deviation, float32 `[m]` each, in standard deviations above the family's mean."""
        features = (self.encoder.embed(inputs) - self._mean) / self._deviation
        return self._ensemble.predict(features)

    def save(self, folder: pathlib.Path, origins: Mapping[str, str]) -> None:
        """Writes `predictor/` (SavedModel) and `summary.json`.

        Args:
          folder: an existing folder.
          origins: place that the labels of a family come from, by family.
        """
        summary = self.summary | {"labels": dict(origins)}
        module = _ServingModule(self.encoder, self._ensemble, self._mean, self._deviation)
        with artefacts.atomic_folder(folder / "predictor") as staging:
            signatures = {"serving_default": module.predict_examples, "predict_examples": module.predict_examples}
            save_module(module, staging, signatures, to_example(smallest_graph()).SerializeToString(deterministic=True))
            artefacts.write_npz(staging / "reference.npz", **self._reference)
            facts = {
                "config": dataclasses.asdict(self.config),
                "encoder": self.encoder.fingerprint,
                "training": summary,
            }
            artefacts.write_manifest(staging, kind=KIND, family_names=self._families, **facts)
        artefacts.write_json(folder / "summary.json", summary)

    def _references(self, graphs: PackedGraphs, embeddings: np.ndarray, scores: np.ndarray) -> dict[str, np.ndarray]:
        """Up to 500 random graphs of every family, which an export compares new graphs with."""
        rng = np.random.default_rng([self.seed, 3])
        members = [rng.permutation(np.flatnonzero(graphs.family == number)) for number in range(len(graphs.families))]
        rows = np.concatenate([np.sort(family[:_REFERENCES]) for family in members])
        return {
            "embeddings": embeddings[rows].astype(np.float16),
            "family": graphs.family[rows],
            "scores": scores[rows].astype(np.float32),
        }


def _facts(graphs: PackedGraphs, split: "_Split", predicted: np.ndarray) -> dict[str, Any]:
    """Rank correlations on held-out graphs, and number and labels' moments of every family."""
    correlations: dict[str, float | None] = {}
    families = {}
    for number, name in enumerate(graphs.families):
        held_out = split.held_out[graphs.family[split.held_out] == number]
        if len(held_out):
            statistic = scipy.stats.spearmanr(predicted[held_out], split.standardised[held_out]).statistic
            correlations[name] = float(statistic) if np.isfinite(statistic) else None
        families[name] = {"graphs": int(np.sum(graphs.family == number)), **split.facts[name]}
    return {"spearman": correlations, "families": families}


class _Split:
    """Graphs that train, that fine-tune and that are held out; labels with mean 0 and deviation 1 within families."""

    def __init__(self, graphs: PackedGraphs, seed: int, target: str | None, labels: int):
        if target is not None and (target not in graphs.families or len(graphs.families) < 2):
            raise ConfigurationError(
                f"target={target!r}, expected one of {', '.join(graphs.families)} and another family to learn from"
            )
        rng = np.random.default_rng([seed, 4])
        train, tune, held_out = [], [], []
        self.standardised = np.zeros(len(graphs), np.float32)
        self.facts: dict[str, dict[str, float]] = {}
        for number, name in enumerate(graphs.families):
            rows = rng.permutation(np.flatnonzero(graphs.family == number))
            if len(rows) < 1 / _HELD_OUT:
                raise ConfigurationError(f"family {name!r} has {len(rows)} labelled graphs, expected at least 10")
            if name == target:
                if not 3 <= labels < len(rows):
                    raise ConfigurationError(f"labels={labels} of {name!r}, expected 3 to {len(rows) - 1}")
                seen, rest = rows[:labels], rows[labels:]
                tune.append(seen)
            else:
                count = max(3, int(len(rows) * _HELD_OUT)) if target is None else 0
                seen, rest = rows[count:], rows[:count]
                train.append(seen)
            held_out.append(rest)
            values = graphs.labels[seen]
            deviation = float(values.std())
            if deviation == 0:
                raise ConfigurationError(f"all labels of family {name!r} are equal; there is nothing to learn")
            moments = {"label_mean": float(values.mean()), "label_stddev": deviation}
            self.facts[name] = {**moments, "label_min": float(values.min()), "label_max": float(values.max())}
            self.standardised[rows] = (graphs.labels[rows] - values.mean()) / deviation
        self.train = np.concatenate(train)
        self.tune = np.concatenate(tune) if tune else np.zeros(0, np.int64)
        self.held_out = np.concatenate(held_out)
