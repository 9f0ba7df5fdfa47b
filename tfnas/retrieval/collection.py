"""Collections of named architectures: the content of an index, and the data that retrieval is measured on."""

import dataclasses
import pathlib
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from tfnas import artefacts
from tfnas.corpora import graphs as graph_corpora
from tfnas.errors import CorruptArtefactError
from tfnas.graphs.computation_graph import ComputationGraph
from tfnas.graphs.motifs.weisfeiler_lehman import distinct
from tfnas.graphs.operators import CODES, OPERATORS, UNKNOWN
from tfnas.graphs.packed import PackedGraphs, pack
from tfnas.graphs.structure import STRUCTURE

_MULTIPLY_ADDS = STRUCTURE.index("log_multiply_adds")
# Parameters of a norm per channel: scale and shift, and the moving mean and variance of batch normalisation.
_PER_CHANNEL = {"batch_norm": 4, "layer_norm": 2, "group_norm": 2, "rms_norm": 1, "prelu": 1}


@dataclasses.dataclass(frozen=True, eq=False)
class Collection:
    """N architectures with names.

    Attributes:
      graphs: N computation graphs with families.
      names: `[N]` strings, all different.
      sources: `[N]` strings, the library or the project of each architecture.
      parameters: int64 `[N]`, numbers that each architecture holds; 0 where the count is not known.

    Example:
      >>> from tfnas.graphs.computation_graph import smallest_graph
      >>> collection = Collection.from_graphs([smallest_graph().replace(name="empty", source="mine")])
      >>> collection.names.tolist()
      ['mine/empty']
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

    @property
    def multiply_adds(self) -> np.ndarray:
        """int64 `[N]`, products of convolutions and matrix products for one input; exact to seven digits."""
        return np.rint(np.expm1(self.graphs.structure[:, _MULTIPLY_ADDS].astype(np.float64))).astype(np.int64)

    @classmethod
    def from_graphs(cls, graphs: Iterable[ComputationGraph]) -> "Collection":
        """Architectures called `source/name`, or `name` without a source.

        Raises:
          ConfigurationError: no graphs, or two architectures of the same name.
        """
        named = graph_corpora.by_name(graphs)
        return cls(
            pack(named.values()),
            np.array(list(named), str),
            np.array([graph.source for graph in named.values()], str),
            np.array([graph.total_parameters for graph in named.values()], np.int64),
        )

    @classmethod
    def from_corpora(cls, folders: Sequence[artefacts.PathLike]) -> "Collection":
        """The architectures of several graph corpora.

        Raises:
          ConfigurationError: no graphs, or two architectures of the same name.
          CorruptArtefactError: a file is missing, truncated or changed.
          MismatchError: a corpus was written with operators that this version does not know.
        """
        return cls.from_graphs(graph for folder in folders for graph in graph_corpora.read_graphs(folder))

    @classmethod
    def concatenate(cls, collections: Sequence["Collection"]) -> "Collection":
        """The architectures of several collections in order; an index refuses equal names."""
        return cls(
            PackedGraphs.concatenate([collection.graphs for collection in collections]),
            np.concatenate([collection.names for collection in collections]),
            np.concatenate([collection.sources for collection in collections]),
            np.concatenate([collection.parameters for collection in collections]),
        )

    def distinct(self) -> "Collection":
        """The first architecture of each structure: operators, heights of kernels and flow, whatever the channels."""
        return self[distinct(self.graphs)]

    def graph(self, row: int) -> ComputationGraph:
        """An architecture as a computation graph.

        A collection knows the parameters of a network as a whole. Each operator gets the share that its shape implies;
        the shares add up to the network's parameters.
        """
        graphs = self.graphs[np.array([row])]
        features = graphs.features[graphs.codes]
        return ComputationGraph(
            operators=features[:, 0],
            shapes=features[:, 1:7],
            kernels=features[:, 7:9],
            bias=features[:, 9],
            parameters=_shares(features.astype(np.int64), graphs.edges, int(self.parameters[row])),
            edges=graphs.edges,
            name=str(self.names[row]),
            family=str(self.families[row]),
            source=str(self.sources[row]),
            unknown=(UNKNOWN,) * int(np.sum(features[:, 0] == CODES[UNKNOWN])),
        )

    def arrays(self) -> dict[str, np.ndarray]:
        """The whole collection as arrays, for a file."""
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

        Args:
          arrays: arrays by name.
          path: file of the arrays, for error messages.

        Raises:
          CorruptArtefactError: an array is missing, or the operators are not those of this version.
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


def _shares(features: np.ndarray, edges: np.ndarray, total: int) -> np.ndarray:
    """The parameters of a network, spread over its operators by what their shapes imply, int64 `[V]`."""
    operators, channels_in, channels_out, bias = features[:, 0], features[:, 5], features[:, 6], features[:, 9]
    area = np.maximum(1, features[:, 7] * features[:, 8])
    # A product of two tensors of data has two sources and no weights.
    sources = np.bincount(edges[:, 1], minlength=len(features))
    dense = np.isin(operators, [CODES["conv"], CODES["conv_transpose"]])
    dense |= (operators == CODES["matmul"]) & (sources < 2)
    implied = np.where(dense, (area * channels_in + bias) * channels_out, 0)
    implied[operators == CODES["depthwise_conv"]] = ((area + bias) * channels_out)[operators == CODES["depthwise_conv"]]
    for name, count in _PER_CHANNEL.items():
        implied[operators == CODES[name]] = count * channels_out[operators == CODES[name]]
    # No shape shows the size of a vocabulary: tables of embeddings get the rest.
    tables = operators == CODES["embedding"]
    implied[tables] = max(total - implied.sum(), 0) // max(tables.sum(), 1)
    if not implied.any():
        implied[:] = 1
    # Grouped convolutions and shared weights make the sum too large; rounded sums make up the network's count.
    sums = np.rint(np.cumsum(implied) * (total / implied.sum()))
    return np.diff(sums, prepend=0).astype(np.int64)


def _small(values: np.ndarray) -> np.ndarray:
    return values.astype(np.uint16 if values.max(initial=0) < 1 << 16 else np.uint32)


def read_collection(path: artefacts.PathLike) -> Collection:
    """The collection in a file of `Collection.arrays`.

    Raises:
      CorruptArtefactError: an array is missing, or the operators are not those of this version.
    """
    path = pathlib.Path(path)
    return Collection.from_arrays(artefacts.read_npz(path), path)
