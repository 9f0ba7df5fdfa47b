"""Candidates that nobody lists: memory, and rows that are kept or free again."""

import numpy as np
import pytest

from tfnas.search import OpenCandidates, strategies
from tfnas.search.additive_process import RowFeatures
from tfnas.search.guided import GuidedEvolution
from tfnas.search.surrogates import NetworkProcess
from tfnas.spaces import MobileNetV3

SPACE = MobileNetV3()  # 2e19 architectures


def featurize(cells):
    return [(cells.operations[:, :, None] == np.arange(1, 4)).reshape(len(cells), -1).astype(float) - 0.3]


def additive(candidates):
    return strategies(["additive"])["additive"](candidates, [1], initial=4, blocks=["operations"])


def guided(candidates):
    return GuidedEvolution(candidates, [1], NetworkProcess(candidates, featurize), labels=4, batch=1)


def held(strategy, features):
    """Number of candidates that the tables have room for: cells, and blocks of features."""
    return len(strategy.candidates.cells), len(features._blocks[0])


@pytest.mark.parametrize(
    ("make", "features"),
    [
        (additive, lambda strategy: strategy._process._features),
        (guided, lambda strategy: strategy._surrogate(strategy)._features),
    ],
)
def test_memory_does_not_grow_with_the_architectures_that_are_judged(make, features):
    candidates = OpenCandidates(SPACE)
    strategy = make(candidates)
    while strategy.asked < 14:
        rows = strategy.suggest(1)
        strategy.update(rows, (candidates.cells.operations[rows] % 3 == 0).mean(axis=-1))
    judged = candidates.met
    assert judged > 2500
    assert max(held(strategy, features(strategy))) < 2000
    kept = np.unique(strategy.rows)
    candidates.forget()
    assert sorted(candidates.rows_of_cells(candidates.cells[kept]).tolist()) == kept.tolist()
    assert candidates.met == judged


def test_features_are_remembered_for_twice_as_many_as_were_asked_for_at_once():
    candidates, asked = OpenCandidates(SPACE), []

    def counted(cells):
        asked.append(len(cells))
        return featurize(cells)

    features = RowFeatures(candidates, counted)
    rows = candidates.rows_of_cells(SPACE.sample(60, 0))
    expected = featurize(candidates.cells[rows])[0]
    for first, new in ((0, 20), (20, 20), (0, 0), (10, 0), (40, 20), (0, 10)):  # the last ten were asked for before 40
        chosen = rows[first : first + 20][::-1]
        np.testing.assert_array_equal(features(chosen)[0], expected[chosen])
        assert sum(asked) == new
        asked.clear()
        assert len(features._blocks[0]) <= 40
