"""Motifs: recurring pieces of computation graphs, and the graph of motifs.

A graph becomes a sequence of nodes, every node a code of what feeds it; subsequences of codes that recur in many graphs
are motifs. Each graph is cut, from its inputs to its outputs, into the longest motifs that fit.

References:
  Pei et al. 2024, "Neural Architecture Retrieval", section 3.2. The published code sees one step and no operators, and
  cuts by the frequencies of pairs: `baselines.bigram_segments`.
"""

import dataclasses
import functools
from collections.abc import Iterator, Mapping

import numpy as np

from tfnas.graphs.motifs.chains import Chains
from tfnas.graphs.motifs.config import MotifConfig
from tfnas.graphs.motifs.weisfeiler_lehman import HeardSums, edge_ends, mixed, summands
from tfnas.graphs.packed import PackedGraphs

_ORDER_ROUNDS = 6
_SPARE_BITS = 3


@dataclasses.dataclass(frozen=True)
class Sequences:
    """Nodes of N graphs in order.

    Attributes:
      order: int64 `[nodes]`, numbers of nodes (counted over all graphs), graph by graph from inputs to outputs.
      codes: uint64 `[nodes]`, codes of the nodes in `order`.
      offsets: int64 `[N + 1]`, bounds: graph g has the positions from `offsets[g]` to `offsets[g + 1]`.
    """

    order: np.ndarray
    codes: np.ndarray
    offsets: np.ndarray

    @property
    def sizes(self) -> np.ndarray:
        """int64 `[N]`, nodes of every graph."""
        return np.diff(self.offsets)

    @functools.cached_property
    def owner(self) -> np.ndarray:
        """int64 `[nodes]`, the graph of every position."""
        return np.repeat(np.arange(len(self.sizes)), self.sizes)


@dataclasses.dataclass(frozen=True)
class MacroGraphs:
    """N graphs whose nodes are motifs.

    Attributes:
      motif: int64 `[nodes]`, motif of every node of the original graphs, counted over all graphs.
      graph: int64 `[M]`, graph of every motif.
      kind: uint64 `[M]`, equal for motifs of equal codes.
      size: int64 `[M]`, nodes of every motif.
      edges: int64 `[E, 2]`, pairs of motifs that share an edge of the original graph, the earlier motif first.
    """

    motif: np.ndarray
    graph: np.ndarray
    kind: np.ndarray
    size: np.ndarray
    edges: np.ndarray


def sequences(graphs: PackedGraphs, steps: int, operators: bool = True) -> Sequences:
    """Nodes in an order that does not depend on their numbers, and their codes.

    The order is topological and follows branches: of the nodes that could come next, the successors of the last node
    come first, by depth, height and their neighbourhoods of six steps in both directions. Nodes that agree in depth,
    height and neighbourhood count as interchangeable.

    Args:
      graphs: N acyclic graphs.
      steps: s, number of edges upstream that a code reaches.
      operators: True for codes that begin with operator and kernel, False for codes of the graph's form alone.

    Raises:
      ConfigurationError: a graph has a cycle.
    """
    sources, targets = edge_ends(graphs)
    kinds = graphs.features[:, 0].astype(np.uint64) * np.uint64(1 << 20) + graphs.features[:, 7].astype(np.uint64)
    kinds = mixed(kinds + np.uint64(1))[graphs.codes]
    chains = Chains(sources, targets, graphs.node_offsets)
    depth, height = chains.longest_paths()
    colours = mixed(kinds + mixed(depth.astype(np.uint64)) + mixed(height.astype(np.uint64) * np.uint64(7)))
    before, after = HeardSums(sources, targets), HeardSums(targets, sources)
    for _ in range(_ORDER_ROUNDS):
        hashed = summands(colours)
        colours = mixed(colours * np.uint64(3) + before.of(hashed) + mixed(after.of(hashed)))
    order = chains.topological(colours)
    codes = kinds if operators else np.full(len(kinds), mixed(np.ones(1, np.uint64))[0])
    for _ in range(steps):
        codes = mixed(codes * np.uint64(3) + before(codes))
    return Sequences(order, codes[order], graphs.node_offsets)


class MotifVocabulary:
    """Code sequences that recur.

    Args:
      config: settings of the search for motifs.
      kinds: identities of the motifs by length, uint64 in ascending order.
    """

    def __init__(self, config: MotifConfig, kinds: dict[int, np.ndarray]):
        self.config = config
        self.kinds = kinds

    @classmethod
    def mined(cls, config: MotifConfig, graphs: PackedGraphs) -> "MotifVocabulary":
        """The sequences that occur in at least `config.min_graphs` of some graphs."""
        nodes = sequences(graphs, config.steps, config.operators)
        owner = nodes.owner
        kinds: dict[int, np.ndarray] = {}
        for length, hashes, inside in windows(nodes, config.max_length):
            if length < config.min_length:
                continue
            frequent = _in_graphs(hashes[inside], owner[inside], config.min_graphs)
            if not len(frequent):
                break
            kinds[length] = frequent
        return cls(config, kinds)

    def arrays(self) -> dict[str, np.ndarray]:
        """The motifs as arrays `motifs_2`, `motifs_3`, ..., one per length, for a file."""
        return {f"motifs_{length}": kinds for length, kinds in self.kinds.items()}

    @classmethod
    def from_arrays(cls, config: MotifConfig, arrays: Mapping[str, np.ndarray]) -> "MotifVocabulary":
        """Inverse of `arrays`; lengths that are missing have no motifs."""
        lengths = range(config.min_length, config.max_length + 1)
        names = {length: f"motifs_{length}" for length in lengths}
        return cls(config, {length: arrays[name] for length, name in names.items() if name in arrays})

    def split(self, graphs: PackedGraphs) -> MacroGraphs:
        """Cuts graphs into the longest motifs that fit, from the inputs on; a node that fits no motif stands alone."""
        nodes = sequences(graphs, self.config.steps, self.config.operators)
        longest = np.ones(len(nodes.order), np.int64)
        for length, hashes, inside in windows(nodes, max(self.kinds, default=0)):
            if length not in self.kinds:
                continue
            longest[inside & among(hashes, self.kinds[length])] = length
        return macro_graphs(graphs, nodes, jumps(longest, nodes.offsets))


def _in_graphs(kinds: np.ndarray, owner: np.ndarray, least: int) -> np.ndarray:
    """The kinds, in ascending order, that at least `least` owners hold; the owners ascend."""
    if not len(kinds):
        return kinds
    order = np.argsort(kinds, kind="stable")
    kinds, owner = kinds[order], owner[order]
    new_kind = np.append(True, kinds[1:] != kinds[:-1])
    new_pair = new_kind | np.append(True, owner[1:] != owner[:-1])
    firsts = np.flatnonzero(new_kind)
    return kinds[firsts][np.add.reduceat(new_pair.astype(np.int64), firsts) >= least]


def among(hashes: np.ndarray, kinds: np.ndarray) -> np.ndarray:
    """Which hashes are among some kinds.

    Args:
      hashes: uint64 `[n]`.
      kinds: hashes uint64 `[m]` in ascending order, m at least 1.

    Returns:
      bool `[n]`.

    Example:
      >>> among(np.array([3, 1 << 63, 7], np.uint64), np.array([3, 1 << 63], np.uint64)).tolist()
      [True, True, False]
    """
    # The first bits of a hash say where it would stand, give or take a few places; a binary search does the rest.
    shift = np.uint64(max(64 - len(kinds).bit_length() - _SPARE_BITS, 0))
    first_bits = np.arange((1 << int(64 - shift)) + 1, dtype=np.uint64)
    starts = np.searchsorted(kinds >> shift, first_bits)
    powers = int(np.diff(starts).max()).bit_length()
    padded = np.append(kinds, np.full(1 << powers, np.iinfo(np.uint64).max, np.uint64))
    bound = starts[(hashes >> shift).astype(np.int64)]
    for step in (1 << power for power in reversed(range(powers))):
        bound += (padded[bound + (step - 1)] < hashes) * step
    return (padded[bound] == hashes) & (bound < len(kinds))


def windows(nodes: Sequences, longest: int) -> Iterator[tuple[int, np.ndarray, np.ndarray]]:
    """The identities of all sequences of 1, 2, ... codes.

    Args:
      nodes: N graphs as sequences.
      longest: largest number of codes.

    Yields:
      The number of codes; uint64 `[nodes]`, hashes of the codes from every position on; and bool `[nodes]`, True where
      the codes lie in one graph.
    """
    count = len(nodes.order)
    room = np.repeat(nodes.offsets[1:], nodes.sizes) - np.arange(count)
    hashes = np.zeros(count, np.uint64)
    for length in range(1, longest + 1):
        hashes = hashes * np.uint64(5)
        hashes[: max(count - length + 1, 0)] += nodes.codes[length - 1 :]
        hashes = mixed(hashes)
        yield length, hashes, room >= length


def jumps(longest: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    """The beginnings of pieces that follow one another.

    Args:
      longest: int64 `[nodes]`, length of the piece that would begin at every position.
      offsets: int64 `[N + 1]`, bounds of the graphs.

    Returns:
      bool `[nodes]`, True where a piece begins.
    """
    begins = np.zeros(len(longest), bool)
    positions = offsets[:-1][np.diff(offsets) > 0]
    ends = offsets[1:][np.diff(offsets) > 0]
    while len(positions):
        begins[positions] = True
        positions = positions + longest[positions]
        going = positions < ends
        positions, ends = positions[going], ends[going]
    return begins


def macro_graphs(graphs: PackedGraphs, nodes: Sequences, begins: np.ndarray) -> MacroGraphs:
    """The graphs of pieces of sequences.

    Args:
      graphs: N graphs.
      nodes: sequences of the graphs.
      begins: bool `[nodes]`, True where a piece begins; the first position of every graph is True.
    """
    piece = np.cumsum(begins) - 1
    firsts = np.flatnonzero(begins)
    sizes = np.diff(np.append(firsts, len(begins)))
    within = np.arange(len(begins)) - firsts[piece] if len(begins) else np.zeros(0, np.int64)
    terms = mixed(nodes.codes + mixed(within.astype(np.uint64)))
    kinds = np.add.reduceat(terms, firsts) if len(firsts) else np.zeros(0, np.uint64)
    motif = np.empty(len(begins), np.int64)
    motif[nodes.order] = piece
    return MacroGraphs(motif, nodes.owner[firsts], kinds, sizes, crossing(graphs, motif))


def crossing(graphs: PackedGraphs, motif: np.ndarray) -> np.ndarray:
    """The distinct pairs of pieces that an edge joins, int64 `[E, 2]`.

    Args:
      graphs: N graphs.
      motif: int64 `[nodes]`, piece of every node, counted over all graphs.
    """
    starts = np.repeat(graphs.node_offsets[:-1], graphs.num_edges)
    ends = motif[graphs.edges + starts[:, None]] if len(graphs.edges) else np.zeros((0, 2), np.int64)
    pairs = np.sort(ends[ends[:, 0] != ends[:, 1]], axis=1)
    count = max(len(motif), 1)
    return np.stack(np.divmod(np.unique(pairs @ (count, 1)), count), axis=1)
