"""Pools: the candidates that a surrogate judges before the next suggestions."""

from collections.abc import Callable
from typing import Protocol

import numpy as np
from sklearn.neighbors import NearestNeighbors

from tfnas.search.base import Strategy
from tfnas.search.candidates import Candidates, CandidateSet
from tfnas.spaces import CellTable

_PARENTS = 10  # best architectures whose neighbours are judged
_NEIGHBOURS = 50  # neighbours of each of them
_STRANGERS = 10_000  # random candidates of a list
_OPEN_STRANGERS = 500  # of a space that nobody lists, where each is drawn and described anew
_BEST = 5  # architectures whose neighbours or mutants are judged
_NEAR = 100  # neighbours or mutants of each of them
_CROSSOVER = 0.3  # share of children with two parents


LISTED = 8192
"""Number of functions up to which a process judges all."""
BREEDERS = 20
"""Number of the best architectures, which have children."""


class Pool(Protocol):
    """Rows to judge."""

    def rows(self, search: Strategy, size: int) -> list[np.ndarray]:
        """Distinct rows int64 `[m]` for every run, of which `size` will be suggested; some may have been before."""


class AllCandidates:
    """Every candidate."""

    def rows(self, search: Strategy, size: int) -> list[np.ndarray]:
        return [np.arange(len(search.candidates))] * search.runs


class RandomSample:
    """Random candidates, other ones for every prediction.

    Args:
      count: number of candidates.
    """

    def __init__(self, count: int):
        self.count = count

    def rows(self, search: Strategy, size: int) -> list[np.ndarray]:
        number = len(search.candidates)
        return [np.sort(rng.choice(number, self.count, replace=False, shuffle=False)) for rng in search.rngs]


class LatentNeighbours:
    """The 50 nearest neighbours, by embedding, of each of the ten best architectures so far, and random candidates.

    Args:
      candidates: candidates with embeddings.
      strangers: number of random candidates.
    """

    def __init__(self, candidates: CandidateSet, strangers: int):
        self.strangers = min(strangers, len(candidates))
        neighbours = min(_NEIGHBOURS, len(candidates))
        self._points = candidates.standardised
        self._index = NearestNeighbors(n_neighbors=neighbours).fit(self._points)
        self._neighbours: dict[int, np.ndarray] = {}

    def rows(self, search: Strategy, size: int) -> list[np.ndarray]:
        order = np.argsort(-search.scores, axis=1, kind="stable")[:, :_PARENTS]
        parents = np.take_along_axis(search.rows, order, axis=1)
        missing = [row for row in np.unique(parents).tolist() if row not in self._neighbours]
        if missing:
            nearest = self._index.kneighbors(self._points[missing], return_distance=False)
            self._neighbours.update(zip(missing, nearest, strict=True))
        return [self._rows(search, run, parents[run], size) for run in range(search.runs)]

    def _rows(self, search: Strategy, run: int, parents: np.ndarray, size: int) -> np.ndarray:
        strangers = search.rngs[run].integers(len(search.candidates), size=self.strangers)
        rows = np.unique(np.concatenate([*(self._neighbours[row] for row in parents.tolist()), strangers]))
        rows = rows[~search.was_suggested(run, rows)]
        if len(rows) < size:
            rows = np.concatenate([rows, search.draw(run, size - len(rows), rows.tolist())])
        return rows.astype(np.int64)


class Offspring:
    """Mutants and crosses of the 20 best architectures so far, and random candidates.

    Args:
      children: number of mutants and crosses.
      strangers: number of random candidates that compete with the children.
      initial: number of scores up to which a run gets three times as many random candidates.
    """

    def __init__(self, children: int, strangers: int, initial: int):
        self.children, self.strangers, self.initial = children, strangers, initial

    def rows(self, search: Strategy, size: int) -> list[np.ndarray]:
        factor = 3 if search.rows.shape[1] <= self.initial else 1
        strangers = min(factor * self.strangers, len(search.candidates) - search.asked)
        return [self._rows(search, run, strangers) for run in range(search.runs)]

    def _rows(self, search: Strategy, run: int, strangers: int) -> np.ndarray:
        rng, candidates = search.rngs[run], search.candidates
        order = np.argsort(-search.scores[run], kind="stable")[:BREEDERS]
        rows = children(candidates, search.rows[run, order], self.children, rng)
        return np.unique([*rows.tolist(), *search.draw(run, strangers)]).astype(np.int64)


def children(candidates: CandidateSet, parents: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
    """Rows of mutants and crosses, fewer than `count` where children are no candidates.

    Args:
      candidates: architectures to choose from.
      parents: rows int64 `[p]` of parents.
      count: number of children that are bred.
      rng: generator of the choices.
    """
    space, architectures = candidates.space, [candidates.architecture(row) for row in parents.tolist()]
    bred = []
    for _ in range(count):
        first, second = rng.integers(len(architectures), size=2)
        if rng.random() < _CROSSOVER and first != second:
            bred.append(space.crossover(architectures[first], architectures[second], rng))
        else:
            bred.append(space.mutate(architectures[first], rng))
    rows = candidates.rows(bred)
    return rows[rows >= 0]


class Functions:
    """A candidate of every function that a run was not given yet.

    Args:
      candidates: listed candidates.
    """

    def __init__(self, candidates: Candidates):
        self._functions = candidates.functions

    def rows(self, search: Strategy, size: int) -> list[np.ndarray]:
        functions = self._functions
        return [np.delete(functions, np.searchsorted(functions, given(search, run))) for run in range(search.runs)]


class Vicinity:
    """Random candidates and, for each of the five best architectures so far, candidates near it.

    Functions that a run was given are left out.

    Args:
      strangers: number of random candidates.
      near: function from candidates and a row to the rows near it.
    """

    def __init__(self, strangers: int, near: Callable[[CandidateSet, int], np.ndarray]):
        self.strangers, self._near = strangers, near

    def rows(self, search: Strategy, size: int) -> list[np.ndarray]:
        return [self._rows(search, run) for run in range(search.runs)]

    def _rows(self, search: Strategy, run: int) -> np.ndarray:
        best = search.rows[run, np.argsort(-search.scores[run], kind="stable")[:_BEST]]
        neighbours = [self._near(search.candidates, row) for row in best.tolist()]
        strangers = search.candidates.draw_many(self.strangers, search.rngs[run])
        rows = np.unique(search.candidates.representative(np.concatenate([*neighbours, strangers])))
        return np.setdiff1d(rows, given(search, run), assume_unique=True)


class Mutants:
    """Rows of a hundred mutants of an architecture, which also seeds their choice; the mutants are bred once."""

    def __init__(self) -> None:
        self._cells: dict[int, CellTable] = {}

    def __call__(self, candidates: CandidateSet, row: int) -> np.ndarray:
        if row not in self._cells:
            space, parent = candidates.space, candidates.architecture(row)
            rng = np.random.default_rng(int(space.canonical_hashes(candidates.cells[[row]])[0]))
            self._cells[row] = space.to_table([space.mutate(parent, rng) for _ in range(_NEAR)])
        rows = candidates.rows_of_cells(self._cells[row])
        return np.unique(rows[rows >= 0])


class Nearest:
    """The hundred rows nearest to a row, which are found once.

    Args:
      points: features `[N, D]` of listed candidates.
    """

    def __init__(self, points: np.ndarray):
        self._points, self._squares = points, np.einsum("nd,nd->n", points, points)
        self._rows: dict[int, np.ndarray] = {}

    def __call__(self, candidates: CandidateSet, row: int) -> np.ndarray:
        if row not in self._rows:
            distances = self._squares - 2 * (self._points @ self._points[row])
            self._rows[row] = np.argpartition(distances, _NEAR)[:_NEAR]
        return self._rows[row]


def functions_or_vicinity(candidates: CandidateSet, points: np.ndarray | None) -> Functions | Vicinity:
    """The pool of a process that can judge some thousand candidates.

    All functions of up to 8,192; of more, 10,000 random candidates and the nearest of the best; of candidates that
    nobody lists, 500 random ones and mutants of the best.

    Args:
      candidates: architectures that are judged.
      points: features `[N, D]` of listed candidates.
    """
    if not isinstance(candidates, Candidates):
        return Vicinity(_OPEN_STRANGERS, Mutants())
    if candidates.functions_count <= LISTED:
        return Functions(candidates)
    return Vicinity(_STRANGERS, Nearest(points))


def given(search: Strategy, run: int) -> np.ndarray:
    """int64 `[n]`: the functions of the rows that a run was given, each by the first row that computes it."""
    return np.unique(search.candidates.representative(search.suggested[run]))
