"""The experiments of architecture retrieval by name."""

import pathlib
from collections.abc import Callable, Sequence
from typing import Any

from tfnas.reproduction import report, retrieval_ablation, retrieval_sources, retrieval_table1
from tfnas.reproduction.retrieval_data import Settings

EXPERIMENTS: dict[str, Callable[[pathlib.Path, Settings], dict[str, Any]]] = {
    "table1": retrieval_table1.run,
    "ablation": retrieval_ablation.run,
    "sources": retrieval_sources.run,
}
"""All methods on all sets, parts of the encoder, hubs that nothing is trained on."""


def check_experiments(names: Sequence[str]) -> list[str]:
    """The experiments that are meant; "all" means every one.

    Raises:
      ConfigurationError: one of them is unknown.
    """
    return report.chosen(names, list(EXPERIMENTS))
