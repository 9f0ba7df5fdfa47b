"""What a query and its relatives share: sequences of operators that both hold, without any encoder."""

import dataclasses
import itertools
from collections.abc import Mapping, Sequence

import numpy as np

from tfnas.graphs.motifs.mining import Sequences, jumps, sequences, windows
from tfnas.graphs.operators import OPERATORS
from tfnas.graphs.packed import PackedGraphs

_STEPS = 1  # edges upstream that tell operators apart
_LONGEST = 16
_SHORTEST = 4  # operators in a row that count as shared
_MOTIFS_SHOWN = 5


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
class Shared:
    """What the query and one relative share.

    Attributes:
      covered: share of the query's operators that stand in a row of four or more operators that the relative holds too,
        0 to 1.
      motifs: largest motifs that both architectures hold.
      pieces: int64 `[pieces]`, the query's motifs as the relative holds them, from input to output: numbers of kinds,
        -1 for operators between motifs.
      sizes: int64 `[pieces]`, operators of each piece.
    """

    covered: float
    motifs: tuple[SharedMotif, ...]
    pieces: np.ndarray
    sizes: np.ndarray


@dataclasses.dataclass(frozen=True, eq=False)
class Explanation:
    """A query cut into motifs, and what each relative holds of them.

    Attributes:
      pieces: int64 `[motifs]`, kinds of the query's motifs in order, numbered from 0.
      sizes: int64 `[motifs]`, operators of each motif.
      kinds: operators of the motif of each kind.
      relatives: what each relative shares.
    """

    pieces: np.ndarray
    sizes: np.ndarray
    kinds: tuple[tuple[str, ...], ...]
    relatives: tuple[Shared, ...]


def explain(graphs: PackedGraphs) -> Explanation:
    """What a query shares with its relatives.

    The query is cut, from its inputs to its outputs, into the longest sequences of at most 16 operators that one of the
    relatives holds too; other operators stand alone. Operators are equal if they, their kernels and the operators that
    they read are.

    Args:
      graphs: the query, then its relatives.

    Raises:
      ConfigurationError: a graph has a cycle.
    """
    nodes = sequences(graphs, _STEPS)
    bounds = nodes.offsets.tolist()
    count = bounds[1]
    hashes = {size: windows(nodes, size) for size in range(1, min(_LONGEST, count) + 1)}
    longest = np.ones(count, np.int64)
    for size, (names, inside) in hashes.items():
        held = np.isin(names[:count], names[count:][inside[count:]])
        longest[held & inside[:count]] = size
    firsts = np.flatnonzero(jumps(longest, nodes.offsets[:2]))
    sizes = np.diff(np.append(firsts, count))
    # Kinds are numbered in the order in which the query's motifs come.
    numbers: dict[tuple[int, int], int] = {}
    pieces = np.array(
        [
            numbers.setdefault((size, int(hashes[size][0][first])), len(numbers))
            for first, size in zip(firsts.tolist(), sizes.tolist(), strict=True)
        ],
        np.int64,
    )
    first_of = {kind: int(firsts[piece]) for piece, kind in reversed(list(enumerate(pieces.tolist())))}
    kinds = tuple(
        _operators(graphs, nodes.order[first_of[kind] : first_of[kind] + size]) for (size, _), kind in numbers.items()
    )
    begins = {kind: (hashes[size][0] == np.uint64(name)) & hashes[size][1] for (size, name), kind in numbers.items()}
    counts = np.bincount(pieces, minlength=len(kinds))
    relatives = []
    for start, stop in itertools.pairwise(bounds[1:]):
        span = slice(start, stop)
        relatives.append(
            Shared(
                _covered(nodes, hashes[min(_SHORTEST, count)], span),
                _largest(kinds, counts, {kind: int(where[span].sum()) for kind, where in begins.items()}),
                *_aligned(begins, [len(kind) for kind in kinds], span),
            )
        )
    return Explanation(pieces, sizes, kinds, tuple(relatives))


def _operators(graphs: PackedGraphs, nodes: np.ndarray) -> tuple[str, ...]:
    """Operators and kernels of some nodes."""
    return tuple(
        OPERATORS[node[0]] + (f" {node[7]}x{node[8]}" if node[7] and node[8] else "")
        for node in graphs.features[graphs.codes[nodes]].tolist()
    )


def _covered(nodes: Sequences, hashes: tuple[np.ndarray, np.ndarray], span: slice) -> float:
    """The share of the first graph's operators in sequences of one length that another graph holds."""
    names, inside = hashes
    count = int(nodes.offsets[1])
    starts = np.flatnonzero(inside[:count] & np.isin(names[:count], names[span][inside[span]]))
    length = count - int(inside[:count].sum()) + 1
    covered = np.zeros(count, bool)
    for step in range(length):
        covered[starts + step] = True
    return float(covered.mean())


def _largest(kinds: Sequence[tuple[str, ...]], counts: np.ndarray, held: Mapping[int, int]) -> tuple[SharedMotif, ...]:
    """The largest motifs that a relative holds, of equal sizes the most frequent first."""
    ranked = sorted(
        (kind for kind in held if held[kind]),
        key=lambda kind: (-len(kinds[kind]), -min(int(counts[kind]), held[kind])),
    )
    return tuple(SharedMotif(kinds[kind], int(counts[kind]), held[kind]) for kind in ranked[:_MOTIFS_SHOWN])


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
