"""Corpora of computation graphs, in the files of `corpora.shards` and a table of sizes."""

import array
import collections
from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np

from tfnas import artefacts
from tfnas.corpora import shards
from tfnas.errors import ConfigurationError, CorruptArtefactError, InvalidArchitectureError, MismatchError
from tfnas.graphs.computation_graph import ComputationGraph, from_example, to_example
from tfnas.graphs.operators import OPERATORS
from tfnas.graphs.packed import PackedGraphs, pack
from tfnas.typed import Natural

KIND = "graph_corpus"
SIZES_NAME = "sizes.npz"


def write_graphs(
    folder: artefacts.PathLike, graphs: Iterable[ComputationGraph], *, num_shards: int = 8, **facts: object
) -> int:
    """Writes a corpus; graph i goes to shard `i mod num_shards`.

    Args:
      folder: folder of the corpus; replaced as a whole once everything is written.
      graphs: graphs to write; a generator is not kept.
      num_shards: number of files.
      **facts: JSON values for the manifest.

    Returns:
      The number of graphs.

    Raises:
      ConfigurationError: `num_shards` below 1.
    """
    return write_records(folder, map(record, graphs), num_shards, **facts)


class Facts(shards.Facts):
    """Entries of the manifest of a corpus."""

    operators: list[str]
    families: dict[str, Natural]


class Record(NamedTuple):
    """A graph as it is stored, and its entries in the tables of a corpus."""

    serialized: bytes
    num_nodes: int
    num_edges: int
    family: str


def record(graph: ComputationGraph) -> Record:
    """The record of a graph."""
    return Record(
        to_example(graph).SerializeToString(deterministic=True), graph.num_nodes, graph.num_edges, graph.family
    )


def write_records(folder: artefacts.PathLike, records: Iterable[Record], num_shards: int = 8, **facts: object) -> int:
    """Writes a corpus of records that other processes may have made; see `write_graphs`."""
    sizes = array.array("q")  # nodes and edges of a graph, then of the next
    families: collections.Counter[str] = collections.Counter()

    def counted() -> Iterator[bytes]:
        for item in records:
            sizes.extend((item.num_nodes, item.num_edges))
            families[item.family] += 1
            yield item.serialized

    with artefacts.atomic_folder(folder) as staging:
        counts = shards.write(staging, "graphs", counted(), num_shards)
        table = np.frombuffer(sizes, np.int64).reshape(-1, 2)
        artefacts.write_npz(staging / SIZES_NAME, num_nodes=table[:, 0], num_edges=table[:, 1])
        artefacts.write_manifest(
            staging,
            kind=KIND,
            operators=list(OPERATORS),
            records=counts,
            total=len(table),
            families=dict(sorted(families.items())),
            **facts,
        )
    return len(table)


def read_graphs(folder: artefacts.PathLike) -> Iterator[ComputationGraph]:
    """The graphs of a corpus in the order in which they were written.

    Raises:
      CorruptArtefactError: a file is missing, truncated or changed, or a record is not a computation graph.
      MismatchError: the corpus was written with a vocabulary that this version does not know.
    """
    manifest = shards.read_manifest(folder, KIND, Facts)
    if manifest["operators"] != list(OPERATORS[: len(manifest["operators"])]):
        raise MismatchError(f"{folder}: written with operators that this version of tfnas does not know")
    for number, serialized in enumerate(shards.read(folder, manifest)):
        try:
            yield from_example(serialized)
        except InvalidArchitectureError as error:
            raise CorruptArtefactError(f"{folder}: graph {number}: {error}") from error


def load_graphs(folders: Iterable[artefacts.PathLike]) -> PackedGraphs:
    """All graphs of some corpora.

    Args:
      folders: folders of the corpora.

    Raises:
      CorruptArtefactError: a file is missing, truncated or changed.
      ConfigurationError: the corpora hold no graphs.
    """
    return pack(graph for folder in folders for graph in read_graphs(folder))


def by_name(graphs: Iterable[ComputationGraph]) -> dict[str, ComputationGraph]:
    """Graphs by their names `source/name`, or `name` without a source.

    Raises:
      ConfigurationError: no graphs, or two graphs of the same name.
    """
    named: dict[str, ComputationGraph] = {}
    for graph in graphs:
        name = f"{graph.source}/{graph.name}" if graph.source else graph.name
        if name in named:
            raise ConfigurationError(f"two architectures are called {name!r}; rename one of them")
        named[name] = graph
    if not named:
        raise ConfigurationError("no architectures, expected at least one")
    return named


def require_labels(graphs: PackedGraphs) -> None:
    """Raises ConfigurationError, with the family's name, if a graph has no label."""
    missing = np.flatnonzero(~np.isfinite(graphs.labels))
    if len(missing):
        family = graphs.families[graphs.family[missing[0]]]
        raise ConfigurationError(f"graph {missing[0]}, of family {family!r}, has no label; {len(missing)} have none")
