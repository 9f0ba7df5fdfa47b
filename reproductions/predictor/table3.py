"""Search with few queries by guided evolution; the labels that the guide learns from are queries too.

References:
  Han et al. 2023, section 5.3. Their NAS-Bench-301 search asks a surrogate that the data do not hold.
"""

import functools
import pathlib
from collections.abc import Callable
from typing import Any

import numpy as np
from tqdm import tqdm

from reproductions import report
from reproductions.predictor.settings import Settings
from tfnas.benchmarks.registry import load_table
from tfnas.benchmarks.table import CompactTable
from tfnas.benchmarks.tabular import TableEvaluator
from tfnas.networks import symbolic
from tfnas.reports import figures
from tfnas.search import Candidates, RandomSearch, Strategy
from tfnas.search.evolution import RegularizedEvolution
from tfnas.search.guided import GuidedEvolution
from tfnas.search.guides import predictor_guide, proxy_guide
from tfnas.search.loop import run_search

QUERIES = {"nasbench101": 300, "nasbench201": 90}
"""Queries of a search; the paper has 700 on NAS-Bench-101."""
LABELS = 20
"""Random queries that the predictor learns from before it guides, as by default of `tfnas search --guide=predictor`."""

STRANGERS = {"nasbench101": 1000, "nasbench201": 300}
"""Random candidates per generation; `tfnas search` has 300."""

_NASBENCH101_RUNS = 5

PAPER = {
    "nasbench101": {
        "random": "94.11 ± 0.10, rank 26.0",
        "Synflow": "94.18 ± 0.05, rank 5.8",
        "CL": "94.23 ± 0.01, rank 2.2",
    },
    "nasbench201": {"random": "93.91 ± 0.20, rank 104", "Synflow": "94.37, rank 1.0", "CL": "94.37, rank 1.0"},
}
_COLUMNS = {"nasbench101": "test_accuracy_108", "nasbench201": "cifar10_test_accuracy_200"}


def run(output_dir: pathlib.Path, settings: Settings) -> report.Report:
    """Runs the experiment and draws a figure per space.

    Args:
      output_dir: an existing folder.
      settings: seed of the first run, and runs per strategy on NAS-Bench-201.
    """
    values: dict[str, Any] = {}
    rows = []
    for space, queries in QUERIES.items():
        table = _table(space)
        accuracies = table.values(_COLUMNS[space])
        order = np.sort(accuracies)[::-1]
        candidates = Candidates(table.space, table.cells, np.zeros((len(table), 1), np.float32))
        evaluator = TableEvaluator(table, _COLUMNS[space], _COLUMNS[space])
        count = settings.search_runs if space == "nasbench201" else _NASBENCH101_RUNS
        curves = {}
        for name, make in _strategies(candidates, range(settings.seed, settings.seed + count)).items():
            folder = output_dir / "searches" / space / name.replace(" ", "_")
            scores = report.computed_once(
                folder / "history.npz",
                functools.partial(_search, make, evaluator, queries, count, folder, f"{space}, {name}"),
            )["scores"]
            curves[name] = scores
            best = scores.max(axis=1)
            ranks = 1 + np.searchsorted(-order, -best)
            values.setdefault(space, {})[name] = {"best": best.tolist(), "rank": ranks.tolist()}
            spread = f"{100 * best.mean():.2f} ± {100 * best.std():.2f}"
            rows.append([f"{space}: {name}", f"{queries}", f"{count}", spread, f"{ranks.mean():.1f}", f"{ranks.max()}"])
        figures.search_curves(
            curves, output_dir / f"table3_{space}.png", title=f"{space}, {LABELS} random queries first"
        )
    guided = {space: np.array(values[space]["evolution, predictor"]["rank"]) for space in QUERIES}
    comparison = [
        *(
            f"{space}: the best cell is found within {queries} queries in {np.sum(guided[space] == 1)} of "
            f"{len(guided[space])} runs; mean rank {guided[space].mean():.1f}."
            for space, queries in QUERIES.items()
        ),
        *(
            f"Published for {space}: " + "; ".join(f"{name} {text}" for name, text in published.items()) + "."
            for space, published in PAPER.items()
        ),
        "Accuracies are single trainings here and means of three in the paper, so optima differ "
        f"({100 * _best('nasbench201'):.2f} here, 94.37 there on NAS-Bench-201).",
    ]
    columns = ["search", "queries", "runs", "best test accuracy %", "mean rank", "worst rank"]
    title = "Search by guided evolution"
    return report.Report(title=title, columns=columns, rows=rows, comparison=comparison, values=values)


def _search(
    make: Callable[[], Strategy],
    evaluator: TableEvaluator,
    queries: int,
    runs: int,
    folder: pathlib.Path,
    description: str,
) -> dict[str, np.ndarray]:
    """Rows and validation accuracies `[runs, queries]` in the order of the queries."""
    with tqdm(total=queries * runs, desc=description, unit="query") as bar:
        history = run_search(make(), evaluator, queries, folder, bar)
    return {"rows": history.rows, "scores": history.scores.validation}


def _table(space: str) -> CompactTable:
    """The benchmark's table; of NAS-Bench-201 the cells without `none`, as in the paper."""
    table = load_table(space)
    if space != "nasbench201":
        return table
    chosen = (table.cells.operations != table.space.operations.index("none")).all(axis=1)
    columns = {_COLUMNS[space]: table.columns[_COLUMNS[space]][chosen]}
    return CompactTable(table.space, table.cells[chosen], columns, table.hashes[chosen], table.facts)


def _best(space: str) -> float:
    return float(np.max(_table(space).values(_COLUMNS[space])))


def _strategies(candidates: Candidates, seeds: range) -> dict[str, Callable[[], Strategy]]:
    layout = symbolic.PREDICTOR

    def by_size() -> Strategy:
        return GuidedEvolution(candidates, seeds, proxy_guide(candidates, "multiply_adds", layout=layout))

    strategies: dict[str, Callable[[], Strategy]] = {
        "random": lambda: RandomSearch(candidates, seeds),
        "regularised evolution": lambda: RegularizedEvolution(candidates, seeds),
        "evolution, predictor": lambda: GuidedEvolution(
            candidates,
            seeds,
            predictor_guide(candidates, layout),
            labels=LABELS,
            strangers=STRANGERS[candidates.space.name],
        ),
    }
    if len(candidates) < 50_000:  # the sizes of all candidates are needed
        strategies["evolution, multiply-adds"] = by_size
    return strategies
