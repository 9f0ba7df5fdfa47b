"""Labelled images to train on: from `.npz` files, folders of image files, `tf.data`, or scikit-learn's digits.

Files are read and checked without TensorFlow.
"""

import dataclasses
import hashlib
import pathlib
from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from tfnas import artefacts
from tfnas.benchmarks.trained.labels import class_numbers
from tfnas.errors import ConfigurationError, CorruptArtefactError

if TYPE_CHECKING:
    import tensorflow as tf

Labelled = tuple[np.ndarray, np.ndarray]
_Names = tuple[str, str]
"""Names of an array of images and of the array of their labels."""

FORMATS = (
    "Images, as an .npz file of the arrays images and labels (or x and y) or x_train, y_train, x_test and y_test, or "
    "as a folder of image files per class."
)
"""Help of flags."""

_WHOLE: tuple[_Names, ...] = (("images", "labels"), ("x", "y"))
_TRAIN, _VALIDATION, _TEST = (("x_train", "y_train"), ("x_validation", "y_validation"), ("x_test", "y_test"))
_EXPECTED = (
    "expected images and labels (or x and y), or x_train, y_train, x_test and y_test, and maybe x_validation and "
    "y_validation"
)

_MOST_CHANNELS = 4
_LISTED_CLASSES = 12


@dataclasses.dataclass(frozen=True, eq=False)
class ImageData:
    """Three disjoint sets of images float32 `[n, height, width, channels]` with labels int32 `[n]`.

    Attributes:
      train: images to learn from.
      validation: images that a search may look at.
      test: images that only the report looks at.
      num_classes: labels are 0 to `num_classes - 1`.
      class_names: names of the classes; by default their numbers.
      pixel_mean: mean of every channel that was subtracted from the raw pixels; empty for images that nobody
        standardised.
      pixel_deviation: standard deviation of every channel that the raw pixels were divided by; empty for images that
        nobody standardised.

    Raises:
      ConfigurationError: sets of different shapes, an empty set, NaN, a label that is out of range, or more or fewer
        names than classes.
    """

    train: Labelled
    validation: Labelled
    test: Labelled
    num_classes: int
    class_names: tuple[str, ...] = ()
    pixel_mean: tuple[float, ...] = ()
    pixel_deviation: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        if not self.class_names:
            object.__setattr__(self, "class_names", tuple(map(str, range(self.num_classes))))
        if len(self.class_names) != self.num_classes:
            raise ConfigurationError(f"{len(self.class_names)} names of {self.num_classes} classes")
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

    def __str__(self) -> str:
        """Number, size and classes of the images in one line."""
        sizes = [len(labels) for _, labels in (self.train, self.validation, self.test)]
        shape = " x ".join(map(str, self.train[0].shape[1:]))
        names = list(self.class_names)
        if len(names) > _LISTED_CLASSES:
            names[_LISTED_CLASSES - 2 : -1] = ["..."]
        return (
            f"{sum(sizes):,} images of {shape} ({sizes[0]:,} train, {sizes[1]:,} validate, {sizes[2]:,} test); "
            f"{self.num_classes} classes, numbered from 0: {', '.join(names)}"
        )

    @classmethod
    def digits(cls, train_images: int = 200, seed: int = 0) -> "ImageData":
        """scikit-learn's 1,797 digits, 8 x 8 grey values scaled to [-1, 1].

        What is not used for training is halved into validation and test; all keep the shares of the ten classes.
        """
        from sklearn.datasets import load_digits
        from sklearn.model_selection import train_test_split

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
          labels: text or whole numbers `[n]` or `[n, 1]`, or one-hot rows `[n, k]`; see `labels.class_numbers`.

        Raises:
          ConfigurationError: arrays that are no images, or no labels of the images.
        """
        return _split({"images": images, "labels": labels}, ("images", "labels"))

    @classmethod
    def from_datasets(
        cls, train: "tf.data.Dataset", validation: "tf.data.Dataset", test: "tf.data.Dataset"
    ) -> "ImageData":
        """From data sets of single (image, label) pairs, standardised per channel of the training images."""
        names = [(f"{name} images", f"{name} labels") for name in ("train", "validation", "test")]
        arrays: dict[str, np.ndarray] = {}
        for pair, dataset in zip(names, (train, validation, test), strict=True):
            arrays.update(zip(pair, _collect(dataset), strict=True))
        return _standardised(*_checked(arrays, *names))


def load_images(path: artefacts.PathLike, image_size: int | None = None) -> ImageData:
    """Reads a set of images. Everything is checked before TensorFlow starts, which only decodes image files.

    Args:
      path: an `.npz` file or a folder. A file holds the arrays `images` and `labels` (or `x` and `y`), or `x_train`,
        `y_train`, `x_test`, `y_test` and maybe `x_validation`, `y_validation` (else a fifth of the training images
        validates). A folder holds one folder of image files per class, whose name is the name of the class.
      image_size: files of a folder are resized to this many pixels in height and width; by default all must be of one
        size.

    Raises:
      CorruptArtefactError: the path can't be read or holds something else.
      ConfigurationError: the images or their labels are not usable.
    """
    path = pathlib.Path(path)
    if path.is_dir():
        from tfnas.benchmarks.trained.image_folders import read_folder

        arrays = dict(zip(_WHOLE[0], read_folder(path, image_size), strict=True))
    else:
        arrays = artefacts.read_npz(path)
    try:
        return _from_arrays(arrays)
    except CorruptArtefactError as error:
        raise CorruptArtefactError(f"{path}: {error}") from error
    except ConfigurationError as error:
        raise ConfigurationError(f"{path}: {error}") from error


def _from_arrays(arrays: Mapping[str, np.ndarray]) -> ImageData:
    """The sets that arrays with the names of a file make."""
    for names in _WHOLE:
        if set(names) <= arrays.keys():
            return _split(arrays, names)
    if not {*_TRAIN, *_TEST} <= arrays.keys():
        raise CorruptArtefactError(f"holds {', '.join(sorted(arrays)) or 'nothing'}; {_EXPECTED}")
    given = arrays.keys() & set(_VALIDATION)
    if len(given) == 1:
        raise CorruptArtefactError(f"holds {given.pop()} alone; {_EXPECTED}")
    if given:
        return _standardised(*_checked(arrays, _TRAIN, _VALIDATION, _TEST))
    ((images, labels), test), names = _checked(arrays, _TRAIN, _TEST)
    rest, validation = _stratified(np.arange(len(labels)), labels, 0.2, names)
    return _standardised([(images[rest], labels[rest]), (images[validation], labels[validation]), test], names)


def _split(arrays: Mapping[str, np.ndarray], names: _Names) -> ImageData:
    """Training, validation and test images out of one set."""
    ((images, labels),), classes = _checked(arrays, names)
    rest, test = _stratified(np.arange(len(labels)), labels, 0.2, classes)
    train, validation = _stratified(rest, labels, 0.25, classes)
    return _standardised([(images[rows], labels[rows]) for rows in (train, validation, test)], classes)


def _checked(arrays: Mapping[str, np.ndarray], *names: _Names) -> tuple[list[Labelled], tuple[str, ...]]:
    """Sets of images `[n, height, width, channels]` and class numbers int32 `[n]`, and the names of the classes.

    Args:
      arrays: images and labels.
      *names: names of the arrays of every set, the training set first.

    Raises:
      ConfigurationError: an array can't be used, or the arrays do not fit each other.
    """
    pixels = [_pixels(name, arrays[name]) for name, _ in names]
    numbers, classes = class_numbers({name: arrays[name] for _, name in names})
    for (image_name, label_name), images, labels in zip(names, pixels, numbers, strict=True):
        if len(images) != len(labels):
            raise ConfigurationError(
                f"{image_name} holds {len(images)} images and {label_name} {len(labels)} labels, expected as many"
            )
        if images.shape[1:] != pixels[0].shape[1:]:
            shape, first = (" x ".join(map(str, array.shape[1:])) for array in (images, pixels[0]))
            raise ConfigurationError(
                f"{names[0][0]} holds images of {first} and {image_name} images of {shape}, expected the same "
                "height, width and channels"
            )
    return list(zip(pixels, numbers, strict=True)), classes


def _pixels(name: str, images: np.ndarray) -> np.ndarray:
    """Images `[n, height, width, channels]` of finite numbers."""
    images = np.asarray(images)
    if images.dtype.kind not in "buif":
        raise ConfigurationError(f"{name} is of type {images.dtype}, expected numbers")
    if images.ndim not in (3, 4) or not images.size:
        raise ConfigurationError(
            f"{name} has shape {images.shape}, expected [n, height, width] or [n, height, width, channels]"
        )
    if images.ndim == 3:
        images = images[..., None]
    elif images.shape[1] in (1, 3) and images.shape[3] > _MOST_CHANNELS:
        raise ConfigurationError(
            f"{name} has shape {images.shape}, expected the channels last: {name}.transpose(0, 2, 3, 1)"
        )
    broken = int((~np.isfinite(images)).any(axis=(1, 2, 3)).sum()) if images.dtype.kind == "f" else 0
    if broken:
        raise ConfigurationError(f"{name} holds NaN or infinity in {broken} of {len(images)} images")
    return images


def _stratified(rows: np.ndarray, labels: np.ndarray, share: float, classes: tuple[str, ...]) -> list[np.ndarray]:
    """Rows in two sets, the second with a share of every class; the first has images of every class."""
    from sklearn.model_selection import train_test_split

    counts = np.bincount(labels[rows], minlength=len(classes))
    least = f"the smallest class, {classes[counts.argmin()]!r}, has {counts.min()}"
    try:
        first, second = train_test_split(rows, test_size=share, stratify=labels[rows], random_state=0)
    except ValueError as error:
        message = f"{len(rows)} images can't be split with the shares of their classes: {error}; {least}"
        raise ConfigurationError(message) from error
    if len(np.unique(labels[first])) < len(classes):
        raise ConfigurationError(f"{len(rows)} images can't be split so that every class is learnt from: {least}")
    return [first, second]


def _standardised(sets: list[Labelled], classes: tuple[str, ...]) -> ImageData:
    """Data whose training images have mean 0 and standard deviation 1 in every channel."""
    arrays = [(np.asarray(images, np.float32), labels) for images, labels in sets]
    first = arrays[0][0]
    mean, deviation = first.mean(axis=(0, 1, 2)), first.std(axis=(0, 1, 2))
    deviation = np.where(deviation > 0, deviation, 1.0)
    return ImageData(
        *(((images - mean) / deviation, labels) for images, labels in arrays),
        num_classes=len(classes),
        class_names=classes,
        pixel_mean=tuple(mean.tolist()),
        pixel_deviation=tuple(deviation.tolist()),
    )


def _collect(dataset: "tf.data.Dataset") -> Labelled:
    pairs = list(dataset.as_numpy_iterator())
    if not pairs:
        raise ConfigurationError("a data set is empty")
    if len({image.shape for image, _ in pairs}) > 1:
        raise ConfigurationError("a data set holds images of several shapes, expected one shape")
    return np.stack([image for image, _ in pairs]), np.array([label for _, label in pairs])


def batch_of_images(path: artefacts.PathLike, count: int, seed: int, raw: bool = False) -> Labelled:
    """Random training images float32 `[count, height, width, channels]`, standardised or raw, and their labels.

    Raises:
      ConfigurationError: there are fewer.
    """
    data = load_images(path)
    images, labels = data.train
    if len(images) < count:
        raise ConfigurationError(f"{path}: {len(images)} training images, expected at least {count}")
    rows = np.random.default_rng([seed, 2]).permutation(len(images))[:count]
    images = images[rows]
    if raw:
        images = images * np.float32(data.pixel_deviation) + np.float32(data.pixel_mean)
    return images, labels[rows]
