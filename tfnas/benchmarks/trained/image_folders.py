"""Folders of image files, one folder per class. All files are checked before TensorFlow, which decodes them, starts."""

import pathlib

import numpy as np
from PIL import Image

from tfnas.errors import ConfigurationError, CorruptArtefactError

_SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".gif")


def read_folder(path: pathlib.Path, image_size: int | None) -> tuple[np.ndarray, np.ndarray]:
    """Images of a folder that holds a folder for every class.

    Args:
      path: the folder.
      image_size: pixels in height and width that images are resized to; by default all images must be of one size.

    Returns:
      Images `[n, height, width, 3]` and the names of their folders, text `[n]`.

    Raises:
      CorruptArtefactError: fewer than 2 folders, a folder without image files, or a file that is no image.
      ConfigurationError: images of several sizes.
    """
    folders = sorted(folder for folder in path.iterdir() if folder.is_dir() and not folder.name.startswith("."))
    if len(folders) < 2:
        raise CorruptArtefactError(f"{path}: {len(folders)} folders, expected one for each of at least 2 classes")
    files = [file for folder in folders for file in _files(folder)]
    _check_sizes(files, image_size)
    return np.stack([_decoded(file, image_size) for file in files]), np.array([file.parent.name for file in files])


def _files(folder: pathlib.Path) -> list[pathlib.Path]:
    files = sorted(file for file in folder.iterdir() if file.suffix.lower() in _SUFFIXES)
    if not files:
        raise CorruptArtefactError(f"{folder}: no image files ({', '.join(_SUFFIXES)})")
    return files


def _check_sizes(files: list[pathlib.Path], image_size: int | None) -> None:
    """Reads what the head of every file says of the image."""
    sizes = {}
    for file in files:
        try:
            with Image.open(file) as image:
                sizes[file] = image.size
        except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
            raise CorruptArtefactError(f"{file}: not an image ({error})") from error
    width, height = sizes[files[0]]
    for file, size in sizes.items():
        if image_size is None and size != (width, height):
            raise ConfigurationError(
                f"{file}: {size[1]} x {size[0]} pixels, others {height} x {width}; give an image size"
            )


def _decoded(file: pathlib.Path, image_size: int | None) -> np.ndarray:
    import tensorflow as tf

    try:
        image = tf.io.decode_image(file.read_bytes(), channels=3, expand_animations=False)
    except tf.errors.InvalidArgumentError as error:
        raise CorruptArtefactError(f"{file}: not an image ({error.message})") from error
    if image_size is not None:
        image = tf.image.resize(image, (image_size, image_size), antialias=True)
    return np.asarray(image)
