"""What a training is scored by, and how its loss weighs the classes; no TensorFlow, so that settings can be checked."""

import dataclasses
from collections.abc import Callable

import numpy as np

from tfnas.errors import ConfigurationError
from tfnas.settings import check_choices


@dataclasses.dataclass(frozen=True)
class Metric:
    """A row of `METRICS`.

    Attributes:
      name: name in flags and tables.
      summary: definition in a few words.
      score: function from class numbers int `[n]` and logits `[n, classes]` to a score in [0, 1].
      every_class: whether the score is undefined on images that lack a class.
    """

    name: str
    summary: str
    score: Callable[[np.ndarray, np.ndarray], float]
    every_class: bool = False

    def check(self, name: str, labels: np.ndarray, class_names: tuple[str, ...]) -> None:
        """Raises ConfigurationError if the score is undefined on images with these labels."""
        missing = np.setdiff1d(np.arange(len(class_names)), labels)
        if self.every_class and len(missing):
            raise ConfigurationError(
                f"metric {self.name} needs {name} images of every class, expected some of {class_names[missing[0]]!r}"
            )


def _accuracy(labels: np.ndarray, logits: np.ndarray) -> float:
    return float((np.argmax(logits, axis=-1) == labels).mean())


def _balanced_accuracy(labels: np.ndarray, logits: np.ndarray) -> float:
    from sklearn.metrics import recall_score

    predicted = np.argmax(logits, axis=-1)
    return float(recall_score(labels, predicted, labels=np.unique(labels), average="macro", zero_division=0.0))


def _f1(labels: np.ndarray, logits: np.ndarray) -> float:
    from sklearn.metrics import f1_score

    return float(f1_score(labels, np.argmax(logits, axis=-1), average="macro", zero_division=0.0))


def _auc(labels: np.ndarray, logits: np.ndarray) -> float:
    from scipy.special import softmax
    from sklearn.metrics import roc_auc_score

    shares = softmax(np.asarray(logits, np.float64), axis=-1)
    return float(np.mean([roc_auc_score(labels == number, shares[:, number]) for number in range(shares.shape[1])]))


METRICS: dict[str, Metric] = {
    row.name: row
    for row in (
        Metric("accuracy", "share of images that are classified correctly", _accuracy),
        Metric("balanced_accuracy", "mean over classes of the share that is classified correctly", _balanced_accuracy),
        Metric("f1", "mean over classes of the F1 score", _f1),
        Metric("auc", "mean over classes of the area under the ROC curve, one class against the rest", _auc, True),
    )
}
"""What a search can maximise; scikit-learn computes all but the accuracy."""

CLASS_WEIGHTS = ("none", "balanced")
"""Weights of classes in the loss: 1, or inversely proportional to the number of training images of the class."""


def check_scoring(settings: object) -> None:
    """Raises ConfigurationError unless the fields `metric` and `class_weights` of settings name what there is."""
    check_choices(settings, metric=tuple(METRICS), class_weights=CLASS_WEIGHTS)


def weights_of_classes(kind: str, labels: np.ndarray, num_classes: int) -> np.ndarray | None:
    """Factors of the loss of an image, by its class.

    Args:
      kind: name in `CLASS_WEIGHTS`.
      labels: class numbers int `[n]` of the training images.
      num_classes: number of classes.

    Returns:
      float32 `[num_classes]`, whose mean over the training images is 1; None without weights.

    Example:
      >>> print(weights_of_classes("balanced", np.array([0, 0, 0, 1]), 2).round(2))
      [0.67 2.  ]
    """
    if kind == "none":
        return None
    counts = np.bincount(labels, minlength=num_classes)
    return (len(labels) / (num_classes * np.maximum(counts, 1))).astype(np.float32)
