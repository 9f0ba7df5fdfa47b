"""A predictor for any network: an encoder of computation graphs, numbers of the graphs, and an ensemble on both.

Scores are standardised within a family, so that families with other data, schedules and ranges can teach together.

References:
  Han et al. 2023, section 4.3.
"""

import dataclasses
import pathlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Self

import numpy as np
import tensorflow as tf

from tfnas import artefacts
from tfnas.corpora.graphs import require_labels
from tfnas.encoders.computation_graph.saved import SavedGraphEncoder
from tfnas.errors import ConfigurationError
from tfnas.graphs.computation_graph import graph_spec, smallest_graph, to_example
from tfnas.graphs.packed import PackedGraphs, embed_packed, parse_examples
from tfnas.predictors import baselines, calibration
from tfnas.predictors.base import rank_correlation
from tfnas.predictors.config import MLPConfig
from tfnas.predictors.graph_numbers import NUMBERS, graph_numbers, groups
from tfnas.predictors.known_networks import KnownNetworks
from tfnas.predictors.mlp import MLPEnsemble, outputs
from tfnas.predictors.saved import KIND
from tfnas.saved_models import save_module

_FOLDS = 5
_REFERENCES = 500  # known networks of a family that an export knows
_BOUND = 10.0  # of standardised inputs


class _ServingModule(tf.Module):
    """`predict_examples` and `predict_inputs` over the variables of an encoder and of an ensemble."""

    def __init__(self, encoder: SavedGraphEncoder, ensemble: MLPEnsemble, mean: np.ndarray, deviation: np.ndarray):
        super().__init__(name="computation_graph_predictor")
        self.encoder = encoder.module
        self.weights = [tf.Variable(array, trainable=False) for array in ensemble.weights]
        self.mean, self.deviation = tf.Variable(mean, trainable=False), tf.Variable(deviation, trainable=False)
        self.scale = tf.Variable(np.float32(ensemble.scale[0]), trainable=False)
        members = ensemble.config.members
        graph_spec()  # read from its file now, not while tracing

        def predict(inputs: tf.Tensor) -> dict[str, tf.Tensor]:
            inputs = tf.clip_by_value((inputs - self.mean) / self.deviation, -_BOUND, _BOUND)
            scores = outputs(list(self.weights), tf.repeat(inputs[None], members, 0))
            return {"score": tf.reduce_mean(scores, 0), "stddev": tf.math.reduce_std(scores, 0) * self.scale}

        @tf.function(autograph=False, input_signature=[tf.TensorSpec([None, len(mean)], tf.float32, "inputs")])
        def predict_inputs(inputs: tf.Tensor) -> dict[str, tf.Tensor]:
            return predict(inputs)

        @tf.function(autograph=False, input_signature=[tf.TensorSpec([None], tf.string, "examples")])
        def predict_examples(examples: tf.Tensor) -> dict[str, tf.Tensor]:
            batch = parse_examples(examples)
            embedding, numbers = self.encoder.encode(*batch)["embedding"], graph_numbers(batch)
            return predict(tf.concat([embedding, numbers], 1)) | {"embedding": embedding, "numbers": numbers}

        self.predict_inputs, self.predict_examples = predict_inputs, predict_examples


class GraphPredictor:
    """A regression on computation graphs, a `Surrogate` whose scores are standard deviations above a family's mean.

    What the summary says of it, and the intervals in accuracy, come from five-fold cross-validation. With a target, the
    predictor is trained on all other families and fine-tuned on some labels of the target; the summary is about the
    target's other networks, and the intervals come from cross-validation on the labels that fine-tuning sees.

    Args:
      encoder: encoder of the graphs.
      config: settings of the ensemble.
      seed: seed of everything random.
      target: family to fine-tune on; None for a predictor of all families.
      labels: number of the target's labels that fine-tuning sees.

    Attributes:
      summary: Spearman's correlation of the learned scores and of the baselines on networks that were not learned from,
        by family, coverage of the intervals, and facts about the families; known after `fit`.
    """

    summary: dict[str, Any]

    def __init__(
        self, encoder: SavedGraphEncoder, config: MLPConfig, seed: int, *, target: str | None = None, labels: int = 50
    ):
        self.encoder, self.config, self.seed, self.target, self.labels = encoder, config, seed, target, labels

    def fit(self, inputs: PackedGraphs, targets: np.ndarray, names: Sequence[str] | None = None) -> Self:
        """Learns the labels of graphs.

        Args:
          inputs: N graphs.
          targets: labels, float `[N]`.
          names: names of the graphs; by default their families and places.

        Raises:
          ConfigurationError: a graph without label, a family of fewer than ten graphs, an unknown target, a target
            without other families, or another number of names.
        """
        graphs = inputs.with_labels(targets)
        require_labels(graphs)
        if names is None:
            names = [f"{graphs.families[number]}-{row}" for row, number in enumerate(graphs.family)]
        if len(names) != len(graphs):
            raise ConfigurationError(f"{len(names)} names of {len(graphs)} graphs")
        split = _Split(graphs, self.seed, self.target, self.labels)
        columns = self._inputs(graphs, progress=True)
        taught = columns[np.concatenate([split.train, split.tune])]
        spread = taught.std(axis=0)
        # A number that does not vary has no weight, whatever it is elsewhere.
        self._mean, self._deviation = taught.mean(axis=0), np.where(spread > 1e-5, spread, np.float32(1e9))
        features = self._standardised(columns)
        ensemble = MLPEnsemble(self.config, self.seed).fit(features[split.train], split.standardised[split.train])
        if self.target is None:
            left_out, deviations = self._left_out(features, split)
            ensemble.scale = np.sqrt([np.mean(((left_out - split.standardised) / np.maximum(deviations, 1e-6)) ** 2)])
        else:
            tuned = ensemble.fine_tune(features[split.tune][None], split.standardised[split.tune][None])
            left_out, _ = tuned.predict(features)
            left_out[split.tune] = self._left_out(features, split, ensemble)[0][split.tune]
            ensemble = tuned
        self._ensemble = ensemble
        self._names = list(graphs.families)
        self._reference, far = self._references(graphs, columns, names)
        self._reference["means"] = np.stack(
            [columns[graphs.family == number].mean(axis=0) for number in range(len(self._names))]
        )
        facts = _facts(graphs, split, left_out, columns[:, -len(NUMBERS) :], self.seed)
        self.summary = {**facts, "far": far, "target": self.target, "seed": self.seed}
        return self

    def table(self) -> str:
        """Rank correlations of the learned scores and of the baselines as a Markdown table."""
        return baselines.comparison(self.summary["spearman"], self.summary["baselines"])

    def predict(self, inputs: PackedGraphs) -> tuple[np.ndarray, np.ndarray]:
        """Mean and calibrated deviation, float32 `[m]` each, in standard deviations above the family's mean."""
        return self._ensemble.predict(self._standardised(self._inputs(inputs)))

    def save(self, folder: pathlib.Path, origins: Mapping[str, str]) -> None:
        """Writes `predictor/` (SavedModel) and `summary.json`.

        Args:
          folder: an existing folder.
          origins: place that the labels of a family come from, by family.
        """
        summary = self.summary | {"labels": dict(origins)}
        module = _ServingModule(self.encoder, self._ensemble, self._mean, self._deviation)
        size = len(self._mean) - len(NUMBERS)
        input_groups = {name: [size + column for column in columns] for name, columns in groups().items()}
        with artefacts.atomic_folder(folder / "predictor") as staging:
            signatures = {"serving_default": module.predict_examples, "predict_examples": module.predict_examples}
            save_module(module, staging, signatures, to_example(smallest_graph()).SerializeToString(deterministic=True))
            artefacts.write_npz(staging / "reference.npz", **self._reference)
            facts = {
                "config": dataclasses.asdict(self.config),
                "encoder": self.encoder.fingerprint,
                "input_groups": {**input_groups, "embedding of the graph": list(range(size))},
                "training": summary,
            }
            artefacts.write_manifest(staging, kind=KIND, family_names=self._names, **facts)
        artefacts.write_json(folder / "summary.json", summary)

    def _inputs(self, graphs: PackedGraphs, *, progress: bool = False) -> np.ndarray:
        """Embeddings and numbers float32 `[N, D]`."""
        return np.concatenate(
            [self.encoder.embed(graphs, progress=progress), embed_packed(_numbers, graphs, progress=progress)], axis=1
        )

    def _standardised(self, inputs: np.ndarray) -> np.ndarray:
        return np.clip((inputs - self._mean) / self._deviation, -_BOUND, _BOUND).astype(np.float32)

    def _left_out(
        self, features: np.ndarray, split: "_Split", source: MLPEnsemble | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Scores and deviations by models that have not seen the networks; fine-tuned ones with a `source`."""
        scores, deviations = np.zeros(len(features), np.float32), np.zeros(len(features), np.float32)
        for used, rest in split.folds():
            if source is None:
                model = MLPEnsemble(self.config, self.seed).fit(features[used], split.standardised[used])
            else:
                labels = split.standardised[used][None]
                model = source.fine_tune(features[used][None], labels, calibrate=False)
            scores[rest], deviations[rest] = model.predict(features[rest])
        return scores, deviations

    def _references(
        self, graphs: PackedGraphs, inputs: np.ndarray, names: Sequence[str]
    ) -> tuple[dict[str, np.ndarray], dict[str, float | None]]:
        """Up to 500 random graphs of every family, which an export compares new graphs with, and what is far."""
        rng = np.random.default_rng([self.seed, 3])
        members = [rng.permutation(np.flatnonzero(graphs.family == number)) for number in range(len(graphs.families))]
        rows = np.concatenate([np.sort(family[:_REFERENCES]) for family in members])
        stored, family = inputs[rows].astype(np.float16), graphs.family[rows]
        known = KnownNetworks(stored.astype(np.float32), family)
        distances = known.distances(stored.astype(np.float32))
        distances[np.arange(len(rows)), family] = np.inf
        strangers = distances.min(axis=1)
        strangers = [strangers[family == number] for number in range(len(members)) if np.isfinite(strangers).all()]
        usual = [known.own_distances(number) for number in range(len(members))]
        far = calibration.threshold(_balanced(usual, rng), _balanced(strangers, rng))
        facts = {
            "distance": far,
            "known_refused": float(np.mean([np.mean(values > far) for values in usual])),
            "strangers_accepted": float(np.mean([np.mean(values <= far) for values in strangers]))
            if strangers
            else None,
        }
        arrays = {
            "inputs": stored,
            "family": family,
            "labels": graphs.labels[rows],
            "names": np.array([names[row] for row in rows]),
        }
        return arrays, facts


@tf.function(autograph=False, reduce_retracing=True)
def _numbers(batch) -> tf.Tensor:
    return graph_numbers(batch)


def _balanced(distances: Sequence[np.ndarray], rng: np.random.Generator) -> np.ndarray:
    """Equally many values of every part, so that no family decides by its size."""
    return np.concatenate([rng.choice(values, _REFERENCES) for values in distances]) if distances else np.zeros(0)


def _facts(
    graphs: PackedGraphs, split: "_Split", predicted: np.ndarray, numbers: np.ndarray, seed: int
) -> dict[str, Any]:
    """What is known of the predictions of left-out graphs, and number and labels' moments of every family."""
    ridge = np.zeros(len(graphs))
    for used, rest in split.folds(rest=True):
        for number in np.unique(graphs.family[rest]):
            seen, selected = used[graphs.family[used] == number], rest[graphs.family[rest] == number]
            ridge[selected] = baselines.ridge_on_counts(numbers[seen], split.standardised[seen], numbers[selected])
    scores = baselines.sizes(graphs, numbers) | {baselines.RIDGE: ridge}
    spearman, compared, covered, families = {}, {}, {}, {}
    for number, name in enumerate(graphs.families):
        selected = split.reported[graphs.family[split.reported] == number]
        facts: dict[str, Any] = {"graphs": int(np.sum(graphs.family == number)), **split.facts[name]}
        if len(selected):
            labels = graphs.labels[selected]
            spearman[name] = rank_correlation(predicted[selected], labels)
            compared[name] = {key: rank_correlation(values[selected], labels) for key, values in scores.items()}
        calibrating = split.calibrating[graphs.family[split.calibrating] == number]
        if len(calibrating):
            pairs = predicted[calibrating], graphs.labels[calibrating]
            covered[name] = calibration.coverage(*pairs, seed)
            facts["accuracy"] = calibration.curves(*pairs)
        families[name] = facts
    return {"spearman": spearman, "baselines": compared, "coverage": covered, "families": families}


class _Split:
    """Graphs that train, that fine-tune and that are held out; labels with mean 0 and deviation 1 within families.

    Attributes:
      train: rows that train.
      tune: rows that fine-tune; none without a target.
      reported: rows that the summary's rank correlations are about.
      calibrating: rows that give the intervals.
      standardised: labels float32 `[N]`.
      facts: mean, deviation and range of the labels by family.
    """

    def __init__(self, graphs: PackedGraphs, seed: int, target: str | None, labels: int):
        if target is not None and (target not in graphs.families or len(graphs.families) < 2):
            raise ConfigurationError(
                f"target={target!r}, expected one of {', '.join(graphs.families)} and another family to learn from"
            )
        rng = np.random.default_rng([seed, 4])
        train, tune, held_out = [], [], []
        self._fold = np.full(len(graphs), -1)
        self.standardised = np.zeros(len(graphs), np.float32)
        self.facts: dict[str, dict[str, float]] = {}
        for number, name in enumerate(graphs.families):
            rows = rng.permutation(np.flatnonzero(graphs.family == number))
            if len(rows) < 2 * _FOLDS:
                raise ConfigurationError(f"family {name!r} has {len(rows)} labelled graphs, expected at least 10")
            seen = rows
            if name == target:
                if not 3 <= labels < len(rows):
                    raise ConfigurationError(f"labels={labels} of {name!r}, expected 3 to {len(rows) - 1}")
                seen = rows[:labels]
                tune.append(seen)
                held_out.append(rows[labels:])
            else:
                train.append(seen)
            if target is None or name == target:
                self._fold[seen] = np.arange(len(seen)) % _FOLDS
            values = graphs.labels[seen]
            deviation = float(values.std())
            if deviation == 0:
                raise ConfigurationError(f"all labels of family {name!r} are equal; there is nothing to learn")
            moments = {"label_mean": float(values.mean()), "label_stddev": deviation}
            self.facts[name] = {**moments, "label_min": float(values.min()), "label_max": float(values.max())}
            self.standardised[rows] = (graphs.labels[rows] - values.mean()) / deviation
        self.train = np.concatenate(train)
        self.tune = np.concatenate(tune) if tune else np.zeros(0, np.int64)
        self.calibrating = self.train if target is None else self.tune
        self._held_out = np.concatenate(held_out) if held_out else None
        self.reported = self.train if self._held_out is None else self._held_out

    def folds(self, *, rest: bool = False) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Pairs of rows to learn from and rows to predict: folds, or with `rest` what `reported` needs."""
        if rest and self._held_out is not None:
            yield self.tune, self._held_out
            return
        for number in range(_FOLDS):
            used = np.flatnonzero((self._fold != number) & (self._fold >= 0))
            left_out = np.flatnonzero(self._fold == number)
            if len(left_out):
                yield used, left_out
