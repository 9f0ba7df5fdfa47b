"""Settings of the Jacobian encoder, and its presets: the published network, and tfnas.

References:
  Hesslow and Poli 2021, "Contrastive Embeddings for Neural Architectures", and its published code.
"""

import dataclasses
import functools
from typing import ClassVar

from tfnas.encoders.settings import GradientConfig, changed_preset
from tfnas.errors import ConfigurationError

ROW_INPUTS = ("projection", "magnitudes")
GLOBAL_INPUTS = ("scales", "correlations", "frequencies")


@dataclasses.dataclass(frozen=True)
class JacobianEncoderConfig(GradientConfig):
    """Settings of the encoder: all that decides a training besides data and seed.

    Attributes:
      projection: whether the encoder reads the rows of the projected Jacobian as a set, with signs.
      magnitudes: whether the encoder reads the rows of the left singular vectors as a set, without signs.
      scales: whether the encoder reads the logarithms of the singular values.
      correlations: whether the encoder reads the logarithms of the eigenvalues of the correlations between images.
      frequencies: whether the encoder reads the logarithms of the energy per spatial frequency.
      row_layers: dense layers before the mean over rows.
      layers: dense layers after the mean over rows.
      width: width of hidden layers.
      embedding_dim: D.
      projection_dim: length of the vectors that the loss compares.
      temperature: temperature of the loss.
      batch_size: architectures per update, each with two initialisations.
      learning_rate: learning rate of Adam at the start.
      schedule: course of the learning rate: times 0.95 after every `epoch`, or falling to 0 along a `cosine`.
      weight_decay: weight decay of AdamW; 0 for Adam.
      clip_norm: bound on the global gradient norm; 0 for none.
    """

    projection: bool = False
    magnitudes: bool = False
    scales: bool = True
    correlations: bool = False
    frequencies: bool = True
    row_layers: int = 2
    layers: int = 2
    width: int = 256
    embedding_dim: int = 128
    projection_dim: int = 128
    temperature: float = 0.1
    batch_size: int = 256
    learning_rate: float = 1e-3
    schedule: str = "cosine"
    weight_decay: float = 0.0
    clip_norm: float = 0.0

    CHOICES: ClassVar = {"schedule": ("epoch", "cosine")}
    AT_LEAST_ONE = ("row_layers", "layers", "width", "projection_dim")
    NOT_NEGATIVE = ("weight_decay",)
    POSITIVE = ("temperature",)

    def __post_init__(self) -> None:
        super().__post_init__()
        if not any(getattr(self, name) for name in (*ROW_INPUTS, *GLOBAL_INPUTS)):
            raise ConfigurationError(f"no input, expected some of {', '.join((*ROW_INPUTS, *GLOBAL_INPUTS))}")
        if self.batch_size < 2:
            raise ConfigurationError(f"batch_size={self.batch_size}, expected at least 2")


PRESETS = {
    "tfnas": JacobianEncoderConfig(),
    "paper": JacobianEncoderConfig(
        projection=True,
        scales=False,
        frequencies=False,
        row_layers=4,
        layers=4,
        width=256,
        embedding_dim=256,
        projection_dim=256,
        temperature=0.1,
        batch_size=1024,
        learning_rate=5e-5,
        schedule="epoch",
    ),
}

preset = functools.partial(changed_preset, PRESETS)
"""One of `PRESETS` with some fields changed; see `settings.changed_preset`."""
