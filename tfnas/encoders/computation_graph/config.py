"""Settings of the computation-graph encoder, and its presets: the paper's loss, and tfnas.

References:
  Han et al. 2023, "A General-Purpose Transferable Predictor for Neural Architecture Search", section 4.
"""

import dataclasses
import functools
from typing import ClassVar

from tfnas.encoders.settings import GradientConfig, changed_preset


@dataclasses.dataclass(frozen=True)
class GraphEncoderConfig(GradientConfig):
    """Settings of the encoder: all that decides a pretraining besides data and seed.

    Attributes:
      width: width of the hidden states of operators.
      layers: number of k-GNN layers.
      directions: directions of messages: `forward` (an operator hears the operators that feed it) or `both`.
      pooling: states whose means over operators the embedding reads: of the `last` layer or of `all` layers.
      shape_scale: scale of sizes and channels: divided by 256 and 512 (`linear`), or logarithms (`log`).
      embedding_dim: D.
      projection_dim: length of the vectors that the loss compares.
      loss: contrastive loss: `spectral` (equation 4.5: graphs of the anchor's family are positive, weighted by
        similarity), `supcon` (equation 4.3: graphs of the family count equally) or `simclr` (equation 4.1: the partner
        alone is positive).
      similarity: descriptors by which graphs are compared: the `spectrum` of their Laplacian, or `operators`, the
        spectrum and the share of each operator.
      temperature: temperature of the loss.
      similarity_temperature: temperature of the weights of positive graphs.
      relative_temperature: whether the similarity's temperature has the batch's mean distance within families as unit.
      favour_distant: whether distant graphs weigh more, as the formula is printed; similar graphs weigh more by
        default, as the text says.
      num_neighbours: number of most similar graphs of the family from which an anchor's partner is drawn.
      batch_size: anchors per update; an equal number of partners joins them.
      learning_rate: learning rate of Adam, which falls to 0 along a cosine.
      clip_norm: bound on the global gradient norm; 0 for none.
    """

    width: int = 64
    layers: int = 6
    directions: str = "both"
    pooling: str = "all"
    shape_scale: str = "log"
    embedding_dim: int = 128
    projection_dim: int = 64
    loss: str = "spectral"
    similarity: str = "operators"
    temperature: float = 0.1
    similarity_temperature: float = 0.25
    relative_temperature: bool = True
    favour_distant: bool = False
    num_neighbours: int = 5
    batch_size: int = 256
    learning_rate: float = 1e-3
    clip_norm: float = 5.0

    CHOICES: ClassVar = {
        "directions": ("forward", "both"),
        "pooling": ("last", "all"),
        "shape_scale": ("linear", "log"),
        "loss": ("spectral", "supcon", "simclr"),
        "similarity": ("spectrum", "operators"),
    }
    AT_LEAST_ONE = ("width", "layers", "projection_dim", "num_neighbours")
    POSITIVE = ("temperature", "similarity_temperature")


PRESETS = {
    "tfnas": GraphEncoderConfig(),
    "paper": GraphEncoderConfig(
        directions="forward",
        pooling="last",
        shape_scale="linear",
        similarity="spectrum",
        similarity_temperature=0.05,
        relative_temperature=False,
    ),
}
"""`paper` has what the paper states (equation 4.5, temperature 0.05, spectra) on the published k-GNN. Widths, the
loss's temperature, batch size and learning rate are not stated; both presets share them."""

preset = functools.partial(changed_preset, PRESETS)
"""One of `PRESETS` with some fields changed; see `settings.changed_preset`."""
