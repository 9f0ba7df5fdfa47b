"""Several networks in the order of how good they are expected to be."""

import dataclasses
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

from tfnas import artefacts
from tfnas.graphs.computation_graph import ComputationGraph
from tfnas.predictors.prior import TITLES, zero_shot
from tfnas.predictors.saved import Prediction, SavedPredictor
from tfnas.predictors.sizes import activation_count, fault
from tfnas.reports import tables

_ALWAYS = ("family", "distance", "far", "notes")


@dataclasses.dataclass(frozen=True)
class Ranked:
    """A network of a ranking.

    Attributes:
      name: name of the network.
      prediction: the learned prediction.
      parameters: numbers that the network holds.
      multiply_adds: multiply-adds for one input.
      activations: number of activation functions.
      fault: why the network can't be good, "" for most networks.
      form_score: score of `prior.zero_shot` among the networks of the ranking, which needs no labels.
      form_interval: interval that holds the accuracy's normal score among such networks with probability 80 %.
      form_reasons: parts of the score that numbers of the form give.
    """

    name: str
    prediction: Prediction
    parameters: int
    multiply_adds: int
    activations: int
    fault: str
    form_score: float
    form_interval: tuple[float, float]
    form_reasons: Mapping[str, float]

    @property
    def known(self) -> bool:
        """Whether the predictor has learned from networks like this one."""
        return self.prediction.known


@dataclasses.dataclass(frozen=True)
class Ranking:
    """Networks, the best first; those with a fault come last.

    Attributes:
      networks: the networks.
      learned: True for the order of the learned scores, False for the order of the form scores.
    """

    networks: tuple[Ranked, ...]
    learned: bool

    def __str__(self) -> str:
        """The table, and what decided its order."""
        rows = []
        for network in self.networks:
            prediction = network.prediction
            low, high = prediction.accuracy_interval if self.learned else network.form_interval
            cells = [network.name]
            if self.learned:
                cells += [f"{prediction.score:+.2f} ± {prediction.stddev:.2f}", f"{prediction.accuracy:.2%}"]
                cells += [f"{low:.2%} to {high:.2%}", f"{prediction.percentile:.0f} %", prediction.family]
            else:
                cells += [f"{network.form_score:+.2f}", f"{low:+.2f} to {high:+.2f}"]
                cells.append(prediction.family if network.known else "unlike all")
            cells += [f"{prediction.distance:.1f}", f"{network.multiply_adds / 1e6:,.1f}", network.fault]
            rows.append(cells)
        titles = (
            ["score", "accuracy", "80 % interval", "percentile"] if self.learned else ["form score", "80 % interval"]
        )
        columns = ["model", *titles, "family", "distance", "million multiply-adds", "fault"]
        if not any(network.fault for network in self.networks):
            columns, rows = columns[:-1], [row[:-1] for row in rows]
        return f"{tables.markdown(columns, rows)}\n\n{self.reason}"

    @property
    def reason(self) -> str:
        """What decided the order."""
        if self.learned:
            return "Sorted by the learned score: all models are like networks that the predictor has learned from."
        return (
            f"Sorted by the form score ({', '.join(TITLES.values())}; see tfnas.predictors.prior): not all models are "
            "like networks of one family that the predictor has learned from. It compares these models with each "
            "other: 0 is the median of them, and 1.28 better than 90 %."
        )

    def records(self) -> list[dict[str, Any]]:
        """A row per network, as JSON values; learned numbers only of networks like known ones."""
        rows = []
        for network in self.networks:
            fields = {field.name: getattr(network, field.name) for field in dataclasses.fields(network)}
            prediction = dataclasses.asdict(fields.pop("prediction"))
            learned = {
                name: value if network.known else None
                for name, value in prediction.items()
                if name not in (*_ALWAYS, "embedding")
            }
            always = {name: prediction[name] for name in _ALWAYS}
            rows.append(
                fields | {"form_reasons": dict(network.form_reasons), "known": network.known} | learned | always
            )
        return rows

    def write(self, path: artefacts.PathLike) -> None:
        """Writes the records to a JSON file."""
        artefacts.write_json(pathlib.Path(path), self.records())


def rank(predictor: SavedPredictor, graphs: Sequence[ComputationGraph]) -> Ranking:
    """Ranks networks.

    The learned scores decide if all networks are like known networks of one family, and otherwise `prior.zero_shot`.

    Args:
      predictor: predictor of the learned scores.
      graphs: networks, one or more.

    Raises:
      ConfigurationError: an empty graph.
    """
    predictions, form = predictor.predict_all(graphs), zero_shot(graphs)
    networks = [
        Ranked(
            name=graph.name,
            prediction=prediction,
            parameters=graph.total_parameters,
            multiply_adds=int(graph.multiply_adds.sum()),
            activations=activation_count(graph),
            fault=fault(graph),
            form_score=float(form.score[row]),
            form_interval=(float(form.low[row]), float(form.high[row])),
            form_reasons=form.reasons[row],
        )
        for row, (graph, prediction) in enumerate(zip(graphs, predictions, strict=True))
    ]
    families = {network.prediction.family for network in networks}
    learned = len(families) == 1 and all(network.known for network in networks)
    scores = [network.prediction.score if learned else network.form_score for network in networks]
    order = sorted(range(len(networks)), key=lambda row: (bool(networks[row].fault), -scores[row]))
    return Ranking(tuple(networks[row] for row in order), learned)
