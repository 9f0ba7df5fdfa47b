"""The fixed splits of the collections, which lie in `data/splits.json`."""

import hashlib
import pathlib
from collections.abc import Sequence

import numpy as np

from tfnas import artefacts
from tfnas.encoders.splits import Split
from tfnas.errors import MismatchError

SPLITS_PATH = pathlib.Path(__file__).parent / "data" / "splits.json"
_DIGITS = 12
_ROLES = ("train", "queries", "unseen")


def key(name: str) -> str:
    """Name of an architecture in the file of splits: the start of the SHA-256 of its name."""
    return hashlib.sha256(name.encode()).hexdigest()[:_DIGITS]


def read_split(collection: str, names: Sequence[str], path: artefacts.PathLike = SPLITS_PATH) -> Split:
    """The fixed split of a collection.

    Args:
      collection: name of the collection in the file.
      names: names of the N architectures.
      path: the file.

    Raises:
      MismatchError: the file does not know the collection, or one of the names.
    """
    roles = _roles(collection, names, path)
    missing = ~np.any(list(roles.values()), axis=0)
    if missing.any():
        raise MismatchError(f"{path}: the split of {collection!r} does not know {names[int(missing.argmax())]!r}")
    return Split(**roles)


def listed(collection: str, names: Sequence[str], path: artefacts.PathLike = SPLITS_PATH) -> np.ndarray:
    """Which of N architectures the fixed split of a collection knows, bool `[N]`; see `read_split`."""
    return np.any(list(_roles(collection, names, path).values()), axis=0)


def _roles(collection: str, names: Sequence[str], path: artefacts.PathLike) -> dict[str, np.ndarray]:
    known = artefacts.read_json(path)
    if collection not in known:
        raise MismatchError(f"{path}: no split of {collection!r}, it has {', '.join(known)}")
    keys = [key(name) for name in names]
    return {role: np.isin(keys, known[collection][role]) for role in _ROLES}
