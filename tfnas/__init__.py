"""tfnas: neural-architecture embeddings in TensorFlow.

An architecture becomes a graph, a graph becomes an embedding, and search, prediction and retrieval work on
embeddings. Importing this package does not import TensorFlow; the subpackages do so when they need it.
"""

import importlib as _importlib
import os as _os
import pkgutil as _pkgutil
import sys as _sys

__version__ = "0.1.0"

_LEGACY_KERAS = "TF_USE_LEGACY_KERAS"

if "tensorflow" in _sys.modules and _os.environ.get(_LEGACY_KERAS) != "1":
    raise ImportError(
        "tfnas was imported after TensorFlow. TF-GNN needs Keras 2 (tf_keras), which TensorFlow chooses once, when "
        f"it is first imported: import tfnas before tensorflow, or set {_LEGACY_KERAS}=1 in the environment."
    )
_os.environ[_LEGACY_KERAS] = "1"
_os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

_SUBPACKAGES = tuple(module.name for module in _pkgutil.iter_modules(__path__))


def __getattr__(name: str) -> object:
    if name in _SUBPACKAGES:
        return _importlib.import_module(f"tfnas.{name}")
    raise AttributeError(f"module 'tfnas' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *_SUBPACKAGES])
