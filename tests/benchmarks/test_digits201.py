"""The table that ships, and the program that makes it."""

import dataclasses

import numpy as np
import pytest

from tfnas.benchmarks import registry
from tfnas.benchmarks.table import check_table, read_table
from tfnas.benchmarks.trained import digits201
from tfnas.benchmarks.trained.digits import DigitsConfig, PopulationTrainer
from tfnas.networks.nasbench201 import Skeleton, operation_codes
from tfnas.spaces import NASBench201


@pytest.fixture(scope="module")
def table():
    return registry.load_table("digits201")


def test_shipped_table(table):
    report = check_table(table)
    assert report["rows"] == 15_625
    assert registry.find_table("digits201").stat().st_size < 1_000_000
    final = table.values("test_accuracy_curve_12")
    assert np.isfinite(final).all()
    assert np.quantile(final, 0.9) - np.quantile(final, 0.1) > 0.1
    assert table.columns["validation_accuracy_curve_4"].shape == (15_625, 4)
    for name in ("validation", "test"):
        seeds = table.columns[f"{name}_accuracy_12"]
        assert seeds.shape == (15_625, 3)
        np.testing.assert_array_equal(seeds[:, 0], table.columns[f"{name}_accuracy_curve_12"][:, -1])


def test_a_search_sees_one_seed_and_is_judged_by_three():
    evaluator = registry.BENCHMARKS["digits201"].evaluator()
    scores, table = evaluator.scores, evaluator.table
    best = int(scores.mean_validation.argmax())
    assert (
        evaluator.space.to_string(table.architecture(best))
        == "|nor_conv_3x3~0|+|nor_conv_1x1~0|nor_conv_3x3~1|+|none~0|none~1|avg_pool_3x3~2|"
    )
    np.testing.assert_allclose(table.columns["validation_accuracy_12"][best], [0.914787, 0.939850, 0.924812], atol=1e-6)
    assert (scores.mean_validation[best], scores.test[best]) == (
        pytest.approx(0.926483, abs=1e-6),
        pytest.approx(0.924906, abs=1e-6),
    )
    first = registry.BENCHMARKS["digits201"].evaluator(repeat="0").scores
    assert first.validation.max() == pytest.approx(0.927318, abs=1e-6)
    np.testing.assert_array_equal(first.mean_validation, scores.mean_validation)


def test_one_row_for_all_cells_of_one_function(table):
    space = NASBench201()
    hashes = space.functional_hashes(space.enumerate())
    representatives, places = space.distinct_functions()
    assert len(representatives) == len(np.unique(hashes)) == 5425
    np.testing.assert_array_equal(hashes[representatives[places]], hashes)
    np.testing.assert_array_equal(table.columns["trained_as"], representatives[places])
    for name in ("test_accuracy_12", "test_accuracy_curve_12", "parameters", "flops", "training_seconds_4"):
        column = table.columns[name]
        np.testing.assert_array_equal(column, column[table.columns["trained_as"]])


@pytest.mark.slow
def test_shipped_numbers_come_out_again(table):
    """Trains three cells for the short length with the shipped configuration."""
    rows = [int(row) for row in NASBench201().distinct_functions()[0][[0, 2000, 4000]]]
    config = dataclasses.replace(digits201.CONFIG, epochs=digits201.LENGTHS[0])
    codes = np.array([operation_codes(table.architecture(row)) for row in rows])
    curves = PopulationTrainer(config).train(codes, every_epoch=True)
    # Not bit for bit: other processors round differently, and a rounding can turn one image of 799.
    np.testing.assert_allclose(curves.test, table.columns["test_accuracy_curve_4"][rows], atol=0.02)
    np.testing.assert_allclose(curves.validation, table.columns["validation_accuracy_curve_4"][rows], atol=0.02)


def test_interrupted_and_continued(tmp_path, monkeypatch):
    """Part of the cells first, more of them later; the part that was trained is not trained again."""
    tiny = DigitsConfig(Skeleton(channels=2, cells_per_stage=1, stages=1), group=4)
    monkeypatch.setattr(digits201, "CONFIG", tiny)
    monkeypatch.setattr(digits201, "LENGTHS", (1, 2))
    monkeypatch.setattr(digits201, "SEEDS", (0, 1))
    first = digits201.build(tmp_path, limit=6)
    assert (first["trained_cells"], first["distinct_cells"]) == (8, 5425)  # whole groups
    before = read_table(tmp_path / "digits201.npz")
    second = digits201.build(tmp_path, limit=12)
    after = read_table(tmp_path / "digits201.npz")
    assert second["trained_cells"] == 12
    seeds = after.columns["test_accuracy_2"]
    np.testing.assert_array_equal(seeds[:, 0], after.columns["test_accuracy_curve_2"][:, -1])
    assert seeds.shape == (15_625, 2)
    trained = seeds[np.isfinite(seeds).any(axis=1)]
    assert np.isfinite(trained).all()
    assert (trained[:, 0] != trained[:, 1]).any()
    known = np.isfinite(before.columns["test_accuracy_curve_2"][:, -1])
    np.testing.assert_array_equal(
        after.columns["test_accuracy_curve_2"][known], before.columns["test_accuracy_curve_2"][known]
    )
    np.testing.assert_array_equal(
        after.columns["training_seconds_2"][known], before.columns["training_seconds_2"][known]
    )
    assert (tmp_path / "digits201.png").stat().st_size > 0
