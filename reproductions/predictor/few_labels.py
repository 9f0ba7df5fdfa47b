"""Ranks of unseen networks by few labels of their space alone, beside what needs no learning.

The pools and numbers of labels are those of table 1, with more numbers of labels and more draws. No labels of other
spaces are used, and nothing is pretrained but the shipped encoder, which learned from graphs without labels.

References:
  Han et al. 2023, section 5.1. Kadlecova et al. 2024 (GRAF), for features of cells.
"""

import dataclasses
import functools
import pathlib
from collections.abc import Sequence

import numpy as np
from sklearn.linear_model import RidgeCV

import tfnas
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
from tfnas.predictors.cell_features import BLOCKS, GRAPH_BLOCKS, CellFeatures
from tfnas.predictors.ensemble import LabelEnsemble, Member, Process, Trees
from tfnas.predictors.features import GraphFeatures, standardised
from tfnas.predictors.kernel_mixture import normal_scores
from tfnas.predictors.label_scores import power_scores
from tfnas.spaces import CellTable, Space

COUNTS = (20, 50, 100, 300)
"""Numbers of labels; NAS-Bench-201 has 40 instead of 50, and NAS-Bench-301 200 instead of 300."""

BASELINES = ("parameters", "multiply-adds", "depth", "size score", "ridge on sizes", "ridge on counts of operations")
"""Rows of the table that learn nothing or next to nothing; the first four have no labels."""

PROXIES = "ensemble with published proxies"
MAIN = "ensemble with embedding"
ENSEMBLES = {
    "ensemble on graphs": ("GP on graphs", "rough GP on graphs", "trees on graphs"),
    "ensemble on graphs and cells": (
        *("GP on graphs", "GP on graphs and cells", "GP on structure and GRAF"),
        *("rough GP on cells", "trees on cells"),
    ),
    MAIN: (
        *("GP on graphs", "GP on graphs and cells", "GP with embedding", "GP on structure and GRAF"),
        *("rough GP on cells", "trees on cells"),
    ),
    PROXIES: ("GP with proxies", "rough GP with proxies", "trees with proxies"),
}
"""Members of the ensembles, by row; the members are rows too."""

ROWS = (
    *BASELINES,
    *("GP on graphs", "rough GP on graphs", "trees on graphs"),
    *("GP on graphs and cells", "GP with embedding", "GP on structure and GRAF"),
    *("rough GP on cells", "trees on cells"),
    *("GP with proxies", "rough GP with proxies", "trees with proxies"),
    *ENSEMBLES,
)
"""Rows of the table in their order."""

GOALS = {
    ("nasbench101", MAIN): 0.85,
    ("nasbench201", MAIN): 0.93,
    ("nasbench201", PROXIES): 0.945,
    ("nasbench301", MAIN): 0.88,
}
_DRAWN = (*BASELINES[1:2], *BASELINES[5:], "GP on graphs", "rough GP on cells", "trees on cells", MAIN, PROXIES)
_PENALTIES = np.logspace(-2, 3, 11)
_ENCODER = "cg_encoder"
_PUBLISHED = {"nasbench201": ("nasbench201_proxies", ""), "nasbench301": ("nasbench301", "proxy_")}
"""Tables with published zero-cost scores, and what the names of their columns begin with."""


@dataclasses.dataclass(frozen=True)
class Pool:
    """Labelled networks of one space.

    Attributes:
      space: space of the cells.
      cells: N cells.
      graphs: N networks of the cells.
      embedding: embeddings of the graphs by the shipped encoder, `[N, D]`.
      labels: accuracies `[N]`.
      proxies: published zero-cost scores as normal scores of their ranks, `[N, scores]`, or None.
    """

    space: Space
    cells: CellTable
    graphs: PackedGraphs
    embedding: np.ndarray
    labels: np.ndarray
    proxies: np.ndarray | None = None

    @classmethod
    def of(cls, family: str, seed: int) -> "Pool":
        """At most 5,000 random cells of a benchmark."""
        table = load_table(family)
        rows, labels = corpus.labelled_rows(table, family)
        chosen = np.random.default_rng([seed, 0]).permutation(len(rows))[: corpus.TEST_POOL]
        cells = table.cells[rows[chosen]]
        graphs = pack_cells(table.space, cells, labels[chosen], progress=True)
        embedding = tfnas.load(_ENCODER).embed(graphs, progress=True)
        scores = _published(family, table.hashes[rows[chosen]])
        return cls(table.space, cells, graphs, embedding, labels[chosen], scores)

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
            output_dir / "parts" / f"few_labels_{family}.npz", functools.partial(_measured, family, settings)
        )
        keys = [key.rpartition(":") for key in arrays]
        counts = sorted({count for _, _, count in keys}, key=int)
        correlations[family] = {
            name: {count: arrays[f"{name}:{count}"].tolist() for count in counts}
            for name in ROWS
            if any(name == measured for measured, _, _ in keys)
        }
    shown = {family: {name: rows[name] for name in _DRAWN if name in rows} for family, rows in correlations.items()}
    plots.learning_curves(shown, output_dir / "few_labels.png")
    return _report({"correlations": correlations, "draws": settings.draws, "seed": settings.seed})


def _measured(family: str, settings: Settings) -> dict[str, np.ndarray]:
    """Spearman's correlations `[draws]` by row of the table and number of labels, the rows in their order."""
    pool = Pool.of(family, settings.seed)
    measured: dict[str, dict[int, list[float]]] = {}
    for count in label_counts(family, len(pool.labels)):
        draws = [
            np.random.default_rng([settings.seed, 1 + list(TARGETS).index(family), count, draw])
            for draw in range(settings.draws)
        ]
        rows = np.stack([rng.permutation(len(pool.labels))[:count] for rng in draws])
        for name, predictions in _predictions(pool, rows).items():
            measured.setdefault(name, {})[count] = [
                spearman(np.delete(values, seen), np.delete(pool.labels, seen))
                for values, seen in zip(predictions, rows, strict=True)
            ]
    return {f"{name}:{count}": np.array(values) for name, row in measured.items() for count, values in row.items()}


def label_counts(family: str, size: int) -> list[int]:
    """Numbers of labels of a space with so many labelled networks."""
    counts = {count if count != COUNTS[1] else TARGETS[family] for count in COUNTS}
    return sorted(count if size - count >= 100 else 200 for count in counts)


def _predictions(pool: Pool, rows: np.ndarray) -> dict[str, np.ndarray]:
    """Predictions `[R, N]` for all networks by labels of `rows` `[R, n]`, for every row of the table."""
    labels = pool.labels[rows].astype(np.float64)
    predictions = _baselines(pool, rows, power_scores(labels))
    blocks, members = _members(pool)
    seen = [block[rows] for block in blocks]
    answers = {}
    for name, member in members.items():
        member.fit(seen, labels)
        answers[name] = [member.predict(blocks, run) for run in range(len(rows))]
        predictions[name] = np.stack([mean for mean, _ in answers[name]])
    for name, chosen in ENSEMBLES.items():
        if set(chosen) <= set(members):
            model = LabelEnsemble([members[member] for member in chosen]).weigh(labels)
            predictions[name] = np.stack(
                [model.combine([answers[member][run] for member in chosen], run)[0] for run in range(len(rows))]
            )
    return predictions


def _baselines(pool: Pool, rows: np.ndarray, scores: np.ndarray) -> dict[str, np.ndarray]:
    """Predictions `[R, N]` of the trivial baselines."""
    structure = pool.graphs.structure
    sizes = standardised(structure[:, [STRUCTURE.index(name) for name in STRUCTURE[:2] + STRUCTURE[4:6]]])
    constants = [
        structure[:, STRUCTURE.index(name)] for name in ("log_parameters", "log_multiply_adds", "weighted_depth")
    ]
    constants.append(standardised(np.stack([structure[:, 1], pool.activations()], axis=1)).sum(axis=1))
    ridges = [
        np.stack(
            [
                RidgeCV(_PENALTIES).fit(features[seen], targets).predict(features)
                for seen, targets in zip(rows, scores, strict=True)
            ]
        )
        for features in (sizes, standardised(pool.counts()))
    ]
    return dict(zip(BASELINES, [*(np.tile(values, (len(rows), 1)) for values in constants), *ridges], strict=True))


def _members(pool: Pool) -> tuple[list[np.ndarray], dict[str, Member]]:
    """Blocks of features of all networks, and what learns labels from some of them, by row of the table."""
    networks = GraphFeatures(pool.graphs, ("structure", "operators", "neighbourhoods", "paths"))
    graphs = [
        "structure",
        "operators",
        *(f"neighbourhoods_{step}" for step in range(len(networks.blocks) - 3)),
        "paths",
    ]
    blocks = dict(zip(graphs, networks.blocks, strict=True))
    described = {
        "cell": CellFeatures(pool.space, pool.cells, by_component=True),
        "kind": CellFeatures(pool.space, pool.cells, tuple(GRAPH_BLOCKS), by_component=True),
        "joint": CellFeatures(pool.space, pool.cells, ["paths", "graph"]),
    }
    names = {}
    for prefix, features in described.items():
        names[prefix] = [f"{prefix}_{name}" for name in features.names]
        blocks |= dict(zip(names[prefix], features.transform(pool.cells), strict=True))
    # Cells of a single component have no features of all components together.
    joint = names["joint"] if len(names["cell"]) > len(BLOCKS) else ["joint_paths"]
    graf = [name for name in names["cell"] if name.startswith("cell_graph")]
    wide = [*graphs, *names["kind"], *joint]
    blocks["embedding"] = standardised(pool.embedding) / np.sqrt(pool.embedding.shape[1])
    if pool.proxies is not None:
        blocks["proxies"] = pool.proxies / np.sqrt(pool.proxies.shape[1])
    numbers = {name: number for number, name in enumerate(blocks)}

    def process(chosen: Sequence[str], *kernels: str) -> Process:
        return Process([numbers[name] for name in chosen], kernels or ("linear", "smooth"))

    def trees(chosen: Sequence[str]) -> Trees:
        return Trees([numbers[name] for name in chosen])

    members: dict[str, Member] = {
        "GP on graphs": process(graphs),
        "rough GP on graphs": process(["structure", "operators", "paths"], "rough"),
        "trees on graphs": trees(["structure", "operators", "paths"]),
        "GP on graphs and cells": process(wide),
        "GP with embedding": process([*wide, "embedding"]),
        "GP on structure and GRAF": process(["structure", *graf]),
        "rough GP on cells": process(names["cell"], "rough"),
        "trees on cells": trees(["structure", *names["cell"]]),
    }
    if pool.proxies is not None:
        members |= {
            "GP with proxies": process([*wide, "proxies"]),
            "rough GP with proxies": process([*names["cell"], "proxies"], "rough"),
            "trees with proxies": trees(["structure", *names["cell"], "proxies"]),
        }
    return list(blocks.values()), members


def _published(family: str, hashes: np.ndarray) -> np.ndarray | None:
    """Normal scores `[N, scores]` of the published zero-cost scores of cells, or None where nobody published them."""
    if family not in _PUBLISHED:
        return None
    file, prefix = _PUBLISHED[family]
    table = load_table(file)
    order = np.argsort(table.hashes)
    rows = order[np.searchsorted(table.hashes, hashes, sorter=order)]
    names = [name for name in table.columns if name.startswith(prefix)]
    return np.stack([normal_scores(table.values(name)[rows]) for name in sorted(names)], axis=1)


def _report(values: dict) -> report.Report:
    correlations = values["correlations"]
    rows = [
        [family, name, *(report.spread(by_count[count]) for count in by_count)]
        for family, methods in correlations.items()
        for name, by_count in methods.items()
    ]
    comparison = []
    for (family, name), goal in GOALS.items():
        ours = correlations[family][name]
        count = str(TARGETS[family])
        reached = float(np.mean(ours[count]))
        behind = [
            f"{number} labels ({baseline})"
            for number in ours
            for baseline in BASELINES
            if np.mean(correlations[family][baseline][number]) > np.mean(ours[number])
        ]
        verdict = "reached" if reached >= goal else "missed"
        comparison.append(
            f"{family}, {name}: {reached:.3f} with {count} labels, goal {goal} {verdict}; "
            f"below a baseline with {', '.join(behind) or 'no number of labels'}."
        )
    columns = ["space", "Spearman's correlation", "20 labels", "40 or 50", "100", "200 or 300"]
    title = f"Ranks of unseen networks by few labels, {values['draws']} draws"
    return report.Report(title=title, columns=columns, rows=rows, comparison=comparison, values=values)
