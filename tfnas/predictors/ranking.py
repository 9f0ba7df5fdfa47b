"""Several networks in the order of how good they are expected to be."""

import dataclasses
import pathlib
from collections.abc import Sequence
from typing import Any

from tfnas import artefacts
from tfnas.graphs.computation_graph import ComputationGraph
from tfnas.predictors.saved import FAR, Prediction, SavedPredictor
from tfnas.predictors.sizes import activation_count, fault, size_scores
from tfnas.reports import tables


@dataclasses.dataclass(frozen=True)
class Ranked:
    """A network of a ranking.

    Attributes:
      name: name of the network.
      prediction: the learned prediction.
      parameters: numbers that the network holds.
      multiply_adds: multiply-adds for one input.
      activations: number of activation functions.
      size_score: score of `sizes.size_scores` among the networks of the ranking.
      fault: why the network can't be good, "" for most networks.
    """

    name: str
    prediction: Prediction
    parameters: int
    multiply_adds: int
    activations: int
    size_score: float
    fault: str

    @property
    def known(self) -> bool:
        """Whether the predictor has learned from networks like this one."""
        return self.prediction.distance <= FAR


@dataclasses.dataclass(frozen=True)
class Ranking:
    """Networks, the best first; those with a fault come last.

    Attributes:
      networks: the networks.
      learned: True for the order of the learned scores, False for the order of the size scores.
    """

    networks: tuple[Ranked, ...]
    learned: bool

    def __str__(self) -> str:
        """The table, and what decided its order."""
        rows = []
        for network in self.networks:
            prediction = network.prediction
            score = f"{prediction.score:+.2f} ± {prediction.stddev:.2f}" if network.known else ""
            accuracy = f"{prediction.accuracy:.2%}" if network.known else ""
            family = prediction.family if network.known else "unlike all"
            sizes = [f"{network.multiply_adds / 1e6:,.1f}", f"{network.activations}", f"{network.size_score:+.2f}"]
            rows.append([network.name, *sizes, score, accuracy, family, f"{prediction.distance:.1f}", network.fault])
        columns = ["model", "million multiply-adds", "activations", "size score", "learned score", "accuracy"]
        table = tables.markdown([*columns, "family", "distance", "fault"], rows)
        return f"{table}\n\n{self.reason}"

    @property
    def reason(self) -> str:
        """What decided the order."""
        if self.learned:
            return "Sorted by the learned score: all models are like networks that the predictor has learned from."
        return (
            "Sorted by the size score, z(log multiply-adds) + z(activations): not all models are like networks of one "
            "family that the predictor has learned from, and elsewhere its scores rank worse than sizes do."
        )

    def records(self) -> list[dict[str, Any]]:
        """A row per network, as JSON values; learned numbers only of networks like known ones."""
        rows = []
        for network in self.networks:
            fields = dataclasses.asdict(network) | {"known": network.known}
            prediction = fields.pop("prediction")
            names = ("score", "stddev", "accuracy", "percentile")
            learned = {name: prediction[name] if network.known else None for name in names}
            rows.append(fields | learned | {name: prediction[name] for name in ("family", "distance", "notes")})
        return rows

    def write(self, path: artefacts.PathLike) -> None:
        """Writes the records to a JSON file."""
        artefacts.write_json(pathlib.Path(path), self.records())


def rank(predictor: SavedPredictor, graphs: Sequence[ComputationGraph]) -> Ranking:
    """Ranks networks.

    The learned scores decide if all networks are like known networks of one family. Otherwise sizes decide.

    Args:
      predictor: predictor of the learned scores.
      graphs: networks, one or more.

    Raises:
      ConfigurationError: an empty graph.
    """
    predictions = predictor.predict_all(graphs)
    networks = [
        Ranked(
            name=graph.name,
            prediction=prediction,
            parameters=graph.total_parameters,
            multiply_adds=int(graph.multiply_adds.sum()),
            activations=activation_count(graph),
            size_score=float(score),
            fault=fault(graph),
        )
        for graph, prediction, score in zip(graphs, predictions, size_scores(graphs), strict=True)
    ]
    families = {network.prediction.family for network in networks}
    learned = len(families) == 1 and all(network.known for network in networks)
    scores = [network.prediction.score if learned else network.size_score for network in networks]
    order = sorted(range(len(networks)), key=lambda row: (bool(networks[row].fault), -scores[row]))
    return Ranking(tuple(networks[row] for row in order), learned)
