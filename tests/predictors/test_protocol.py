"""Every predictor learns and predicts through one protocol: fit(inputs, targets), predict(inputs) -> mean, stddev."""

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from reproductions.arch2vec.gaussian_process import GaussianProcess
from reproductions.jacobian.published_search import ViewsProcess
from tfnas.predictors.additive_gp import AdditiveGP
from tfnas.predictors.base import BatchedSurrogate, Surrogate
from tfnas.predictors.config import MLPConfig
from tfnas.predictors.dngo import DNGO
from tfnas.predictors.exact_gp import MaternProcess
from tfnas.predictors.forest import Forest
from tfnas.predictors.mlp import MLPEnsemble
from tfnas.search.surrogates import OnTable

RUNS, COUNT = 3, 40
POINTS = np.random.default_rng(0).uniform(-1, 1, (80, 2)).astype(np.float32)
VALUES = 0.5 + 0.2 * np.sin(2 * POINTS[:, 0]) + 0.1 * POINTS[:, 1]
SETS = np.stack([np.random.default_rng(seed).permutation(80)[:COUNT] for seed in range(RUNS)])


@dataclasses.dataclass(frozen=True)
class Case:
    """A predictor, and what its inputs are for rows of the points."""

    surrogate: Callable[[int], Surrogate[Any]]
    inputs: Callable[[np.ndarray], Any] = lambda rows: POINTS[rows]


CASES = {
    "DNGO": Case(lambda runs: DNGO(epochs=100, seed=list(range(runs)))),
    "forest": Case(lambda runs: Forest(range(runs))),
    "exact process": Case(lambda runs: MaternProcess(POINTS, runs), lambda rows: rows),
    "published process": Case(lambda runs: ViewsProcess(np.stack([POINTS, POINTS], 1), runs), lambda rows: rows),
    "additive process": Case(lambda runs: AdditiveGP(), lambda rows: [POINTS[rows, :1], POINTS[rows, 1:]]),
    "forest on a table": Case(lambda runs: OnTable(Forest(range(runs)), POINTS), lambda rows: rows),
}
SINGLE = {
    "Gaussian process": Case(lambda runs: GaussianProcess()),
    "ensemble": Case(lambda runs: MLPEnsemble(MLPConfig(hidden=(32,), epochs=300, learning_rate=0.01))),
}


def check(surrogate, inputs, run):
    mean, stddev = surrogate.predict(inputs) if run is None else surrogate.predict(inputs, run)
    assert mean.shape == stddev.shape == VALUES.shape
    assert np.isfinite(mean).all()
    assert (stddev >= 0).all()
    assert np.corrcoef(mean, VALUES)[0, 1] > 0.8


@pytest.mark.parametrize("name", CASES)
def test_batched_surrogates(name):
    case = CASES[name]
    surrogate: BatchedSurrogate[Any] = case.surrogate(RUNS)
    assert surrogate.fit(case.inputs(SETS), VALUES[SETS]) is surrogate
    for run in range(RUNS):
        check(surrogate, case.inputs(np.arange(80)), run)


@pytest.mark.parametrize("name", SINGLE)
def test_single_surrogates(name):
    case = SINGLE[name]
    surrogate = case.surrogate(1)
    assert surrogate.fit(case.inputs(SETS[0]), VALUES[SETS[0]]) is surrogate
    check(surrogate, case.inputs(np.arange(80)), None)
