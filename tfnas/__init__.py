"""tfnas: neural-architecture embeddings in TensorFlow.

An architecture becomes a graph, a graph becomes an embedding, and search, prediction and retrieval work on
embeddings. Importing this package does not import TensorFlow; the subpackages do so when they need it.

  encoder = tfnas.load("arch2vec_nasbench201")
  vectors = encoder.embed(tfnas.space("nasbench201").sample(1000, seed=0))
  result = tfnas.search(tfnas.benchmark("digits201"), queries=100, seed=1)
  prediction = tfnas.load("cg_predictor").predict("my_model.keras")
  relatives = tfnas.load("architecture_index").relatives("my_model.keras", count=10)
  print(tfnas.compare("my_model.keras", "timm/resnet50"))
"""

import importlib as _importlib
import os as _os
import pkgutil as _pkgutil
import typing as _typing

if _typing.TYPE_CHECKING:
    from tfnas.api import benchmark as benchmark
    from tfnas.api import compare as compare
    from tfnas.api import load as load
    from tfnas.api import space as space
    from tfnas.graphs.importers import import_model as import_model
    from tfnas.search.experiment import search as search

__version__ = "0.1.0"

if "TFNAS_QUIET_WORKERS" in _os.environ:  # a process that a binary started; see tfnas.runtime
    _importlib.import_module("tfnas.runtime").quiet_worker()

_FUNCTIONS = {"benchmark": "api", "compare": "api", "import_model": "graphs.importers", "load": "api", "space": "api"}
_MODULES = tuple(module.name for module in _pkgutil.iter_modules(__path__) if module.name != "api")

__all__ = ["__version__", *_FUNCTIONS, *_MODULES]


def __getattr__(name: str) -> object:
    if name in _FUNCTIONS:
        return getattr(_importlib.import_module(f"tfnas.{_FUNCTIONS[name]}"), name)
    if name in _MODULES:
        return _importlib.import_module(f"tfnas.{name}")
    raise AttributeError(f"module 'tfnas' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
