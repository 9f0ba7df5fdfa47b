"""Known architectures that are like a model, and the motifs that they share with it."""

import dataclasses
import pathlib
from collections.abc import Sequence
from typing import Any, Unpack

import numpy as np

from tfnas import artefacts, encoders
from tfnas.encoders.base import GraphEncoder, graph_encoder
from tfnas.errors import ConfigurationError, MismatchError
from tfnas.graphs.importers import Model, Options, import_model
from tfnas.graphs.packed import PackedGraphs
from tfnas.reports import tables
from tfnas.reports.planes import PrincipalPlane
from tfnas.retrieval.collection import Collection
from tfnas.retrieval.explanation import SharedMotif, explain
from tfnas.retrieval.index import Index, Match
from tfnas.saved_models import SHIPPED, shipped_names

_IN_MAP = 200
_LONGEST_MOTIF = 70


@dataclasses.dataclass(frozen=True, eq=False)
class Relative:
    """An architecture like the query.

    Attributes:
      match: name, source, family and similarity.
      parameters: numbers that the architecture holds; 0 where the count is not known.
      operators: number of operators.
      covered: share of the query's operators that stand in a row of four or more operators that the relative holds too,
        0 to 1.
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
      ConfigurationError: the index has no graphs.

    Example:
      >>> retriever = Retriever.load()
      >>> [relative.family for relative in retriever.relatives("timm/resnet50", count=3)]
      ['resnet', 'resnet', 'resnet']
    """

    def __init__(self, index: Index, encoder: GraphEncoder):
        if index.manifest.get("encoder") != encoder.fingerprint:
            raise MismatchError(f"the index was not made with the encoder {encoder.folder}; build it with this encoder")
        if index.collection is None:
            raise ConfigurationError("the index holds no graphs, which relatives are explained by")
        self.index, self.encoder, self._collection = index, encoder, index.collection

    @classmethod
    def load(cls, index: artefacts.PathLike | None = None, encoder: artefacts.PathLike | None = None) -> "Retriever":
        """Reads an index and its encoder.

        Args:
          index: folder of an index; the index that ships with tfnas by default.
          encoder: folder of the encoder of the index; by default the encoder that ships with tfnas and that the index
            was made with.

        Raises:
          ConfigurationError: an encoder of cells.
          CorruptArtefactError: a file is missing, truncated or changed.
          MismatchError: the index was made with another encoder.
        """
        opened = Index.load(index)
        return cls(opened, graph_encoder(encoders.load(encoder or _shipped_encoder(opened))))

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
        embedding = self.encoder.embed(collection.graphs) if row is None else self.index.embeddings[row : row + 1]
        (matches,) = self.index.search(
            embedding, max(count, _IN_MAP), sources=sources, families=families, without=without
        )
        return self._explain(collection, embedding, matches[:count], matches[:_IN_MAP], notes)

    def _explain(
        self,
        query: Collection,
        embedding: np.ndarray,
        matches: Sequence[Match],
        neighbours: Sequence[Match],
        notes: tuple[str, ...],
    ) -> Answer:
        found = self._collection[np.array([match.row for match in matches])]
        explanation = explain(PackedGraphs.concatenate([query.graphs, found.graphs]))
        facts = zip(matches, found.parameters, found.graphs.num_nodes, explanation.relatives, strict=True)
        relatives = tuple(
            Relative(match, int(parameters), int(nodes), shared.covered, shared.motifs, shared.pieces, shared.sizes)
            for match, parameters, nodes, shared in facts
        )
        embeddings = np.concatenate([embedding, self.index.embeddings[[match.row for match in neighbours]]])
        points = PrincipalPlane(embeddings).points(embeddings)
        cut = (explanation.pieces, explanation.sizes, explanation.kinds)
        return Answer(query, relatives, *cut, points, tuple(neighbours), notes)


def _shipped_encoder(index: Index) -> pathlib.Path:
    """The folder of the shipped encoder that an index was made with.

    Raises:
      MismatchError: the index was made with no shipped encoder.
    """
    for name in shipped_names():
        folder = SHIPPED / name
        if artefacts.fingerprint(artefacts.read_json(folder / artefacts.MANIFEST_NAME)) == index.manifest.get(
            "encoder"
        ):
            return folder
    raise MismatchError(
        "the index was not made with an encoder that ships with tfnas, expected the folder of its encoder"
    )


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
