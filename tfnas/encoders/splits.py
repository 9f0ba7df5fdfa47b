"""Roles of architectures in a measurement of retrieval: training, queries, unseen families."""

import dataclasses
from collections.abc import Sequence

import numpy as np

_UNSEEN, _ASKED = 0.3, 0.25  # shares of held-out families, and of queries in every other family
_SMALLEST = 4  # architectures of a family that can be held out


@dataclasses.dataclass(frozen=True, eq=False)
class Split:
    """Roles of N architectures.

    Attributes:
      train: bool `[N]`, architectures that encoders are trained on.
      queries: bool `[N]`, architectures of trained families; queries are not in the database.
      unseen: bool `[N]`, architectures of families that nothing is trained on; each asks the whole database, which
        holds all unseen architectures.
    """

    train: np.ndarray
    queries: np.ndarray
    unseen: np.ndarray


def random_split(families: Sequence[str] | np.ndarray, seed: int) -> Split:
    """Whole families and single architectures, held out at random.

    Families of four or more architectures are held out until they would make up more than 30 % of all architectures. In
    every other family of two or more, a quarter of the architectures, at least one, are queries.

    Args:
      families: names or numbers of families `[N]`.
      seed: seed of the choice.
    """
    families = np.asarray(families)
    rng = np.random.default_rng(seed)
    names, counts = np.unique(families, return_counts=True)
    sizes = dict(zip(names.tolist(), counts.tolist(), strict=True))
    held: list[str] = []
    left = _UNSEEN * len(families)
    for name in rng.permutation(names[counts >= _SMALLEST]).tolist():
        if sizes[name] <= left:
            held.append(name)
            left -= sizes[name]
    unseen_rows = np.isin(families, held)
    queries = np.zeros(len(families), bool)
    for name in names.tolist():
        rows = np.flatnonzero(families == name)
        if name not in held and len(rows) > 1:
            queries[rng.permutation(rows)[: max(1, int(_ASKED * len(rows)))]] = True
    return Split(~unseen_rows & ~queries, queries, unseen_rows)
