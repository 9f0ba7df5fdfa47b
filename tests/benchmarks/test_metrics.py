"""Metrics of trainings against numbers worked out by hand and scikit-learn, and weights of classes."""

import numpy as np
import pytest
from scipy.special import softmax
from sklearn.metrics import roc_auc_score
from sklearn.utils.class_weight import compute_class_weight

from tests.fork import ROOT
from tfnas.benchmarks import BENCHMARKS
from tfnas.benchmarks.settings import CellSettings, DartsSettings
from tfnas.benchmarks.trained.evaluator import TrainedConfig, TrainedEvaluator
from tfnas.benchmarks.trained.images import ImageData
from tfnas.benchmarks.trained.metrics import METRICS, weights_of_classes
from tfnas.errors import ConfigurationError

LABELS = np.array([0, 0, 0, 1, 1, 2])
PREDICTED = np.array([0, 0, 1, 1, 1, 0])
LOGITS = 10.0 * np.eye(3)[PREDICTED]


@pytest.mark.parametrize(
    ("metric", "value"),
    [
        ("accuracy", 4 / 6),
        ("balanced_accuracy", (2 / 3 + 2 / 2 + 0) / 3),
        ("f1", (2 / 3 + 4 / 5 + 0) / 3),  # precision 2/3 and recall 2/3; precision 2/3 and recall 1; never predicted
        ("auc", ((2 / 3 + 2 / 3) / 2 + (3 / 4 + 1) / 2 + 1 / 2) / 3),  # two-point curves: (recall + specificity) / 2
    ],
)
def test_values_by_hand(metric, value):
    assert METRICS[metric].score(LABELS, LOGITS) == pytest.approx(value)


def test_the_page_lists_every_metric():
    page = (ROOT / "docs" / "how_to" / "your_data.md").read_text()
    for row in METRICS.values():
        assert f"| `{row.name}` | {row.summary}" in page


def test_auc_is_scikit_learns(rng):
    for classes in (2, 4):
        labels, logits = np.arange(60) % classes, rng.normal(size=(60, classes)).astype(np.float32)
        shares = softmax(logits.astype(np.float64), axis=1)
        if classes == 2:
            expected = roc_auc_score(labels, shares[:, 1])
        else:
            expected = roc_auc_score(labels, shares, multi_class="ovr", average="macro")
        assert METRICS["auc"].score(labels, logits) == pytest.approx(expected, abs=1e-12)


def test_a_class_without_images_does_not_count():
    labels, logits = np.array([0, 0, 1]), np.eye(4)[[0, 2, 1]]
    assert METRICS["balanced_accuracy"].score(labels, logits) == 0.75
    assert METRICS["f1"].score(labels, logits) == pytest.approx((2 / 3 + 1 + 0) / 3)  # class 2 was predicted


def test_auc_wants_every_class():
    images = np.zeros((4, 2, 2, 1), np.float32)
    whole, half = (images, np.array([0, 1, 0, 1])), (images, np.zeros(4, int))
    data = ImageData(whole, whole, half, 2, ("cat", "dog"))
    TrainedEvaluator(None, None, data, TrainedConfig(metric="f1"))
    with pytest.raises(ConfigurationError, match="metric auc needs test images of every class, expected some of 'dog'"):
        TrainedEvaluator(None, None, data, TrainedConfig(metric="auc"))


def test_balanced_weights_are_scikit_learns(rng):
    labels = rng.choice(3, 50, p=(0.7, 0.2, 0.1))
    weights = weights_of_classes("balanced", labels, 3)
    np.testing.assert_allclose(weights, compute_class_weight("balanced", classes=np.arange(3), y=labels), rtol=1e-6)
    assert weights_of_classes("none", labels, 3) is None


@pytest.mark.parametrize("settings", [CellSettings, DartsSettings])
def test_unknown_names(settings):
    with pytest.raises(ConfigurationError, match="metric='loss', expected one of accuracy, balanced_accuracy, f1, auc"):
        settings("x.npz", metric="loss")
    with pytest.raises(ConfigurationError, match="class_weights='all', expected one of none, balanced"):
        settings("x.npz", class_weights="all")


@pytest.mark.parametrize(
    ("side", "cells", "darts"),
    [(8, (8, 1), (8, 5, False)), (28, (8, 2), (16, 8, False)), (32, (16, 5), (36, 20, True))],
)
def test_small_images_get_small_networks(tmp_path, side, cells, darts):
    """The defaults by the shorter side; a flag decides where it is set."""
    assert CellSettings("x").sizes((side, 99, 3)) == CellSettings("x").sizes((99, side, 1)) == cells
    assert CellSettings("x", channels=3).sizes((side, side, 1)) == (3, cells[1])
    assert CellSettings("x", cells_per_stage=4).sizes((side, side, 1)) == (cells[0], 4)
    assert DartsSettings("x").sizes((side, side, 3)) == darts
    assert DartsSettings("x", layers=6, auxiliary=True).sizes((side, side, 3)) == (darts[0], 6, True)
    np.savez(tmp_path / "data.npz", x=np.random.default_rng(0).random((40, side, side)), y=np.arange(40) % 2)
    evaluator = BENCHMARKS["darts"].evaluator(data=str(tmp_path / "data.npz"))
    assert (evaluator.config.cutout, evaluator.config.crop) == {8: (2, False), 28: (7, True), 32: (16, True)}[side]
