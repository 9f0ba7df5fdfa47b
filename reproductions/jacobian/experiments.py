"""The experiments of the Jacobian embeddings by name."""

import pathlib
from collections.abc import Callable, Sequence
from typing import Any

from reproductions import report
from reproductions.jacobian import ablation, maps, search, table1, training, transfer
from reproductions.jacobian.data import Settings

EXPERIMENTS: dict[str, Callable[[pathlib.Path, Settings], dict[str, Any]]] = {
    "table1": table1.run,
    "search": search.run,
    "transfer": transfer.run,
    "maps": maps.run,
    "training": training.run,
    "ablation": ablation.run,
}
"""Regression from few labels, searches, transfer between spaces, maps, networks in training, images and encodings."""


def check_experiments(names: Sequence[str]) -> list[str]:
    """The experiments that are meant; "all" means every one.

    Raises:
      ConfigurationError: one of them is unknown.
    """
    return report.chosen(names, list(EXPERIMENTS))
