"""Ranks of unseen networks by few labels of their space alone, beside what needs no learning.

The pools and numbers of labels are those of table 1, with more numbers of labels and more draws. Nothing is pretrained,
and no labels of other spaces are used.

References:
  Han et al. 2023, section 5.1. Kadlecova et al. 2024 (GRAF), for features of cells.
"""

import dataclasses
import pathlib
from collections.abc import Callable, Sequence

import numpy as np
from sklearn.linear_model import RidgeCV

from reproductions import plots, report
from reproductions.correlations import spearman
from reproductions.predictor import corpus
from reproductions.predictor.corpus import TARGETS
from reproductions.predictor.settings import Settings
from tfnas.benchmarks.registry import load_table
from tfnas.graphs.operators import ACTIVATIONS, CODES
from tfnas.graphs.packed import PackedGraphs
from tfnas.graphs.structure import STRUCTURE
from tfnas.networks.symbolic.packing import pack_cells
from tfnas.predictors.cell_features import CellFeatures
from tfnas.predictors.ensemble import LabelEnsemble
from tfnas.predictors.features import GraphFeatures, standardised
from tfnas.predictors.kernel_mixture import normal_scores
from tfnas.spaces import CellTable, Space

COUNTS = (20, 50, 100, 300)
"""Numbers of labels; NAS-Bench-201 has 40 instead of 50, and NAS-Bench-301 200 instead of 300."""

METHODS = (
    *("parameters", "multiply-adds", "depth", "size score", "ridge on sizes", "ridge on counts of operations"),
    *("GP on graph features of table 1", "GP on graph features and paths", "GP on features of cells", "trees"),
    *("ensemble on graphs", "ensemble on graphs and cells"),
)
"""Methods in the order of the table; the first four learn nothing, the next two are baselines."""

GOALS = {"nasbench101": 0.85, "nasbench201": 0.93, "nasbench301": 0.88}
_PENALTIES = np.logspace(-2, 3, 11)
_BASELINES = METHODS[4:6]

Predict = Callable[[np.ndarray, np.ndarray], np.ndarray]
"""From the rows with labels `[R, n]` and their labels to predictions `[R, N]` for all networks."""


@dataclasses.dataclass(frozen=True)
class Pool:
    """Labelled networks of one space.

    Attributes:
      space: space of the cells.
      cells: N cells.
      graphs: N networks of the cells.
      labels: accuracies `[N]`.
    """

    space: Space
    cells: CellTable
    graphs: PackedGraphs
    labels: np.ndarray

    @classmethod
    def of(cls, family: str, seed: int) -> "Pool":
        """At most 5,000 random cells of a benchmark."""
        table = load_table(family)
        rows, labels = corpus.labelled_rows(table, family)
        chosen = np.random.default_rng([seed, 0]).permutation(len(rows))[: corpus.TEST_POOL]
        cells = table.cells[rows[chosen]]
        return cls(table.space, cells, pack_cells(table.space, cells, labels[chosen], progress=True), labels[chosen])

    def activations(self) -> np.ndarray:
        """Activation functions of every network, `[N]`."""
        is_activation = np.isin(self.graphs.features[:, 0], [CODES[name] for name in ACTIVATIONS])[self.graphs.codes]
        return np.add.reduceat(is_activation.astype(np.int64), self.graphs.node_offsets[:-1])

    def counts(self) -> np.ndarray:
        """Vertices of every operation, and edges from every input, of every component of a cell, `[N, counts]`."""
        columns = []
        for component in self.space.components(self.cells):
            columns += [
                (component.vertex_mask & (component.operations == code)).sum(axis=1)
                for code in range(len(self.space.operations))
            ]
            inputs = np.flatnonzero(~component.adjacency.any(axis=(0, 1)) & component.vertex_mask.any(axis=0))
            columns += list(component.adjacency[:, inputs].sum(axis=2).T)
        return np.stack(columns, axis=1)


def run(output_dir: pathlib.Path, settings: Settings) -> report.Report:
    """Runs the experiment and draws `few_labels.png`.

    Args:
      output_dir: an existing folder.
      settings: seed, and draws of labels.
    """
    correlations: dict[str, dict[str, dict[str, list[float]]]] = {}
    for family in TARGETS:
        arrays = report.computed_once(
            output_dir / "parts" / f"few_labels_{family}.npz", lambda family=family: _measured(family, settings)
        )
        keys = [key.rpartition(":") for key in arrays]
        correlations[family] = {
            name: {count: arrays[f"{name}:{count}"].tolist() for count in sorted({key[2] for key in keys}, key=int)}
            for name in METHODS
        }
    plots.learning_curves(correlations, output_dir / "few_labels.png")
    return _report({"correlations": correlations, "draws": settings.draws, "seed": settings.seed})


def _measured(family: str, settings: Settings) -> dict[str, np.ndarray]:
    """Spearman's correlations `[draws]` by method and number of labels."""
    pool = Pool.of(family, settings.seed)
    methods = _methods(pool)
    measured = {}
    for count in label_counts(family, len(pool.labels)):
        rows = np.stack(
            [
                np.random.default_rng([settings.seed, 1 + list(TARGETS).index(family), count, draw]).permutation(
                    len(pool.labels)
                )[:count]
                for draw in range(settings.draws)
            ]
        )
        for name, predict in methods.items():
            predictions = predict(rows, pool.labels[rows])
            measured[f"{name}:{count}"] = np.array(
                [
                    spearman(np.delete(values, seen), np.delete(pool.labels, seen))
                    for values, seen in zip(predictions, rows, strict=True)
                ]
            )
    return measured


def label_counts(family: str, size: int) -> list[int]:
    """Numbers of labels of a space with so many labelled networks."""
    counts = {count if count != COUNTS[1] else TARGETS[family] for count in COUNTS}
    return sorted(count if size - count >= 100 else 200 for count in counts)


def _methods(pool: Pool) -> dict[str, Predict]:
    networks = GraphFeatures(pool.graphs, ("structure", "operators", "neighbourhoods", "paths"))
    described = CellFeatures(pool.space, pool.cells, by_component=True)
    cells = described.transform(pool.cells)
    blocks = [*networks.blocks, *cells]
    every = list(range(len(networks.blocks)))  # structure, operators, neighbourhoods by steps, paths
    paths = every[-1]
    of_cells = list(range(len(every), len(blocks)))
    graf = [len(every) + number for number, name in enumerate(described.names) if name.startswith("graph")]
    structure = pool.graphs.structure

    def ensemble(processes: Sequence[Sequence[int]], trees: Sequence[int]) -> Predict:
        def predict(rows: np.ndarray, labels: np.ndarray) -> np.ndarray:
            model = LabelEnsemble(processes, trees).fit([block[rows] for block in blocks], labels)
            return np.stack([model.predict(blocks, run)[0] for run in range(len(rows))])

        return predict

    sizes = standardised(structure[:, [STRUCTURE.index(name) for name in STRUCTURE[:2] + STRUCTURE[4:6]]])
    columns = ("log_parameters", "log_multiply_adds", "weighted_depth")
    predictions = (
        *(_constant(structure[:, STRUCTURE.index(column)]) for column in columns),
        _constant(standardised(np.stack([structure[:, 1], pool.activations()], axis=1)).sum(axis=1)),
        *(_ridge(sizes), _ridge(standardised(pool.counts()))),
        *(ensemble([group], []) for group in (every[:-1], every, of_cells)),
        ensemble([], [0, 1, *graf]),
        ensemble([every], [0, 1, paths]),
        ensemble([[*every, *graf], of_cells, every], [0, 1, *graf]),
    )
    return dict(zip(METHODS, predictions, strict=True))


def _constant(values: np.ndarray) -> Predict:
    return lambda rows, labels: np.tile(values, (len(rows), 1))


def _ridge(features: np.ndarray) -> Predict:
    def predict(rows: np.ndarray, labels: np.ndarray) -> np.ndarray:
        scores = normal_scores(labels)
        return np.stack(
            [
                RidgeCV(_PENALTIES).fit(features[seen], values).predict(features)
                for seen, values in zip(rows, scores, strict=True)
            ]
        )

    return predict


def _report(values: dict) -> report.Report:
    correlations = values["correlations"]
    rows = [
        [family, name, *(report.spread(by_count[count]) for count in by_count)]
        for family, methods in correlations.items()
        for name, by_count in methods.items()
    ]
    comparison = []
    for family, goal in GOALS.items():
        ours = correlations[family]["ensemble on graphs and cells"]
        count = str(TARGETS[family])
        reached = float(np.mean(ours[count]))
        behind = [
            f"{number} labels ({name})"
            for number in ours
            for name in _BASELINES
            if np.mean(correlations[family][name][number]) > np.mean(ours[number])
        ]
        verdict = "reached" if reached >= goal else "missed"
        comparison.append(
            f"{family}: {reached:.3f} with {count} labels, goal {goal:.2f} {verdict}; "
            f"below a baseline with {', '.join(behind) or 'no number of labels'}."
        )
    columns = ["space", "Spearman's correlation", "20 labels", "40 or 50", "100", "200 or 300"]
    title = f"Ranks of unseen networks by few labels, {values['draws']} draws"
    return report.Report(title=title, columns=columns, rows=rows, comparison=comparison, values=values)
