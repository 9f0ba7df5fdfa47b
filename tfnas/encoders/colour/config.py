"""Settings of the encoder of colours, and its presets."""

import dataclasses
import functools
from typing import ClassVar

from tfnas.encoders.settings import EncoderConfig, changed_preset
from tfnas.errors import ConfigurationError


@dataclasses.dataclass(frozen=True)
class ColourEncoderConfig(EncoderConfig):
    """Settings of the encoder: all that decides it besides data and seed.

    Attributes:
      rounds: Weisfeiler-Lehman rounds in each direction: how far from an operator its neighbourhood reaches.
      frequency_power: power of the inverse document frequency, which colours are weighed by; 0 weighs all alike.
      least_graphs: graphs that a colour occurs in at least; rarer colours are left out.
      embedding_dim: K, principal directions of the weighed colours; an embedding has 2 K + 1 numbers, without a learned
        part K + 1.
      learned_share: share of an embedding's squared length that the learned part has beside a known architecture; 0 for
        no learned part.
      shrinkage: multiple of the mean variance within families that is added to every variance before it is divided by.
      similarity_low: cosine to the nearest known architecture up to which the learned part has no share.
      similarity_high: cosine to the nearest known architecture from which on the learned part has its full share.

    Raises:
      ConfigurationError: a value out of range.
    """

    rounds: int = 3
    frequency_power: float = 0.75
    least_graphs: int = 2
    embedding_dim: int = 512
    learned_share: float = 0.9
    shrinkage: float = 0.05
    similarity_low: float = 0.45
    similarity_high: float = 0.85

    AT_LEAST_ONE: ClassVar = ("least_graphs",)
    NOT_NEGATIVE: ClassVar = ("rounds", "frequency_power", "similarity_low")
    POSITIVE: ClassVar = ("shrinkage",)
    SHARES: ClassVar = ("learned_share",)

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.similarity_low < self.similarity_high <= 1:
            raise ConfigurationError(
                f"similarity_high={self.similarity_high}, expected more than similarity_low={self.similarity_low} "
                "and at most 1"
            )


PRESETS = {
    "tfnas": ColourEncoderConfig(),
    "colours": ColourEncoderConfig(learned_share=0.0),
    "cells": ColourEncoderConfig(rounds=7),
}
"""`colours` has no learned part: tf-idf of colours in principal directions. `cells` looks further, for networks of
search spaces, which differ in few operators."""

preset = functools.partial(changed_preset, PRESETS)
"""One of `PRESETS` with some fields changed; see `settings.changed_preset`."""
