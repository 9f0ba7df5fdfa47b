"""The experiments of the transferable predictor by name."""

import dataclasses
import pathlib
from collections.abc import Callable, Sequence
from typing import Any

from reproductions import report
from reproductions.predictor import corpus as predictor_corpus
from reproductions.predictor import proxies, table1, table2, table3, table4
from tfnas.benchmarks.registry import find_table


@dataclasses.dataclass(frozen=True)
class Settings:
    """What the experiments leave open.

    Attributes:
      seed: of everything random.
      runs: fine-tunings per target.
      epochs: of contrastive pretraining in table 1.
      nasbench101_graphs: networks of NAS-Bench-101 in the corpus.
      nasbench301_graphs: networks of NAS-Bench-301.
      search_runs: searches per strategy on NAS-Bench-201.
      proxy_cells: cells of NAS-Bench-201 that are scored.
    """

    seed: int = 1
    runs: int = 5
    epochs: int = 3
    nasbench101_graphs: int = 50_000
    nasbench301_graphs: int = 10_000
    search_runs: int = 20
    proxy_cells: int = 500


def _corpus(output_dir: pathlib.Path, settings: Settings) -> predictor_corpus.Corpus:
    return predictor_corpus.load(output_dir, settings.seed, settings.nasbench101_graphs, settings.nasbench301_graphs)


def _table1(output_dir: pathlib.Path, settings: Settings) -> dict[str, Any]:
    corpus = _corpus(output_dir, settings)
    return table1.run(corpus, output_dir, seed=settings.seed, runs=settings.runs, epochs=settings.epochs)


def _table2(output_dir: pathlib.Path, settings: Settings) -> dict[str, Any]:
    return table2.run(_corpus(output_dir, settings), output_dir, seed=settings.seed, runs=settings.runs)


def _table3(output_dir: pathlib.Path, settings: Settings) -> dict[str, Any]:
    return table3.run(output_dir, seed=settings.seed, runs=settings.search_runs)


def _table4(output_dir: pathlib.Path, settings: Settings) -> dict[str, Any]:
    return table4.run(output_dir, seed=settings.seed)


def _proxies(output_dir: pathlib.Path, settings: Settings) -> dict[str, Any]:
    find_table("cifar10_subset")
    return proxies.run(output_dir, seed=settings.seed, cells=settings.proxy_cells, runs=settings.runs)


EXPERIMENTS: dict[str, Callable[[pathlib.Path, Settings], dict[str, Any]]] = {
    "table1": _table1,
    "table2": _table2,
    "table3": _table3,
    "table4": _table4,
    "proxies": _proxies,
}
"""Rank correlations, ablations, searches, the MobileNetV3 space, and zero-cost proxies."""


def check_experiments(names: Sequence[str]) -> list[str]:
    """The experiments that are meant; "all" means every one.

    Raises:
      ConfigurationError: one of them is unknown.
    """
    return report.chosen(names, list(EXPERIMENTS))
