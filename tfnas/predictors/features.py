"""Features of computation graphs as blocks for a predictor, centred and scaled by unlabelled reference graphs."""

from collections.abc import Callable, Sequence

import numpy as np
import scipy.sparse
from sklearn.decomposition import TruncatedSVD

from tfnas.errors import ConfigurationError
from tfnas.graphs.motifs import weisfeiler_lehman
from tfnas.graphs.packed import PackedGraphs
from tfnas.graphs.path_numbers import PathNumbers

BLOCKS = ("structure", "operators", "neighbourhoods", "paths", "embedding")
"""Names of the blocks; an encoder computes `embedding`."""

Embed = Callable[[PackedGraphs], np.ndarray]
_ROUNDS = 4
_COMPONENTS = 64
_TINY = 1e-6


class GraphFeatures:
    """Blocks of features whose scale the reference graphs decide.

    Args:
      reference: unlabelled graphs of the family that is predicted.
      names: names of blocks in `BLOCKS`. `structure` holds the numbers of `graphs.structure`, `operators` counts
        operators, `neighbourhoods` counts operators with the same one to four steps upstream, a block for each number
        of steps; `paths` holds the numbers of `graphs.path_numbers`.
      embed: function from graphs to embeddings float32 `[N, D]`, for `embedding`.

    Attributes:
      blocks: the reference's features, float64 `[N, D_b]` each, with mean 0 and a mean square norm of 1.

    Raises:
      ConfigurationError: an unknown name, or an embedding without an encoder.
    """

    def __init__(self, reference: PackedGraphs, names: Sequence[str] = BLOCKS[:3], embed: Embed | None = None):
        for name in names:
            if name not in BLOCKS or (name == "embedding" and embed is None):
                raise ConfigurationError(
                    f"no features {name!r}, expected some of {', '.join(BLOCKS)}, the last only with an encoder"
                )
        self._names, self._embed = tuple(names), embed
        self._paths = PathNumbers(reference) if "paths" in names else None
        rounds = _ROUNDS if "neighbourhoods" in names else 0
        counts, self._colours = weisfeiler_lehman.colour_counts(reference, rounds)
        self._reductions = [None, *(_reduction(count) for count in counts[1:])]
        raw = self._raw(reference, counts)
        self._statistics = [
            (block.mean(axis=0), _deviation(block) if standardise else np.ones(block.shape[1]))
            for standardise, block in raw
        ]
        centred = self._centred(raw)
        norms = [np.sqrt((block**2).sum(axis=1).mean()) for block in centred]
        self._norms = [norm if norm > _TINY else np.inf for norm in norms]
        self.blocks = [block / norm for block, norm in zip(centred, self._norms, strict=True)]

    def transform(self, graphs: PackedGraphs) -> list[np.ndarray]:
        """The same blocks of other graphs; neighbourhoods that no reference graph has are not counted."""
        counts, _ = weisfeiler_lehman.colour_counts(graphs, len(self._colours) - 1, self._colours)
        centred = self._centred(self._raw(graphs, counts))
        return [block / norm for block, norm in zip(centred, self._norms, strict=True)]

    def _raw(self, graphs: PackedGraphs, counts: Sequence[scipy.sparse.csr_array]) -> list[tuple[bool, np.ndarray]]:
        """Blocks before scaling, each with whether its columns get the same deviation."""
        raw: list[tuple[bool, np.ndarray]] = []
        for name in self._names:
            if name == "structure":
                raw.append((True, graphs.structure.astype(np.float64)))
            elif name == "operators":
                raw.append((False, _logs(counts[0]).toarray()))
            elif name == "neighbourhoods":
                for count, reduction in zip(counts[1:], self._reductions[1:], strict=True):
                    logs = _logs(count)
                    raw.append((False, logs.toarray() if reduction is None else reduction.transform(logs)))
            elif name == "paths":
                raw.append((True, self._paths.transform(graphs).astype(np.float64)))
            else:
                raw.append((True, np.asarray(self._embed(graphs), np.float64)))
        return raw

    def _centred(self, raw: Sequence[tuple[bool, np.ndarray]]) -> list[np.ndarray]:
        return [(block - mean) / deviation for (_, block), (mean, deviation) in zip(raw, self._statistics, strict=True)]


def standardised(values: np.ndarray) -> np.ndarray:
    """`[N, D]` with mean 0 and deviation 1 per column; columns that do not vary are 0."""
    values = np.asarray(values, np.float64)
    return (values - values.mean(axis=0)) / _deviation(values)


def _deviation(values: np.ndarray) -> np.ndarray:
    """Per column; infinite for columns that do not vary."""
    spread = values.std(axis=0)
    return np.where(spread > _TINY, spread, np.inf)


def _logs(counts: scipy.sparse.csr_array) -> scipy.sparse.csr_matrix:
    logs = scipy.sparse.csr_matrix(counts, dtype=np.float64)
    logs.data = np.log1p(logs.data)
    return logs


def _reduction(counts: scipy.sparse.csr_array) -> TruncatedSVD | None:
    """Principal directions of the logarithms of counts; 64 numbers preserve distances as well as they can."""
    if min(counts.shape) <= _COMPONENTS:
        return None
    return TruncatedSVD(_COMPONENTS, random_state=0).fit(_logs(counts))
