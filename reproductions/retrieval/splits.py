"""What is trained on, what is asked, and what is never trained on; the project's splits lie in `data/splits.json`."""

import dataclasses
import hashlib
import pathlib
from collections.abc import Sequence

import numpy as np

from tfnas import artefacts
from tfnas.errors import ConfigurationError, MismatchError

SPLITS_PATH = pathlib.Path(__file__).parent / "data" / "splits.json"
_DIGITS = 12


@dataclasses.dataclass(frozen=True, eq=False)
class Split:
    """Roles of N architectures.

    Attributes:
      train: bool `[N]`.
      queries: bool `[N]`, architectures of families that are trained on; they are not in the database.
      unseen: bool `[N]`, architectures of families that nothing is trained on. Each asks the whole database, to which
        all of them belong.
    """

    train: np.ndarray
    queries: np.ndarray
    unseen: np.ndarray


def random_split(
    families: Sequence[str], seed: int, *, unseen: float = 0.3, asked: float = 0.25, smallest: int = 4
) -> Split:
    """Whole families and single architectures, held out at random.

    Args:
      families: `[N]`.
      seed: of the choice.
      unseen: largest share of the architectures whose families are held out.
      asked: share of every other family that asks; one at least, if the family has two.
      smallest: families with fewer architectures are never held out.

    Raises:
      ConfigurationError: shares that are not in [0, 1).
    """
    if not 0 <= unseen < 1 or not 0 <= asked < 1:
        raise ConfigurationError(f"unseen={unseen}, asked={asked}, expected in [0, 1)")
    families = np.asarray(families)
    rng = np.random.default_rng(seed)
    names, counts = np.unique(families, return_counts=True)
    sizes = dict(zip(names.tolist(), counts.tolist(), strict=True))
    held: list[str] = []
    left = unseen * len(families)
    for name in rng.permutation(names[counts >= smallest]).tolist():
        if sizes[name] <= left:
            held.append(name)
            left -= sizes[name]
    unseen_rows = np.isin(families, held)
    queries = np.zeros(len(families), bool)
    for name in names.tolist():
        rows = np.flatnonzero(families == name)
        if name not in held and len(rows) > 1:
            queries[rng.permutation(rows)[: max(1, int(asked * len(rows)))]] = True
    return Split(~unseen_rows & ~queries, queries, unseen_rows)


def key(name: str) -> str:
    """What the file of splits calls an architecture: the start of the SHA-256 of its name."""
    return hashlib.sha256(name.encode()).hexdigest()[:_DIGITS]


def describe(names: Sequence[str], split: Split) -> dict[str, list[str]]:
    """A split as JSON values."""
    keys = np.array([key(name) for name in names])
    return {part: sorted(keys[getattr(split, part)].tolist()) for part in ("train", "queries", "unseen")}


def read_split(collection: str, names: Sequence[str], path: artefacts.PathLike = SPLITS_PATH) -> Split:
    """The fixed split of a collection.

    Args:
      collection: its name in the file.
      names: of its N architectures.
      path: the file.

    Raises:
      MismatchError: the file does not know the collection, or one of the names.
    """
    known = artefacts.read_json(path)
    if collection not in known:
        raise MismatchError(f"{path}: no split of {collection!r}, it has {', '.join(known)}")
    keys = [key(name) for name in names]
    parts = {part: np.isin(keys, known[collection][part]) for part in ("train", "queries", "unseen")}
    missing = ~np.any(list(parts.values()), axis=0)
    if missing.any():
        raise MismatchError(f"{path}: the split of {collection!r} does not know {names[int(missing.argmax())]!r}")
    return Split(**parts)
