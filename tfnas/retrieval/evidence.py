"""What two architectures share, whatever an encoder says: operators with equal surroundings, and equal structure."""

import numpy as np

from tfnas.graphs.motifs.weisfeiler_lehman import ROUNDS, edge_ends, mixed, node_colours
from tfnas.graphs.operators import CODES
from tfnas.graphs.packed import PackedGraphs

STEPS = 3
LEAST_SHARED = 0.2
"""Share of the query's operators that the first answer has, unless none of the candidates does."""
_PASSED = ("pad", "identity")
_CLOSE = 0.8


class Surroundings:
    """The surroundings of all operators of N architectures.

    The surroundings of an operator are the operators up to one, two and three edges upstream, and up to one, two and
    three edges downstream, with the heights of their kernels: six colours of Weisfeiler and Lehman. Pads and
    identities are passed over.

    Args:
      graphs: N graphs.

    Attributes:
      colours: uint64 `[6, nodes of all graphs]`.
      counted: bool `[nodes of all graphs]`, False for operators that are passed over.
      offsets: int64 `[N + 1]`, bounds of the graphs.
      structures: uint64 `[N]`, equal for graphs of equal structure: operators, heights of kernels and flow, whatever
        the channels.

    References:
      Shervashidze et al. 2011, "Weisfeiler-Lehman Graph Kernels", section 3.

    Example:
      >>> from tfnas.graphs.computation_graph import smallest_graph
      >>> from tfnas.graphs.packed import pack
      >>> surroundings = Surroundings(pack([smallest_graph()]))
      >>> surroundings.shared(0, np.array([0])).tolist()
      [1.0]
    """

    def __init__(self, graphs: PackedGraphs):
        sources, targets, self.counted = _bypassed(graphs)
        upstream = node_colours(graphs, ROUNDS, (sources, targets))
        downstream = node_colours(graphs, STEPS, (targets, sources))
        self.colours, self.offsets = np.stack([*upstream[1 : STEPS + 1], *downstream[1:]]), graphs.node_offsets
        self.structures = np.add.reduceat(np.where(self.counted, mixed(upstream[-1]), 0), graphs.node_offsets[:-1])

    def shared(self, row: int, rows: np.ndarray, compared: "Surroundings | None" = None) -> np.ndarray:
        """Shares of the operators of one architecture that other architectures have in the same surroundings.

        Args:
          row: row of the architecture.
          rows: int `[n]`, rows of the other architectures.
          compared: surroundings of the other architectures; None for this object.

        Returns:
          float64 `[n]`, means over the six surroundings, 0 to 1.
        """
        compared = compared or self
        sizes = np.diff(compared.offsets)[rows]
        owner = np.repeat(np.arange(len(rows)), sizes)
        nodes = np.arange(len(owner)) + np.repeat(compared.offsets[:-1][rows] - (np.cumsum(sizes) - sizes), sizes)
        total = np.zeros(len(rows))
        span = slice(*self.offsets[row : row + 2])
        counted = self.counted[span]
        for colour, compared_colour in zip(self.colours[:, span][:, counted], compared.colours, strict=True):
            names, counts = np.unique(colour, return_counts=True)
            colours = compared_colour[nodes]
            column = np.minimum(np.searchsorted(names, colours), len(names) - 1)
            equal = names[column] == colours
            held = np.zeros((len(rows), len(names)), bool)
            held[owner[equal], column[equal]] = True
            total += held @ counts / counts.sum()
        return total / len(self.colours)

    def alone(self, row: int, other_row: int, compared: "Surroundings") -> np.ndarray:
        """Operators of one architecture that another architecture does not have beside the same neighbours.

        Args:
          row: row of the architecture.
          other_row: row of the other architecture.
          compared: surroundings of the other architecture.

        Returns:
          bool `[V]`, in the order of the operators.
        """
        span, other = (slice(*at.offsets[at_row : at_row + 2]) for at, at_row in ((self, row), (compared, other_row)))
        held = [np.isin(self.colours[side, span], compared.colours[side, other]) for side in (0, STEPS)]
        return self.counted[span] & ~np.logical_and(*held)


def _bypassed(graphs: PackedGraphs) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Sources and targets of the edges around operators that move data alone, and bool `[nodes]`: False for the latter.

    Some libraries write a padded convolution as a pad and a convolution.
    """
    sources, targets = edge_ends(graphs)
    passed = np.isin(graphs.features[:, 0], [CODES[name] for name in _PASSED])[graphs.codes]
    passed &= np.bincount(targets, minlength=len(passed)) == 1
    behind = np.arange(len(passed))
    single = passed[targets]
    behind[targets[single]] = sources[single]
    while (further := behind[behind]).tobytes() != behind.tobytes():
        behind = further
    return behind[sources[~single]], targets[~single], ~passed


def score(similarities: np.ndarray, shared: np.ndarray) -> np.ndarray:
    """What the candidates of a query are ranked by: similarity, and shares where no candidate is close.

    Args:
      similarities: float `[n]`, cosines of the embeddings of the query and its n most similar architectures.
      shared: float `[n]`, shares of the query's operators.

    Returns:
      float64 `[n]`: similarity + max(0, 0.8 - greatest similarity) share.

    Example:
      >>> score(np.array([0.9, 0.4]), np.array([0.4, 0.9])).tolist()
      [0.9, 0.4]
      >>> score(np.array([0.5, 0.4]), np.array([0.4, 0.9])).round(2).tolist()
      [0.62, 0.67]
    """
    return similarities + max(0.0, _CLOSE - float(similarities.max())) * shared


def order(scores: np.ndarray, shared: np.ndarray, *ties: np.ndarray) -> np.ndarray:
    """Candidates of a query, best first; the first shares a fifth of the query's operators, if any candidate does.

    Args:
      scores: float `[n]`; see `score`.
      shared: float `[n]`, shares of the query's operators.
      *ties: further `[n]` numbers, of which the smaller comes first among equal scores.

    Returns:
      int64 `[n]`.

    Example:
      >>> order(np.array([0.9, 0.8, 0.7]), np.array([0.1, 0.1, 0.5])).tolist()
      [2, 0, 1]
    """
    ranked = np.lexsort((*reversed(ties), -scores.round(6)))
    enough = ranked[shared[ranked] >= LEAST_SHARED]
    return np.concatenate([enough[:1], ranked[ranked != enough[0]]]) if len(enough) else ranked
