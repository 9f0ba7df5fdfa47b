"""Settings of the motif encoder, and its presets: tfnas, the published method, and two plain networks on whole graphs.

References:
  Pei et al. 2024, "Neural Architecture Retrieval", sections 3.2 to 3.4, and its released code (commit f3eae2e).
"""

import dataclasses
import functools
from typing import ClassVar

from tfnas.encoders.settings import GradientConfig, changed_preset
from tfnas.errors import ConfigurationError
from tfnas.graphs.motifs.config import MotifConfig


@dataclasses.dataclass(frozen=True)
class MotifEncoderConfig(GradientConfig):
    """Settings of the encoder: all that decides a training besides data and seed.

    Attributes:
      splitting: pieces of a graph: recurring `motifs`, pieces of the published `bigram` rule, pieces of `fixed_size` (7
        nodes), a `fixed_number` (20) of pieces, pieces of `random` size (5 to 9 nodes), Louvain `communities`; `none`
        has no pieces, only the network on the whole graph.
      steps: number s of steps upstream that a motif's codes reach.
      operators: whether motifs know operators.
      min_length: nodes of the shortest motif.
      max_length: nodes of the longest motif.
      neighbourhood_rounds: Weisfeiler-Lehman rounds of the hashed colours.
      neighbourhood_width: H, length of the vector of hashed colours; 0 for none.
      memory_share: share of an embedding's squared length that the vector of hashed colours has, beside the learned
        entries; 0 for none.
      convolution: convolution of all graph networks; `sum` is the k-GNN, `gat` has 4 heads.
      directions: directions of messages: `forward` (a node hears the nodes that feed it) or `both`.
      width: width of states.
      motif_layers: layers inside motifs, or on the whole graph without splitting.
      macro_layers: layers between motifs; 0 for none.
      embedding_dim: number of learned entries of the embedding.
      motif_loss: loss between motifs and contexts: InfoNCE, or a discriminator of pairs.
      motif_weight: weight of the loss between motifs and contexts.
      motif_temperature: temperature of InfoNCE.
      motif_anchors: motifs per update that InfoNCE compares.
      graph_loss: loss between graphs: `supcon` (per anchor, with temperature) or `pooled` (the published scalar per
        batch).
      temperature: temperature of `supcon`.
      geometry_weight: weight of the squared differences between cosines of embeddings and cosines of hashed colours, of
        graphs of different families.
      class_weight: weight of the cross entropy of a linear classifier of families.
      stages: order of the losses: all losses `joint`, or motifs first and the rest on frozen motifs (`two_stage`).
      dropout: dropout rate on states and hashed colours.
      batch_size: anchors per update; an equal number of relatives joins them.
      learning_rate: learning rate of Adam, which falls to 0 along a cosine.
      clip_norm: bound on the global gradient norm; 0 for none.
    """

    splitting: str = "motifs"
    steps: int = 1
    operators: bool = True
    min_length: int = 2
    max_length: int = 8
    neighbourhood_rounds: int = 2
    neighbourhood_width: int = 768
    memory_share: float = 0.3
    convolution: str = "sum"
    directions: str = "both"
    width: int = 64
    motif_layers: int = 2
    macro_layers: int = 0
    embedding_dim: int = 256
    motif_loss: str = "none"
    motif_weight: float = 0.1
    motif_temperature: float = 0.2
    motif_anchors: int = 256
    graph_loss: str = "supcon"
    temperature: float = 0.1
    geometry_weight: float = 20.0
    class_weight: float = 0.0
    stages: str = "joint"
    dropout: float = 0.2
    batch_size: int = 64
    learning_rate: float = 1e-3
    clip_norm: float = 5.0

    CHOICES: ClassVar = {
        "splitting": ("motifs", "bigram", "fixed_size", "fixed_number", "random", "communities", "none"),
        "convolution": ("sum", "gcn", "gat"),
        "directions": ("forward", "both"),
        "motif_loss": ("none", "infonce", "discriminator"),
        "graph_loss": ("none", "supcon", "pooled"),
        "stages": ("joint", "two_stage"),
    }
    AT_LEAST_ONE = ("width", "motif_layers", "motif_anchors")
    NOT_NEGATIVE = (
        *("neighbourhood_rounds", "neighbourhood_width", "macro_layers"),
        *("motif_weight", "geometry_weight", "class_weight"),
    )
    POSITIVE = ("temperature", "motif_temperature")
    SHARES = ("dropout", "memory_share")

    def __post_init__(self) -> None:
        super().__post_init__()
        if 0 < self.neighbourhood_width <= self.neighbourhood_rounds:
            raise ConfigurationError(
                f"neighbourhood_width={self.neighbourhood_width}, expected a number for each of "
                f"{self.neighbourhood_rounds + 1} rounds, or 0"
            )
        if self.convolution == "gat" and self.width % 4:
            raise ConfigurationError(f"width={self.width}, expected a multiple of 4 for the heads of gat")
        if (self.memory_share or self.geometry_weight) and not self.neighbourhood_width:
            raise ConfigurationError("memory_share and geometry_weight need hashed colours; set them to 0")
        if self.splitting == "none" and (self.macro_layers or self.motif_loss != "none"):
            raise ConfigurationError(
                "splitting=none leaves nothing for macro_layers and motif_loss; set them to 0, none"
            )
        if (self.motif_loss, self.graph_loss, self.class_weight) == ("none", "none", 0.0):
            raise ConfigurationError("no loss: motif_loss=none, graph_loss=none, class_weight=0")
        if self.stages == "two_stage" and (self.motif_loss == "none" or self.graph_loss == "none"):
            raise ConfigurationError("stages=two_stage needs a motif_loss and a graph_loss")
        self.motif_config()

    @property
    def size(self) -> int:
        """D, the length of the whole embedding."""
        return self.embedding_dim + (self.neighbourhood_width if self.memory_share else 0)

    def motif_config(self) -> MotifConfig:
        """Settings of the motifs."""
        return MotifConfig(self.steps, self.operators, self.min_length, self.max_length)


_PLAIN = {
    "splitting": "none",
    "neighbourhood_width": 0,
    "memory_share": 0.0,
    "geometry_weight": 0.0,
    "motif_loss": "none",
    "motif_layers": 3,
    "macro_layers": 0,
    "directions": "forward",
}

PRESETS = {
    "tfnas": MotifEncoderConfig(),
    "paper": MotifEncoderConfig(
        splitting="bigram",
        neighbourhood_width=0,
        memory_share=0.0,
        geometry_weight=0.0,
        convolution="gcn",
        directions="forward",
        width=256,
        motif_layers=3,
        macro_layers=3,
        embedding_dim=256,
        motif_loss="discriminator",
        motif_weight=1.0,
        graph_loss="pooled",
        class_weight=1.0,
        stages="two_stage",
        dropout=0.0,
    ),
    "gcn": MotifEncoderConfig(**_PLAIN, convolution="gcn"),
    "gat": MotifEncoderConfig(**_PLAIN, convolution="gat"),
}
"""`paper` has what the released code has, with networks of 256 instead of 512 numbers inside motifs, and vectors
compared by angle. `gcn` and `gat` are the baselines: whole graphs, the loss and training of `tfnas`."""

preset = functools.partial(changed_preset, PRESETS)
"""One of `PRESETS` with some fields changed; see `settings.changed_preset`."""
