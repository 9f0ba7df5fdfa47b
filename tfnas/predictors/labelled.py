"""Labelled computation graphs from corpora and from benchmarks' tables, as `trainers.train_predictor` reads them."""

from collections.abc import Mapping

import numpy as np

from tfnas.benchmarks.registry import TABLES
from tfnas.errors import ConfigurationError
from tfnas.graphs.packed import PackedGraphs
from tfnas.networks import symbolic
from tfnas.networks.symbolic.packing import pack_cells
from tfnas.spaces import NONE


def from_benchmarks(
    counts: Mapping[str, int | None], *, layout: str = symbolic.BENCHMARK, seed: int = 1
) -> PackedGraphs:
    """Random architectures of some benchmarks, with their accuracies as labels and their spaces as families.

    Args:
      counts: how many, by benchmark; None for all.
      layout: see `symbolic.build`; the predictor's leaves out architectures with `none`.
      seed: of the choice.

    Raises:
      ConfigurationError: an unknown benchmark, one without graphs, no table of it, fewer architectures, or two
        benchmarks of one space.
    """
    parts = []
    for name, count in counts.items():
        if name not in TABLES:
            raise ConfigurationError(f"benchmark {name!r}, expected one of {', '.join(TABLES)}")
        known = TABLES[name]
        table = known.load()
        if any(table.space.name in part.families for part in parts):
            raise ConfigurationError(
                f"benchmark {name!r}: another one is of {table.space.name} too; a family has one label"
            )
        labels = table.values(known.test)
        kept = np.isfinite(labels)
        if layout == symbolic.PREDICTOR and NONE in table.space.operations:
            kept &= table.space.lacks(table.cells, NONE)
        if count is not None and count > kept.sum():
            raise ConfigurationError(f"benchmark {name!r} has {kept.sum()} labelled graphs, {count} were asked for")
        rows = np.random.default_rng(seed).permutation(np.flatnonzero(kept))[:count]
        parts.append(pack_cells(table.space, table.cells[rows], labels[rows], layout=layout, progress=True))
    return PackedGraphs.concatenate(parts)
