"""Which known architectures are like this one, and what they share."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np
from sklearn.decomposition import PCA

from tfnas import artefacts
from tfnas.encoders.motif.saved import SavedMotifEncoder
from tfnas.errors import ConfigurationError, MismatchError
from tfnas.graphs.computation_graph import ComputationGraph
from tfnas.graphs.motifs.mining import sequences, windows
from tfnas.graphs.operators import OPERATORS
from tfnas.graphs.packed import PackedGraphs
from tfnas.reports import tables
from tfnas.retrieval.collection import Collection
from tfnas.retrieval.index import Index, Match

_IN_MAP = 200
_MOTIFS_TOLD = 5


@dataclasses.dataclass(frozen=True)
class SharedMotif:
    """A motif that two architectures hold.

    Attributes:
      operators: its operators in order, with the kernel where there is one.
      in_query: how often it is one of the query's pieces.
      in_relative: how often the relative holds it.
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
      covered: share of the query's operators in motifs that it holds too, wherever it was cut itself.
      shared: the largest motifs that both hold.
      pieces: int64 `[pieces]`, the query's motifs as the relative holds them, from its inputs on: numbers of kinds, -1
        for what lies between.
      sizes: int64 `[pieces]`, operators of each.
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
      ConfigurationError: the index has no graphs, or the encoder's pieces are no sequences.
    """

    def __init__(self, index: Index, encoder: SavedMotifEncoder):
        if index.manifest.get("encoder") != encoder.fingerprint:
            raise MismatchError(f"the index was not made with the encoder {encoder.folder}; build it with this encoder")
        if index.collection is None:
            raise ConfigurationError("the index holds no graphs, which relatives are explained by")
        if encoder.splitter.config.splitting == "communities":
            raise ConfigurationError(f"{encoder.folder}: cuts graphs into communities, which no sequence describes")
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
        allowed = {"sources": sources, "families": families, "without": without}
        (found,) = self.index.search(embedding, max(count, _IN_MAP), **allowed)
        return self._explain(asked, embedding, found[:count], found[:_IN_MAP])

    def _explain(
        self, asked: Collection, embedding: np.ndarray, matches: Sequence[Match], neighbours: Sequence[Match]
    ) -> Answer:
        rows = np.array([match.row for match in matches])
        together = Collection.concatenate([asked, self.index.collection[rows]])
        config = self.encoder.splitter.config
        found = sequences(together.graphs, config.steps, config.operators)
        owner = np.repeat(np.arange(len(together)), np.diff(found.offsets))
        macro = self.encoder.splitter.macro(asked.graphs)
        sizes = macro.size
        firsts = np.cumsum(sizes) - sizes
        hashes = {int(size): windows(found, owner, int(size)) for size in np.unique(sizes)}
        known: dict[tuple[int, int], int] = {}
        pieces = np.array(
            [
                known.setdefault((int(size), int(hashes[int(size)][0][first])), len(known))
                for first, size in zip(firsts, sizes, strict=True)
            ],
            np.int64,
        )
        first_of = {kind: int(firsts[place]) for place, kind in reversed(list(enumerate(pieces.tolist())))}
        told = tuple(
            _operators(together.graphs, found.order[first_of[kind] : first_of[kind] + size])
            for (size, _), kind in known.items()
        )
        counts = np.bincount(pieces, minlength=len(told))
        matching = _matches(known, hashes, len(owner))
        relatives = []
        for place, match in enumerate(matches, start=1):
            own = slice(int(found.offsets[place]), int(found.offsets[place + 1]))
            held = {kind: int(places[own].sum()) for kind, places in matching.items()}
            ranked = sorted(
                (kind for kind in held if held[kind]),
                key=lambda kind: (-len(told[kind]), -min(counts[kind], held[kind])),
            )
            covered = sizes[[held[kind] > 0 for kind in pieces.tolist()]].sum() / sizes.sum()
            shared = [SharedMotif(told[kind], int(counts[kind]), held[kind]) for kind in ranked[:_MOTIFS_TOLD]]
            relatives.append(
                Relative(
                    match,
                    int(together.parameters[place]),
                    int(together.graphs.num_nodes[place]),
                    float(covered),
                    tuple(shared),
                    *_aligned(matching, [len(kind) for kind in told], own),
                )
            )
        points = np.concatenate([embedding, self.index.embeddings[[match.row for match in neighbours]]])
        places = PCA(2, random_state=0).fit_transform(points)
        return Answer(asked, tuple(relatives), pieces, sizes, told, places, tuple(neighbours))


def _operators(graphs: PackedGraphs, nodes: np.ndarray) -> tuple[str, ...]:
    """What some nodes are."""
    return tuple(
        OPERATORS[node[0]] + (f" {node[7]}x{node[8]}" if node[7] and node[8] else "")
        for node in graphs.features[graphs.codes[nodes]].tolist()
    )


def _matches(
    known: Mapping[tuple[int, int], int], hashes: Mapping[int, tuple[np.ndarray, np.ndarray]], count: int
) -> dict[int, np.ndarray]:
    """For every kind of motif bool `[count]`: the places where it begins."""
    return {kind: (hashes[size][0] == np.uint64(name)) & hashes[size][1] for (size, name), kind in known.items()}


def _aligned(matching: Mapping[int, np.ndarray], lengths: Sequence[int], own: slice) -> tuple[np.ndarray, np.ndarray]:
    """One graph as the motifs that it holds, the longest that begin at a place first, and their sizes."""
    best = np.full(own.stop - own.start, -1)
    for kind in sorted(matching, key=lambda kind: lengths[kind]):
        best[matching[kind][own]] = kind
    pieces: list[int] = []
    sizes: list[int] = []
    place = 0
    while place < len(best):
        kind = int(best[place])
        size = lengths[kind] if kind >= 0 else 1
        if kind < 0 and pieces and pieces[-1] < 0:
            sizes[-1] += 1
        else:
            pieces.append(kind)
            sizes.append(size)
        place += size
    return np.array(pieces, np.int64), np.array(sizes, np.int64)


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


_LONGEST_MOTIF = 70


def relatives_table(answer: Answer) -> str:
    """What a query found, and the largest motif that it shares with each relative."""
    rows = []
    for rank, relative in enumerate(answer.relatives, start=1):
        match = relative.match
        motif = ", ".join(relative.shared[0].operators) if relative.shared else "none"
        rows.append(
            [
                match.name,
                f"{rank}",
                match.family,
                f"{match.similarity:.3f}",
                f"{100 * relative.covered:.0f} %",
                motif if len(motif) <= _LONGEST_MOTIF else motif[: _LONGEST_MOTIF - 1] + "…",
            ]
        )
    name, nodes = answer.query.names[0], int(answer.query.graphs.num_nodes[0])
    columns = ["architecture", "rank", "family", "similarity", "operators in shared motifs", "largest shared motif"]
    return f"{name}: {nodes:,} operators\n\n{tables.markdown(columns, rows)}"
