"""Labels of images, which are text, whole numbers or one-hot rows, as classes 0 to n - 1 with names."""

from collections.abc import Mapping

import numpy as np

from tfnas.errors import ConfigurationError

_LARGEST_FLOAT = 2.0**53
"""Above it, a whole number may be another number's rounding."""


def class_numbers(labels: Mapping[str, np.ndarray]) -> tuple[list[np.ndarray], tuple[str, ...]]:
    """Classes of several sets of labels; the labels of the first set decide which classes there are.

    Args:
      labels: labels by the name of their array, the training labels first: text or whole numbers `[n]` or `[n, 1]`, or
        one-hot rows `[n, k]`.

    Returns:
      Class numbers int32 `[n]` of every set, and the names of the classes. Text gives its own names in sorted order;
      numbers are sorted too, and named by their digits.

    Raises:
      ConfigurationError: labels of another type or shape, numbers that are not whole, a single class, or a label that
        is not among the training labels.

    Example:
      >>> class_numbers({"y_train": np.array([5, 1, 5]), "y_test": np.array([1])})
      ([array([1, 0, 1], dtype=int32), array([0], dtype=int32)], ('1', '5'))
    """
    values = {name: _values(name, array) for name, array in labels.items()}
    training, *_ = values
    known = np.unique(values[training])
    if len(known) < 2:
        raise ConfigurationError(f"{training} holds one class, {known[0].item()!r}; expected at least 2 classes")
    numbers = []
    for name, array in values.items():
        if array.dtype.kind != known.dtype.kind:
            raise ConfigurationError(f"{name} and {training} hold text and numbers, expected the same in both")
        positions = np.searchsorted(known, array).clip(max=len(known) - 1)
        strange = known[positions] != array
        if strange.any():
            raise ConfigurationError(f"{name} holds {array[strange][0].item()!r}, a label that is not in {training}")
        numbers.append(positions.astype(np.int32))
    return numbers, tuple(str(value) for value in known.tolist())


def _values(name: str, labels: np.ndarray) -> np.ndarray:
    """Labels as text or int64 `[n]`."""
    labels = np.asarray(labels)
    if labels.dtype.kind not in "USbiuf":
        raise ConfigurationError(f"{name} is of type {labels.dtype}, expected text, whole numbers or one-hot rows")
    if labels.ndim == 2 and labels.shape[1] == 1:
        labels = labels[:, 0]
    if labels.ndim == 2 and labels.dtype.kind not in "US":
        if not ((labels == 1).sum(axis=1) == 1).all() or not ((labels == 0) | (labels == 1)).all():
            raise ConfigurationError(f"{name} has shape {labels.shape}, expected one-hot rows, or [n] labels")
        labels = labels.argmax(axis=1)
    if labels.ndim != 1 or not len(labels):
        raise ConfigurationError(f"{name} has shape {labels.shape}, expected [n] labels")
    if labels.dtype.kind == "S":
        try:
            return np.char.decode(labels, "utf-8")
        except UnicodeDecodeError as error:
            raise ConfigurationError(f"{name} holds text that is not UTF-8 ({error.reason})") from error
    if labels.dtype.kind == "U":
        return labels
    if labels.dtype.kind == "f":
        wrong = ~((labels == np.floor(labels)) & (np.abs(labels) < _LARGEST_FLOAT))  # also where NaN
    else:
        wrong = labels > np.iinfo(np.int64).max
    if wrong.any():
        raise ConfigurationError(
            f"{name} holds {labels[wrong][0].item()!r}, expected text, or whole numbers below 2^53"
        )
    return labels.astype(np.int64)
