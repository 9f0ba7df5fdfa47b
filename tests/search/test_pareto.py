"""Fronts and hypervolumes: numbers worked out by hand, a brute-force oracle, and pymoo."""

import numpy as np
import pytest
from pymoo.indicators.hv import HV

from tfnas.search import pareto


def brute_force_front(gains):
    """Feasible points that no point dominates; the first of equal points."""
    front = []
    for number, point in enumerate(gains):
        dominated = any((other >= point).all() and (other > point).any() for other in gains if np.isfinite(other).all())
        earlier = any((other == point).all() for other in gains[:number])
        front.append(np.isfinite(point).all() and not dominated and not earlier)
    return np.array(front)


@pytest.mark.parametrize("objectives", [1, 2, 3, 4])
def test_fronts_are_those_of_brute_force(objectives):
    rng = np.random.default_rng(objectives)
    for _ in range(30):
        gains = rng.integers(0, 6, size=(rng.integers(1, 40), objectives)).astype(float)
        gains[rng.random(gains.shape) < 0.05] = np.nan
        np.testing.assert_array_equal(pareto.non_dominated(gains), brute_force_front(gains))


def test_hypervolumes_by_hand():
    # Two rectangles 2 x 1 and 1 x 3 that share 1 x 1.
    assert pareto.hypervolume(np.array([[2.0, 1.0], [1.0, 3.0]]), np.zeros(2)) == 4.0
    # A dominated point, a point level with the reference and an infeasible point add nothing.
    more = np.array([[2.0, 1.0], [1.0, 3.0], [1.0, 1.0], [5.0, 0.0], [np.nan, 9.0]])
    assert pareto.hypervolume(more, np.zeros(2)) == 4.0
    # Accuracy and a cost: (0.9 - 0.5) * (10 - 4).
    assert pareto.hypervolume(np.array([[0.9, -4.0]]), np.array([0.5, -10.0])) == pytest.approx(2.4)
    # Boxes 1 x 2 x 3 and 2 x 1 x 1, which share 1 x 1 x 1.
    assert pareto.hypervolume(np.array([[1.0, 2.0, 3.0], [2.0, 1.0, 1.0]]), np.zeros(3)) == 7.0
    assert pareto.hypervolume(np.array([[3.0], [5.0]]), np.ones(1)) == 4.0
    assert pareto.hypervolume(np.zeros((0, 2)), np.zeros(2)) == 0.0


@pytest.mark.parametrize("objectives", [2, 3, 4])
def test_hypervolumes_are_those_of_pymoo(objectives):
    rng = np.random.default_rng(objectives)
    for _ in range(10):
        gains = rng.normal(size=(25, objectives))
        reference = np.full(objectives, -0.7)
        assert pareto.hypervolume(gains, reference) == pytest.approx(HV(ref_point=-reference)(-gains))


def test_the_curve_is_the_hypervolume_of_every_beginning():
    gains = np.random.default_rng(0).normal(size=(40, 2))
    gains[7] = np.nan
    reference = np.array([-1.0, -0.5])
    expected = [pareto.hypervolume(gains[: n + 1], reference) for n in range(40)]
    np.testing.assert_allclose(pareto.hypervolume_curve(gains, reference), expected)


def test_ranks_peel_fronts():
    gains = np.array([[3.0, 1.0], [2.0, 0.5], [1.0, 3.0], [1.0, 0.1], [np.nan, 9.0]])
    assert pareto.ranks(gains).tolist() == [0, 1, 0, 2, 5]
