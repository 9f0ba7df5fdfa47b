"""Exported predictors: an accuracy with an interval, its reasons, similar networks, and what is too far to predict."""

import dataclasses
import functools
import itertools
import math
import pathlib
from collections.abc import Iterable, Mapping
from typing import NotRequired, TypedDict, Unpack

import numpy as np
import tensorflow as tf

from tfnas import artefacts
from tfnas.errors import CorruptArtefactError, MismatchError
from tfnas.graphs.computation_graph import ComputationGraph, to_example
from tfnas.graphs.importers import Model, Options
from tfnas.predictors.calibration import quantiles
from tfnas.predictors.known_networks import KnownNetworks
from tfnas.predictors.queries import graphs_of
from tfnas.reports import tables
from tfnas.saved_models import SAVED_MODEL_FILES, SHIPPED, load_module
from tfnas.typed import Natural

KIND = "predictor/computation_graph"
_NEAREST = 3


@dataclasses.dataclass(frozen=True)
class Neighbour:
    """A labelled network near a network.

    Attributes:
      name: name, `SPACE:ARCHITECTURE` for architectures of a benchmark.
      accuracy: measured accuracy.
      distance: distance in units of the family's usual distance between neighbours.
    """

    name: str
    accuracy: float
    distance: float


@dataclasses.dataclass(frozen=True)
class Prediction:
    """Prediction for a network.

    Attributes:
      score: standard deviations above the mean of its nearest family.
      stddev: calibrated uncertainty of the score.
      accuracy: the median of the accuracies of the family's networks that have such scores.
      family: the nearest family.
      percentile: share of the family's known networks with a lower measured accuracy than `accuracy`, in percent.
      distance: distance from the nearest known networks, in units of the family's usual distance between neighbours;
        well above 1 means that the predictor has seen nothing like the network.
      embedding: float32 `[D]`.
      notes: lines that say what the importer of the model assumed or did not understand.
      accuracy_interval: accuracies between which 80 % of the family's networks with such scores lie.
      percentile_interval: percentiles of the ends of that interval.
      nearest: the three nearest labelled networks of the family, the nearest first.
      reasons: parts of the score that groups of the network's numbers give: Shapley values in a game in which the
        family's means stand for numbers that are left out. They add up to `score - average_score`.
      average_score: score of a network whose numbers are the family's means.
      far: distance above which there is no prediction.
    """

    score: float
    stddev: float
    accuracy: float
    family: str
    percentile: float
    distance: float
    embedding: np.ndarray
    notes: tuple[str, ...] = ()
    accuracy_interval: tuple[float, float] = (0.0, 1.0)
    percentile_interval: tuple[float, float] = (0.0, 100.0)
    nearest: tuple[Neighbour, ...] = ()
    reasons: Mapping[str, float] = dataclasses.field(default_factory=dict)
    average_score: float = 0.0
    far: float = math.inf

    @property
    def known(self) -> bool:
        """Whether the predictor has learned from networks like this one; otherwise its numbers say nothing."""
        return self.distance <= self.far

    def __str__(self) -> str:
        """The prediction as a table; see `prediction_table`."""
        return prediction_table(self)


class Far(TypedDict):
    """Beyond what distance there is no prediction."""

    distance: float


class Family(TypedDict):
    """What a predictor learned of a family: quantiles of accuracies by score."""

    accuracy: dict[str, list[float]]


class Training(TypedDict):
    """What a predictor's training found."""

    families: dict[str, Family]
    far: NotRequired[Far]


class Facts(TypedDict):
    """Entries of the manifest of a predictor."""

    family_names: list[str]
    input_groups: dict[str, list[Natural]]
    training: Training


class SavedPredictor:
    """An exported predictor.

    >>> from tfnas.networks import symbolic
    >>> from tfnas.spaces import NASBench201
    >>> space = NASBench201()
    >>> cell = space.from_string("|nor_conv_3x3~0|+|nor_conv_3x3~0|nor_conv_3x3~1|+|skip_connect~0|none~1|none~2|")
    >>> SavedPredictor().predict(symbolic.build(space, cell)).family
    'nasbench201'

    Args:
      folder: folder of the predictor; by default the predictor that ships with tfnas.
      trust: True to open a SavedModel that may do more than compute; see `saved_models.load_module`.

    Attributes:
      manifest: manifest of the predictor.
      reference: embeddings float32 `[n, D]` of known networks.
      reference_families: families of the known networks, `[n]`.

    Raises:
      CorruptArtefactError: a file is missing, truncated or changed, or TensorFlow can't load the model.
      MismatchError: a predictor of another version, which has no calibrated intervals.
      UntrustedModelError: see `saved_models.load_module`.
    """

    def __init__(self, folder: artefacts.PathLike | None = None, *, trust: bool = False):
        folder = pathlib.Path(folder or SHIPPED / "cg_predictor")
        files = (*SAVED_MODEL_FILES, "reference.npz")
        self.manifest = artefacts.read_manifest(folder, kind=KIND, facts=Facts, files=files)
        if "far" not in self.manifest["training"]:
            raise MismatchError(f"{folder}: a predictor without intervals; train it again with train_predictor")
        self._module = load_module(folder, trust=trust)
        arrays = artefacts.read_npz(folder / "reference.npz")
        try:
            self._read(arrays)
        except (IndexError, KeyError, TypeError, ValueError) as error:
            raise CorruptArtefactError(f"{folder}: its manifest and reference.npz do not agree ({error})") from error

    def _read(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Takes the known networks over, and tries every entry of the manifest that predictions read."""
        inputs = arrays["inputs"].astype(np.float32)
        groups = self.manifest["input_groups"]
        self.reference = inputs[:, groups["embedding of the graph"]]
        for columns in groups.values():
            inputs[:1, columns]
        self._labels, self._names, self._means = arrays["labels"], arrays["names"], arrays["means"]
        self._families = self.manifest["family_names"]
        for name in self._families:
            quantiles(self.manifest["training"]["families"][name]["accuracy"], 0.0)
        self.reference_families = [self._families[number] for number in arrays["family"]]
        self._known = KnownNetworks(inputs, arrays["family"])

    def predict(self, model: Model, **options: Unpack[Options]) -> Prediction:
        """The prediction for a model.

        Args:
          model: path, model in memory or computation graph (see `importers.import_model`), or text such as
            `nasbench201:13714` (see `networks.models.named_model`).
          **options: options of `importers.import_model`, such as the input_shape of a model that leaves it open.

        Raises:
          ConfigurationError: no such file, no model, or an empty graph.
          CorruptArtefactError, InvalidArchitectureError: the model can't be read.
        """
        return self.predict_all([model], **options)[0]

    def predict_all(self, models: Iterable[Model], **options: Unpack[Options]) -> list[Prediction]:
        """Predictions for several models in one pass; see `predict`."""
        graphs = graphs_of(models, **options)
        if not graphs:
            return []
        examples = tf.constant([to_example(graph).SerializeToString() for graph in graphs])
        outputs = {name: array.numpy() for name, array in self._module.predict_examples(examples).items()}
        inputs = np.concatenate([outputs["embedding"], outputs["numbers"]], axis=1)
        distances = self._known.distances(inputs)
        rows = zip(graphs, outputs["score"], outputs["stddev"], outputs["embedding"], inputs, distances, strict=True)
        return [self._prediction(*row) for row in rows]

    def _prediction(
        self,
        graph: ComputationGraph,
        score: float,
        stddev: float,
        embedding: np.ndarray,
        inputs: np.ndarray,
        distances: np.ndarray,
    ) -> Prediction:
        family = int(np.argmin(distances))
        name = self._families[family]
        curve = self.manifest["training"]["families"][name]["accuracy"]
        known = np.sort(self._labels[self._known.rows[family]])
        accuracies = quantiles(curve, score)
        low, percentile, high = (100 * np.searchsorted(known, accuracies.astype(known.dtype)) / len(known)).tolist()
        reasons, average = self._reasons(inputs, family)
        return Prediction(
            score=float(score),
            stddev=float(stddev),
            accuracy=float(accuracies[1]),
            family=name,
            percentile=percentile,
            distance=float(distances[family]),
            embedding=embedding,
            notes=graph.notes,
            accuracy_interval=(float(accuracies[0]), float(accuracies[2])),
            percentile_interval=(low, high),
            nearest=tuple(
                Neighbour(str(self._names[row]), float(self._labels[row]), distance)
                for row, distance in self._known.nearest(inputs, family, _NEAREST)
            ),
            reasons=reasons,
            average_score=average,
            far=self.manifest["training"]["far"]["distance"],
        )

    def _reasons(self, inputs: np.ndarray, family: int) -> tuple[dict[str, float], float]:
        """Shapley values of the groups of inputs, and the score of the family's means."""
        sections = self.manifest["input_groups"]
        subsets, weights = _shapley(len(sections))
        rows = np.tile(self._means[family], (len(subsets), 1)).astype(np.float32)
        for column, columns in enumerate(sections.values()):
            rows[np.ix_(subsets[:, column], columns)] = inputs[columns]
        scores = self._module.predict_inputs(tf.constant(rows))["score"].numpy().astype(np.float64)
        return dict(zip(sections, (weights @ scores).tolist(), strict=True)), float(scores[0])


@functools.cache
def _shapley(count: int) -> tuple[np.ndarray, np.ndarray]:
    """All subsets of `count` players, bool `[2^count, count]`, and the weights of their values in each Shapley value.

    References:
      Shapley 1953, "A Value for n-Person Games"; Lundberg and Lee 2017, "A Unified Approach to Interpreting Model
      Predictions".
    """
    subsets = np.array(list(itertools.product((False, True), repeat=count)))
    size = subsets.sum(axis=1)
    joined = np.array([1 / (count * math.comb(count - 1, k - 1)) if k else 0.0 for k in range(count + 1)])
    absent = np.array([1 / (count * math.comb(count - 1, k)) if k < count else 0.0 for k in range(count + 1)])
    return subsets, np.where(subsets, joined[size][:, None], -absent[size][:, None]).T


def prediction_table(prediction: Prediction) -> str:
    """A prediction as Markdown tables, or a refusal where the predictor has seen nothing like the network."""
    distance = ["distance from known networks (usual: 1)", f"{prediction.distance:.1f}"]
    if not prediction.known:
        text = tables.markdown(["prediction", "value"], [["nearest family", prediction.family], distance])
        text += (
            "\n\nThe predictor has learned from nothing like this network, and its score says nothing: there is no "
            f"prediction beyond a distance of {prediction.far:.1f}. Several such models are ranked by their form."
        )
        return text + tables.notes(prediction.notes)
    low, high = prediction.accuracy_interval
    worst, best = prediction.percentile_interval
    rows = [
        ["nearest family", prediction.family],
        ["expected accuracy in that family's units", f"{prediction.accuracy:.2%}"],
        ["80 % interval", f"{low:.2%} to {high:.2%}"],
        ["better than so many of its known networks", f"{prediction.percentile:.0f} % ({worst:.0f} to {best:.0f} %)"],
        ["score (deviations from the family's mean)", f"{prediction.score:+.2f} ± {prediction.stddev:.2f}"],
        distance,
    ]
    sections = [tables.markdown(["prediction", "value"], rows)]
    if prediction.nearest:
        near = [[known.name, f"{known.accuracy:.2%}", f"{known.distance:.1f}"] for known in prediction.nearest]
        sections.append(tables.markdown(["nearest labelled networks", "measured", "distance"], near))
    if prediction.reasons:
        ordered = sorted(prediction.reasons.items(), key=lambda reason: -abs(reason[1]))
        rows = [
            ["average network of the family", f"{prediction.average_score:+.2f}"],
            *([name, f"{value:+.2f}"] for name, value in ordered),
            ["sum", f"{prediction.score:+.2f}"],
        ]
        sections.append(tables.markdown(["what drives the score", "part"], rows))
    return "\n\n".join(sections) + tables.notes(prediction.notes)
