"""Where cells come from: bounds on the work of sampled DARTS cells."""

import numpy as np
import pytest

from tfnas.corpora import cell_sources
from tfnas.errors import ConfigurationError
from tfnas.networks import darts
from tfnas.spaces import Darts, NASBench201


def test_sampled_darts_cells_keep_a_bound():
    """The bound of arch2vec leaves nearly all; half of the work leaves few, and the sample is still full."""
    space = Darts()
    cells = cell_sources.cells_of(space, None, 200, seed=1, max_multiply_adds=4e8)
    assert len(cells) == 200
    assert darts.work(darts.IMAGENET, cells, 224)[1].max() <= 4e8
    assert len(np.unique(space.canonical_hashes(cells))) == 200
    again = cell_sources.cells_of(space, None, 200, seed=1, max_multiply_adds=4e8)
    np.testing.assert_array_equal(cells.operations, again.operations)


def test_bounds_that_make_no_sense():
    with pytest.raises(ConfigurationError, match="hardly any darts cell needs at most 1e"):
        cell_sources.cells_of(Darts(), None, 10, seed=1, max_multiply_adds=1e6)
    with pytest.raises(ConfigurationError, match="not nasbench201"):
        cell_sources.cells_of(NASBench201(), None, 10, seed=1, max_multiply_adds=6e8)
