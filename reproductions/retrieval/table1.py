"""Retrieval of held-out architectures and of architectures of held-out families, beside every baseline.

References:
  Pei et al. 2024, tables 1 and 2; their data and classes differ, so their numbers stand apart.
"""

import pathlib
from collections.abc import Sequence
from typing import Any

import numpy as np

from reproductions import plots, report
from reproductions.retrieval import data
from reproductions.retrieval.methods import measured, measurements, trainings
from reproductions.retrieval.settings import SETS, Settings
from reproductions.retrieval.splits import Split
from tfnas.encoders.motif.config import preset
from tfnas.retrieval.collection import Collection

OURS = "tfnas"
METRICS = ("mrr", "map", "ndcg")
LEARNED = {"untrained encoder": "tfnas", "GCN": "gcn", "GAT": "gat", "published method": "paper", OURS: "tfnas"}
_PUBLISHED_EPOCHS = 15
_DRAWN = ("operator histogram", "Weisfeiler-Lehman kernel", "bag of motifs", "GCN", "GAT", OURS)
KINDS = ("architectures", "families")
_ONLY_REALWORLD = ("published method",)  # its wide networks in two stages would take most of the time
_PUBLISHED = (
    "Published on other data and classes, MRR / MAP / NDCG at 20: 0.825 / 0.593 / 0.705 (real models), 1.000 / 0.952 / "
    "0.969 (synthetic ones)."
)


def run(output_dir: pathlib.Path, settings: Settings) -> report.Report:
    """Runs the experiment and draws `table1.png`."""
    jobs = [
        job
        for name in SETS
        for label, kind in LEARNED.items()
        if name == "realworld" or label not in _ONLY_REALWORLD
        for job in trainings(output_dir, settings, name, label, preset(kind), _epochs(label, settings.epochs_of(name)))
    ]
    trained = list(zip(jobs, measured(output_dir, jobs, "Table 1"), strict=True))
    results: dict[str, dict[str, list[dict[str, Any]]]] = {}
    facts = []
    for name in SETS:
        collection = data.load(output_dir, settings, name)
        split = data.split_of(name, collection, settings)
        learned = [(job.label, measurement) for job, measurement in trained if job.name == name]
        results[name] = measurements(collection, split, settings, learned)
        facts.append(_facts(name, collection, split))
    comparison = [
        *facts,
        f"Trainings: {', '.join(f'{settings.epochs_of(name)} epochs ({name})' for name in SETS)}; the published method "
        f"{_PUBLISHED_EPOCHS} at each of its two stages, as its code has it.",
        *(verdict(name, methods) for name, methods in results.items()),
        _PUBLISHED,
    ]
    draw(results, _DRAWN, output_dir / "table1.png")
    return report_of("Retrieval at 20", results, comparison, settings)


def report_of(
    title: str, results: dict[str, dict[str, list[dict[str, Any]]]], comparison: Sequence[str], settings: Settings
) -> report.Report:
    """The report on measurements by set and method."""
    rows = [
        [f"{name}: {label}", *(cell(values, kind, f"{metric}@20") for kind in KINDS for metric in METRICS)]
        for name, methods in results.items()
        for label, values in methods.items()
    ]
    columns = ["collection: method", *column_titles()]
    values = {"measurements": results, "seed": settings.seed}
    return report.Report(title=title, columns=columns, rows=rows, comparison=list(comparison), values=values)


def draw(results: dict[str, dict[str, list[dict[str, Any]]]], labels: Sequence[str], path: pathlib.Path) -> None:
    """Draws the mean average precision of some methods on every set."""
    plots.grouped_bars(
        {
            name: {label: [mean(methods[label], kind, "map@20") for kind in KINDS] for label in labels}
            for name, methods in results.items()
        },
        [f"held-out {kind}" for kind in KINDS],
        path,
        title="Mean average precision at 20",
    )


def _epochs(label: str, epochs: int) -> int:
    if label.startswith("untrained"):
        return 0
    return min(epochs, _PUBLISHED_EPOCHS) if label == "published method" else epochs


def column_titles() -> list[str]:
    """Titles of `METRICS` at 20 for both kinds of queries."""
    return [f"{kind}, {metric.upper()}" for kind in KINDS for metric in METRICS]


def mean(values: Sequence[dict[str, Any]], kind: str, metric: str) -> float:
    """Mean of a metric over trainings."""
    return float(np.mean([value[kind][metric] for value in values]))


def cell(values: Sequence[dict[str, Any]], kind: str, metric: str) -> str:
    """Mean of a metric over trainings, with the deviation of several trainings."""
    if len(values) == 1:
        return f"{mean(values, kind, metric):.3f}"
    return report.spread([value[kind][metric] for value in values])


def _facts(name: str, collection: Collection, split: Split) -> str:
    families = collection.families
    unseen = len(set(families[split.unseen].tolist()))
    return (
        f"{name}: {len(collection):,} architectures of {len(set(families.tolist())):,} families, "
        f"{int(split.train.sum()):,} trained on, {int(split.queries.sum()):,} held out of known families, "
        f"{int(split.unseen.sum()):,} of {unseen:,} families that nothing is trained on."
    )


def verdict(name: str, methods: dict[str, list[dict[str, Any]]]) -> str:
    """Which methods of a set are as good as or better than that of tfnas, and in what."""
    better = [
        f"{label} ({', '.join(lost)})"
        for label, values in methods.items()
        if label != OURS
        and (
            lost := [
                f"{metric.upper()} of {kind}"
                for kind in KINDS
                for metric in METRICS
                if mean(values, kind, f"{metric}@20") >= mean(methods[OURS], kind, f"{metric}@20")
            ]
        )
    ]
    return f"{name}: {'; '.join(better) + ' as good as or better than' if better else 'nothing is as good as'} {OURS}."
