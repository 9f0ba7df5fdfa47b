"""Exported models behind TensorFlow Serving, or behind a small HTTP server with its REST conventions."""

from typing import Any

import lazy_loader

from tfnas.errors import ConfigurationError

_attribute, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)


def __getattr__(name: str) -> Any:
    try:
        return _attribute(name)
    except ModuleNotFoundError as error:
        raise ConfigurationError(f"serving needs the package {error.name}: pip install 'tfnas[http]'") from error
