"""Kernels of blocks against scikit-learn."""

import numpy as np
import pytest
from scipy.spatial.distance import pdist
from sklearn.metrics.pairwise import laplacian_kernel, linear_kernel, rbf_kernel

from tfnas.errors import ConfigurationError
from tfnas.predictors.block_kernels import KERNELS, BlockKernels


def test_kernels_are_those_of_scikit_learn():
    rng = np.random.default_rng(0)
    examples, points = rng.normal(size=(12, 5)), rng.normal(size=(7, 5))
    linear, smooth, rough = BlockKernels([examples], KERNELS)([points])
    np.testing.assert_allclose(linear, linear_kernel(examples, points))
    squared, absolute = (np.median(pdist(examples, metric)) for metric in ("sqeuclidean", "cityblock"))
    np.testing.assert_allclose(smooth, rbf_kernel(examples, points, 1 / (2 * squared)), rtol=1e-9)
    np.testing.assert_allclose(rough, laplacian_kernel(examples, points, 1 / (3 * absolute)), rtol=1e-9)


def test_kernels_of_one_name_are_adjacent():
    rng = np.random.default_rng(0)
    blocks = [rng.normal(size=(6, 2)), rng.normal(size=(6, 3))]
    kernels = BlockKernels(blocks, ["rough", "linear"])
    grams = kernels(blocks)
    np.testing.assert_allclose(grams[2:], [block @ block.T for block in blocks])
    np.testing.assert_allclose(kernels.variances(blocks), np.diagonal(grams, axis1=1, axis2=2))


def test_equal_examples_have_a_length():
    assert BlockKernels([np.ones((4, 2))], ["smooth", "rough"])([np.zeros((1, 2))]).shape == (2, 4, 1)


def test_refusals():
    with pytest.raises(ConfigurationError, match="no kernel 'wavy', expected some of linear, smooth, rough"):
        BlockKernels([np.eye(2)], ["linear", "wavy"])
    with pytest.raises(ConfigurationError, match="no kernel 'none'"):
        BlockKernels([np.eye(2)], [])
