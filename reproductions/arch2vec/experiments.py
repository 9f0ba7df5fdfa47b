"""The experiments of the arch2vec paper by name."""

import dataclasses
import pathlib
from collections.abc import Callable, Sequence
from typing import Any

from reproductions import report
from reproductions.arch2vec import figure2, figure3, figure4, figure5, table1, table2, table3, table4
from tfnas.benchmarks.registry import load_table
from tfnas.encoders.saved import SavedEncoder, open_encoder
from tfnas.spaces import Space, get_space


@dataclasses.dataclass(frozen=True)
class Settings:
    """What the experiments leave open.

    Attributes:
      runs: search runs per method of tables 2 and 3.
      seed: of the first run.
      pretraining_seeds: pretrainings of arch2vec in every space of table 1.
      other_seeds: pretrainings of every other row of table 1.
      darts_cells: sampled cells of DARTS in table 1.
    """

    runs: int = 500
    seed: int = 1
    pretraining_seeds: int = 3
    other_seeds: int = 1
    darts_cells: int = 600_000


def _table1(output_dir: pathlib.Path, settings: Settings) -> dict[str, Any]:
    return table1.run(
        output_dir,
        seeds=settings.pretraining_seeds,
        other_seeds=settings.other_seeds,
        darts_cells=settings.darts_cells,
    )


def _table2(output_dir: pathlib.Path, settings: Settings) -> dict[str, Any]:
    load_table("nasbench101")  # its absence is better noticed here than in five minutes by a child
    return table2.run(_shipped("nasbench101")[1], output_dir, runs=settings.runs, seed=settings.seed)


def _table3(output_dir: pathlib.Path, settings: Settings) -> dict[str, Any]:
    load_table("nasbench201")
    return table3.run(_shipped("nasbench201")[1], output_dir, runs=settings.runs, seed=settings.seed)


def _table4(output_dir: pathlib.Path, settings: Settings) -> dict[str, Any]:
    return table4.run(_shipped("darts")[1], output_dir, seed=settings.seed)


def _figure2(output_dir: pathlib.Path, settings: Settings) -> dict[str, Any]:
    return figure2.run(load_table("nasbench101"), _shipped("nasbench101")[1], output_dir)


def _figure3(output_dir: pathlib.Path, settings: Settings) -> dict[str, Any]:
    return figure3.run(load_table("nasbench101"), _shipped("nasbench101")[1], output_dir, seed=settings.seed)


def _figure4(output_dir: pathlib.Path, settings: Settings) -> dict[str, Any]:
    return figure4.run(load_table("nasbench101"), _shipped("nasbench101")[1], output_dir, seed=settings.seed)


def _figure5(output_dir: pathlib.Path, settings: Settings) -> dict[str, Any]:
    labelled = [
        (load_table("nasbench101"), figure2.COLUMN),
        (load_table("nasbench201"), "cifar10_validation_accuracy_200"),
    ]
    encoders = [_shipped(name) for name in ("nasbench101", "nasbench201", "darts")]
    return figure5.run(encoders, labelled, output_dir, seed=settings.seed)


EXPERIMENTS: dict[str, Callable[[pathlib.Path, Settings], dict[str, Any]]] = {
    "table1": _table1,
    "table2": _table2,
    "table3": _table3,
    "table4": _table4,
    "figure2": _figure2,
    "figure3": _figure3,
    "figure4": _figure4,
    "figure5": _figure5,
}
"""Table 2 draws figure 6 too, table 4 runs what table 5 needs, and figure 5 stands for 11 to 13."""


def check_experiments(names: Sequence[str]) -> list[str]:
    """The experiments that are meant; "all" means every one.

    Raises:
      ConfigurationError: one of them is unknown.
    """
    return report.chosen(names, list(EXPERIMENTS))


def run(name: str, output_dir: pathlib.Path, settings: Settings) -> dict[str, Any]:
    """Runs one experiment with the shipped encoders and the measured tables; see its module.

    Args:
      name: one of `EXPERIMENTS`.
      output_dir: an existing folder.
      settings: of all experiments.

    Raises:
      ConfigurationError: a benchmark's table is not found.
    """
    return EXPERIMENTS[name](output_dir, settings)


def _shipped(name: str) -> tuple[Space, SavedEncoder]:
    space = get_space(name)
    return space, open_encoder(None, space)
