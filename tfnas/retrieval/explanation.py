"""What a query and its relatives share: sequences of operators that both hold, without any encoder."""

import dataclasses
import itertools
from collections.abc import Mapping, Sequence

import numpy as np

from tfnas.graphs.motifs.mining import jumps, sequences, windows
from tfnas.graphs.operators import OPERATORS
from tfnas.graphs.packed import PackedGraphs

_STEPS = 1  # edges upstream that tell operators apart
_LONGEST = 16
_MOTIFS_SHOWN = 5


@dataclasses.dataclass(frozen=True)
class SharedMotif:
    """A motif that two architectures hold.

    Attributes:
      operators: operators of the motif in order, with the kernel where an operator has a kernel.
      in_query: number of times that the query holds the motif.
      in_relative: number of the relative's pieces that are this motif.
    """

    operators: tuple[str, ...]
    in_query: int
    in_relative: int


@dataclasses.dataclass(frozen=True, eq=False)
class Shared:
    """What the query and one relative share.

    Attributes:
      motifs: largest motifs that both architectures hold.
      pieces: int64 `[pieces]`, the relative's motifs from input to output: numbers of kinds, -1 for operators between
        motifs.
      sizes: int64 `[pieces]`, operators of each piece.
    """

    motifs: tuple[SharedMotif, ...]
    pieces: np.ndarray
    sizes: np.ndarray


@dataclasses.dataclass(frozen=True, eq=False)
class Explanation:
    """A query cut into motifs, and what each relative holds of them.

    Attributes:
      pieces: int64 `[pieces]`, the query's motifs from input to output: numbers of kinds, -1 for operators between
        motifs.
      sizes: int64 `[pieces]`, operators of each piece.
      kinds: operators of the motif of each kind.
      relatives: motifs of each relative.
    """

    pieces: np.ndarray
    sizes: np.ndarray
    kinds: tuple[tuple[str, ...], ...]
    relatives: tuple[Shared, ...]


def explain(query: PackedGraphs, relatives: PackedGraphs) -> Explanation:
    """What a query shares with its relatives.

    The query is cut, from its inputs to its outputs, into the longest sequences of at most 16 operators that one of the
    relatives holds too, and each relative into the longest sequences that the query holds. Operators are equal if they,
    their kernels and the operators that they read are.

    Args:
      query: the query's graph.
      relatives: graphs of the relatives.

    Raises:
      ConfigurationError: a graph has a cycle.
    """
    sides = (sequences(query, _STEPS), sequences(relatives, _STEPS))
    count = len(sides[0].order)
    longest = min(_LONGEST, count)
    pairs = zip(*(windows(nodes, longest) for nodes in sides), strict=True)
    hashes = {size: [(names, inside), compared] for (size, names, inside), (_, *compared) in pairs}
    # Kinds are numbered in the order in which they come.
    numbers: dict[tuple[int, int], int] = {}
    kinds: list[tuple[str, ...]] = []
    cuts = []
    for side, (graphs, nodes) in enumerate(zip((query, relatives), sides, strict=True)):
        longest = np.zeros(len(nodes.order), np.int64)
        for size, pair in hashes.items():
            (names, inside), (held, inside_other) = pair[side], pair[1 - side]
            longest[inside & np.isin(names, held[inside_other])] = size
        firsts = np.flatnonzero(jumps(np.maximum(longest, 1), nodes.offsets))
        sizes = np.diff(np.append(firsts, len(longest)))
        pieces = np.full(len(firsts), -1)
        for piece, (first, size) in enumerate(zip(firsts.tolist(), sizes.tolist(), strict=True)):
            if longest[first]:
                key = (size, int(hashes[size][side][0][first]))
                if key not in numbers:
                    numbers[key] = len(numbers)
                    kinds.append(_operators(graphs, nodes.order[first : first + size]))
                pieces[piece] = numbers[key]
        cuts.append((firsts, pieces, sizes))
    (_, pieces, sizes), (firsts, motifs, lengths) = cuts
    in_query = {
        kind: int((hashes[size][0][0] == np.uint64(name))[hashes[size][0][1]].sum())
        for (size, name), kind in numbers.items()
    }
    explained = []
    for start, stop in itertools.pairwise(sides[1].offsets.tolist()):
        span = slice(*np.searchsorted(firsts, (start, stop)))
        explained.append(Shared(_largest(motifs[span], kinds, in_query), *_joined(motifs[span], lengths[span])))
    return Explanation(*_joined(pieces, sizes), tuple(kinds), tuple(explained))


def _operators(graphs: PackedGraphs, nodes: np.ndarray) -> tuple[str, ...]:
    """Operators and kernels of some nodes."""
    return tuple(
        OPERATORS[node[0]] + (f" {node[7]}x{node[8]}" if node[7] and node[8] else "")
        for node in graphs.features[graphs.codes[nodes]].tolist()
    )


def _largest(
    pieces: np.ndarray, kinds: Sequence[tuple[str, ...]], in_query: Mapping[int, int]
) -> tuple[SharedMotif, ...]:
    """The largest motifs among pieces, of equal sizes the most frequent first."""
    held, counts = np.unique(pieces[pieces >= 0], return_counts=True)
    ranked = sorted(zip(held.tolist(), counts.tolist(), strict=True), key=lambda pair: (-len(kinds[pair[0]]), -pair[1]))
    return tuple(SharedMotif(kinds[kind], in_query[kind], count) for kind, count in ranked[:_MOTIFS_SHOWN])


def _joined(pieces: np.ndarray, sizes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Pieces and sizes, where operators between motifs that follow one another are one piece."""
    begins = np.flatnonzero((pieces >= 0) | np.append(True, pieces[:-1] >= 0)) if len(pieces) else np.zeros(0, np.int64)
    return pieces[begins], np.add.reduceat(sizes, begins) if len(begins) else sizes
