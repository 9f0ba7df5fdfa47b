"""Training as a benchmark, and the images it trains on."""

import dataclasses
import json

import keras
import numpy as np
import pytest
import tensorflow as tf
import tf_keras

from tfnas.benchmarks import BENCHMARKS
from tfnas.benchmarks.trained.evaluator import TrainedConfig, TrainedEvaluator
from tfnas.benchmarks.trained.images import ImageData, load_images
from tfnas.errors import ConfigurationError, CorruptArtefactError, InvalidArchitectureError, MismatchError
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


def test_a_foreign_architecture_is_the_callers_mistake(digits):
    with pytest.raises(InvalidArchitectureError):
        TrainedEvaluator(SPACE, Builder(), digits).query([Architecture(("in", "tea", "out"), np.eye(3, k=1))])


def test_cache(digits, tmp_path):
    path, config = tmp_path / "cache.jsonl", TrainedConfig(epochs=1)
    first = TrainedEvaluator(SPACE, Builder(), digits, config, path).query([CELLS["wide"], CELLS["broken"]])
    path.write_text(path.read_text() + '{"hash": "torn')
    builder = Builder()
    evaluator = TrainedEvaluator(SPACE, builder, digits, config, path)
    assert evaluator.query([CELLS["broken"], CELLS["wide"], CELLS["linear"]])[:2] == first[::-1]
    assert builder.asked == ["linear"]
    assert len([json.loads(line) for line in path.read_text().splitlines()]) == 4
    with pytest.raises(MismatchError, match="made with"):
        TrainedEvaluator(SPACE, builder, digits, TrainedConfig(epochs=2), path)
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join([lines[0], "{}\n", *lines[2:]]))
    with pytest.raises(CorruptArtefactError, match="line 2"):
        TrainedEvaluator(SPACE, builder, digits, config, path)


def test_digits_are_disjoint_and_balanced(digits):
    parts = [digits.train, digits.validation, digits.test]
    assert [len(labels) for _, labels in parts] == [200, 798, 799]
    everything = np.concatenate([images.reshape(len(images), -1) for images, _ in parts])
    assert len(np.unique(everything, axis=0)) == 1797
    for _, labels in parts:
        np.testing.assert_allclose(np.bincount(labels, minlength=10) / len(labels), 0.1, atol=0.015)


def test_npz_files(tmp_path, rng):
    images = rng.integers(0, 256, (100, 5, 4, 3), np.uint8)
    labels = np.arange(100) % 4
    np.savez(tmp_path / "one.npz", images=images, labels=labels)
    one = load_images(tmp_path / "one.npz")
    assert [len(part[1]) for part in (one.train, one.validation, one.test)] == [60, 20, 20]
    np.testing.assert_allclose(one.train[0].mean(axis=(0, 1, 2)), 0, atol=1e-5)
    np.testing.assert_allclose(one.train[0].std(axis=(0, 1, 2)), 1, atol=1e-5)
    assert one.fingerprint == load_images(tmp_path / "one.npz").fingerprint
    np.savez(tmp_path / "two.npz", x_train=images[:80], y_train=labels[:80], x_test=images[80:], y_test=labels[80:])
    two = load_images(tmp_path / "two.npz")
    assert [len(part[1]) for part in (two.train, two.validation, two.test)] == [64, 16, 20]
    np.testing.assert_array_equal(two.test[1], labels[80:])
    raw = two.test[0] * np.float32(two.pixel_deviation) + np.float32(two.pixel_mean)
    np.testing.assert_allclose(raw, images[80:], atol=1e-3)
    grey = ImageData.split(images[..., 0], labels)
    assert grey.train[0].shape == (60, 5, 4, 1)


def test_folder_of_images(tmp_path, rng):
    for name in ("cat", "dog"):
        (tmp_path / name).mkdir()
        for number in range(10):
            pixels = rng.integers(0, 256, (6, 6, 3), np.uint8)
            (tmp_path / name / f"{number}.png").write_bytes(tf.io.encode_png(pixels).numpy())
    data = load_images(tmp_path)
    assert data.num_classes == 2
    assert data.train[0].shape == (12, 6, 6, 3)
    odd = tmp_path / "dog" / "odd.png"
    odd.write_bytes(tf.io.encode_png(np.zeros((7, 6, 3), np.uint8)).numpy())
    with pytest.raises(ConfigurationError, match=r"odd\.png: 7 x 6 pixels, others 6 x 6"):
        load_images(tmp_path)
    assert load_images(tmp_path, image_size=4).train[0].shape[1:] == (4, 4, 3)
    odd.write_bytes(b"no image")
    with pytest.raises(CorruptArtefactError, match=r"odd\.png: not an image"):
        load_images(tmp_path)
    odd.unlink()
    (tmp_path / "empty").mkdir()
    with pytest.raises(CorruptArtefactError, match="no image files"):
        load_images(tmp_path)
    with pytest.raises(CorruptArtefactError, match="0 folders"):
        load_images(tmp_path / "empty")


def test_tf_data(digits):
    parts = [
        tf.data.Dataset.from_tensor_slices((images[:50], labels[:50]))
        for images, labels in (digits.train, digits.validation, digits.test)
    ]
    data = ImageData.from_datasets(*parts)
    np.testing.assert_array_equal(data.test[1], digits.test[1][:50])
    with pytest.raises(ConfigurationError, match="empty"):
        ImageData.from_datasets(parts[0], parts[1], parts[2].take(0))


def test_bad_images(tmp_path, digits):
    images, labels = digits.train
    for bad_images, bad_labels, message in (
        (images[..., 0], labels, "images have shape"),
        (images, labels[:5], "labels have shape"),
        (images, labels + 5, "expected .* 0 to 9"),
        (np.where(images > 0.9, np.nan, images), labels, "NaN"),
        (images[:0], labels[:0], "images have shape"),
    ):
        with pytest.raises(ConfigurationError, match=message):
            ImageData((bad_images, bad_labels), digits.validation, digits.test, 10)
    np.savez(tmp_path / "other.npz", pictures=images)
    with pytest.raises(CorruptArtefactError, match="holds pictures; expected images and labels"):
        load_images(tmp_path / "other.npz")
    np.savez(tmp_path / "few.npz", images=images[:3], labels=np.arange(3))
    with pytest.raises(ConfigurationError, match="3 images can't be split"):
        load_images(tmp_path / "few.npz")


def test_nasbench201_on_images_of_ones_own(tmp_path, rng):
    np.savez(tmp_path / "images.npz", images=rng.random((60, 8, 8)), labels=np.arange(60) % 3)
    settings = {"train_epochs": 1, "channels": 4, "cells_per_stage": 1}
    evaluator = BENCHMARKS["trained"].evaluator(data=str(tmp_path / "images.npz"), **settings)
    cell = evaluator.space.architecture(evaluator.space.enumerate(), 3)
    (score,) = evaluator.query([cell])
    assert score.failure == ""
    assert 0 <= score.test <= 1
