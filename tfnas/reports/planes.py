"""The plane in which maps show embeddings."""

import numpy as np
import scipy.linalg


class PrincipalPlane:
    """The plane of the first two principal components of vectors.

    Args:
      vectors: `[n, D]`, at least a single vector.

    Attributes:
      mean: float64 `[D]`, mean of the vectors.
      directions: float64 `[D, 2]`, columns of length 1 whose largest entry is positive; a column of zeros where the
        vectors do not vary.

    Example:
      >>> PrincipalPlane([[0, 0, 1], [0, 2, 1], [0, 4, 1], [3, 2, 1]]).directions.round(3).tolist()
      [[0.0, 1.0], [1.0, 0.0], [0.0, 0.0]]
    """

    def __init__(self, vectors: np.ndarray):
        vectors = np.asarray(vectors, np.float64)
        self.mean = vectors.mean(axis=0)
        centred = vectors - self.mean
        # The eigenvectors of the smaller of two matrices that have the same eigenvalues.
        if len(centred) < centred.shape[1]:
            directions = centred.T @ _last_two(centred @ centred.T)
        else:
            directions = _last_two(centred.T @ centred)
        largest = np.take_along_axis(directions, np.abs(directions).argmax(axis=0)[None], axis=0)
        lengths = np.linalg.norm(directions, axis=0) * np.where(largest < 0, -1, 1)
        self.directions = np.divide(directions, lengths, out=np.zeros_like(directions), where=lengths != 0)

    def points(self, vectors: np.ndarray) -> np.ndarray:
        """Vectors `[m, D]` as points of the plane, float64 `[m, 2]`."""
        return (vectors - self.mean) @ self.directions


def _last_two(matrix: np.ndarray) -> np.ndarray:
    """The eigenvectors of the two largest eigenvalues of a symmetric matrix `[n, n]`, the largest first, `[n, 2]`.

    The second is zero where n is 1.
    """
    last = len(matrix) - 1
    vectors = scipy.linalg.eigh(matrix, subset_by_index=(max(last - 1, 0), last))[1][:, ::-1]
    return np.pad(vectors, [(0, 0), (0, 2 - vectors.shape[1])])
