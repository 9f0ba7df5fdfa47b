"""Table 1's numbers for samples from a mixture of Gaussians, which fits latent means better than one Gaussian."""

import warnings

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.mixture import GaussianMixture

from tfnas.encoders.arch2vec import metrics
from tfnas.encoders.arch2vec.model import Arch2Vec
from tfnas.spaces import CellTable, Space

_CELLS = 20_000
_COMPONENTS = 32
_ITERATIONS = 20


def evaluate(model: Arch2Vec, space: Space, cells: CellTable, num_samples: int, seed: int) -> dict[str, float]:
    """Metrics of `metrics.judge` for samples from a mixture of Gaussians that is fitted to the latent means of cells.

    Args:
      model: the autoencoder.
      space: the space of its cells.
      cells: training cells, of which 20,000 random cells are used.
      num_samples: number of samples.
      seed: seed of the choice of cells, the fit and the samples.

    Returns:
      The metrics, with `mixture_` before their names.

    References:
      Ghosh et al. 2020, "From Variational to Deterministic Autoencoders", section 4 (ex-post density estimation).
    """
    rows = np.random.default_rng(seed).permutation(len(cells))[:_CELLS]
    means = metrics.posterior_means(model, cells[rows])
    flat = means.reshape(len(rows), -1).astype(np.float64)
    mixture = GaussianMixture(
        min(_COMPONENTS, max(1, len(rows) // 20)),  # of 20 cells or more
        max_iter=_ITERATIONS,
        init_params="k-means++",
        reg_covar=1e-4 * max(float(flat.var(axis=0).mean()), 1e-6),
        random_state=seed,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # a mixture that could still be a little better will do
        mixture.fit(flat)
    latents = mixture.sample(num_samples)[0].astype(np.float32).reshape(num_samples, *means.shape[1:])
    return {
        f"mixture_{name}": value
        for name, value in metrics.judge(space, metrics.decode_cells(model, space, latents)).items()
    }
