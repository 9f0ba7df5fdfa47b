"""A predictor of a user's own metric, from a few labels of the user's own networks.

References:
  Barber et al. 2021, "Predictive inference with the jackknife+", for intervals from errors of predictions left out.
"""

import dataclasses
import pathlib
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, NotRequired, Self, TypedDict, Unpack

import numpy as np
import scipy.spatial

from tfnas import artefacts
from tfnas.errors import CorruptArtefactError, MismatchError
from tfnas.graphs.computation_graph import from_example, to_example
from tfnas.graphs.importers import Model, Options
from tfnas.predictors import label_candidates as candidates
from tfnas.predictors.label_scores import power_scores, to_labels
from tfnas.predictors.own_labels import OwnLabels
from tfnas.predictors.queries import graphs_of
from tfnas.predictors.sizes import fault
from tfnas.reports import tables
from tfnas.typed import Natural

if TYPE_CHECKING:
    from tfnas.encoders.jacobian.models import ModelJacobians

KIND = "predictor/own_labels"
COVERAGE = 0.8
"""Probability with which an interval holds the label."""

FOLDS, REPEATS = 5, 4
_LEARNED = (candidates.LEARNED, candidates.WITH_JACOBIANS)
_PRIOR: Mapping[str, float] = {**dict.fromkeys(_LEARNED, 0.65), candidates.ZERO_SHOT: 0.6}
_TRUST = 40  # labels that weigh as much as the correlations that are expected before any label
_OTHER = 0.4  # correlation that is expected of every other baseline
_FEWEST = 10  # labels below which no learned candidate predicts: it ranks worse than baselines there
_NEIGHBOURS = 3
_TINY = 1e-9


@dataclasses.dataclass(frozen=True)
class LabelPrediction:
    """Prediction for a network, in the units of the user's labels.

    Attributes:
      name: name of the network.
      value: expected label.
      low: lower end of the interval that holds the label with probability 80 %.
      high: upper end of the interval.
      score: number by which networks are ranked.
      distance: distance from the nearest labelled network, in units of the usual largest distance between a labelled
        network and its nearest; above 1, there is no prediction.
      nearest: names and labels of the nearest labelled networks, the nearest first.
      fault: why the network can't be good, "" for most networks.
    """

    name: str
    value: float
    low: float
    high: float
    score: float
    distance: float
    nearest: tuple[tuple[str, float], ...]
    fault: str = ""

    @property
    def known(self) -> bool:
        """Whether the network is as near to labelled networks as labelled networks are to each other."""
        return self.distance <= 1

    def record(self) -> dict[str, Any]:
        """The prediction as JSON values; no numbers for a network unlike the labelled ones."""
        fields = dataclasses.asdict(self) | {"known": self.known}
        return fields if self.known else fields | dict.fromkeys(("value", "low", "high", "score"))


class Moments(TypedDict):
    """Mean and deviation of a correlation."""

    mean: float
    deviation: float


class Facts(TypedDict):
    """Entries of the manifest of a predictor."""

    chosen: str
    spearman: dict[str, Moments]
    margin: float
    column: str
    seed: Natural
    jacobian_encoder: NotRequired[str]


class LabelPredictor:
    """A predictor that learns a user's labels.

    Cross-validation compares the learned ensemble with trivial baselines. Expected correlations count as much as 40
    labels do, so that a handful of labels does not decide alone. If a baseline is ahead, the baseline predicts; below
    ten labels, a baseline always does. With Jacobians, a second ensemble that reads their embeddings too is compared.

    >>> from tfnas.networks.models import named_model
    >>> graphs = tuple(named_model(f"nasbench201:{row}") for row in (13714, 1, 77, 900, 5000, 8000))
    >>> predictor = LabelPredictor().fit(OwnLabels(graphs, np.array([0.94, 0.5, 0.6, 0.7, 0.8, 0.9])))
    >>> predictor.predict(graphs[0]).nearest[0][1]
    0.94

    Args:
      seed: decides everything random.
      jacobians: embeddings of networks by their Jacobians; None for graphs alone.

    Attributes:
      chosen: name of the candidate that predicts; known after `fit`.
      spearman: mean and deviation over four cross-validations of Spearman's correlation, by candidate; known after
        `fit`.
      labels: the labels; known after `fit`.
    """

    chosen: str
    spearman: Mapping[str, tuple[float, float]]
    labels: OwnLabels

    def __init__(self, seed: int = 1, jacobians: "ModelJacobians | None" = None):
        self._seed, self._jacobians = seed, jacobians
        self._embeddings: np.ndarray | None = None

    def fit(self, labels: OwnLabels, folder: artefacts.PathLike = ".") -> Self:
        """Learns n labels.

        Args:
          labels: networks with labels; with Jacobians, their names are those of models that `ModelJacobians` reads.
          folder: folder from which the names start that are paths.

        Raises:
          ConfigurationError: with Jacobians, a network can't be built, or too few have a Jacobian.
        """
        inputs = candidates.Inputs(labels.graphs)
        if self._jacobians is not None:
            self._embeddings = self._jacobians.embed(labels.graphs, folder)
        correlations, answers = candidates.cross_validated(
            inputs,
            labels.labels,
            folds=FOLDS,
            repeats=REPEATS,
            seed=self._seed,
            embeddings=self._embedding_block(),
        )
        self.spearman = {name: (float(rows.mean()), float(rows.std())) for name, rows in correlations.items()}
        self.chosen = choose(self.spearman, len(labels.labels))
        errors = np.abs(answers[self.chosen] - labels.labels)
        self._margin = _quantile(errors.ravel(), len(labels.labels))
        return self._learned(labels, inputs)

    def _learned(self, labels: OwnLabels, inputs: candidates.Inputs) -> Self:
        self.labels, self._inputs = labels, inputs
        self._tree = scipy.spatial.cKDTree(inputs.labelled.points)
        apart = self._tree.query(inputs.labelled.points, 2)[0][:, 1]
        self._apart = max(_quantile(apart, len(apart), 0.95), _TINY)
        if self.chosen in _LEARNED:
            ensemble = candidates.learns_in_ensemble(len(labels.labels), FOLDS)
            blocks = list(inputs.labelled.blocks)
            if self.chosen == candidates.WITH_JACOBIANS:
                blocks.append(self._embedding_block())
            self._model = candidates.Learned(self._seed).fit(blocks, labels.labels, ensemble)
        return self

    def _embedding_block(self) -> np.ndarray | None:
        """The labelled networks' embeddings as a block of features; None without Jacobians."""
        if self._embeddings is None:
            return None
        self._block = candidates.EmbeddingBlock(self._embeddings)
        return self._block(self._embeddings)

    def predict(self, model: Model, **options: Unpack[Options]) -> LabelPrediction:
        """The prediction for a model; see `queries.graphs_of`.

        Raises:
          ConfigurationError: no such file, no model, or an empty graph.
          CorruptArtefactError, InvalidArchitectureError: the model can't be read.
        """
        return self.predict_all([model], **options)[0]

    def predict_all(self, models: Iterable[Model], **options: Unpack[Options]) -> list[LabelPrediction]:
        """Predictions for several models, in their order; see `predict`."""
        models = list(models)
        graphs = graphs_of(models, **options)
        if not graphs:
            return []
        numbers, labels = self._inputs.of(graphs), self.labels.labels
        if self.chosen not in _LEARNED:
            scores = candidates.baseline_scores(self.chosen, self._inputs.labelled, labels, numbers)
        elif self.chosen == candidates.WITH_JACOBIANS:
            scores = self._model.predict([*numbers.blocks, self._block(self._jacobians.embed(models))])
        else:
            scores = self._model.predict(numbers.blocks)
        values = to_labels(scores, power_scores(labels), labels)
        distances, rows = self._tree.query(numbers.points, min(_NEIGHBOURS, len(labels)))
        return [
            LabelPrediction(
                name=graph.name,
                value=float(value),
                low=float(value - self._margin),
                high=float(value + self._margin),
                score=float(score),
                distance=float(apart[0] / self._apart),
                nearest=tuple((self.labels.graphs[row].name, float(labels[row])) for row in near),
                fault=fault(graph),
            )
            for graph, value, score, apart, near in zip(graphs, values, scores, distances, rows, strict=True)
        ]

    @property
    def reason(self) -> str:
        """What predicts, and why."""
        mean, _ = self.spearman[self.chosen]
        ahead = f"cross-validated Spearman's correlation {_spread(*self.spearman[self.chosen])}"
        rival = max(self.spearman.keys() - {self.chosen}, key=lambda name: (self.spearman[name][0], name))
        kind = "The learned ensemble predicts" if self.chosen in _LEARNED else "A trivial baseline predicts"
        who = {candidates.LEARNED: "", candidates.WITH_JACOBIANS: " with Jacobians"}.get(
            self.chosen, f", {self.chosen}, fitted to the labels"
        )
        text = f"{kind}{who}: {ahead}, where {rival} has {self.spearman[rival][0]:.3f}."
        if self.spearman[rival][0] > mean:
            text += f" With {len(self.labels.labels)} labels, correlations expected beforehand count too."
        return text

    def table(self) -> str:
        """Correlations of all candidates, the best first."""
        order = sorted(self.spearman.items(), key=lambda item: -item[1][0])
        rows = [[name, _spread(*moments, sign="+"), "yes" if name == self.chosen else ""] for name, moments in order]
        return tables.markdown(["candidate", "Spearman's correlation", "predicts"], rows)

    def facts(self) -> dict[str, Any]:
        """What the manifest and the summary hold, as JSON values."""
        return {
            "chosen": self.chosen,
            "trivial_baseline": self.chosen not in _LEARNED,
            "reason": self.reason,
            "spearman": {name: {"mean": mean, "deviation": spread} for name, (mean, spread) in self.spearman.items()},
            "margin": self._margin,
            "coverage": COVERAGE,
            "labels": len(self.labels.labels),
            "column": self.labels.column,
            "seed": self._seed,
            "folds": FOLDS,
            "repeats": REPEATS,
        }

    def save(self, folder: artefacts.PathLike) -> pathlib.Path:
        """Writes the labelled graphs, the labels and a manifest; `load` learns from them again."""
        import tensorflow as tf

        with artefacts.atomic_folder(folder) as path:
            with tf.io.TFRecordWriter(str(path / "graphs.tfrecord")) as writer:
                for graph in self.labels.graphs:
                    writer.write(to_example(graph).SerializeToString())
            products = np.concatenate([graph.multiply_adds for graph in self.labels.graphs])
            facts, arrays = self.facts(), {"labels": self.labels.labels, "products": products}
            if self.chosen == candidates.WITH_JACOBIANS:
                arrays |= {"embeddings": self._embeddings, "images": self._jacobians.images}
                facts["jacobian_encoder"] = self._jacobians.encoder.fingerprint
            artefacts.write_npz(path / "labels.npz", **arrays)
            artefacts.write_manifest(path, kind=KIND, **facts)
        return pathlib.Path(folder)

    @classmethod
    def load(cls, folder: artefacts.PathLike) -> "LabelPredictor":
        """The predictor that `save` wrote.

        Raises:
          CorruptArtefactError: a file is missing, truncated or changed.
          MismatchError: the predictor reads embeddings of another Jacobian encoder than the one that ships.
        """
        from tfnas.corpora import shards  # imports TensorFlow

        path = pathlib.Path(folder)
        manifest = artefacts.read_manifest(path, kind=KIND, facts=Facts, files=("graphs.tfrecord", "labels.npz"))
        arrays = artefacts.read_npz(path / "labels.npz")
        try:
            predictor = cls(manifest["seed"])
            graphs = [from_example(record) for record in shards.read_file(path / "graphs.tfrecord")]
            products = np.split(arrays["products"], np.cumsum([graph.num_nodes for graph in graphs])[:-1])
            graphs = [graph.replace(products=row) for graph, row in zip(graphs, products, strict=True)]
            predictor.spearman = {name: (row["mean"], row["deviation"]) for name, row in manifest["spearman"].items()}
            predictor.chosen, predictor._margin = manifest["chosen"], manifest["margin"]
            if predictor.chosen not in predictor.spearman.keys() & {*_LEARNED, *candidates.BASELINES}:
                raise ValueError(f"manifest['chosen'] is {predictor.chosen!r}, expected a candidate")
            labels = OwnLabels(tuple(graphs), arrays["labels"], manifest["column"])
            if reads_jacobians := predictor.chosen == candidates.WITH_JACOBIANS:
                predictor._embeddings, images = arrays["embeddings"], arrays["images"]
                fingerprint = manifest["jacobian_encoder"]
        except (KeyError, TypeError, ValueError) as error:
            raise CorruptArtefactError(f"{path}: not a predictor of own labels ({error})") from error
        if reads_jacobians:
            predictor._jacobians = _reopened(path, images, manifest["seed"], fingerprint)
        return predictor._learned(labels, candidates.Inputs(labels.graphs))


def is_own(folder: artefacts.PathLike) -> bool:
    """Whether a folder's manifest is that of a `LabelPredictor`."""
    path = pathlib.Path(folder) / artefacts.MANIFEST_NAME
    return path.is_file() and artefacts.manifest_kind(folder) == KIND


def choose(spearman: Mapping[str, tuple[float, float]], count: int) -> str:
    """The candidate with the largest correlation, drawn towards the expected one as few labels demand.

    Args:
      spearman: mean and deviation of the cross-validated correlation by candidate.
      count: number of labels.
    """

    def drawn(name: str) -> float:
        return (count * spearman[name][0] + _TRUST * _PRIOR.get(name, _OTHER)) / (count + _TRUST)

    names = [name for name in spearman if count >= _FEWEST or name not in _LEARNED]
    return max(names, key=drawn)


def predictions_table(predictions: Iterable[LabelPrediction], predictor: LabelPredictor) -> str:
    """Predictions as a table, the best first; networks with a fault and networks unlike all labelled ones come last."""
    column = predictor.labels.column
    order = sorted(predictions, key=lambda row: (bool(row.fault), not row.known, -row.score))
    rows = []
    for row in order:
        value = [f"{row.value:.4g}", f"{row.low:.4g} to {row.high:.4g}"] if row.known else ["none", ""]
        nearest = ", ".join(f"{name} ({label:.4g})" for name, label in row.nearest)
        rows.append([row.name, *value, f"{row.distance:.2f}", nearest, row.fault])
    columns = ["model", column, f"{COVERAGE:.0%} interval", "distance", "nearest labelled networks", "fault"]
    text = f"{tables.markdown(columns, rows)}\n\n{predictor.reason}"
    far = [row.name for row in order if not row.known]
    if far:
        text += (
            f"\nNo prediction for {', '.join(far)}: farther from the labelled networks (distance above 1) than these "
            "are from each other."
        )
    return text


def _reopened(path: pathlib.Path, images: np.ndarray, seed: int, fingerprint: str) -> "ModelJacobians":
    """What embedded the labelled networks of a saved predictor."""
    from tfnas.encoders.jacobian.models import ModelJacobians

    jacobians = ModelJacobians(images, seed)
    if jacobians.encoder.fingerprint != fingerprint:
        raise MismatchError(f"{path}: learned with another Jacobian encoder than {jacobians.encoder.folder}")
    return jacobians


def _spread(mean: float, deviation: float, sign: str = "") -> str:
    """A mean and its deviation; the mean alone where every division into parts gives the same."""
    return f"{mean:{sign}.3f}" + (f" ± {deviation:.3f}" if deviation > _TINY else "")


def _quantile(values: np.ndarray, count: int, level: float = COVERAGE) -> float:
    """The quantile of values left out that a further value stays below with the probability `level`."""
    return float(np.quantile(values, min(1.0, np.ceil((count + 1) * level) / count), method="higher"))
