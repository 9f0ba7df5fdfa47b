"""What the settings of all papers share; nothing here imports TensorFlow."""

from typing import Any

from tfnas.errors import ConfigurationError


def check_least(settings: Any, **least: int) -> None:
    """Raises ConfigurationError if a field of a settings object is smaller than its bound in `least`."""
    for name, bound in least.items():
        value = getattr(settings, name)
        if value < bound:
            raise ConfigurationError(f"{name}={value}, expected at least {bound}")
