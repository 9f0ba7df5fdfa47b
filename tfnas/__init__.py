"""tfnas: neural-architecture embeddings in TensorFlow.

An architecture becomes a graph, a graph becomes an embedding, and search, prediction and retrieval work on
embeddings. Importing this package does not import TensorFlow; the subpackages do so when they need it.
"""

import importlib as _importlib
import pkgutil as _pkgutil

__version__ = "0.1.0"

_SUBPACKAGES = tuple(module.name for module in _pkgutil.iter_modules(__path__))


def __getattr__(name: str) -> object:
    if name in _SUBPACKAGES:
        return _importlib.import_module(f"tfnas.{name}")
    raise AttributeError(f"module 'tfnas' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *_SUBPACKAGES])
