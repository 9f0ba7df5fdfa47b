"""What two architectures share, whatever an encoder says: operators with equal surroundings, and equal structure."""

import numpy as np

from tfnas.graphs.motifs.weisfeiler_lehman import ROUNDS, node_colours, structures_of
from tfnas.graphs.packed import PackedGraphs

STEPS = 3
LEAST_SHARED = 0.2
"""Share of the query's operators that the first answer has, unless none of the candidates does."""
_CLOSE, _SHARE_WEIGHT, _FAR_WEIGHT = 0.8, 0.05, 2.0


class Surroundings:
    """The surroundings of all operators of N architectures.

    The surroundings of an operator are the operators up to one, two and three edges upstream, and up to one, two and
    three edges downstream, with the heights of their kernels: six colours of Weisfeiler and Lehman.

    Args:
      graphs: N graphs.

    Attributes:
      colours: uint64 `[6, nodes of all graphs]`.
      offsets: int64 `[N + 1]`, bounds of the graphs.
      structures: uint64 `[N]`, equal for graphs of equal structure; see `weisfeiler_lehman.structure_hashes`.

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
        upstream, downstream = node_colours(graphs, ROUNDS), node_colours(graphs, STEPS, downstream=True)
        self.colours = np.stack([*upstream[1 : STEPS + 1], *downstream[1:]])
        self.offsets, self.structures = graphs.node_offsets, structures_of(upstream[-1], graphs)

    def shared(self, row: int, rows: np.ndarray, others: "Surroundings | None" = None) -> np.ndarray:
        """Shares of the operators of one architecture that other architectures have in the same surroundings.

        Args:
          row: row of the architecture.
          rows: int `[n]`, rows of the other architectures.
          others: surroundings of the other architectures; None for this object.

        Returns:
          float64 `[n]`, means over the six surroundings, 0 to 1.
        """
        others = others or self
        sizes = np.diff(others.offsets)[rows]
        owner = np.repeat(np.arange(len(rows)), sizes)
        nodes = np.arange(len(owner)) + np.repeat(others.offsets[:-1][rows] - (np.cumsum(sizes) - sizes), sizes)
        total = np.zeros(len(rows))
        for own, other in zip(self.colours[:, self.offsets[row] : self.offsets[row + 1]], others.colours, strict=True):
            names, counts = np.unique(own, return_counts=True)
            colours = other[nodes]
            column = np.minimum(np.searchsorted(names, colours), len(names) - 1)
            equal = names[column] == colours
            held = np.zeros((len(rows), len(names)), bool)
            held[owner[equal], column[equal]] = True
            total += held @ counts / counts.sum()
        return total / len(self.colours)

    def alone(self, row: int, other_row: int, others: "Surroundings") -> np.ndarray:
        """Operators of one architecture that another architecture does not have beside the same neighbours.

        Args:
          row: row of the architecture.
          other_row: row of the other architecture.
          others: surroundings of the other architecture.

        Returns:
          bool `[V]`, in the order of the operators.
        """
        span, other = (slice(*at.offsets[at_row : at_row + 2]) for at, at_row in ((self, row), (others, other_row)))
        return ~np.logical_and(*(np.isin(self.colours[side, span], others.colours[side, other]) for side in (0, STEPS)))


def score(similarities: np.ndarray, shared: np.ndarray) -> np.ndarray:
    """What the candidates of a query are ranked by: similarity, and shares most of all where no candidate is close.

    Args:
      similarities: float `[n]`, cosines of the embeddings of the query and its n most similar architectures.
      shared: float `[n]`, shares of the query's operators.

    Returns:
      float64 `[n]`: similarity + (0.05 + 2 max(0, 0.8 - greatest similarity)) share.

    Example:
      >>> shares = np.array([0.4, 1.0])
      >>> score(np.array([0.9, 0.5]), shares).round(3).tolist(), score(np.array([0.6, 0.5]), shares).round(3).tolist()
      ([0.92, 0.55], [0.78, 0.95])
    """
    weight = _SHARE_WEIGHT + _FAR_WEIGHT * max(0.0, _CLOSE - float(similarities.max()))
    return similarities + weight * shared
