"""Labelled computation graphs from benchmarks' tables and from corpora, as `trainers.train_predictor` reads them."""

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np

from tfnas import artefacts
from tfnas.benchmarks.registry import TABLES, Table
from tfnas.benchmarks.table import CompactTable
from tfnas.corpora.graphs import load_graphs
from tfnas.errors import ConfigurationError
from tfnas.graphs.packed import PackedGraphs
from tfnas.networks import symbolic
from tfnas.networks.symbolic.packing import pack_cells
from tfnas.spaces import NONE


@dataclasses.dataclass(frozen=True)
class LabelSource:
    """A benchmark that gives labels.

    >>> LabelSource.parse("digits201:60").column
    'test_accuracy_12'

    Attributes:
      benchmark: benchmark with a table.
      count: number of random architectures; None for all.
      column: column of the table that holds the labels.
    """

    benchmark: Table
    count: int | None
    column: str

    @classmethod
    def parse(cls, text: str) -> "LabelSource":
        """The source that `name`, `name:count`, `name:count:column` or `name::column` describes.

        Raises:
          ConfigurationError: a count that is no number, or an unknown benchmark.
        """
        name, count, column, *rest = (*text.split(":"), "", "")
        if (count and not count.isdigit()) or any(rest):
            raise ConfigurationError(
                f"--benchmarks={text}: expected a name, or a name and :COUNT, or a name and :COUNT:COLUMN"
            )
        if name not in TABLES:
            raise ConfigurationError(f"benchmark {name!r}, expected one of {', '.join(TABLES)}")
        return cls(TABLES[name], int(count) if count else None, column or TABLES[name].test)


@dataclasses.dataclass(frozen=True)
class LabelledGraphs:
    """Graphs with labels.

    Attributes:
      graphs: N graphs with labels.
      origins: place that the labels of a family come from, by family.
      names: N names: `SPACE:ARCHITECTURE` for architectures of a benchmark, family and place for graphs of a corpus.
    """

    graphs: PackedGraphs
    origins: Mapping[str, str]
    names: tuple[str, ...]


def read(
    sources: Sequence[LabelSource],
    corpora: Sequence[artefacts.PathLike] = (),
    *,
    layout: str = symbolic.BENCHMARK,
    seed: int = 1,
) -> LabelledGraphs:
    """Graphs of corpora, and random architectures of benchmarks, whose families are their spaces.

    Args:
      sources: benchmarks.
      corpora: folders of labelled graphs.
      layout: layout of the benchmarks' graphs, see `symbolic.build`; the predictor's layout leaves out architectures
        with `none`.
      seed: seed of the choice of architectures.

    Raises:
      ConfigurationError: nothing to read, no such table or column, a column that holds no accuracies, fewer
        architectures than asked for, a space without graphs, or two benchmarks of one space.
      CorruptArtefactError: a file is missing, truncated or changed.
    """
    if not sources and not corpora:
        raise ConfigurationError("nothing to learn from; pass --benchmarks or --corpus")
    packed: list[PackedGraphs] = []
    origins: dict[str, str] = {}
    names: list[str] = []
    if corpora:
        packed.append(load_graphs(corpora))
        origins |= dict.fromkeys(packed[0].families, "labels of the corpus")
        names += [f"{packed[0].families[number]}-{row}" for row, number in enumerate(packed[0].family)]
    for source in sources:
        table, name = source.benchmark.load(), source.benchmark.name
        if table.space.name in origins:
            raise ConfigurationError(
                f"benchmark {name!r}: other labels are of {table.space.name} too; a family has one label"
            )
        labels, rows = _chosen(table, source, layout, seed)
        cells, space = table.cells[rows], table.space
        packed.append(pack_cells(space, cells, labels[rows], layout=layout, progress=True))
        names += [f"{space.name}:{space.to_string(space.architecture(cells, row))}" for row in range(len(rows))]
        origins[space.name] = f"{source.column} of {name}"
    return LabelledGraphs(PackedGraphs.concatenate(packed), origins, tuple(names))


def _chosen(table: CompactTable, source: LabelSource, layout: str, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """All labels of the table, and the rows that are chosen."""
    labels = _accuracies(table, source)
    usable = np.isfinite(labels)
    if layout == symbolic.PREDICTOR and NONE in table.space.operations:
        usable &= table.space.lacks(table.cells, NONE)
    if source.count is not None and source.count > usable.sum():
        raise ConfigurationError(
            f"benchmark {source.benchmark.name!r} has {usable.sum()} labelled graphs, {source.count} were asked for"
        )
    return labels, np.random.default_rng(seed).permutation(np.flatnonzero(usable))[: source.count]


def _accuracies(table: CompactTable, source: LabelSource) -> np.ndarray:
    """The labels float64 `[N]`; NaN where nothing was measured."""
    try:
        values = table.values(source.column)
    except ConfigurationError as error:
        raise ConfigurationError(f"benchmark {source.benchmark.name!r}: {error}") from error
    measured = values[np.isfinite(values)]
    if "accuracy" not in source.column or (measured < 0).any() or (measured > 1).any():
        raise ConfigurationError(
            f"benchmark {source.benchmark.name!r}: column {source.column!r} holds no accuracies in [0, 1]"
        )
    return values
