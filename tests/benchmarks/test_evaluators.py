"""Training as a benchmark."""

import dataclasses
import json

import keras
import numpy as np
import pytest
import tensorflow as tf
import tf_keras
from sklearn.metrics import f1_score

from tfnas.benchmarks import BENCHMARKS
from tfnas.benchmarks.trained.evaluator import TrainedConfig, TrainedEvaluator
from tfnas.benchmarks.trained.images import ImageData
from tfnas.errors import ConfigurationError, CorruptArtefactError, InvalidArchitectureError, MismatchError
from tfnas.search import STRATEGIES, Candidates, experiment
from tfnas.spaces import Architecture, FiniteSpace

NAMES = ("linear", "wide", "broken", "slow", "infinite", "stray", "keras3")
SPACE = FiniteSpace("kinds", [Architecture(("in", name, "out"), np.eye(3, k=1)) for name in NAMES])
CELLS = {name: Architecture(("in", name, "out"), np.eye(3, k=1)) for name in NAMES}


class Builder:
    """Keras models by the name of the middle vertex; remembers what it was asked for."""

    def __init__(self):
        self.asked = []

    def __call__(self, architecture, image_shape, num_classes):
        kind = architecture.operations[1]
        self.asked.append(kind)
        assert (image_shape, num_classes) == ((8, 8, 1), 10)
        if kind == "broken":
            raise ValueError("no such\nlayer")
        if kind == "stray":
            return "a text"
        if kind == "keras3":
            return keras.Sequential([keras.layers.Flatten(), keras.layers.Dense(10)])
        layers = [tf_keras.layers.Flatten(), tf_keras.layers.Dense(64, "relu"), tf_keras.layers.Dense(10)]
        if kind == "infinite":
            layers.append(tf_keras.layers.Lambda(lambda values: values * 1e38 * 1e38))
        if kind == "slow":
            layers.append(tf_keras.layers.Lambda(lambda values: tf.py_function(_wait, [values], tf.float32)))
        return tf_keras.Sequential(layers[:1] + layers[2:] if kind == "linear" else layers)


class OnlyTraining(tf_keras.layers.Layer):
    """NaN in inference."""

    def call(self, values, training=None):
        return values if training else values * np.nan


def _wait(values):
    import time

    time.sleep(0.2)
    return tf.reshape(values, [-1, 10])


@pytest.fixture(scope="module")
def digits():
    return ImageData.digits()


def test_a_trained_model_comes_with_its_score(digits):
    evaluator = TrainedEvaluator(SPACE, Builder(), digits)
    for name in ("wide", "keras3"):
        model, score = evaluator.train(CELLS[name])
        images, labels = digits.test
        assert score.test == np.mean(np.argmax(model(images), axis=-1) == labels)
        assert dataclasses.replace(score, cost_seconds=0) == dataclasses.replace(
            evaluator.query([CELLS[name]])[0], cost_seconds=0
        )
    with pytest.raises(ValueError, match="no such\nlayer"):
        evaluator.train(CELLS["broken"])


def test_trains(digits):
    scores = TrainedEvaluator(SPACE, Builder(), digits).query([CELLS["linear"], CELLS["keras3"]])
    for score in scores:
        assert score.failure == ""
        assert 0.75 < score.validation < 1
        assert 0.75 < score.test < 1
        assert score.cost_seconds > 0


def test_a_step_is_traced_once(digits):
    traced = []

    class Network(tf_keras.Model):
        def __init__(self):
            super().__init__()
            self.classifier = tf_keras.layers.Dense(10)

        def call(self, images):
            return self.classifier(tf.reshape(images, [-1, 64]))

        def train_step(self, batch):
            traced.append(len(self.trainable_variables))
            return super().train_step(batch)

    evaluator = TrainedEvaluator(SPACE, lambda *_: Network(), digits, TrainedConfig(epochs=1, batch_size=40))
    assert evaluator.query([CELLS["linear"]])[0].failure == ""
    assert traced == [2]


def test_same_seed_same_score_whatever_came_before(digits):
    config = TrainedConfig(epochs=2)
    alone = TrainedEvaluator(SPACE, Builder(), digits, config).query([CELLS["wide"]])[0]
    after = TrainedEvaluator(SPACE, Builder(), digits, config).query([CELLS["linear"], CELLS["wide"]])[1]
    other = TrainedEvaluator(SPACE, Builder(), digits, TrainedConfig(epochs=2, seed=1)).query([CELLS["wide"]])[0]
    assert (alone.validation, alone.test) == (after.validation, after.test)
    assert (alone.validation, alone.test) != (other.validation, other.test)


def test_failures_are_recorded(digits):
    evaluator = TrainedEvaluator(SPACE, Builder(), digits, TrainedConfig(epochs=1))
    scores = evaluator.query([CELLS[name] for name in ("broken", "infinite", "stray")])
    limited = TrainedEvaluator(SPACE, Builder(), digits, TrainedConfig(epochs=1, time_limit_seconds=0.1))
    scores += limited.query([CELLS["slow"]])
    for score, failure in zip(
        scores,
        (
            "ValueError: no such layer",
            "FloatingPointError: the loss is nan",
            "ConfigurationError: the builder returned str, expected a Keras model",
            "TimeoutError: time limit reached",
        ),
        strict=True,
    ):
        assert (score.validation, score.test) == (0.0, 0.0)
        assert score.failure.startswith(failure)
    cells = SPACE.to_table([CELLS["broken"], CELLS["infinite"]])
    assert evaluator.query_cells(cells).failed.all()


def test_a_search_goes_on_after_failures(digits, tmp_path):
    """Every architecture is queried and logged; the failures have score 0 and their reasons, and none is the best."""
    names = ("linear", "broken", "infinite", "wide", "stray")
    space = FiniteSpace("kinds", [CELLS[name] for name in names])
    evaluator = TrainedEvaluator(space, Builder(), digits, TrainedConfig(epochs=1), tmp_path / "log", "kinds")
    candidates = Candidates(space, space.enumerate(), np.zeros((len(names), 1)))
    makers = {"evolution": STRATEGIES["evolution"]}
    comparison = experiment.compare(makers, candidates, evaluator, queries=5, runs=1, seed=1)
    scores = comparison.histories["evolution"].scores
    assert sorted(scores.failure[0].tolist())[:2] == ["", ""]
    assert (scores.validation[scores.failure != ""] == 0).all()
    assert comparison.best.architecture.operations[1] in ("linear", "wide")
    reasons = sorted(record["failure"].partition(":")[0] for record in evaluator._log.records().values())
    assert reasons == ["", "", "ConfigurationError", "FloatingPointError", "ValueError"]


def test_a_foreign_architecture_is_the_callers_mistake(digits):
    with pytest.raises(InvalidArchitectureError):
        TrainedEvaluator(SPACE, Builder(), digits).query([Architecture(("in", "tea", "out"), np.eye(3, k=1))])


def test_cache(digits, tmp_path):
    path, config = tmp_path / "cache.jsonl", TrainedConfig(epochs=1)
    first = TrainedEvaluator(SPACE, Builder(), digits, config, path, "dense").query([CELLS["wide"], CELLS["broken"]])
    path.write_text(path.read_text() + '{"hash": "torn')
    builder = Builder()
    evaluator = TrainedEvaluator(SPACE, builder, digits, config, path, "dense")
    assert evaluator.query([CELLS["broken"], CELLS["wide"], CELLS["linear"]])[:2] == first[::-1]
    assert builder.asked == ["linear"]
    assert len([json.loads(line) for line in path.read_text().splitlines()]) == 4
    with pytest.raises(MismatchError, match="made with"):
        TrainedEvaluator(SPACE, builder, digits, TrainedConfig(epochs=2), path, "dense")
    with pytest.raises(MismatchError, match=r"made with {'network': 'dense'}, not with {'network': 'convol"):
        TrainedEvaluator(SPACE, builder, digits, config, path, "convolutional")
    with pytest.raises(ConfigurationError, match="a trial log needs network="):
        TrainedEvaluator(SPACE, builder, digits, config, path)
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join([lines[0], "{}\n", *lines[2:]]))
    with pytest.raises(CorruptArtefactError, match="line 2"):
        TrainedEvaluator(SPACE, builder, digits, config, path, "dense")


def test_nasbench201_on_images_of_ones_own(tmp_path, rng):
    np.savez(tmp_path / "images.npz", images=rng.random((60, 8, 8)), labels=np.arange(60) % 3)
    settings = {"train_epochs": 1, "channels": 4, "cells_per_stage": 1}
    evaluator = BENCHMARKS["trained"].evaluator(data=str(tmp_path / "images.npz"), **settings)
    cell = evaluator.space.architecture(evaluator.space.enumerate(), 3)
    (score,) = evaluator.query([cell])
    assert score.failure == ""
    assert 0 <= score.test <= 1


def test_a_shared_log_tells_networks_apart(tmp_path, rng):
    """Wider networks do not get the scores of narrower networks."""
    np.savez(tmp_path / "images.npz", images=rng.random((60, 8, 8)), labels=np.arange(60) % 3)
    evaluators = [BENCHMARKS["trained"].evaluator(data=str(tmp_path / "images.npz"), channels=n) for n in (2, 16, 2)]
    evaluators[0].keep_in(tmp_path / "log")
    with pytest.raises(MismatchError, match=r"'channels': 2, .*, not with .*'channels': 16, "):
        evaluators[1].keep_in(tmp_path / "log")
    evaluators[2].keep_in(tmp_path / "log")
    other = BENCHMARKS["trained"].evaluator(data=str(tmp_path / "images.npz"), channels=2, metric="f1")
    with pytest.raises(MismatchError, match=r"'metric': 'accuracy'.*, not with .*'metric': 'f1'"):
        other.keep_in(tmp_path / "log")


def test_metrics_and_weights(digits):
    """The score is the metric of the model's logits; weights make a rare class count."""
    images, labels = digits.train
    rows = np.flatnonzero((labels != 3) | (np.cumsum(labels == 3) <= 2))  # two threes are left
    data = dataclasses.replace(digits, train=(images[rows], labels[rows]))
    recalls = {}
    for weights in ("none", "balanced"):
        config = TrainedConfig(epochs=4, metric="f1", class_weights=weights)
        model, score = TrainedEvaluator(SPACE, Builder(), data, config).train(CELLS["wide"])
        predicted = np.argmax(model(data.test[0]), axis=-1)
        assert score.test == pytest.approx(f1_score(data.test[1], predicted, average="macro"))
        recalls[weights] = np.mean(predicted[data.test[1] == 3] == 3)
    assert recalls["balanced"] > recalls["none"]


def test_outputs_that_are_not_finite_are_a_failure(digits):
    """A network whose training is finite and whose inference is not."""

    def build(*_):
        layers = [tf_keras.layers.Flatten(), tf_keras.layers.Dense(10), OnlyTraining()]
        return tf_keras.Sequential(layers)

    (score,) = TrainedEvaluator(SPACE, build, digits, TrainedConfig(epochs=1)).query([CELLS["linear"]])
    assert score.failure == "FloatingPointError: the network's outputs are not finite"
    assert (score.validation, score.test) == (0, 0)
