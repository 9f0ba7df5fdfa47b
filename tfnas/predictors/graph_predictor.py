"""A predictor for any network: an encoder of computation graphs, an ensemble on its embeddings, and what it has seen.

Scores are standardised within a family, so that families with other data, schedules and ranges can teach together.

References:
  Han et al. 2023, section 4.3.
"""

from __future__ import annotations

import dataclasses
import pathlib
from collections.abc import Sequence
from typing import Any

import numpy as np
import scipy.spatial
import scipy.stats
import tensorflow as tf

from tfnas import artefacts
from tfnas.corpora.graphs import require_labels
from tfnas.encoders.computation_graph.saved import SavedGraphEncoder
from tfnas.errors import ConfigurationError
from tfnas.graphs.computation_graph import ComputationGraph, smallest_graph, to_example
from tfnas.graphs.packed import PackedGraphs
from tfnas.predictors.mlp import MLPConfig, MLPEnsemble, outputs
from tfnas.reports import tables
from tfnas.saved_models import SHIPPED, load_module, save_module

KIND = "predictor/computation_graph"
_HELD_OUT = 0.1
_REFERENCES = 500
_NEIGHBOURS = 5


class _ServingModule(tf.Module):
    """`predict_examples` over the variables of an encoder and of an ensemble."""

    def __init__(self, encoder: SavedGraphEncoder, ensemble: MLPEnsemble, mean: np.ndarray, deviation: np.ndarray):
        super().__init__(name="computation_graph_predictor")
        self.encoder = encoder.module
        self.weights = [tf.Variable(part, trainable=False) for part in ensemble.weights]
        self.mean, self.deviation = tf.Variable(mean, trainable=False), tf.Variable(deviation, trainable=False)
        self.scale = tf.Variable(np.float32(ensemble.scale[0]), trainable=False)

        @tf.function(input_signature=[tf.TensorSpec([None], tf.string, "examples")])
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


def train(
    encoder: SavedGraphEncoder,
    graphs: PackedGraphs,
    output_dir: pathlib.Path,
    config: MLPConfig,
    seed: int,
    *,
    target: str | None = None,
    labels: int = 50,
) -> dict[str, Any]:
    """Trains and exports a predictor.

    A tenth of every family is held out, to report rank correlations and to calibrate the deviations. With a target,
    the predictor is trained on all of the other families, fine-tuned on some labels of the target, and the rest of the
    target is held out.

    Writes `predictor/` (SavedModel) and `summary.json`.

    Args:
      encoder: of the graphs.
      graphs: N graphs with labels.
      output_dir: an existing folder.
      config: of the ensemble.
      seed: decides everything random.
      target: family to fine-tune on.
      labels: how many of its labels.

    Returns:
      The summary: Spearman's correlation on held-out graphs, by family.

    Raises:
      ConfigurationError: a graph without label, a family of fewer than ten, an unknown target, or one that is alone.
    """
    require_labels(graphs)
    split = _Split(graphs, seed, target, labels)
    embeddings = encoder.embed(graphs, progress=True)
    mean, deviation = embeddings.mean(axis=0), np.maximum(embeddings.std(axis=0), 1e-6)
    inputs = (embeddings - mean) / deviation
    ensemble = MLPEnsemble(config, seed).fit(inputs[split.train], split.standardised[split.train])
    if target is not None:
        ensemble = ensemble.fine_tune(inputs[split.tune][None], split.standardised[split.tune][None])
    predicted, spread = ensemble.predict(inputs)
    if target is None:
        errors = predicted[split.held_out] - split.standardised[split.held_out]
        ratio = errors / np.maximum(spread[split.held_out], 1e-6)
        ensemble.scale = np.sqrt(np.mean(ratio**2, keepdims=True))
    correlations, families = {}, {}
    for place, name in enumerate(graphs.families):
        own = split.held_out[graphs.family[split.held_out] == place]
        if len(own):
            found = scipy.stats.spearmanr(predicted[own], split.standardised[own]).statistic
            correlations[name] = float(found) if np.isfinite(found) else None
        rows = np.flatnonzero(graphs.family == place)
        families[name] = {"graphs": len(rows), **split.facts[name]}
    summary = {"spearman": correlations, "families": families, "target": target, "seed": seed}
    rng = np.random.default_rng([seed, 3])
    members = [rng.permutation(np.flatnonzero(graphs.family == place)) for place in range(len(graphs.families))]
    kept = np.concatenate([np.sort(rows[:_REFERENCES]) for rows in members])
    module = _ServingModule(encoder, ensemble, mean, deviation)
    with artefacts.atomic_folder(output_dir / "predictor") as staging:
        signatures = {"serving_default": module.predict_examples, "predict_examples": module.predict_examples}
        save_module(module, staging, signatures, to_example(smallest_graph()).SerializeToString(deterministic=True))
        artefacts.write_npz(
            staging / "reference.npz",
            embeddings=embeddings[kept].astype(np.float16),
            family=graphs.family[kept],
            scores=predicted[kept].astype(np.float32),
        )
        facts = {"config": dataclasses.asdict(config), "encoder": encoder.fingerprint, "training": summary}
        artefacts.write_manifest(staging, kind=KIND, family_names=list(graphs.families), **facts)
    artefacts.write_json(output_dir / "summary.json", summary)
    return summary


class _Split:
    """Which graphs train, fine-tune and test, and labels with mean 0 and deviation 1 within families."""

    def __init__(self, graphs: PackedGraphs, seed: int, target: str | None, labels: int):
        if target is not None and (target not in graphs.families or len(graphs.families) < 2):
            raise ConfigurationError(
                f"target={target!r}, expected one of {', '.join(graphs.families)} and another family to learn from"
            )
        rng = np.random.default_rng([seed, 4])
        train, tune, held_out = [], [], []
        self.standardised = np.zeros(len(graphs), np.float32)
        self.facts: dict[str, dict[str, float]] = {}
        for place, name in enumerate(graphs.families):
            rows = rng.permutation(np.flatnonzero(graphs.family == place))
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
            self.facts[name] = {"label_mean": float(values.mean()), "label_stddev": deviation}
            self.standardised[rows] = (graphs.labels[rows] - values.mean()) / deviation
        self.train = np.concatenate(train)
        self.tune = np.concatenate(tune) if tune else np.zeros(0, np.int64)
        self.held_out = np.concatenate(held_out)


@dataclasses.dataclass(frozen=True)
class Prediction:
    """What a predictor says of a network.

    Attributes:
      score: standard deviations above the mean of its nearest family.
      stddev: calibrated uncertainty of the score.
      accuracy: the score in that family's units.
      family: the nearest family.
      percentile: share of the family's known networks with a lower predicted score, in percent.
      distance: from the nearest known networks, in units of the family's usual distance between neighbours; well
        above 1 means that the predictor has seen nothing like it.
      embedding: float32 `[D]`.
    """

    score: float
    stddev: float
    accuracy: float
    family: str
    percentile: float
    distance: float
    embedding: np.ndarray


class SavedPredictor:
    """An exported predictor.

    Args:
      folder: that `train` wrote; by default the predictor that ships with tfnas.

    Attributes:
      manifest: its manifest.
      reference: embeddings float32 `[n, D]` of known networks.
      reference_families: their families, `[n]`.

    Raises:
      CorruptArtefactError: a file is missing, truncated or changed, or TensorFlow can't load the model.
    """

    def __init__(self, folder: artefacts.PathLike | None = None):
        folder = pathlib.Path(folder or SHIPPED / "cg_predictor")
        self.manifest = artefacts.read_manifest(folder, kind=KIND)
        self._module = load_module(folder)
        arrays = artefacts.read_npz(folder / "reference.npz")
        self.reference = arrays["embeddings"].astype(np.float32)
        self._family, self._scores = arrays["family"], arrays["scores"]
        self._names = self.manifest["family_names"]
        self.reference_families = [self._names[place] for place in self._family]
        self._spread = self.reference.std(axis=0) + 1e-6
        self._trees = [
            scipy.spatial.cKDTree(self.reference[self._family == place] / self._spread)
            for place in range(len(self._names))
        ]
        self._usual = [
            max(float(np.median(tree.query(tree.data, min(_NEIGHBOURS + 1, tree.n))[0][:, 1:].mean(axis=1))), 1e-6)
            for tree in self._trees
        ]

    def predict(self, graphs: Sequence[ComputationGraph]) -> list[Prediction]:
        """Predictions for some graphs.

        Raises:
          ConfigurationError: a graph is empty.
        """
        if not graphs:
            return []
        for graph in graphs:
            if not graph.num_nodes:
                raise ConfigurationError(f"{graph.name or 'a graph'} has no operators to predict from")
        examples = tf.constant([to_example(graph).SerializeToString() for graph in graphs])
        found = {name: part.numpy() for name, part in self._module.predict_examples(examples).items()}
        return [self._placed(*parts) for parts in zip(found["score"], found["stddev"], found["embedding"], strict=True)]

    def _placed(self, score: float, stddev: float, embedding: np.ndarray) -> Prediction:
        point = embedding / self._spread
        distances = [
            float(np.mean(tree.query(point, min(_NEIGHBOURS, tree.n))[0])) / usual
            for tree, usual in zip(self._trees, self._usual, strict=True)
        ]
        place = int(np.argmin(distances))
        name = self._names[place]
        facts = self.manifest["training"]["families"][name]
        known = self._scores[self._family == place]
        return Prediction(
            score=float(score),
            stddev=float(stddev),
            accuracy=facts["label_mean"] + float(score) * facts["label_stddev"],
            family=name,
            percentile=100 * float(np.mean(known < score)),
            distance=distances[place],
            embedding=embedding,
        )


_FAR = 3.0


def prediction_table(prediction: Prediction) -> str:
    """What a predictor says of one network, and a warning where it has seen nothing like it."""
    rows = [
        ["score (deviations from the family's mean)", f"{prediction.score:+.2f} ± {prediction.stddev:.2f}"],
        ["nearest family", prediction.family],
        ["accuracy in that family's units", f"{prediction.accuracy:.2%}"],
        ["better than so many of its known networks", f"{prediction.percentile:.0f} %"],
        ["distance from known networks (usual: 1)", f"{prediction.distance:.1f}"],
    ]
    text = tables.markdown(["prediction", "value"], rows)
    if prediction.distance > _FAR:
        text += "\n\nNothing like this network was seen in training; do not rely on the score."
    return text
