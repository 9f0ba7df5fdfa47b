"""Networks that a predictor knows, and how far others lie from them."""

import numpy as np
import scipy.spatial

_NEIGHBOURS = 5
_FLOOR = 0.1  # least deviation, as a share of that over all families
_TINY = 1e-5


class KnownNetworks:
    """Inputs of a predictor for n known networks of several families.

    A distance is the mean over the five nearest networks of a family, in units of the usual distance in that family. It
    is measured after the family's inputs are made white, with a tenth of the deviation over all families as the least
    deviation: what all networks of a family have in common counts most.

    Args:
      inputs: float `[n, D]`.
      family: numbers of families `[n]`; every family from 0 to F - 1 has a network.
    """

    def __init__(self, inputs: np.ndarray, family: np.ndarray):
        inputs = np.asarray(inputs, np.float64)
        spread = inputs.std(axis=0)
        self._spread = np.where(spread > _TINY, spread, 1.0)
        self.rows = [np.flatnonzero(family == number) for number in range(int(family.max()) + 1)]
        self._whiteners = [self._whitener(inputs[rows]) for rows in self.rows]
        pairs = zip(self.rows, self._whiteners, strict=True)
        self._trees = [scipy.spatial.cKDTree(inputs[rows] @ whitener) for rows, whitener in pairs]
        self._own = [self._from_others(tree) for tree in self._trees]
        self._usual = [max(float(np.median(within)), 1e-6) for within in self._own]

    def _whitener(self, inputs: np.ndarray) -> np.ndarray:
        scaled = (inputs - inputs.mean(axis=0)) / self._spread
        covariance = scaled.T @ scaled / len(scaled) + _FLOOR**2 * np.eye(inputs.shape[1])
        return np.linalg.cholesky(np.linalg.inv(covariance)) / self._spread[:, None]

    @staticmethod
    def _from_others(tree: scipy.spatial.cKDTree) -> np.ndarray:
        if tree.n < 2:
            return np.ones(tree.n)
        return tree.query(tree.data, min(_NEIGHBOURS + 1, tree.n))[0][:, 1:].mean(axis=1)

    def distances(self, inputs: np.ndarray) -> np.ndarray:
        """Distances float64 `[m, F]` of m networks from the families."""
        columns = []
        for tree, whitener, usual in zip(self._trees, self._whiteners, self._usual, strict=True):
            lengths = tree.query(inputs @ whitener, min(_NEIGHBOURS, tree.n))[0]
            columns.append(np.reshape(lengths, (len(inputs), -1)).mean(axis=1) / usual)
        return np.stack(columns, axis=1)

    def own_distances(self, number: int) -> np.ndarray:
        """Distances of a family's networks from the rest of the family."""
        return self._own[number] / self._usual[number]

    def nearest(self, inputs: np.ndarray, number: int, count: int) -> list[tuple[int, float]]:
        """Rows of the nearest networks of a family, and their distances in units of the usual one."""
        tree = self._trees[number]
        lengths, positions = tree.query(inputs @ self._whiteners[number], min(count, tree.n))
        rows = self.rows[number][np.atleast_1d(positions)]
        return [
            (int(row), float(distance) / self._usual[number])
            for row, distance in zip(rows, np.atleast_1d(lengths), strict=True)
        ]
