"""Ensembles of networks: gradients by finite differences, independence of members, calibration."""

import numpy as np
import pytest
import tensorflow as tf

from tfnas.errors import ConfigurationError
from tfnas.predictors.config import MLPConfig
from tfnas.predictors.mlp import MLPEnsemble, outputs

CONFIG = MLPConfig(hidden=(16, 16), members=3, epochs=30, batch_size=32, tune_epochs=20)


def problem(count=300, seed=0):
    rng = np.random.default_rng(seed)
    inputs = rng.normal(size=(count, 4))
    return inputs, np.sin(inputs[:, 0]) + 0.5 * inputs[:, 1]


def test_outputs_against_numpy():
    ensemble = MLPEnsemble(CONFIG, 1).start(4)
    inputs = np.random.default_rng(0).normal(size=(3, 5, 4)).astype(np.float32)
    expected = []
    for member in range(3):
        hidden = inputs[member]
        for layer in range(0, 6, 2):
            hidden = hidden @ ensemble.weights[layer][member] + ensemble.weights[layer + 1][member]
            hidden = np.maximum(hidden, 0) if layer < 4 else hidden
        expected.append(hidden[:, 0])
    found = outputs([tf.constant(part) for part in ensemble.weights], tf.constant(inputs))
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


def test_fitting_and_transfer():
    """What was learned before fine-tuning helps where labels are few."""
    inputs, targets = problem()
    source = MLPEnsemble(CONFIG, 1).fit(inputs, targets)
    mean, deviation = source.predict(inputs)
    assert np.corrcoef(mean, targets)[0, 1] > 0.93
    assert (deviation > 0).all()
    rng = np.random.default_rng(1)
    few = [rng.permutation(300)[:20] for _ in range(2)]
    tuned = source.fine_tune(np.stack([inputs[rows] for rows in few]), np.stack([2 * targets[rows] for rows in few]))
    fresh = MLPEnsemble(CONFIG, 1).start(4)
    fresh = fresh.fine_tune(np.stack([inputs[rows] for rows in few]), np.stack([2 * targets[rows] for rows in few]))
    for run in range(2):
        errors = [np.mean((ensemble.predict(inputs, run)[0] - 2 * targets) ** 2) for ensemble in (tuned, fresh)]
        assert errors[0] < errors[1]


def test_runs_do_not_see_each_other():
    inputs, targets = problem(60)
    source = MLPEnsemble(CONFIG, 1).fit(inputs, targets)
    sets = np.stack([inputs[:20], inputs[20:40]]), np.stack([targets[:20], targets[20:40]])
    both = source.fine_tune(*sets, calibrate=False)
    alone = source.fine_tune(sets[0][:1], sets[1][:1], calibrate=False)
    np.testing.assert_allclose(both.predict(inputs, 0)[0], alone.predict(inputs, 0)[0], atol=1e-4)
    np.testing.assert_array_equal(
        source.predict(inputs)[0], MLPEnsemble(CONFIG, 1).fit(inputs, targets).predict(inputs)[0]
    )


def test_calibrated_deviations_are_as_large_as_errors():
    rng = np.random.default_rng(3)
    inputs = rng.normal(size=(400, 4))
    targets = inputs[:, 0] + rng.normal(0, 1.0, 400)  # noise that members agree to ignore
    tuned = MLPEnsemble(CONFIG, 1).start(4).fine_tune(inputs[None, :100], targets[None, :100])
    mean, deviation = tuned.predict(inputs[100:])
    ratio = np.sqrt(np.mean(((mean - targets[100:]) / deviation) ** 2))
    assert 0.5 < ratio < 2
    assert tuned.scale[0] > 1


def test_refusals():
    inputs, targets = problem(20)
    with pytest.raises(ConfigurationError, match=r"expected \[n, D\], \[n\]"):
        MLPEnsemble(CONFIG).fit(inputs, targets[:3])
    broken = targets.copy()
    broken[7] = np.nan
    with pytest.raises(ConfigurationError, match="example 7 of 20 holds NaN"):
        MLPEnsemble(CONFIG).fit(inputs, broken)
    with pytest.raises(ConfigurationError, match="fitted or started"):
        MLPEnsemble(CONFIG).fine_tune(inputs[None], targets[None])
    with pytest.raises(ConfigurationError, match="members=0"):
        MLPConfig(members=0)
    assert MLPEnsemble(CONFIG).start(4).predict(np.zeros((0, 4)))[0].shape == (0,)
