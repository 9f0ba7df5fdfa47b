"""The benchmark that trains."""

import numpy as np
import pytest

from tfnas.benchmarks.digits import DigitsConfig, DigitsEvaluator, Images
from tfnas.errors import InvalidArchitectureError, MismatchError
from tfnas.networks.nasbench201 import Skeleton
from tfnas.spaces import Architecture, Darts, NASBench201


@pytest.fixture(scope="module")
def evaluator():
    return DigitsEvaluator(DigitsConfig(Skeleton(channels=8, cells_per_stage=1, stages=1)), workers=1)


def test_splits_are_disjoint_and_balanced():
    images = Images(200, seed=0)
    parts = [images.train, images.validation, images.test]
    assert [len(part[1]) for part in parts] == [200, 798, 799]
    everything = np.concatenate([part[0].reshape(len(part[0]), -1) for part in parts])
    assert len(np.unique(everything, axis=0)) == 1797
    for _, labels in parts:
        shares = np.bincount(labels, minlength=10) / len(labels)
        np.testing.assert_allclose(shares, 0.1, atol=0.015)


def test_a_network_that_sees_nothing_guesses_and_one_that_sees_learns(evaluator):
    space = NASBench201()
    blind = space.from_string("|none~0|+|none~0|none~1|+|none~0|none~1|none~2|")
    good = space.from_string(
        "|nor_conv_3x3~0|+|nor_conv_3x3~0|nor_conv_3x3~1|+|skip_connect~0|nor_conv_3x3~1|nor_conv_3x3~2|"
    )
    first, second = evaluator.query([blind, good])
    assert 0.08 < first.validation < 0.12
    assert second.validation > 0.4
    assert second.cost_seconds > 0


def test_same_answer_whatever_was_trained_before(evaluator):
    space = NASBench201()
    cells = space.sample(3, np.random.default_rng(1))
    architectures = [space.architecture(cells, row) for row in range(3)]
    before = [score.validation for score in evaluator.query(architectures)]
    evaluator._known.clear()
    after = [score.validation for score in reversed(evaluator.query(architectures[::-1]))]
    assert before == after


def test_known_architectures_are_not_trained_again(evaluator, monkeypatch):
    space = NASBench201()
    architecture = space.architecture(space.enumerate(), 5)
    score = evaluator.query([architecture])[0]
    monkeypatch.setattr(evaluator, "_train", lambda *_: pytest.fail("trained again"))
    assert evaluator.query([architecture, architecture]) == [score, score]


def test_other_spaces_are_refused(evaluator, rng):
    with pytest.raises(MismatchError, match="darts"):
        evaluator.check_space(Darts())
    cell = Darts().architecture(Darts().sample(1, rng), 0)
    with pytest.raises(InvalidArchitectureError):
        evaluator.query([Architecture(cell.operations, cell.adjacency)])
