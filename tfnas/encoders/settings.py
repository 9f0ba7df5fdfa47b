"""Checks and presets that the settings of every encoder share. No TensorFlow: flags are made from settings."""

import dataclasses
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, ClassVar, TypeVar

from tfnas.errors import ConfigurationError
from tfnas.settings import check_choices, check_least


@dataclasses.dataclass(frozen=True)
class EncoderConfig:
    """Settings of an encoder, checked when they are made.

    A subclass is a frozen dataclass with the field `embedding_dim`, whose bound is checked here, and names the bounds
    of its other fields.

    Attributes:
      CHOICES: allowed values, by field.
      AT_LEAST_ONE: fields that are 1 or more.
      NOT_NEGATIVE: fields that are 0 or more.
      POSITIVE: fields above 0.
      SHARES: fields in [0, 1).
    """

    CHOICES: ClassVar[Mapping[str, Sequence[str]]] = {}
    AT_LEAST_ONE: ClassVar[tuple[str, ...]] = ()
    NOT_NEGATIVE: ClassVar[tuple[str, ...]] = ()
    POSITIVE: ClassVar[tuple[str, ...]] = ()
    SHARES: ClassVar[tuple[str, ...]] = ()

    def __post_init__(self) -> None:
        check_choices(self, **self.CHOICES)
        check_least(self, **dict.fromkeys(("embedding_dim", *self.AT_LEAST_ONE), 1))
        check_least(self, **dict.fromkeys(self.NOT_NEGATIVE, 0))
        _check(self, self.POSITIVE, lambda value: value > 0, "more than 0")
        _check(self, self.SHARES, lambda value: 0 <= value < 1, "in [0, 1)")


def _check(settings: object, fields: Iterable[str], holds: Callable[[float], bool], expected: str) -> None:
    for field in fields:
        value = getattr(settings, field)
        if not holds(value):  # a comparison with NaN is False
            raise ConfigurationError(f"{field}={value}, expected {expected}")


@dataclasses.dataclass(frozen=True)
class GradientConfig(EncoderConfig):
    """Settings of an encoder that gradients train.

    A subclass has the fields `batch_size`, `learning_rate` and `clip_norm` too, whose bounds are checked here.
    """

    def __post_init__(self) -> None:
        check_least(self, batch_size=1, clip_norm=0)
        _check(self, ("learning_rate",), lambda value: value > 0, "more than 0")
        super().__post_init__()


Config = TypeVar("Config", bound=EncoderConfig)


def changed_preset(presets: Mapping[str, Config], name: str, **changes: Any) -> Config:
    """A preset with some fields changed.

    Args:
      presets: settings by name.
      name: name of the preset.
      **changes: new values, by field.

    Raises:
      ConfigurationError: no such preset, or a value out of range.
    """
    if name not in presets:
        raise ConfigurationError(f"unknown preset {name!r}, expected one of {', '.join(presets)}")
    return dataclasses.replace(presets[name], **changes)


@dataclasses.dataclass(frozen=True)
class Corpora:
    """Training data of encoders that learn from corpora on disk.

    Attributes:
      corpus: folders of the corpora, as `tfnas build_corpus` (graphs) or `tfnas extract_jacobians` wrote them.
    """

    corpus: tuple[str, ...]
