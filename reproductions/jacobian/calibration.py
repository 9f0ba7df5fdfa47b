"""What size alone says, and what a few labels of the predicted space add: the rows that need no labelled source.

References:
  Hoerl and Kennard 1970, "Ridge Regression: Biased Estimation for Nonorthogonal Problems".
"""

import dataclasses

import numpy as np
import scipy.stats
from sklearn.decomposition import PCA
from sklearn.linear_model import Ridge

from reproductions.jacobian import data
from tfnas.encoders.jacobian.corpus import JacobianCorpus
from tfnas.predictors.features import standardised
from tfnas.predictors.kernel_mixture import normal_scores
from tfnas.spaces import nats_size

COMPONENTS = 8
_SIZE, _SHAPE = 2.0, 0.5  # weights of the rank of the parameters, and of every component
_STRENGTH = 3.0  # of the ridge


def components(features: np.ndarray) -> np.ndarray:
    """The eight leading principal components of standardised features `[M, D]`, standardised, float64 `[M, 8]`."""
    count = min(COMPONENTS, *features.shape)
    return standardised(PCA(count, svd_solver="full").fit_transform(standardised(features)))


def beside_size(parameters: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """Inputs of `ridge`: the rank of the parameters beside columns that count a quarter as much each.

    Args:
      parameters: parameters of the M architectures of a space, or their logarithms, `[M]`.
      columns: standardised columns `[M, D]`.

    Returns:
      float64 `[M, 1 + D]`.
    """
    ranks = standardised(scipy.stats.rankdata(parameters)[:, None])
    return np.concatenate([_SIZE * ranks, _SHAPE * columns], axis=1)


def ridge(inputs: np.ndarray, labels: np.ndarray, queries: np.ndarray) -> np.ndarray:
    """Predictions `[m]` for queries `[m, D]`, after labels `[n]` of inputs `[n, D]`, in normal scores of the labels."""
    return Ridge(_STRENGTH).fit(inputs, normal_scores(labels)).predict(queries)


def channels(corpus: JacobianCorpus) -> np.ndarray:
    """Logarithms of the five widths of architectures of the NATS size space, standardised, float64 `[M, 5]`."""
    architectures = (corpus.space.architecture(corpus.cells, row) for row in range(len(corpus)))
    return standardised(np.log([nats_size.widths(architecture) for architecture in architectures]))


def without_size(corpus: JacobianCorpus) -> JacobianCorpus:
    """The corpus with the part of its spectra alone that parameters and depth do not explain.

    Logarithms of singular values and of energies by frequency become residuals of least squares within the space; what
    all its architectures have in common goes too.
    """
    sizes = data.sizes(corpus)
    known = np.stack([np.ones(len(corpus)), sizes["parameters"], sizes["depth"]], axis=1)
    residuals = {}
    for name in ("scales", "frequencies"):
        logs = data.log_spectra(corpus, (name,))
        flat = logs.reshape(len(logs), -1)
        left = flat - known @ np.linalg.lstsq(known, flat, rcond=None)[0]
        residuals[name] = np.exp(left).reshape(logs.shape).astype(np.float32)
    return dataclasses.replace(corpus, **residuals)
