"""Exported predictors: a score for a network, its uncertainty, and how far the network lies from known networks."""

import dataclasses
import pathlib
from collections.abc import Iterable, Mapping
from typing import Unpack

import numpy as np
import scipy.spatial
import tensorflow as tf

from tfnas import artefacts
from tfnas.errors import ConfigurationError
from tfnas.graphs.computation_graph import ComputationGraph, to_example
from tfnas.graphs.importers import Model, Options, import_model
from tfnas.reports import tables
from tfnas.saved_models import SHIPPED, load_module

KIND = "predictor/computation_graph"
_NEIGHBOURS = 5
FAR = 2.0
"""Distance above which a network is unlike all known ones.

Of the networks that the shipped predictor knows, 19 of 20 in every family are nearer to the rest of the family, but for
NATS-Bench size (2.2). All networks of NAS-Bench-101, 201 and 301 are farther from the other families.
"""


@dataclasses.dataclass(frozen=True)
class Prediction:
    """Prediction for a network.

    Attributes:
      score: standard deviations above the mean of its nearest family.
      stddev: calibrated uncertainty of the score.
      accuracy: the score in that family's units, within the range of the family's labels.
      family: the nearest family.
      percentile: share of the family's known networks with a lower predicted score, in percent.
      distance: distance from the nearest known networks, in units of the family's usual distance between neighbours;
        well above 1 means that the predictor has seen nothing like the network.
      embedding: float32 `[D]`.
      notes: lines that say what the importer of the model assumed or did not understand.
    """

    score: float
    stddev: float
    accuracy: float
    family: str
    percentile: float
    distance: float
    embedding: np.ndarray
    notes: tuple[str, ...] = ()

    def __str__(self) -> str:
        """The prediction as a table; see `prediction_table`."""
        return prediction_table(self)


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

    Attributes:
      manifest: manifest of the predictor.
      reference: embeddings float32 `[n, D]` of known networks.
      reference_families: families of the known networks, `[n]`.

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
        self.reference_families = [self._names[number] for number in self._family]
        self._spread = self.reference.std(axis=0) + 1e-6
        self._trees = [
            scipy.spatial.cKDTree(self.reference[self._family == number] / self._spread)
            for number in range(len(self._names))
        ]
        self._usual = [
            max(float(np.median(tree.query(tree.data, min(_NEIGHBOURS + 1, tree.n))[0][:, 1:].mean(axis=1))), 1e-6)
            for tree in self._trees
        ]

    def predict(self, model: Model, **options: Unpack[Options]) -> Prediction:
        """The prediction for a model.

        Args:
          model: path, model in memory or computation graph; see `importers.import_model`.
          **options: options of `importers.import_model`, such as the input_shape of a model that leaves it open.

        Raises:
          ConfigurationError: no such file, no model, or an empty graph.
          CorruptArtefactError, InvalidArchitectureError: the model can't be read.
        """
        return self.predict_all([import_model(model, **options)])[0]

    def predict_all(self, models: Iterable[Model]) -> list[Prediction]:
        """Predictions for several models in one pass; see `predict`."""
        graphs = [import_model(model) for model in models]
        if not graphs:
            return []
        for graph in graphs:
            if not graph.num_nodes:
                raise ConfigurationError(f"{graph.name or 'a graph'} has no operators to predict from")
        examples = tf.constant([to_example(graph).SerializeToString() for graph in graphs])
        outputs = {name: array.numpy() for name, array in self._module.predict_examples(examples).items()}
        rows = zip(outputs["score"], outputs["stddev"], outputs["embedding"], graphs, strict=True)
        return [self._prediction(*row) for row in rows]

    def _prediction(self, score: float, stddev: float, embedding: np.ndarray, graph: ComputationGraph) -> Prediction:
        point = embedding / self._spread
        distances = [
            float(np.mean(tree.query(point, min(_NEIGHBOURS, tree.n))[0])) / usual
            for tree, usual in zip(self._trees, self._usual, strict=True)
        ]
        nearest = int(np.argmin(distances))
        name = self._names[nearest]
        facts = self.manifest["training"]["families"][name]
        known = self._scores[self._family == nearest]
        return Prediction(
            score=float(score),
            stddev=float(stddev),
            accuracy=_within(facts, facts["label_mean"] + float(score) * facts["label_stddev"]),
            family=name,
            percentile=100 * float(np.mean(known < score)),
            distance=distances[nearest],
            embedding=embedding,
            notes=graph.notes,
        )


def _within(facts: Mapping[str, float], accuracy: float) -> float:
    """The accuracy, or the end of the range of the family's labels that it lies beyond."""
    return min(max(accuracy, facts["label_min"]), facts["label_max"])


def prediction_table(prediction: Prediction) -> str:
    """A prediction as a Markdown table, with a warning where the predictor has seen nothing like the network."""
    rows = [
        ["score (deviations from the family's mean)", f"{prediction.score:+.2f} ± {prediction.stddev:.2f}"],
        ["nearest family", prediction.family],
        ["accuracy in that family's units", f"{prediction.accuracy:.2%}"],
        ["better than so many of its known networks", f"{prediction.percentile:.0f} %"],
        ["distance from known networks (usual: 1)", f"{prediction.distance:.1f}"],
    ]
    if prediction.distance > FAR:
        rows = [["nearest family", prediction.family], rows[-1]]
    text = tables.markdown(["prediction", "value"], rows)
    if prediction.distance > FAR:
        text += (
            "\n\nThe predictor has learned from nothing like this network, and its score says nothing: there is no "
            "prediction. Several such models are ranked by their sizes."
        )
    return text + tables.notes(prediction.notes)
