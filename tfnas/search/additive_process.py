"""The additive Gaussian process of a search: blocks of features of candidates, whose weights the scores decide.

References:
  Duvenaud et al. 2011, "Additive Gaussian Processes".
  Ginsbourger et al. 2010, "Kriging Is Well-Suited to Parallelize Optimization", section 4, for `Posterior.believe`.
"""

import threading
from collections.abc import Callable, Sequence
from typing import Self

import numpy as np
from scipy.spatial.distance import pdist

from tfnas.errors import ConfigurationError
from tfnas.predictors import cell_features
from tfnas.predictors.cell_features import CellFeatures, Scale
from tfnas.predictors.kernel_mixture import KernelMixture, normal_scores
from tfnas.runtime import in_threads
from tfnas.search.acquisition import log_expected_improvement
from tfnas.search.candidates import Candidates, CandidateSet
from tfnas.spaces import CellTable

LATENTS = "latents"
BLOCKS = (LATENTS, *cell_features.BLOCKS)
"""Names of blocks: the latents of every vertex, by the candidates' encoder, and the blocks of `CellFeatures`."""

_REFERENCE = 3000  # candidates that decide the scales of features
_PAIRED = 1000  # of them, those whose distances decide the length scales
_CHUNK = 512  # candidates whose features and kernels fit into the cache of a core
_ITERATIONS = 15  # of L-BFGS, which starts from the last weights
_LEAST_VARIANCE = 1e-8


Features = Callable[[np.ndarray], list[np.ndarray]]
"""From rows int64 `[n]` to blocks of features float32 `[n, D_b]`."""


class RowFeatures:
    """Blocks of features of candidates, of which those that were asked for last are remembered.

    Memory is for twice as many candidates as were asked for at once.

    Args:
      candidates: architectures that have features.
      featurize: function from cells to blocks `[n, D_b]`.
    """

    def __init__(self, candidates: CandidateSet, featurize: Callable[[CellTable], list[np.ndarray]]):
        self._candidates, self._featurize = candidates, featurize
        self._positions: dict[int, int] = {}  # in the blocks, by key of the candidate; what was asked for last is last
        self._free: list[int] = []
        self._blocks: list[np.ndarray] = []
        self._lock = threading.Lock()

    def __call__(self, rows: np.ndarray) -> list[np.ndarray]:
        """Blocks `[n, D_b]` of rows `[n]`."""
        unique, inverse = np.unique(rows, return_inverse=True)
        keys = self._candidates.keys(unique).tolist()
        with self._lock:
            new = [number for number, key in enumerate(keys) if key not in self._positions]
            computed = self._featurize(self._candidates.cells[unique[new]]) if new or not self._blocks else None
            for key in keys:
                self._positions[key] = self._positions.pop(key, -1)
            if computed is not None:
                self._store([keys[number] for number in new], computed, most=2 * len(keys))
            positions = np.array([self._positions[key] for key in keys], np.int64)[inverse]
            return [block[positions] for block in self._blocks]

    def _store(self, keys: list[int], computed: list[np.ndarray], most: int) -> None:
        """Writes the features of new candidates in place of what was not asked for of late, or behind all."""
        room = len(self._blocks[0]) if self._blocks else 0
        for key in list(self._positions)[: max(0, len(self._positions) - max(most, room))]:
            self._free.append(self._positions.pop(key))
        if not self._blocks or len(self._free) < len(keys):
            larger = max(min(2 * room, most), len(self._positions))
            before = self._blocks or [block[:0] for block in computed]
            self._blocks = [
                np.concatenate([old, np.empty((larger - room, new.shape[1]), new.dtype)])
                for old, new in zip(before, computed, strict=True)
            ]
            self._free += range(room, larger)
        for key in keys:
            self._positions[key] = self._free.pop()
        positions = [self._positions[key] for key in keys]
        for block, new in zip(self._blocks, computed, strict=True):
            block[positions] = new


class Posterior:
    """What a process says of m candidates together.

    Args:
      mean: float64 `[m]`, in normal scores of the run's scores.
      variance: float64 `[m]`, without noise.
      noise: variance of the noise.
      explained: float64 `[n, m]`, see `KernelMixture.explained`.
      prior: function from the number of a candidate to its prior covariances with all, `[m]`.

    Attributes:
      mean: float64 `[m]`.
      variance: float64 `[m]`.
    """

    def __init__(
        self,
        mean: np.ndarray,
        variance: np.ndarray,
        noise: float,
        explained: np.ndarray,
        prior: Callable[[int], np.ndarray],
    ):
        self.mean, self.variance = mean, variance
        self._noise, self._explained, self._prior = noise, explained, prior

    @property
    def stddev(self) -> np.ndarray:
        """float64 `[m]`, above 0."""
        return np.sqrt(np.maximum(self.variance, _LEAST_VARIANCE))

    def believe(self, number: int) -> None:
        """Takes the mean of a candidate for its score: means stay, uncertainty around the candidate shrinks."""
        covariance = self._prior(number) - self._explained.T @ self._explained[:, number]
        row = covariance / np.sqrt(max(self.variance[number], _LEAST_VARIANCE) + self._noise)
        self._explained = np.concatenate([self._explained, row[None]])
        self.variance = self.variance - row**2

    def improvements(self, waiting: int, incumbent: float, count: int) -> list[int]:
        """Numbers of `count` candidates of the greatest expected improvement, each believed before the next is chosen.

        Args:
          waiting: number of candidates, the first ones, that wait for their scores; they are believed and not chosen.
          incumbent: mean to improve on; the mean of a candidate that is believed takes its place if it is larger.
          count: number of candidates to choose.
        """
        taken = list(range(waiting))
        for number in taken:
            self.believe(number)
        while len(taken) < waiting + count:
            incumbent = max(incumbent, self.mean[taken].max(initial=-np.inf))
            merit = log_expected_improvement(self.mean, self.stddev, incumbent)
            merit[taken] = -np.inf
            taken.append(int(merit.argmax()))
            self.believe(taken[-1])
        return taken[waiting:]


class AdditiveProcess:
    """Gaussian processes of R runs on blocks of features; inputs are rows of candidates.

    Every block has a linear and a squared exponential kernel, the latter with the median distance of reference
    candidates as length scale. Scores enter as normal scores of their ranks within a run. The weights of the kernels
    and the noise maximise the marginal likelihood times a broad prior, from the weights of the run's last fit.

    Args:
      candidates: architectures that are judged.
      blocks: names of blocks in `BLOCKS`; by default all that the candidates have.

    Attributes:
      blocks: names of the blocks.
      weights: float64 `[R, 2 blocks]`, weights of the linear kernels, then of the smooth kernels; known after `fit`.
      noise: float64 `[R]`, variance of the noise; known after `fit`.

    Raises:
      ConfigurationError: an unknown block, or latents of candidates without latents.
    """

    weights: np.ndarray
    noise: np.ndarray

    def __init__(self, candidates: CandidateSet, blocks: Sequence[str] | None = None):
        reference, self.blocks, self._features = _features(candidates, blocks)
        self._lengths = [
            float(np.median(distances[distances > 1e-9])) if (distances := pdist(block, "sqeuclidean")).any() else 1.0
            for block in reference
        ]
        self._mixtures: list[KernelMixture] = []
        self._rows = np.zeros((0, 0), np.int64)

    @property
    def points(self) -> np.ndarray | None:
        """float32 `[N, D]`: the block `graph`, or the last block, of listed candidates; None for other candidates."""
        if isinstance(self._features, RowFeatures):
            return None
        number = self.blocks.index("graph") if "graph" in self.blocks else -1
        return self._features(np.s_[:])[number]

    def prepare(self, rows: np.ndarray) -> None:
        """Computes features of rows `[m]` that will be asked about, all at once."""
        if isinstance(self._features, RowFeatures):
            self._features(np.unique(rows))

    def fit(self, rows: np.ndarray, targets: np.ndarray) -> Self:
        """Learns targets `[R, n]` of rows `[R, n]`."""
        self._rows, scores = rows, normal_scores(targets)
        known: Sequence[KernelMixture | None] = self._mixtures or [None] * len(rows)
        self.prepare(rows)

        def fitted(run: int) -> KernelMixture:
            return KernelMixture.fit(self._gram(run), scores[run], known[run], _ITERATIONS)

        return self._set(in_threads(fitted, range(len(rows))))

    def restore(self, rows: np.ndarray, targets: np.ndarray, weights: np.ndarray, noise: np.ndarray) -> Self:
        """Takes the state of `fit` with the same rows and targets, which gave these weights and this noise."""
        self._rows, scores = rows, normal_scores(targets)
        self.prepare(rows)

        def restored(run: int) -> KernelMixture:
            return KernelMixture.of(self._gram(run), scores[run], weights[run], float(noise[run]))

        return self._set(in_threads(restored, range(len(rows))))  # the rounding of `fit`

    def mean(self, rows: np.ndarray, run: int = 0) -> np.ndarray:
        """Predictive means of rows `[m]`, in normal scores, float64 `[m]`."""
        mixture, examples = self._mixtures[run], self._features(self._rows[run])
        weights = np.outer(mixture.weights, mixture.solution).astype(np.float32)
        means = np.empty(len(rows))
        for start in range(0, len(rows), _CHUNK):
            chunk = slice(start, start + _CHUNK)
            kernels = self._kernels(examples, self._features(rows[chunk]))
            means[chunk] = np.einsum("kn,knm->m", weights, kernels)
        return means

    def posterior(self, rows: np.ndarray, run: int = 0) -> Posterior:
        """Predictive distribution of the noiseless normal scores of rows `[m]`."""
        mixture, blocks = self._mixtures[run], self._features(rows)
        cross = np.tensordot(mixture.weights, self._kernels(self._features(self._rows[run]), blocks), 1)
        explained = mixture.explained(cross)
        squares = np.stack([(block.astype(np.float64) ** 2).sum(axis=1) for block in blocks])
        prior = mixture.weights[: len(blocks)] @ squares + mixture.weights[len(blocks) :].sum()

        def covariances(number: int) -> np.ndarray:
            kernels = self._kernels([block[[number]] for block in blocks], blocks)
            return np.tensordot(mixture.weights, kernels, 1)[0]

        return Posterior(
            mixture.solution @ cross, prior - (explained**2).sum(axis=0), mixture.noise, explained, covariances
        )

    def predict(self, rows: np.ndarray, run: int = 0) -> tuple[np.ndarray, np.ndarray]:
        """Mean and standard deviation without noise, in normal scores, float64 `[m]` each, of rows `[m]`."""
        posterior = self.posterior(rows, run)
        return posterior.mean, posterior.stddev

    def _set(self, mixtures: list[KernelMixture]) -> Self:
        self._mixtures = mixtures
        self.weights = np.stack([mixture.weights for mixture in mixtures])
        self.noise = np.array([mixture.noise for mixture in mixtures])
        return self

    def _gram(self, run: int) -> np.ndarray:
        examples = self._features(self._rows[run])
        return self._kernels(examples, examples).astype(np.float64)

    def _kernels(self, first: list[np.ndarray], second: list[np.ndarray]) -> np.ndarray:
        """float32 `[2 blocks, n, m]`."""
        count = len(first)
        kernels = np.empty((2 * count, len(first[0]), len(second[0])), np.float32)
        for number, (a, b, length) in enumerate(zip(first, second, self._lengths, strict=True)):
            linear, smooth = kernels[number], kernels[count + number]
            np.matmul(a, b.T, out=linear)
            np.multiply(linear, 2, out=smooth)
            smooth -= np.einsum("nd,nd->n", a, a)[:, None]
            smooth -= np.einsum("nd,nd->n", b, b)
            np.minimum(smooth, 0, out=smooth)
            smooth /= 2 * length
            np.exp(smooth, out=smooth)
        return kernels


def _features(
    candidates: CandidateSet, blocks: Sequence[str] | None
) -> tuple[list[np.ndarray], tuple[str, ...], Features]:
    """Features of reference candidates, the names of their blocks, and a function that gives the features of rows."""
    rng = np.random.default_rng(0)
    latents = candidates.latents if isinstance(candidates, Candidates) else None
    if blocks is None:
        blocks = BLOCKS if latents is not None else BLOCKS[1:]
    if LATENTS in blocks and latents is None:
        raise ConfigurationError(f"the candidates have no {LATENTS}, expected blocks {', '.join(BLOCKS[1:])}")
    names = [name for name in blocks if name != LATENTS]
    if not isinstance(candidates, Candidates):
        sample = candidates.sample(_REFERENCE, rng)
        described = CellFeatures(candidates.space, sample, names)
        store = RowFeatures(candidates, described.transform)
        return described.transform(sample[:_PAIRED]), described.names, store
    rows = np.sort(rng.permutation(candidates.functions)[:_REFERENCE])
    tables: dict[str, np.ndarray] = {}
    if names:
        described = CellFeatures(candidates.space, candidates.cells[rows], names)
        tables.update(zip(described.names, described.transform(candidates.cells), strict=True))
    if LATENTS in blocks:
        tables[LATENTS] = np.ascontiguousarray(Scale.of(latents[rows])(latents))  # rows are taken
    paired = rows[:: -(-len(rows) // _PAIRED)]
    return (
        [table[paired] for table in tables.values()],
        tuple(tables),
        lambda rows: [table[rows] if isinstance(rows, slice) else table.take(rows, 0) for table in tables.values()],
    )
