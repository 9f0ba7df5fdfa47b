"""The experiments of the Jacobian embeddings by name."""

import pathlib
from collections.abc import Callable, Sequence
from typing import Any

from tfnas.reproduction import (
    jacobian_ablation,
    jacobian_maps,
    jacobian_search,
    jacobian_table1,
    jacobian_training,
    jacobian_transfer,
    report,
)
from tfnas.reproduction.jacobian_data import Settings

EXPERIMENTS: dict[str, Callable[[pathlib.Path, Settings], dict[str, Any]]] = {
    "table1": jacobian_table1.run,
    "search": jacobian_search.run,
    "transfer": jacobian_transfer.run,
    "maps": jacobian_maps.run,
    "training": jacobian_training.run,
    "ablation": jacobian_ablation.run,
}
"""Regression from few labels, searches, transfer between spaces, maps, networks in training, images and encodings."""


def check_experiments(names: Sequence[str]) -> list[str]:
    """The experiments that are meant; "all" means every one.

    Raises:
      ConfigurationError: one of them is unknown.
    """
    return report.chosen(names, list(EXPERIMENTS))
