"""From packed graphs to two-level graphs, by the rule that a configuration names."""

import functools
from collections.abc import Callable

import numpy as np

from tfnas.encoders.motif.config import MotifEncoderConfig
from tfnas.errors import ConfigurationError, CorruptArtefactError
from tfnas.graphs.motifs import baselines, mining
from tfnas.graphs.motifs.two_level import TwoLevelGraphs, two_level
from tfnas.graphs.motifs.weisfeiler_lehman import hashed_colours
from tfnas.graphs.packed import PackedGraphs

_PIECE_SIZE, _PIECES = 7, 20


class Splitter:
    """Cuts graphs into pieces and hashes their neighbourhoods.

    Args:
      config: settings of pieces and hashed colours.
      vocabulary: known motifs, where `config.splitting` is `motifs`; none by default.
    """

    def __init__(self, config: MotifEncoderConfig, vocabulary: mining.MotifVocabulary | None = None):
        self.config = config
        self.vocabulary = vocabulary

    @classmethod
    def learned(cls, config: MotifEncoderConfig, graphs: PackedGraphs) -> "Splitter":
        """A splitter whose motifs recur in some graphs.

        Raises:
          ConfigurationError: nothing recurs.
        """
        if config.splitting != "motifs":
            return cls(config)
        vocabulary = mining.MotifVocabulary.mined(config.motif_config(), graphs)
        if not vocabulary.kinds:
            raise ConfigurationError(f"no sequence of {config.min_length} operators or more occurs in two graphs")
        return cls(config, vocabulary)

    def arrays(self) -> dict[str, np.ndarray]:
        """The motifs as arrays, for a file."""
        return {} if self.vocabulary is None else self.vocabulary.arrays()

    @classmethod
    def from_arrays(cls, config: MotifEncoderConfig, arrays: dict[str, np.ndarray]) -> "Splitter":
        """Inverse of `arrays`.

        Raises:
          CorruptArtefactError: there are no motifs.
        """
        if config.splitting != "motifs":
            return cls(config)
        vocabulary = mining.MotifVocabulary.from_arrays(config.motif_config(), arrays)
        if not vocabulary.kinds:
            raise CorruptArtefactError("the encoder's file of motifs holds none")
        return cls(config, vocabulary)

    def __call__(self, graphs: PackedGraphs) -> TwoLevelGraphs:
        """The graphs at both levels."""
        config = self.config
        neighbourhoods = None
        if config.neighbourhood_width:
            neighbourhoods = hashed_colours(graphs, config.neighbourhood_rounds, config.neighbourhood_width)
        return two_level(graphs, self.macro(graphs), neighbourhoods)

    def macro(self, graphs: PackedGraphs) -> mining.MacroGraphs:
        """The graphs of pieces.

        Raises:
          ConfigurationError: a graph has a cycle.
        """
        if self.vocabulary is not None:
            return self.vocabulary.split(graphs)
        if self.config.splitting in _PARTITIONS:
            return _PARTITIONS[self.config.splitting](graphs)
        ordered = mining.sequences(graphs, 0, self.config.operators)
        return _SEGMENTS[self.config.splitting](graphs, ordered)


def _communities(graphs: PackedGraphs) -> mining.MacroGraphs:
    """Baseline: communities of nodes that maximise modularity, whatever the nodes compute.

    References:
      Blondel et al. 2008, "Fast unfolding of communities in large networks".
    """
    import networkx as nx  # slow to import, for a baseline

    motif = np.zeros(len(graphs.codes), np.int64)
    count = 0
    for row, start in enumerate(graphs.node_offsets[:-1]):
        graph = nx.Graph(graphs.graph_edges(row).tolist())
        graph.add_nodes_from(range(int(graphs.num_nodes[row])))
        for community in nx.community.louvain_communities(graph, seed=0):
            motif[start + np.array(sorted(community))] = count
            count += 1
    return baselines.macro_of_partition(graphs, motif)


_PARTITIONS: dict[str, Callable[[PackedGraphs], mining.MacroGraphs]] = {
    "bigram": baselines.bigram_segments,
    "communities": _communities,
}
"""Rules that cut a graph, besides motifs."""

_SEGMENTS: dict[str, Callable[[PackedGraphs, mining.Sequences], mining.MacroGraphs]] = {
    "fixed_size": functools.partial(baselines.fixed_size, size=_PIECE_SIZE),
    "fixed_number": functools.partial(baselines.fixed_number, number=_PIECES),
    "random": baselines.random_sizes,
    "none": functools.partial(baselines.fixed_number, number=1),
}
"""Rules that cut the sequence of a graph's operators."""
