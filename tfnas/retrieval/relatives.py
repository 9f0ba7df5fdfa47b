"""Which known architectures are like this one, and what they share."""

import dataclasses
from collections.abc import Sequence

import numpy as np
from sklearn.decomposition import PCA

from tfnas import artefacts
from tfnas.encoders.motif.saved import SavedMotifEncoder
from tfnas.errors import ConfigurationError, MismatchError
from tfnas.graphs.computation_graph import ComputationGraph
from tfnas.graphs.motifs import MacroGraphs
from tfnas.graphs.operators import OPERATORS
from tfnas.graphs.packed import PackedGraphs
from tfnas.retrieval.collection import Collection
from tfnas.retrieval.index import Index, Match

_IN_MAP = 200
_MOTIFS_TOLD = 5


@dataclasses.dataclass(frozen=True)
class SharedMotif:
    """A motif that two architectures hold.

    Attributes:
      operators: its operators in order, with the kernel where there is one.
      in_query: how often the query holds it.
      in_relative: how often the relative does.
    """

    operators: tuple[str, ...]
    in_query: int
    in_relative: int


@dataclasses.dataclass(frozen=True, eq=False)
class Relative:
    """An architecture like the query.

    Attributes:
      match: its name, source, family and similarity.
      parameters: numbers that it holds; 0 where that is not known.
      operators: number of its operators.
      covered: share of the query's operators in motifs that it holds too.
      shared: the largest motifs that both hold.
      pieces: int64 `[motifs]`, for each of its motifs in order the number of the query's kind of motif, -1 for others.
      sizes: int64 `[motifs]`, operators of each.
    """

    match: Match
    parameters: int
    operators: int
    covered: float
    shared: tuple[SharedMotif, ...]
    pieces: np.ndarray
    sizes: np.ndarray


@dataclasses.dataclass(frozen=True, eq=False)
class Answer:
    """What a query found.

    Attributes:
      query: the architecture that was asked for, one row.
      relatives: best first.
      pieces: int64 `[motifs]`, the kind of each of the query's motifs in order, numbered from 0.
      sizes: int64 `[motifs]`, operators of each.
      kinds: for each of these numbers the operators of the motif.
      places: float64 `[n + 1, 2]`, a map of the query (first) and the n most similar architectures.
      neighbours: the n architectures of the map.
    """

    query: Collection
    relatives: tuple[Relative, ...]
    pieces: np.ndarray
    sizes: np.ndarray
    kinds: tuple[tuple[str, ...], ...]
    places: np.ndarray
    neighbours: tuple[Match, ...]


class Retriever:
    """Answers queries from an index and the encoder that it was made with.

    Args:
      index: with its graphs.
      encoder: the encoder of the index.

    Raises:
      MismatchError: the index was made with another encoder.
      ConfigurationError: the index has no graphs.
    """

    def __init__(self, index: Index, encoder: SavedMotifEncoder):
        if index.manifest.get("encoder") != encoder.fingerprint:
            raise MismatchError(f"the index was not made with the encoder {encoder.folder}; build it with this encoder")
        if index.collection is None:
            raise ConfigurationError("the index holds no graphs, which relatives are explained by")
        self.index, self.encoder = index, encoder

    def ask(
        self,
        query: ComputationGraph | str,
        count: int = 10,
        *,
        sources: Sequence[str] | None = None,
        families: Sequence[str] | None = None,
    ) -> Answer:
        """The relatives of a model.

        Args:
          query: its computation graph, or the name of an indexed architecture, which does not find itself.
          count: k.
          sources: allow these alone.
          families: allow these alone.

        Raises:
          ConfigurationError: no such architecture, source or family.
          InvalidArchitectureError: the graph is empty or has operators that the encoder does not know.
        """
        without: list[str] = []
        if isinstance(query, str):
            row = self.index.row(query)
            asked, embedding = self.index.collection[np.array([row])], self.index.embeddings[row : row + 1]
            without = [query]
        else:
            asked = Collection.from_graphs([query])
            embedding = self.encoder.embed(asked.graphs)
        found = self.index.search(embedding, max(count, _IN_MAP), sources=sources, families=families, without=without)[
            0
        ]
        return self._explain(asked, embedding, found[:count], found[:_IN_MAP])

    def _explain(
        self, asked: Collection, embedding: np.ndarray, matches: Sequence[Match], neighbours: Sequence[Match]
    ) -> Answer:
        rows = np.array([match.row for match in matches])
        together = Collection.concatenate([asked, self.index.collection[rows]])
        macro = self.encoder.splitter.macro(together.graphs)
        owners = np.searchsorted(macro.graph, np.arange(len(together) + 1))
        mine = slice(owners[0], owners[1])
        kinds, first, pieces = np.unique(macro.kind[mine], return_index=True, return_inverse=True)
        by_place = np.argsort(first)
        number = np.empty(len(kinds), np.int64)
        number[by_place] = np.arange(len(kinds))
        pieces = number[pieces.ravel()]
        told = [_operators(together.graphs, macro, int(first[place])) for place in by_place]
        counts = np.bincount(pieces, minlength=len(kinds))
        relatives = []
        for place, match in enumerate(matches, start=1):
            own = slice(owners[place], owners[place + 1])
            found = np.minimum(np.searchsorted(kinds, macro.kind[own]), len(kinds) - 1)
            theirs = np.where(kinds[found] == macro.kind[own], number[found], -1)
            held = np.bincount(theirs[theirs >= 0], minlength=len(kinds))
            ranked = sorted(np.flatnonzero(held), key=lambda kind: (-len(told[kind]), -min(counts[kind], held[kind])))
            covered = macro.size[mine][held[pieces] > 0].sum() / macro.size[mine].sum()
            shared = [SharedMotif(told[kind], int(counts[kind]), int(held[kind])) for kind in ranked[:_MOTIFS_TOLD]]
            relatives.append(
                Relative(
                    match,
                    int(together.parameters[place]),
                    int(together.graphs.num_nodes[place]),
                    float(covered),
                    tuple(shared),
                    theirs,
                    macro.size[own],
                )
            )
        points = np.concatenate([embedding, self.index.embeddings[[match.row for match in neighbours]]])
        places = PCA(2, random_state=0).fit_transform(points) if len(points) > 2 else np.zeros((len(points), 2))
        return Answer(asked, tuple(relatives), pieces, macro.size[mine], tuple(told), places, tuple(neighbours))


def _operators(graphs: PackedGraphs, macro: MacroGraphs, motif: int) -> tuple[str, ...]:
    """What a motif is made of."""
    nodes = graphs.features[graphs.codes[np.flatnonzero(macro.motif == motif)]]
    return tuple(
        OPERATORS[node[0]] + (f" {node[7]}x{node[8]}" if node[7] and node[8] else "") for node in nodes.tolist()
    )


def build_index(collection: Collection, encoder: SavedMotifEncoder, folder: artefacts.PathLike) -> Index:
    """Embeds a collection and writes its index.

    Args:
      collection: N architectures.
      encoder: with which.
      folder: where; replaced as a whole.

    Raises:
      InvalidArchitectureError: operators that the encoder does not know.
    """
    index = Index.of(encoder.embed(collection.graphs), collection)
    index.save(folder, encoder=encoder.fingerprint)
    return index
