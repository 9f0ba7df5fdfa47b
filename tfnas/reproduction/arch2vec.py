"""The experiments of the arch2vec paper by name."""

import pathlib
from collections.abc import Sequence
from typing import Any

from tfnas.benchmarks.registry import load_table
from tfnas.encoders.saved import open_encoder
from tfnas.errors import ConfigurationError
from tfnas.reproduction import arch2vec_figure2, arch2vec_table3

EXPERIMENTS = ("table3", "figure2")


def check_experiments(names: Sequence[str]) -> list[str]:
    """The experiments that are meant; "all" means every one.

    Raises:
      ConfigurationError: one of them is unknown.
    """
    for name in names:
        if name not in (*EXPERIMENTS, "all"):
            raise ConfigurationError(f"unknown experiment {name!r}, expected all or {', '.join(EXPERIMENTS)}")
    return list(EXPERIMENTS) if "all" in names else list(names)


def run(name: str, output_dir: pathlib.Path, *, runs: int, seed: int) -> dict[str, Any]:
    """Runs one experiment with the shipped encoder and the measured table; see its module.

    Args:
      name: one of `EXPERIMENTS`.
      output_dir: an existing folder.
      runs: search runs per method of table 3.
      seed: of the first run.

    Raises:
      ConfigurationError: the benchmark's table is not found.
    """
    table = load_table("nasbench201" if name == "table3" else "nasbench101")
    encoder = open_encoder(None, table.space)
    if name == "table3":
        return arch2vec_table3.run(table, encoder, output_dir, runs=runs, seed=seed)
    return arch2vec_figure2.run(table, encoder, output_dir)
