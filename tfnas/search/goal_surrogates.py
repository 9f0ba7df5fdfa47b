"""The surrogate of searches with several objectives: an additive Gaussian process on features of the candidates."""

from typing import Self

import numpy as np

from tfnas.predictors.additive_gp import AdditiveGP
from tfnas.predictors.base import BatchedSurrogate
from tfnas.search.candidates import Candidates, CandidateSet
from tfnas.search.guides import predictor_guide


class OnBlocks:
    """An additive Gaussian process on blocks of features, asked about rows of the blocks.

    Args:
      blocks: features `[N, D_b]` each.
    """

    def __init__(self, blocks: list[np.ndarray]):
        self._blocks, self._process = blocks, AdditiveGP()

    def fit(self, rows: np.ndarray, targets: np.ndarray) -> Self:
        """Learns targets `[R, n]` of rows `[R, n]`."""
        self._process.fit([block[rows] for block in self._blocks], targets)
        return self

    def predict(self, rows: np.ndarray, run: int = 0) -> tuple[np.ndarray, np.ndarray]:
        """Mean and standard deviation `[m]` of normal scores of rows `[m]`."""
        return self._process.predict([block[rows] for block in self._blocks], run)


def additive_process(candidates: CandidateSet, runs: int) -> BatchedSurrogate[np.ndarray]:
    """A Gaussian process on one-hot cells and latents of listed candidates, or on graphs of candidates without a list.

    Args:
      candidates: architectures that are judged.
      runs: R; a process learns any number of runs.
    """
    if not isinstance(candidates, Candidates):
        return predictor_guide(candidates)
    cells = candidates.cells
    one_hot = cells.one_hot(len(candidates.space.operations)).reshape(len(cells), -1)
    edges = cells.adjacency.reshape(len(cells), -1)
    blocks = [np.concatenate([one_hot, edges], axis=1), candidates.embeddings]
    if candidates.latents is not None:
        blocks.append(candidates.latents)
    return OnBlocks([scaled(block) for block in blocks])


def scaled(block: np.ndarray) -> np.ndarray:
    """Features float32 `[N, D]` that vary, with mean 0 and a mean square norm of 1."""
    block = block[:, block.std(axis=0) > 0].astype(np.float64)
    block = (block - block.mean(axis=0)) / block.std(axis=0)
    return (block / block.shape[1] ** 0.5).astype(np.float32)
