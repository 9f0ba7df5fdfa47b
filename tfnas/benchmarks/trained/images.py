"""Labelled images to train on: from `.npz` files, folders of image files, `tf.data`, or scikit-learn's digits."""

import dataclasses
import hashlib
import pathlib

import numpy as np
import tensorflow as tf
from sklearn.model_selection import train_test_split

from tfnas import artefacts
from tfnas.errors import ConfigurationError, CorruptArtefactError

Labelled = tuple[np.ndarray, np.ndarray]
_SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".gif")


@dataclasses.dataclass(frozen=True, eq=False)
class ImageData:
    """Three disjoint sets of images float32 `[n, height, width, channels]` with labels int32 `[n]`.

    Attributes:
      train: images to learn from.
      validation: images that a search may look at.
      test: images that only the report looks at.
      num_classes: labels are 0 to `num_classes - 1`.
      pixel_mean: mean of every channel that was subtracted from the raw pixels; empty for images that nobody
        standardised.
      pixel_deviation: standard deviation of every channel that the raw pixels were divided by; empty for images that
        nobody standardised.

    Raises:
      ConfigurationError: sets of different shapes, an empty one, NaN, or a label that is out of range.
    """

    train: Labelled
    validation: Labelled
    test: Labelled
    num_classes: int
    pixel_mean: tuple[float, ...] = ()
    pixel_deviation: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        for name in ("train", "validation", "test"):
            images, labels = getattr(self, name)
            if images.ndim != 4 or images.shape[1:] != self.train[0].shape[1:] or not len(images):
                raise ConfigurationError(
                    f"{name} images have shape {images.shape}, expected [n, height, width, channels]"
                )
            if labels.shape != (len(images),) or labels.min() < 0 or labels.max() >= self.num_classes:
                raise ConfigurationError(
                    f"{name} labels have shape {labels.shape} and reach from {labels.min()} to {labels.max()}, "
                    f"expected [{len(images)}] of 0 to {self.num_classes - 1}"
                )
            if not np.isfinite(images).all():
                raise ConfigurationError(f"{name} images hold NaN or infinity")

    @property
    def fingerprint(self) -> str:
        """SHA-256 of all images and labels."""
        digest = hashlib.sha256()
        for images, labels in (self.train, self.validation, self.test):
            digest.update(np.ascontiguousarray(images))
            digest.update(np.ascontiguousarray(labels))
        return digest.hexdigest()

    @classmethod
    def digits(cls, train_images: int = 200, seed: int = 0) -> "ImageData":
        """scikit-learn's 1,797 digits, 8 x 8 grey values scaled to [-1, 1].

        What is not used for training is halved into validation and test; all keep the shares of the ten classes.
        """
        from sklearn.datasets import load_digits

        digits = load_digits()
        images = (digits.images[..., None] / 8.0 - 1.0).astype(np.float32)
        labels = digits.target.astype(np.int32)
        train, rest = train_test_split(
            np.arange(len(labels)), train_size=train_images, stratify=labels, random_state=seed
        )
        validation, test = train_test_split(rest, train_size=0.5, stratify=labels[rest], random_state=seed)
        sets = ((images[rows], labels[rows]) for rows in (train, validation, test))
        return cls(*sets, num_classes=10, pixel_mean=(8.0,), pixel_deviation=(8.0,))

    @classmethod
    def split(cls, images: np.ndarray, labels: np.ndarray) -> "ImageData":
        """60 % training, 20 % validation, 20 % test, with the shares of the classes, standardised per channel.

        Args:
          images: `[n, height, width]` or `[n, height, width, channels]`, any numbers.
          labels: integers `[n]`.
        """
        rest, test = _stratified(np.arange(len(labels)), labels, 0.2)
        train, validation = _stratified(rest, labels, 0.25)
        return _standardised(*((images[rows], labels[rows]) for rows in (train, validation, test)))

    @classmethod
    def from_datasets(cls, train: tf.data.Dataset, validation: tf.data.Dataset, test: tf.data.Dataset) -> "ImageData":
        """From data sets of single (image, label) pairs, standardised per channel of the training images."""
        return _standardised(*(_collect(dataset) for dataset in (train, validation, test)))


def load_images(path: artefacts.PathLike, image_size: int | None = None) -> ImageData:
    """Reads a set of images.

    Args:
      path: an `.npz` file or a folder. A file holds `images` and `labels`, or `x_train`, `y_train`, `x_test`, `y_test`
        and maybe `x_validation`, `y_validation` (else a fifth of the training images validates). A folder holds one
        folder of image files per class; classes are numbered in alphabetical order.
      image_size: files of a folder are resized to this many pixels in height and width; by default all must be of one
        size.

    Raises:
      CorruptArtefactError: the path can't be read or holds something else.
      ConfigurationError: the images are not usable; see `ImageData`.
    """
    path = pathlib.Path(path)
    if path.is_dir():
        images, labels = _read_folder(path, image_size)
        return ImageData.split(images, labels)
    arrays = artefacts.read_npz(path)
    if {"images", "labels"} <= arrays.keys():
        return ImageData.split(arrays["images"], arrays["labels"])
    if not {"x_train", "y_train", "x_test", "y_test"} <= arrays.keys():
        raise CorruptArtefactError(
            f"{path}: holds {', '.join(sorted(arrays))}; "
            "expected images and labels, or x_train, y_train, x_test and y_test"
        )
    train, test = (arrays["x_train"], arrays["y_train"]), (arrays["x_test"], arrays["y_test"])
    if {"x_validation", "y_validation"} <= arrays.keys():
        return _standardised(train, (arrays["x_validation"], arrays["y_validation"]), test)
    rest, validation = _stratified(np.arange(len(train[1])), train[1], 0.2)
    return _standardised((train[0][rest], train[1][rest]), (train[0][validation], train[1][validation]), test)


def _stratified(rows: np.ndarray, labels: np.ndarray, share: float) -> list[np.ndarray]:
    try:
        return train_test_split(rows, test_size=share, stratify=labels[rows], random_state=0)
    except ValueError as error:
        raise ConfigurationError(
            f"{len(rows)} images can't be split with the shares of their classes: {error}"
        ) from error


def _standardised(*sets: Labelled) -> ImageData:
    arrays = []
    for images, labels in sets:
        images = np.asarray(images, np.float32)
        arrays.append((images[..., None] if images.ndim == 3 else images, np.asarray(labels).astype(np.int32)))
    first = arrays[0][0]
    if first.ndim != 4 or not first.size:
        raise ConfigurationError(f"images have shape {first.shape}, expected [n, height, width, channels]")
    mean, deviation = first.mean(axis=(0, 1, 2)), first.std(axis=(0, 1, 2))
    deviation = np.where(deviation > 0, deviation, 1.0)
    return ImageData(
        *(((images - mean) / deviation, labels) for images, labels in arrays),
        num_classes=1 + int(max(labels.max(initial=0) for _, labels in arrays)),
        pixel_mean=tuple(mean.tolist()),
        pixel_deviation=tuple(deviation.tolist()),
    )


def _collect(dataset: tf.data.Dataset) -> Labelled:
    pairs = list(dataset.as_numpy_iterator())
    if not pairs:
        raise ConfigurationError("a data set is empty")
    return np.stack([image for image, _ in pairs]), np.array([label for _, label in pairs])


def _read_folder(path: pathlib.Path, image_size: int | None) -> Labelled:
    classes = sorted(folder for folder in path.iterdir() if folder.is_dir())
    if len(classes) < 2:
        raise CorruptArtefactError(f"{path}: {len(classes)} folders, expected one for each of at least 2 classes")
    images, labels = [], []
    for label, folder in enumerate(classes):
        files = sorted(file for file in folder.iterdir() if file.suffix.lower() in _SUFFIXES)
        if not files:
            raise CorruptArtefactError(f"{folder}: no image files ({', '.join(_SUFFIXES)})")
        for file in files:
            try:
                image = tf.io.decode_image(file.read_bytes(), channels=3, expand_animations=False)
            except tf.errors.InvalidArgumentError as error:
                raise CorruptArtefactError(f"{file}: not an image ({error.message})") from error
            if image_size is not None:
                image = tf.image.resize(image, (image_size, image_size), antialias=True)
            if images and image.shape != images[0].shape:
                raise ConfigurationError(
                    f"{file}: {image.shape[0]} x {image.shape[1]} pixels, others {images[0].shape[0]} x "
                    f"{images[0].shape[1]}; give an image size"
                )
            images.append(np.asarray(image))
            labels.append(label)
    return np.stack(images), np.array(labels)


def batch_of_images(path: artefacts.PathLike, count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Random training images float32 `[count, height, width, channels]`, standardised, and their labels.

    Raises:
      ConfigurationError: there are fewer.
    """
    images, labels = load_images(path).train
    if len(images) < count:
        raise ConfigurationError(f"{path}: {len(images)} training images, expected at least {count}")
    rows = np.random.default_rng([seed, 2]).permutation(len(images))[:count]
    return images[rows], labels[rows]
