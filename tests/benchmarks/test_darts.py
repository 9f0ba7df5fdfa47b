"""Training of DARTS networks on tiny images: augmentation, learning, resumption, the evaluator."""

import dataclasses
import pathlib
import shutil
import tempfile

import numpy as np
import pytest
import tensorflow as tf
from sklearn.metrics import roc_auc_score

from tfnas.benchmarks.trained import darts as training
from tfnas.benchmarks.trained.darts_config import TRAININGS, DartsTraining
from tfnas.benchmarks.trained.images import ImageData
from tfnas.errors import ConfigurationError
from tfnas.networks import darts
from tfnas.training.log import read_metrics

SKELETON = darts.DartsSkeleton(num_classes=2, channels=4, layers=3, auxiliary=False)
TINY = DartsTraining(epochs=3, batch_size=16, learning_rate=0.05, cutout=2, averaged_epochs=2)
CELL = darts.cell(darts.ARCH2VEC_RL)
# Few convolutions, so that TensorFlow traces the training of the cell quickly.
LIGHT = darts.cell(
    (
        *(("sep_conv_3x3", 0), ("skip_connect", 1), ("max_pool_3x3", 0), ("skip_connect", 1)),
        *(("skip_connect", 0), ("skip_connect", 2), ("dil_conv_3x3", 1), ("skip_connect", 0)),
    )
)


@pytest.fixture(scope="module")
def data():
    """Two classes of 8 x 8 images that a colour tells apart."""
    rng = np.random.default_rng(0)
    parts = []
    for count in (48, 24, 24):
        labels = (np.arange(count) % 2).astype(np.int32)
        images = rng.normal(0, 1, (count, 8, 8, 3)).astype(np.float32)
        images[..., 0] += 2.0 * labels[:, None, None] - 1.0
        parts.append((images, labels))
    return ImageData(*parts, num_classes=2)


@pytest.fixture(scope="module")
def whole(data, tmp_path_factory):
    """Evaluator, score, network and history of a training, and its folder as a kill in the third epoch leaves it."""
    half = tmp_path_factory.mktemp("darts") / "half"
    fit, measured, fits, calls = training.fit, training.measured, [], []

    def watched_fit(network, train, validation, config, folder):
        fits.append((network, fit(network, train, validation, config, folder)))
        return fits[-1][1]

    def watched_measured(network, images, metric):
        calls.append(metric)
        if len(calls) == 3:
            (folder,) = pathlib.Path(tempfile.gettempdir()).glob("*/checkpoints")
            shutil.copytree(folder.parent, half)
        return measured(network, images, metric)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tempfile, "tempdir", str(tmp_path_factory.mktemp("scratch")))
        patch.setattr(training, "fit", watched_fit)
        patch.setattr(training, "measured", watched_measured)
        evaluator = training.DartsEvaluator(data, SKELETON, TINY)
        (score,) = evaluator.query([LIGHT])
    ((network, history),) = fits
    return evaluator, score, network, history, half


def test_a_killed_training_resumes_to_the_same_weights(data, whole):
    _, _, network, history, half = whole
    assert [record["epoch"] for record in history] == [1, 2, 3]
    assert history[-1]["loss"] < history[0]["loss"]
    fresh = darts.DartsNetwork(SKELETON, LIGHT)
    assert [record["epoch"] for record in read_metrics(half / "metrics.jsonl")] == [1, 2]
    again = training.fit(fresh, data.train, data.validation, TINY, half, resume=True)
    assert again == history
    for mine, theirs in zip(fresh.trainable_variables, network.trainable_variables, strict=True):
        np.testing.assert_array_equal(mine, theirs)
    assert [layer.name for layer in fresh.submodules] == [layer.name for layer in network.submodules]


def test_the_evaluator_scores_the_last_epochs(whole):
    evaluator, score, _, history, _ = whole
    assert not score.failure
    assert score.validation == pytest.approx(np.mean([record["validation_accuracy"] for record in history[-2:]]))
    assert 0.6 < score.validation <= 1.0
    assert 0.6 < score.test <= 1.0
    assert evaluator.query([LIGHT]) == [score]


@pytest.mark.slow
def test_metrics_and_weights(data, tmp_path):
    """The score is the metric of the network's logits; weights that are all 1 change nothing."""
    rare = data.train[0][:30], data.train[1][:30] * (np.arange(30) < 10)
    config = dataclasses.replace(TINY, epochs=1, averaged_epochs=1, metric="auc")
    losses = {}
    for weights, train in (("none", data.train), ("balanced", data.train), ("none", rare), ("balanced", rare)):
        network = darts.DartsNetwork(SKELETON, LIGHT)
        folder = tmp_path / f"{weights}{len(train[1])}"
        weighted = dataclasses.replace(config, class_weights=weights)
        (record,) = training.fit(network, train, data.validation, weighted, folder)
        losses[weights, len(train[1])] = record["loss"]
    assert losses["none", 48] == pytest.approx(losses["balanced", 48], rel=1e-4)
    assert losses["none", 30] != pytest.approx(losses["balanced", 30], rel=1e-2)
    logits = network.logits(data.validation[0]).numpy()
    auc = roc_auc_score(data.validation[1], logits[:, 1] - logits[:, 0])
    assert record["validation_auc"] == pytest.approx(auc)


@pytest.mark.slow
def test_what_a_training_leaves_behind(data, tmp_path):
    summary = training.train_cell(CELL, data, SKELETON, TINY, tmp_path, hold_out=False)
    assert summary["train_images"] == 72
    assert summary["parameters"] == darts.work(SKELETON, darts._SPACE.to_table([CELL]), 8)[0][0]
    assert (tmp_path / "training.png").stat().st_size > 0


def test_shifts_and_mirrors_move_pixels(rng):
    images = tf.constant(rng.normal(size=(32, 12, 12, 3)), tf.float32)
    config = dataclasses.replace(TINY, cutout=0)
    moved = training.augment(images, config, tf.constant([1, 2])).numpy()
    np.testing.assert_array_equal(moved, training.augment(images, config, tf.constant([1, 2])))
    padded = np.pad(images, [(0, 0), (4, 4), (4, 4), (0, 0)])
    mirrored = 0
    for before, after in zip(padded, moved, strict=True):
        crops = [before[y : y + 12, x : x + 12] for y in range(9) for x in range(9)]
        straight = any(np.array_equal(after, crop) for crop in crops)
        mirror = any(np.array_equal(after, crop[:, ::-1]) for crop in crops)
        assert straight or mirror
        mirrored += mirror
    assert 8 <= mirrored <= 24


def test_holes(rng):
    images = tf.ones([64, 12, 12, 3])
    cut = training.augment(images, dataclasses.replace(TINY, crop=False, cutout=4), tf.constant([1, 2])).numpy()
    holes = (cut == 0).all(axis=3).sum(axis=(1, 2))
    assert holes.max() == 16
    assert holes.min() >= 4
    np.testing.assert_array_equal(training.augment(images, dataclasses.replace(TINY, crop=False, cutout=0), [1, 2]), 1)


def test_the_papers_settings():
    query, final, imagenet = (TRAININGS[name] for name in ("query", "final", "imagenet"))
    assert (query.epochs, query.averaged_epochs, final.epochs, imagenet.epochs) == (50, 5, 600, 250)
    assert {query.batch_size, final.batch_size} == {96}
    assert (imagenet.learning_rate, imagenet.decay, imagenet.weight_decay) == (0.1, 0.97, 3e-5)
    assert training._learning_rate(imagenet, 3) == pytest.approx(0.1 * 0.97**2)
    assert training._learning_rate(final, 301) == pytest.approx(0.0125)


@pytest.mark.parametrize("changes", [{"averaged_epochs": 7}, {"drop_path": 1.0}, {"batch_size": 0}])
def test_bad_settings(changes):
    with pytest.raises(ConfigurationError, match="expected"):
        dataclasses.replace(TINY, **changes)
