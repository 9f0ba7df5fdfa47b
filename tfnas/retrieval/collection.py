"""Architectures with names: what an index is made of and what retrieval is measured on."""

import dataclasses
import pathlib
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from tfnas import artefacts
from tfnas.corpora import graphs as graph_corpora
from tfnas.errors import ConfigurationError, CorruptArtefactError
from tfnas.graphs.computation_graph import ComputationGraph
from tfnas.graphs.motifs.weisfeiler_lehman import colour_counts, mixed
from tfnas.graphs.operators import CODES, OPERATORS, UNKNOWN
from tfnas.graphs.packed import PackedGraphs, pack

_ROUNDS = 4


@dataclasses.dataclass(frozen=True, eq=False)
class Collection:
    """N architectures.

    Attributes:
      graphs: their computation graphs, with families.
      names: `[N]` strings, all different.
      sources: `[N]` strings.
      parameters: int64 `[N]`, numbers that each holds; 0 where that is not known.
    """

    graphs: PackedGraphs
    names: np.ndarray
    sources: np.ndarray
    parameters: np.ndarray

    def __len__(self) -> int:
        return len(self.names)

    def __getitem__(self, rows: np.ndarray) -> "Collection":
        """The architectures of some rows (indices or a mask)."""
        return Collection(self.graphs[rows], self.names[rows], self.sources[rows], self.parameters[rows])

    @property
    def families(self) -> np.ndarray:
        """`[N]` strings."""
        return np.array(self.graphs.families, str)[self.graphs.family]

    @classmethod
    def from_graphs(cls, graphs: Iterable[ComputationGraph]) -> "Collection":
        """Architectures called `source/name`, or `name` without a source.

        Raises:
          ConfigurationError: there are none, or two have the same name.
        """
        kept: dict[str, ComputationGraph] = {}
        for graph in graphs:
            name = f"{graph.source}/{graph.name}" if graph.source else graph.name
            if name in kept:
                raise ConfigurationError(f"two architectures are called {name!r}; rename one of them")
            kept[name] = graph
        if not kept:
            raise ConfigurationError("no architectures, expected at least one")
        return cls(
            pack(kept.values()),
            np.array(list(kept), str),
            np.array([graph.source for graph in kept.values()], str),
            np.array([graph.total_parameters for graph in kept.values()], np.int64),
        )

    @classmethod
    def from_corpora(cls, folders: Sequence[artefacts.PathLike]) -> "Collection":
        """The architectures of some graph corpora.

        Raises:
          ConfigurationError: there are none, or two have the same name.
          CorruptArtefactError, MismatchError: see `corpora.read_graphs`.
        """
        return cls.from_graphs(graph for folder in folders for graph in graph_corpora.read_graphs(folder))

    @classmethod
    def concatenate(cls, parts: Sequence["Collection"]) -> "Collection":
        """The architectures of several collections; an index refuses those with equal names."""
        return cls(
            PackedGraphs.concatenate([part.graphs for part in parts]),
            np.concatenate([part.names for part in parts]),
            np.concatenate([part.sources for part in parts]),
            np.concatenate([part.parameters for part in parts]),
        )

    def distinct(self) -> "Collection":
        """The first architecture of each structure: operators, heights of kernels and flow, whatever the channels."""
        counts, names = colour_counts(self.graphs, _ROUNDS)
        terms = counts[-1].copy()
        terms.data = mixed(names[-1][terms.indices] + mixed(terms.data.astype(np.uint64)))
        hashes = np.array(terms.sum(axis=1)).ravel()
        _, first = np.unique(hashes, return_index=True)
        return self[np.sort(first)]

    def graph(self, row: int) -> ComputationGraph:
        """One architecture as a computation graph; operators' own parameters are not kept."""
        own = self.graphs[np.array([row])]
        features = own.features[own.codes]
        return ComputationGraph(
            operators=features[:, 0],
            shapes=features[:, 1:7],
            kernels=features[:, 7:9],
            bias=features[:, 9],
            parameters=np.zeros(len(features), np.int64),
            edges=own.edges,
            name=str(self.names[row]),
            family=str(self.families[row]),
            source=str(self.sources[row]),
            unknown=(UNKNOWN,) * int(np.sum(features[:, 0] == CODES[UNKNOWN])),
        )

    def arrays(self) -> dict[str, np.ndarray]:
        """Everything as arrays, for a file."""
        graphs = self.graphs
        used, codes = np.unique(graphs.codes, return_inverse=True)
        return {
            "operators": np.array(OPERATORS, str),
            "features": graphs.features[used],
            "codes": _small(codes.ravel()),
            "edges": _small(graphs.edges),
            "node_offsets": graphs.node_offsets,
            "edge_offsets": graphs.edge_offsets,
            "structure": graphs.structure,
            "names": self.names,
            "families": self.families,
            "sources": self.sources,
            "parameters": self.parameters,
        }

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray], path: artefacts.PathLike) -> "Collection":
        """Inverse of `arrays`.

        Raises:
          CorruptArtefactError: an array is missing, or the operators are others than this version's.
        """
        try:
            known = arrays["operators"].tolist()
            if known != list(OPERATORS[: len(known)]):
                raise CorruptArtefactError(f"{path}: written with operators that this version of tfnas does not know")
            families, family = np.unique(arrays["families"], return_inverse=True)
            graphs = PackedGraphs(
                features=arrays["features"].astype(np.int32),
                codes=arrays["codes"].astype(np.int32),
                edges=arrays["edges"].astype(np.int32),
                node_offsets=arrays["node_offsets"],
                edge_offsets=arrays["edge_offsets"],
                families=tuple(families.tolist()),
                family=family.ravel().astype(np.int32),
                labels=np.full(len(family), np.nan, np.float32),
                structure=arrays["structure"],
            )
            return cls(graphs, arrays["names"], arrays["sources"], arrays["parameters"])
        except KeyError as error:
            raise CorruptArtefactError(f"{path}: no array {error}") from error


def _small(values: np.ndarray) -> np.ndarray:
    return values.astype(np.uint16 if values.max(initial=0) < 1 << 16 else np.uint32)


def read_collection(path: artefacts.PathLike) -> Collection:
    """The collection in a file of `Collection.arrays`.

    Raises:
      CorruptArtefactError: see `Collection.from_arrays`.
    """
    path = pathlib.Path(path)
    return Collection.from_arrays(artefacts.read_npz(path), path)
