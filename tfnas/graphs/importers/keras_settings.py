"""Settings of a layer in a configuration of Keras, read without trust in any of them."""

from collections.abc import Mapping, Sequence
from typing import Any

Shape = tuple[int | None, ...]

State = Mapping[str, Any]
"""Weights of a layer, and tensors that the layer computes from weights once, by name."""

_SILENT = ("_initializer", "_regularizer", "_constraint")
"""Endings of settings that change training alone."""


class UnknownLayerError(Exception):
    """A layer or a setting that no rule knows: the model is left to Keras."""


class Settings:
    """The settings of a layer; a rule reads all of them, or does not know the layer.

    Args:
      config: configuration of the layer.
      trainable: False for a layer in a model that is not trained.

    Attributes:
      name: name of the layer.
      trainable: whether training changes the weights that a layer trains.
      unread: names of the settings that no rule has read so far.

    Raises:
      UnknownLayerError: numbers of another type than float32.

    Example:
      >>> settings = Settings({"name": "conv", "filters": 8, "padding": "full"})
      >>> settings.count("filters")
      8
      >>> settings.one_of("padding", ("same", "valid"))
      Traceback (most recent call last):
      tfnas.graphs.importers.keras_settings.UnknownLayerError: padding: 'full'
    """

    def __init__(self, config: Mapping[str, Any], *, trainable: bool = True):
        self._config = config
        self.unread = {name for name in config if not name.endswith(_SILENT)}
        self.name = str(self["name"])
        self.trainable = bool(self.one_of("trainable", (True, False), default=True)) and trainable
        policy = self.get("dtype", "float32")
        policy = policy.get("config", {}).get("name") if isinstance(policy, Mapping) else policy
        if policy != "float32":
            raise UnknownLayerError(f"{self.name}: numbers of the type {policy!r}")

    def __getitem__(self, name: str) -> Any:
        self.unread.discard(name)
        if name not in self._config:
            raise UnknownLayerError(f"no {name}")
        return self._config[name]

    def get(self, name: str, default: Any) -> Any:
        """A setting that older versions of Keras do not write."""
        return self[name] if name in self._config else default

    def check_read(self) -> None:
        """Raises UnknownLayerError for settings that no rule has read."""
        if self.unread:
            raise UnknownLayerError(f"settings {sorted(self.unread)}")

    def ignore(self, *names: str) -> None:
        """Settings that change nothing at inference."""
        self.unread.difference_update(names)

    def expect(self, name: str, value: Any, **default: Any) -> None:
        """A setting of which a rule knows one value; `default` for a configuration without the setting."""
        self.one_of(name, (value,), **default)

    def one_of(self, name: str, values: Sequence[Any], **default: Any) -> Any:
        """A setting of which a rule knows some values."""
        value = self.get(name, default["default"]) if default else self[name]
        if value not in values:
            raise UnknownLayerError(f"{name}: {value!r}")
        return value

    def flag(self, name: str) -> bool:
        """True or False."""
        return bool(self.one_of(name, (True, False)))

    def number(self, name: str) -> float:
        """A number."""
        value = self[name]
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise UnknownLayerError(f"{name}: {value!r}")
        return value

    def count(self, name: str) -> int:
        """A positive integer."""
        return _count(name, self[name])

    def counts(self, name: str) -> tuple[int, ...]:
        """Positive integers, one per axis."""
        return tuple(_count(name, value) for value in self[name])

    def channels(self, shape: Sequence[int | None]) -> int:
        """The extent of the last axis of a shape."""
        return self.size(shape[-1])

    def size(self, extent: object) -> int:
        """An extent of a shape."""
        return _count("extent", extent)


def _count(name: str, value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise UnknownLayerError(f"{name}: {value!r}")
    return value
