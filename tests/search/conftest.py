"""Candidates that the tests of strategies share."""

import numpy as np
import pytest

from tfnas.search import Candidates
from tfnas.spaces import NASBench201


@pytest.fixture(scope="session")
def candidates():
    """The whole space with an embedding in which the count of each operation can be read."""
    cells = NASBench201().enumerate()
    counts = cells.one_hot(7).sum(axis=1)
    noise = np.random.default_rng(0).normal(0, 0.1, (len(cells), 6))
    return Candidates(NASBench201(), cells, np.concatenate([counts[:, 1:6], noise], axis=1).astype(np.float32))
