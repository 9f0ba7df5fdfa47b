"""The answer to a query: relatives with what they share and in what they differ, as a table and as records."""

import dataclasses
import pathlib
from collections.abc import Sequence
from typing import Any

import numpy as np

from tfnas import artefacts
from tfnas.reports import tables
from tfnas.retrieval.collection import Collection
from tfnas.retrieval.explanation import SharedMotif
from tfnas.retrieval.index import Match

UNLIKE = 0.3
"""Similarity below which an architecture that shares less than half of the operators is not called a relative."""
HALF = 0.5
_LONGEST_DIFFERENCE = 60


@dataclasses.dataclass(frozen=True, eq=False)
class Relative:
    """An architecture like the query.

    Attributes:
      match: name, source, family and cosine of the embeddings.
      similarity: share of the index's own pairs with this score that are of one family, 0 to 1; 1 for the same
        structure.
      covered: share of the query's operators that the architecture has in the same surroundings, 0 to 1; see
        `evidence.Surroundings`.
      same_structure: whether operators, heights of kernels and flow are those of the query, whatever the channels.
      twins: architectures of the same structure, or of the same size from another source, that the line stands for too.
      parameters: numbers that the architecture holds; 0 where the count is not known.
      multiply_adds: products of convolutions and matrix products, for one input.
      operators: number of operators.
      differences: lines on what differs from the query; see `differences.differences`.
      shared: largest motifs that both architectures hold.
      pieces: int64 `[pieces]`, motifs that the query holds, from input to output: numbers of kinds, -1 for operators
        between motifs.
      sizes: int64 `[pieces]`, operators of each piece.
    """

    match: Match
    similarity: float
    covered: float
    same_structure: bool
    twins: tuple[Match, ...]
    parameters: int
    multiply_adds: int
    operators: int
    differences: tuple[str, ...]
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


@dataclasses.dataclass(frozen=True, eq=False)
class Answer(Sequence[Relative]):
    """The relatives of a query, best first: a sequence.

    Attributes:
      query: collection of the query alone.
      embedding: float32 `[D]`, the query's.
      relatives: relatives, best first.
      pieces: int64 `[pieces]`, motifs that a relative holds, from input to output: numbers of kinds, -1 for operators
        between motifs.
      sizes: int64 `[pieces]`, operators of each piece.
      kinds: operators of the motif of each kind.
      notes: lines that say what the importer of the query assumed or did not understand.
    """

    query: Collection
    embedding: np.ndarray
    relatives: tuple[Relative, ...]
    pieces: np.ndarray
    sizes: np.ndarray
    kinds: tuple[tuple[str, ...], ...]
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.relatives)

    def __getitem__(self, number: Any) -> Any:
        """The relative of a rank, from 0, or a tuple of the relatives of a slice."""
        return self.relatives[number]

    def __str__(self) -> str:
        """The relatives as a table; see `relatives_table`."""
        return relatives_table(self)

    @property
    def unlike(self) -> bool:
        """Whether nothing is like the query: no relative is similar, and no relative shares half of the operators."""
        return all(relative.similarity < UNLIKE and relative.covered < HALF for relative in self.relatives)


def relatives_table(answer: Answer) -> str:
    """The relatives of a query, and the first difference of each, as Markdown."""
    rows = []
    for rank, relative in enumerate(answer.relatives, start=1):
        twins = f" (and {len(relative.twins)} like it)" if relative.twins else ""
        rows.append(
            [
                relative.name + twins,
                f"{rank}",
                relative.family,
                f"{100 * relative.similarity:.0f} %",
                f"{100 * relative.covered:.0f} %",
                said(relative, _LONGEST_DIFFERENCE),
            ]
        )
    name, nodes = answer.query.names[0], int(answer.query.graphs.num_nodes[0])
    columns = ["architecture", "rank", "family", "similarity", "shared operators", "differs"]
    return (
        f"{name}: {nodes:,} operators\n\n{tables.markdown(columns, rows)}"
        f"{tables.notes([*answer.notes, *unlike_words(answer)])}"
    )


def unlike_words(answer: Answer) -> list[str]:
    """The line that says that nothing is like the query; no line where something is."""
    if not answer.unlike:
        return []
    share = 100 * answer.relatives[0].similarity
    return [f"nothing in the index is like {answer.query.names[0]}: {share:.0f} % of such pairs are of one family"]


def said(relative: Relative, longest: int) -> str:
    """The differences of a relative in one line of at most `longest` characters."""
    lines = ["same structure"] * relative.same_structure + list(relative.differences)
    words = "; ".join(lines) or "nothing that is listed"
    return words if len(words) <= longest else words[: longest - 1] + "…"


def relatives_record(answer: Answer) -> list[dict[str, Any]]:
    """The relatives of a query as JSON values, best first."""
    return [
        {
            "rank": rank,
            "name": relative.name,
            "source": relative.match.source,
            "family": relative.family,
            "similarity": relative.similarity,
            "cosine": relative.match.similarity,
            "covered": relative.covered,
            "same_structure": relative.same_structure,
            "twins": [twin.name for twin in relative.twins],
            "parameters": relative.parameters,
            "multiply_adds": relative.multiply_adds,
            "operators": relative.operators,
            "differences": list(relative.differences),
            "shared": [dataclasses.asdict(motif) for motif in relative.shared],
        }
        for rank, relative in enumerate(answer.relatives, start=1)
    ]


def write_relatives(answer: Answer, path: artefacts.PathLike) -> None:
    """Writes the relatives of a query: JSON for a file whose name ends in `.json`, CSV without motifs otherwise."""
    records = relatives_record(answer)
    if pathlib.Path(path).suffix == ".json":
        facts = {"model": str(answer.query.names[0]), "unlike": answer.unlike}
        artefacts.write_json(path, facts | {"relatives": records})
        return
    lists = ("twins", "differences")
    artefacts.write_csv(
        path,
        [
            {name: value for name, value in record.items() if name not in (*lists, "shared")}
            | {name: "; ".join(record[name]) for name in lists}
            for record in records
        ],
    )
