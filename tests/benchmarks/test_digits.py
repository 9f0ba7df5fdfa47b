"""The benchmark that trains small networks on digits."""

import dataclasses

import numpy as np
import pytest

from tfnas.benchmarks.trained.digits import DigitsConfig, DigitsEvaluator, PopulationTrainer
from tfnas.errors import InvalidArchitectureError, MismatchError
from tfnas.networks.nasbench201 import Skeleton
from tfnas.spaces import Architecture, Darts, NASBench201

CONFIG = DigitsConfig(Skeleton(channels=8, cells_per_stage=1, stages=1), group=4)


@pytest.fixture(scope="module")
def evaluator():
    return DigitsEvaluator(CONFIG)


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


def test_neighbours_do_not_matter(rng):
    """Bit for bit: another place in the group, other neighbours, another size of the group."""
    codes = rng.integers(0, 5, (4, 6))
    config = dataclasses.replace(CONFIG, epochs=2)
    whole = PopulationTrainer(config).train(codes, every_epoch=True)
    moved = PopulationTrainer(config).train(codes[::-1], every_epoch=True)
    alone = PopulationTrainer(dataclasses.replace(config, group=2)).train(codes[2:3], every_epoch=True)
    np.testing.assert_array_equal(whole.validation, moved.validation[::-1])
    np.testing.assert_array_equal(whole.test[2:3], alone.test)
    assert whole.validation.shape == (4, 2)


def test_groups_of_any_size_share_a_program(rng):
    trainer = PopulationTrainer(dataclasses.replace(CONFIG, epochs=1))
    for count in (3, 1, 4):
        trainer.train(rng.integers(0, 5, (count, 6)))
    assert trainer._programs.epoch.experimental_get_tracing_count() == 1


def test_last_epoch_of_the_curve_is_the_answer(rng):
    codes = rng.integers(0, 5, (3, 6))
    trainer = PopulationTrainer(dataclasses.replace(CONFIG, epochs=3))
    curves, final = (trainer.train(codes, every_epoch=every) for every in (True, False))
    np.testing.assert_array_equal(curves.test[:, -1:], final.test)


def test_known_architectures_are_not_trained_again(evaluator, monkeypatch):
    space = NASBench201()
    architecture = space.architecture(space.enumerate(), 5)
    score = evaluator.query([architecture])[0]
    monkeypatch.setattr(evaluator._trainer, "train", lambda *_: pytest.fail("trained again"))
    assert evaluator.query([architecture, architecture]) == [score, score]


def test_other_spaces_are_refused(evaluator, rng):
    with pytest.raises(MismatchError, match="darts"):
        evaluator.check_space(Darts())
    cell = Darts().architecture(Darts().sample(1, rng), 0)
    with pytest.raises(InvalidArchitectureError):
        evaluator.query([Architecture(cell.operations, cell.adjacency)])
