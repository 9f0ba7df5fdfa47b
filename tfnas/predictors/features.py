"""Features of computation graphs as blocks for a predictor: centred and scaled within a family, without any label."""

from collections.abc import Callable

import numpy as np
import scipy.sparse
from sklearn.decomposition import TruncatedSVD

from tfnas.errors import ConfigurationError
from tfnas.graphs import weisfeiler_lehman
from tfnas.graphs.packed import PackedGraphs

BLOCKS = ("structure", "operators", "neighbourhoods", "embedding")
"""Names of the blocks; `embedding` is what an encoder makes."""

_ROUNDS = 4
_COMPONENTS = 64
_TINY = 1e-6


def blocks(
    graphs: PackedGraphs, names: tuple[str, ...], embed: Callable[[PackedGraphs], np.ndarray] | None = None
) -> dict[str, list[np.ndarray]]:
    """Blocks of features of the graphs of one family.

    Args:
      graphs: N graphs.
      names: of `BLOCKS`. `structure` is what `graphs.structure` says, `operators` counts operators, `neighbourhoods`
        counts what one to four steps upstream look like, a block for each number of steps.
      embed: from graphs to embeddings float32 `[N, D]`, for `embedding`.

    Returns:
      By name, one or more float64 `[N, D_b]` with mean 0 and a mean square norm of 1.

    Raises:
      ConfigurationError: an unknown name, or an embedding without an encoder.
    """
    made: dict[str, list[np.ndarray]] = {}
    counts = weisfeiler_lehman.colour_counts(graphs, _ROUNDS) if {"operators", "neighbourhoods"} & set(names) else []
    for name in names:
        if name == "structure":
            made[name] = [scaled(standardised(graphs.structure))]
        elif name == "operators":
            made[name] = [scaled(np.log1p(counts[0].toarray()))]
        elif name == "neighbourhoods":
            made[name] = [_reduced(part) for part in counts[1:]]
        elif name == "embedding" and embed is not None:
            made[name] = [scaled(standardised(embed(graphs)))]
        else:
            raise ConfigurationError(
                f"no features {name!r}, expected some of {', '.join(BLOCKS)} (the last with an encoder)"
            )
    return made


def standardised(values: np.ndarray) -> np.ndarray:
    """`[N, D]` with mean 0 and deviation 1 per column; columns that do not vary are left out."""
    values = np.asarray(values, np.float64)
    spread = values.std(axis=0)
    kept = spread > _TINY
    return (values[:, kept] - values[:, kept].mean(axis=0)) / spread[kept]


def scaled(values: np.ndarray) -> np.ndarray:
    """`[N, D]` centred and divided by one number, so that the mean square norm is 1."""
    values = np.asarray(values, np.float64) - np.mean(values, axis=0)
    norm = np.sqrt((values**2).sum(axis=1).mean()) if values.size else 0.0
    return values / norm if norm > _TINY else np.zeros((len(values), 1))


def _reduced(counts: scipy.sparse.csr_array) -> np.ndarray:
    """Logarithms of counts along their first principal directions: distances are kept as well as 64 numbers can."""
    logs = scipy.sparse.csr_matrix(counts, dtype=np.float64)
    logs.data = np.log1p(logs.data)
    if logs.shape[1] > _COMPONENTS:
        return scaled(TruncatedSVD(_COMPONENTS, random_state=0).fit_transform(logs))
    return scaled(logs.toarray())
