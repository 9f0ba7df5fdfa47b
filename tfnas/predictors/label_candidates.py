"""What can learn a user's labels: a learned ensemble, and trivial baselines that it is measured against."""

import dataclasses
from collections.abc import Mapping, Sequence

import networkx as nx
import numpy as np
from sklearn.linear_model import Ridge

from tfnas.errors import ConfigurationError
from tfnas.graphs.computation_graph import ComputationGraph
from tfnas.graphs.form_numbers import form_numbers
from tfnas.graphs.operators import OPERATORS
from tfnas.graphs.packed import PackedGraphs, pack
from tfnas.predictors.additive_gp import AdditiveGP
from tfnas.predictors.base import rank_correlation
from tfnas.predictors.cell_features import Scale
from tfnas.predictors.ensemble import LEAST_LABELS, LabelEnsemble, Process, Trees
from tfnas.predictors.features import GraphFeatures
from tfnas.predictors.kernel_mixture import FEW_LABELS
from tfnas.predictors.label_scores import power_scores, to_labels
from tfnas.predictors.prior import form_scores
from tfnas.predictors.sizes import activation_count

LEARNED = "learned"
WITH_JACOBIANS = "learned with Jacobians"
RIDGE = "ridge on counts"
ZERO_SHOT = "zero-shot score"
NUMBERS = ("parameters", "multiply-adds", "depth", "activation functions")
BASELINES = (*NUMBERS, ZERO_SHOT, RIDGE)
"""Names of the trivial baselines."""

FEATURES = ("structure", "operators", "neighbourhoods", "paths")
_ALPHA = 1.0  # strength of the ridge, on counts with deviation 1
_FLOOR = (
    0.25  # least deviation by which a logarithm is divided: what all labelled networks share counts where it changes
)
_TINY = 1e-9


def size_numbers(graph: ComputationGraph) -> list[float]:
    """The numbers that `NUMBERS` names; parameters and multiply-adds as logarithms."""
    network = nx.DiGraph(graph.edges.tolist())
    depth = nx.dag_longest_path_length(network) if graph.num_edges else 0
    totals = np.log1p([graph.total_parameters, graph.multiply_adds.sum()])
    return [*totals.tolist(), float(depth), float(activation_count(graph))]


def operator_counts(graph: ComputationGraph) -> np.ndarray:
    """Logarithms of 1 + the number of operators of every kind, float64 `[operators]`."""
    return np.log1p(np.bincount(graph.operators, minlength=len(OPERATORS)))


@dataclasses.dataclass(frozen=True, eq=False)
class Numbers:
    """Numbers of N networks.

    Attributes:
      blocks: blocks of features, float64 `[N, D_b]` each.
      sizes: float64 `[N, 4]`, see `NUMBERS`.
      counts: float64 `[N, operators]`, see `operator_counts`.
      forms: float64 `[N, F]`, see `form_numbers`.
      points: float64 `[N, D]`, whose distances say how alike networks are.
    """

    blocks: list[np.ndarray]
    sizes: np.ndarray
    counts: np.ndarray
    forms: np.ndarray
    points: np.ndarray


class Inputs:
    """Numbers of networks, scaled by the n labelled networks without their labels.

    Args:
      graphs: n labelled networks.

    Attributes:
      labelled: numbers of the labelled networks.
    """

    def __init__(self, graphs: Sequence[ComputationGraph]):
        packed = _packed(graphs)
        self._features = GraphFeatures(packed, FEATURES)
        sizes, counts = _plain(graphs)
        self._scale = np.maximum(_spread(sizes, counts).std(axis=0), _FLOOR)
        self.labelled = self._numbers(self._features.blocks, sizes, counts, form_numbers(packed))

    def of(self, graphs: Sequence[ComputationGraph]) -> Numbers:
        """Numbers of other networks."""
        packed = _packed(graphs)
        return self._numbers(self._features.transform(packed), *_plain(graphs), form_numbers(packed))

    def _numbers(self, blocks: list[np.ndarray], sizes: np.ndarray, counts: np.ndarray, forms: np.ndarray) -> Numbers:
        points = np.concatenate([*blocks, _spread(sizes, counts) / self._scale], axis=1)
        return Numbers(blocks, sizes, counts, forms, points)


def _packed(graphs: Sequence[ComputationGraph]) -> PackedGraphs:
    return pack([graph.replace(family="own") for graph in graphs])


def _plain(graphs: Sequence[ComputationGraph]) -> tuple[np.ndarray, np.ndarray]:
    return np.array([size_numbers(graph) for graph in graphs]), np.array([operator_counts(graph) for graph in graphs])


def _spread(sizes: np.ndarray, counts: np.ndarray) -> np.ndarray:
    return np.concatenate([sizes[:, :2], np.log1p(sizes[:, 2:3]), counts], axis=1)


class EmbeddingBlock:
    """Embeddings as a block of features, scaled by labelled networks; a network without an embedding has their mean.

    Args:
      embeddings: float `[n, D]` of the labelled networks; rows of NaN for those without.

    Raises:
      ConfigurationError: fewer than two networks have an embedding, or all embeddings are equal.

    Example:
      >>> EmbeddingBlock(np.array([[1.0], [3.0]]))(np.array([[3.0], [np.nan]])).tolist()
      [[1.0], [0.0]]
    """

    def __init__(self, embeddings: np.ndarray):
        known = embeddings[np.isfinite(embeddings).all(axis=1)]
        self._scale = Scale.of(known) if len(known) > 1 else None
        if self._scale is None or not self._scale.columns.size:
            raise ConfigurationError(
                f"{len(known)} of {len(embeddings)} labelled networks have embeddings, expected two that differ"
            )

    def __call__(self, embeddings: np.ndarray) -> np.ndarray:
        """float64 `[m, D]`, with mean 0 and mean square norm 1 over the labelled networks."""
        return np.nan_to_num(self._scale(embeddings).astype(np.float64), nan=0.0)


class Learned:
    """The learned candidate: `LabelEnsemble` of a process and trees, or below ten labels the process alone."""

    def __init__(self, seed: int):
        self._seed = seed

    def fit(self, blocks: Sequence[np.ndarray], labels: np.ndarray, ensemble: bool) -> "Learned":
        """Learns labels `[n]` of blocks `[n, D_b]`; `ensemble` needs ten labels."""
        rows = range(len(blocks))
        self._model: LabelEnsemble | AdditiveGP
        if ensemble:
            self._model = LabelEnsemble([Process(rows), Trees(rows, self._seed)])
        else:
            self._model = AdditiveGP(scores=power_scores, prior=FEW_LABELS)
        self._model.fit(list(blocks), labels)
        return self

    def predict(self, blocks: Sequence[np.ndarray]) -> np.ndarray:
        """Scores `[m]`."""
        return self._model.predict(list(blocks))[0]


def learns_in_ensemble(count: int, folds: int) -> bool:
    """Whether every part of the cross-validation of n labels has the ten labels that `LabelEnsemble` needs."""
    return count - -(-count // folds) >= LEAST_LABELS


def calibrated(known: np.ndarray, labels: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Scores `[m]` that grow linearly with `values`, by least squares on n `known` values with labels.

    A number that falls as labels grow says nothing: its slope is 0 then.
    """
    scores = power_scores(labels)
    centred = known - known.mean()
    slope = max(float(centred @ scores) / max(float(centred @ centred), _TINY), 0.0)
    return slope * (values - known.mean())


def ridge(known: np.ndarray, labels: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Scores `[m]` of ridge regression on counts."""
    spread = known.std(axis=0)
    spread = np.where(spread > _TINY, spread, np.inf)
    mean = known.mean(axis=0)
    model = Ridge(_ALPHA).fit((known - mean) / spread, power_scores(labels))
    return model.predict((counts - mean) / spread)


def zero_shot_values(known: np.ndarray, forms: np.ndarray) -> tuple[np.ndarray, float]:
    """Zero-shot scores of n networks and of another network among them.

    Args:
      known: float64 `[n, F]`, see `form_numbers`.
      forms: float64 `[F]`, numbers of the other network.
    """
    values = form_scores(np.concatenate([known, forms[None]]))
    return values[:-1], float(values[-1])


def baseline_scores(name: str, known: Numbers, labels: np.ndarray, asked: Numbers) -> np.ndarray:
    """Scores `[m]` of a trivial baseline.

    Args:
      name: a name of `BASELINES`.
      known: numbers of n labelled networks.
      labels: float64 `[n]`, labels of the labelled networks.
      asked: numbers of m networks.
    """
    if name == RIDGE:
        return ridge(known.counts, labels, asked.counts)
    if name == ZERO_SHOT:
        pairs = [zero_shot_values(known.forms, row) for row in asked.forms]
        return np.array([calibrated(among, labels, np.array([value]))[0] for among, value in pairs])
    column = NUMBERS.index(name)
    return calibrated(known.sizes[:, column], labels, asked.sizes[:, column])


def cross_validated(
    inputs: Inputs,
    labels: np.ndarray,
    *,
    folds: int,
    repeats: int,
    seed: int,
    embeddings: np.ndarray | None = None,
) -> tuple[Mapping[str, np.ndarray], Mapping[str, np.ndarray]]:
    """Scores of every network by candidates that have not seen its label.

    Args:
      inputs: n labelled networks.
      labels: float `[n]`.
      folds: parts of the labels that are left out in turn.
      repeats: number of divisions into parts.
      seed: seed of the divisions and of the trees.
      embeddings: block `[n, D]` of `WITH_JACOBIANS`; None leaves the candidate out.

    Returns:
      By candidate, rank correlations `[repeats]`, and predictions `[repeats, n]` in the units of the labels. The
      correlation of a baseline that has no parameters is that of its plain numbers.
    """
    from tfnas import runtime

    count, random = len(labels), np.random.default_rng(seed)
    folds = min(folds, count)
    ensemble = learns_in_ensemble(count, folds)
    known = inputs.labelled
    plain = {name: known.sizes[:, column] for column, name in enumerate(NUMBERS)}
    plain[ZERO_SHOT] = form_scores(known.forms)
    blocks = {LEARNED: known.blocks}
    if embeddings is not None:
        blocks[WITH_JACOBIANS] = [*known.blocks, embeddings]
    scores = {name: np.zeros((repeats, count)) for name in (*blocks, *BASELINES)}
    answers = {name: np.zeros((repeats, count)) for name in scores}
    with runtime.progress(total=repeats * folds, desc="cross-validation", unit="fold") as step:
        for repeat in range(repeats):
            order = random.permutation(count)
            for fold in range(folds):
                held = np.sort(order[fold::folds])
                seen = np.setdiff1d(order, held)
                values_of = {}
                for name, features in blocks.items():
                    learned = Learned(seed).fit([block[seen] for block in features], labels[seen], ensemble)
                    values_of[name] = learned.predict([block[held] for block in features])
                values_of[RIDGE] = ridge(known.counts[seen], labels[seen], known.counts[held])
                for name, values in plain.items():
                    values_of[name] = calibrated(values[seen], labels[seen], values[held])
                for name, values in values_of.items():
                    scores[name][repeat, held] = values
                    answers[name][repeat, held] = to_labels(values, power_scores(labels[seen]), labels[seen])
                step()
    correlations = {
        name: np.array([rank_correlation(row, labels) or 0.0 for row in rows]) for name, rows in scores.items()
    }
    correlations |= {name: np.full(repeats, rank_correlation(values, labels) or 0.0) for name, values in plain.items()}
    return correlations, answers
