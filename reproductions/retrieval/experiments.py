"""The experiments of architecture retrieval by name."""

import pathlib
from collections.abc import Callable, Sequence
from typing import Any

from reproductions import report
from reproductions.retrieval import ablation, sources, table1
from reproductions.retrieval.data import Settings

EXPERIMENTS: dict[str, Callable[[pathlib.Path, Settings], dict[str, Any]]] = {
    "table1": table1.run,
    "ablation": ablation.run,
    "sources": sources.run,
}
"""All methods on all sets, parts of the encoder, hubs that nothing is trained on."""


def check_experiments(names: Sequence[str]) -> list[str]:
    """The experiments that are meant; "all" means every one.

    Raises:
      ConfigurationError: one of them is unknown.
    """
    return report.chosen(names, list(EXPERIMENTS))
