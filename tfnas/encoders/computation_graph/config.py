"""Settings of the computation-graph encoder, and its presets: the paper's loss, and tfnas.

References:
  Han et al. 2023, "A General-Purpose Transferable Predictor for Neural Architecture Search", section 4.
"""

import dataclasses
import functools
from typing import ClassVar

from tfnas.encoders.settings import EncoderConfig, changed_preset


@dataclasses.dataclass(frozen=True)
class GraphEncoderConfig(EncoderConfig):
    """What decides a pretraining run besides data and seed.

    Attributes:
      width: of the hidden states of operators.
      layers: k-GNN layers.
      directions: `forward` (an operator hears those that feed it) or `both`.
      pooling: the embedding reads the mean over operators of the `last` layer's states, or of `all` layers'.
      shape_scale: sizes and channels enter divided by 256 and 512 (`linear`), or as logarithms (`log`).
      embedding_dim: D.
      projection_dim: length of the vectors that the loss compares.
      loss: `spectral` (equation 4.5: graphs of the anchor's family are positive, weighted by similarity), `supcon`
        (equation 4.3: all alike) or `simclr` (equation 4.1: the partner alone).
      similarity: what graphs are compared by: the `spectrum` of their Laplacian, or the `operators`: spectrum and how
        often each operator occurs.
      temperature: of the loss.
      similarity_temperature: of the weights of positive graphs.
      relative_temperature: measure that temperature in units of the batch's mean distance within families.
      favour_distant: weigh distant graphs more, as the formula is printed, and not similar ones, as the text says.
      num_neighbours: an anchor's partner is one of so many most similar graphs of its family.
      batch_size: anchors per update; as many partners join them.
      learning_rate: of Adam; it falls to 0 along a cosine.
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
