"""Known architectures that are like a model, and the motifs that they share with it."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, Unpack

import numpy as np

from tfnas import artefacts
from tfnas.encoders.motif.saved import SavedMotifEncoder
from tfnas.errors import ConfigurationError, MismatchError
from tfnas.graphs.importers import Model, Options, import_model
from tfnas.graphs.motifs.mining import sequences, windows
from tfnas.graphs.motifs.two_level import TwoLevelGraphs
from tfnas.graphs.operators import OPERATORS
from tfnas.graphs.packed import PackedGraphs
from tfnas.reports import tables
from tfnas.reports.planes import PrincipalPlane
from tfnas.retrieval.collection import Collection
from tfnas.retrieval.index import Index, Match

_IN_MAP = 200
_MOTIFS_SHOWN = 5
_LONGEST_MOTIF = 70


@dataclasses.dataclass(frozen=True)
class SharedMotif:
    """A motif that two architectures hold.

    Attributes:
      operators: operators of the motif in order, with the kernel where an operator has a kernel.
      in_query: number of the query's pieces that are this motif.
      in_relative: number of times that the relative holds the motif.
    """

    operators: tuple[str, ...]
    in_query: int
    in_relative: int


@dataclasses.dataclass(frozen=True, eq=False)
class Relative:
    """An architecture like the query.

    Attributes:
      match: name, source, family and similarity.
      parameters: numbers that the architecture holds; 0 where the count is not known.
      operators: number of operators.
      covered: share of the query's operators in motifs that the relative holds too, 0 to 1.
      shared: largest motifs that both architectures hold.
      pieces: int64 `[pieces]`, the query's motifs as the relative holds them, from input to output: numbers of kinds,
        -1 for operators between motifs.
      sizes: int64 `[pieces]`, operators of each piece.
    """

    match: Match
    parameters: int
    operators: int
    covered: float
    shared: tuple[SharedMotif, ...]
    pieces: np.ndarray
    sizes: np.ndarray

    @property
    def name(self) -> str:
        """Name in the index."""
        return self.match.name

    @property
    def family(self) -> str:
        """Family of the architecture; empty if the family is not known."""
        return self.match.family

    @property
    def similarity(self) -> float:
        """Cosine of the angle between the embeddings, -1 to 1."""
        return self.match.similarity


@dataclasses.dataclass(frozen=True, eq=False)
class Answer(Sequence[Relative]):
    """The relatives of a query, best first: a sequence.

    Attributes:
      query: collection of the query alone.
      relatives: relatives, best first.
      pieces: int64 `[motifs]`, kinds of the query's motifs in order, numbered from 0.
      sizes: int64 `[motifs]`, operators of each motif.
      kinds: operators of the motif of each kind.
      points: float64 `[n + 1, 2]`, a map of the query (first) and the n most similar architectures.
      neighbours: the n architectures of the map.
      notes: lines that say what the importer of the query assumed or did not understand.
    """

    query: Collection
    relatives: tuple[Relative, ...]
    pieces: np.ndarray
    sizes: np.ndarray
    kinds: tuple[tuple[str, ...], ...]
    points: np.ndarray
    neighbours: tuple[Match, ...]
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.relatives)

    def __getitem__(self, number: Any) -> Any:
        """The relative of a rank, from 0, or a tuple of the relatives of a slice."""
        return self.relatives[number]

    def __str__(self) -> str:
        """The relatives as a table; see `relatives_table`."""
        return relatives_table(self)


class Retriever:
    """Answers queries from an index and the encoder that the index was made with.

    Args:
      index: index with graphs.
      encoder: encoder of the index.

    Raises:
      MismatchError: the index was made with another encoder.
      ConfigurationError: the index has no graphs, or the encoder's pieces are no sequences.

    Example:
      >>> retriever = Retriever(Index.load(), SavedMotifEncoder())
      >>> [relative.family for relative in retriever.relatives("timm/resnet50", count=3)]
      ['resnet', 'resnet', 'resnet']
    """

    def __init__(self, index: Index, encoder: SavedMotifEncoder):
        if index.manifest.get("encoder") != encoder.fingerprint:
            raise MismatchError(f"the index was not made with the encoder {encoder.folder}; build it with this encoder")
        if index.collection is None:
            raise ConfigurationError("the index holds no graphs, which relatives are explained by")
        if encoder.splitter.config.splitting == "communities":
            raise ConfigurationError(f"{encoder.folder}: cuts graphs into communities, which no sequence describes")
        self.index, self.encoder, self._collection = index, encoder, index.collection

    @classmethod
    def load(cls, index: artefacts.PathLike | None = None, encoder: artefacts.PathLike | None = None) -> "Retriever":
        """Reads an index and its encoder.

        Args:
          index: folder of an index; the index that ships with tfnas by default.
          encoder: folder of the encoder of the index; the motif encoder that ships with tfnas by default.

        Raises:
          CorruptArtefactError: a file is missing, truncated or changed.
          MismatchError: the index was made with another encoder.
        """
        return cls(Index.load(index), SavedMotifEncoder(encoder))

    def relatives(
        self,
        query: Model,
        count: int = 10,
        *,
        sources: Sequence[str] | None = None,
        families: Sequence[str] | None = None,
        **options: Unpack[Options],
    ) -> Answer:
        """The relatives of a model.

        Args:
          query: model (see `importers.import_model`), or name of an indexed architecture, which does not find itself.
          count: k, the number of relatives.
          sources: sources that are allowed; None allows every source.
          families: families that are allowed; None allows every family.
          **options: options of `importers.import_model`, such as the input_shape of a model that leaves it open.

        Raises:
          ConfigurationError: no such file, source or family, or options for an indexed architecture.
          InvalidArchitectureError: the graph is empty or has operators that the encoder does not know.
        """
        row = self.index.row(query) if isinstance(query, str) and query in self.index.names else None
        if row is None:
            graph = import_model(query, **options)
            collection, without, notes = Collection.from_graphs([graph]), [], graph.notes
        else:
            if options:
                raise ConfigurationError(f"{', '.join(options)}: for a model, and {query} is an indexed architecture")
            notes = ()
            collection, without = self._collection[np.array([row])], [str(query)]
        # The encoder and the explanation see the same motifs.
        motifs = self.encoder.two_level(collection.graphs)
        embedding = self.encoder.embed(motifs) if row is None else self.index.embeddings[row : row + 1]
        (matches,) = self.index.search(
            embedding, max(count, _IN_MAP), sources=sources, families=families, without=without
        )
        return self._explain(collection, motifs, embedding, matches[:count], matches[:_IN_MAP], notes)

    def _explain(
        self,
        query: Collection,
        motifs: TwoLevelGraphs,
        embedding: np.ndarray,
        matches: Sequence[Match],
        neighbours: Sequence[Match],
        notes: tuple[str, ...],
    ) -> Answer:
        relatives = self._collection[np.array([match.row for match in matches])]
        compared = Collection.concatenate([query, relatives])
        config = self.encoder.splitter.config
        nodes = sequences(compared.graphs, config.steps, config.operators)
        sizes = np.bincount(motifs.motif)
        firsts = np.cumsum(sizes) - sizes
        hashes = {int(size): windows(nodes, int(size)) for size in np.unique(sizes)}
        # Kinds are numbered in the order in which the query's motifs come.
        numbers: dict[tuple[int, int], int] = {}
        pieces = np.array(
            [
                numbers.setdefault((int(size), int(hashes[int(size)][0][first])), len(numbers))
                for first, size in zip(firsts, sizes, strict=True)
            ],
            np.int64,
        )
        first_of = {kind: int(firsts[piece]) for piece, kind in reversed(list(enumerate(pieces.tolist())))}
        kinds = tuple(
            _operators(compared.graphs, nodes.order[first_of[kind] : first_of[kind] + size])
            for (size, _), kind in numbers.items()
        )
        counts = np.bincount(pieces, minlength=len(kinds))
        begins = _begins(numbers, hashes)
        explained = []
        for number, match in enumerate(matches, start=1):
            span = slice(int(nodes.offsets[number]), int(nodes.offsets[number + 1]))
            held = {kind: int(where[span].sum()) for kind, where in begins.items()}
            ranked = sorted(
                (kind for kind in held if held[kind]),
                key=lambda kind: (-len(kinds[kind]), -min(int(counts[kind]), held[kind])),
            )
            covered = sizes[[held[kind] > 0 for kind in pieces.tolist()]].sum() / sizes.sum()
            shared = [SharedMotif(kinds[kind], int(counts[kind]), held[kind]) for kind in ranked[:_MOTIFS_SHOWN]]
            explained.append(
                Relative(
                    match,
                    int(compared.parameters[number]),
                    int(compared.graphs.num_nodes[number]),
                    float(covered),
                    tuple(shared),
                    *_aligned(begins, [len(kind) for kind in kinds], span),
                )
            )
        embeddings = np.concatenate([embedding, self.index.embeddings[[match.row for match in neighbours]]])
        points = PrincipalPlane(embeddings).points(embeddings)
        return Answer(query, tuple(explained), pieces, sizes, kinds, points, tuple(neighbours), notes)


def _operators(graphs: PackedGraphs, nodes: np.ndarray) -> tuple[str, ...]:
    """Operators and kernels of some nodes."""
    return tuple(
        OPERATORS[node[0]] + (f" {node[7]}x{node[8]}" if node[7] and node[8] else "")
        for node in graphs.features[graphs.codes[nodes]].tolist()
    )


def _begins(
    numbers: Mapping[tuple[int, int], int], hashes: Mapping[int, tuple[np.ndarray, np.ndarray]]
) -> dict[int, np.ndarray]:
    """For every kind of motif bool `[nodes]`, True where the motif begins."""
    return {kind: (hashes[size][0] == np.uint64(name)) & hashes[size][1] for (size, name), kind in numbers.items()}


def _aligned(begins: Mapping[int, np.ndarray], lengths: Sequence[int], span: slice) -> tuple[np.ndarray, np.ndarray]:
    """A graph as the motifs that it holds, the longest motif first at every node, and their sizes."""
    best = np.full(span.stop - span.start, -1)
    for kind in sorted(begins, key=lambda kind: lengths[kind]):
        best[begins[kind][span]] = kind
    pieces: list[int] = []
    sizes: list[int] = []
    node = 0
    while node < len(best):
        kind = int(best[node])
        size = lengths[kind] if kind >= 0 else 1
        if kind < 0 and pieces and pieces[-1] < 0:
            sizes[-1] += 1
        else:
            pieces.append(kind)
            sizes.append(size)
        node += size
    return np.array(pieces, np.int64), np.array(sizes, np.int64)


def relatives_table(answer: Answer) -> str:
    """The relatives of a query, and the largest motif that each relative shares with it, as Markdown."""
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
    return f"{name}: {nodes:,} operators\n\n{tables.markdown(columns, rows)}{tables.notes(answer.notes)}"


def relatives_record(answer: Answer) -> list[dict[str, Any]]:
    """The relatives of a query as JSON values, best first."""
    return [
        dataclasses.asdict(relative.match)
        | {"covered": relative.covered, "shared": [dataclasses.asdict(motif) for motif in relative.shared]}
        for relative in answer.relatives
    ]
