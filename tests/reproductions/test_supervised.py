"""The supervised counterpart of arch2vec learns, forgets between fits, and repeats itself."""

import numpy as np
import pytest

from reproductions.arch2vec.supervised import SupervisedEncoder
from tfnas.encoders.arch2vec.config import Arch2VecConfig
from tfnas.errors import ConfigurationError
from tfnas.spaces import NASBench201

SPACE = NASBench201()
SMALL = Arch2VecConfig(hidden_dims=(16, 16), learning_rate=3e-3)


def test_embeddings_know_what_was_taught(rng):
    cells = SPACE.sample(300, rng)
    targets = 0.1 * (cells.operations == 2).sum(axis=1)
    learner = SupervisedEncoder(SPACE, SMALL, epochs=40).fit(cells[:200], targets[:200], seed=1)
    embeddings = learner.embed(cells)
    assert embeddings.shape == (300, 16)
    inputs = np.concatenate([embeddings, np.ones((300, 1))], axis=1)
    weights, *_ = np.linalg.lstsq(inputs[:200], targets[:200], rcond=None)
    assert np.corrcoef(inputs[200:] @ weights, targets[200:])[0, 1] > 0.9
    other = learner.fit(cells[:200], rng.random(200), seed=2).embed(cells)
    assert np.abs(other - embeddings).max() > 0.1
    again = learner.fit(cells[:200], targets[:200], seed=1).embed(cells)
    np.testing.assert_array_equal(again, embeddings)


def test_mistakes(rng):
    cells = SPACE.sample(3, rng)
    learner = SupervisedEncoder(SPACE, SMALL)
    with pytest.raises(ConfigurationError, match="before it embeds"):
        learner.embed(cells)
    for targets in (np.ones(2), np.array([1.0, np.nan, 0.0])):
        with pytest.raises(ConfigurationError, match="expected at least 2 finite ones"):
            learner.fit(cells, targets, seed=1)
