"""Jacobian embeddings of a user's models, all over the same images."""

import pathlib
from collections.abc import Sequence
from typing import Any, Self

import numpy as np
import tensorflow as tf

from tfnas import artefacts, runtime
from tfnas.benchmarks.trained.images import batch_of_images
from tfnas.encoders.jacobian.saved import SavedJacobianEncoder, model_jacobians
from tfnas.encoders.jacobian.space_programs import Jacobian, space_jacobians
from tfnas.errors import ConfigurationError, MismatchError
from tfnas.graphs.computation_graph import ComputationGraph
from tfnas.graphs.importers.keras_files import read_keras_file
from tfnas.networks.models import named_architecture
from tfnas.spaces import Space

SUFFIXES = (".keras", ".h5", ".hdf5")
"""Files of models that can be built with fresh weights."""

INITIALIZATIONS = 2
_CLASSES = 10


class ModelJacobians:
    """Embeds models by a Jacobian encoder: means over two initialisations, whose weights a seed draws.

    Args:
      images: float32 `[N, height, width, channels]`, standardised, of the number and shape that the encoder was trained
        with.
      seed: seed of the weights.
      encoder: the encoder; the encoder that ships with tfnas by default.

    Raises:
      MismatchError: images of another shape.

    Example:
      >>> ModelJacobians(np.ones((64, 32, 32, 3), np.float32)).embed([]).shape
      (0, 128)
    """

    def __init__(self, images: np.ndarray, seed: int = 0, encoder: SavedJacobianEncoder | None = None):
        self.images, self.seed = np.asarray(images, np.float32), seed
        self.encoder = encoder or SavedJacobianEncoder()
        expected = (self.encoder.manifest["rows"], *self.encoder.manifest["image_shape"])
        if self.images.shape != expected:
            raise MismatchError(f"{self.encoder.folder}: images {self.images.shape}, expected {expected}")
        self._rule = self.encoder.manifest["jacobians"]["initialization"]
        self._tensor = tf.constant(self.images)
        self._programs: dict[str, Jacobian] = {}

    @classmethod
    def over(cls, path: artefacts.PathLike, seed: int) -> Self:
        """Takes random images of a file or folder; see `benchmarks.trained.images.batch_of_images`.

        Raises:
          ConfigurationError: there are too few, or they can't be read.
          MismatchError: they have another shape than the encoder's images.
        """
        encoder = SavedJacobianEncoder()
        return cls(batch_of_images(path, encoder.manifest["rows"], seed)[0], seed, encoder)

    def embed(self, models: Sequence[Any], folder: artefacts.PathLike = ".") -> np.ndarray:
        """Embeddings float32 `[n, D]`; NaN for a model whose Jacobian is zero or not finite.

        Args:
          models: n models: `.keras` or HDF5 files, architectures such as `nasbench201:13714`, built Keras models, or
            computation graphs whose name is such a file or architecture.
          folder: folder from which relative paths start.

        Raises:
          ConfigurationError: a model that can't be built, or that does not take the images or return logits; the
            message names the model.
        """
        embeddings = []
        with runtime.progress(total=len(models), desc="Jacobians", unit="model") as step:
            for model in models:
                name = model.name if hasattr(model, "name") and not isinstance(model, pathlib.Path) else str(model)
                try:
                    jacobians = self._jacobians(model, pathlib.Path(folder))
                except Exception as error:  # Keras and TensorFlow raise many classes
                    reason = (str(error).strip() or type(error).__name__).splitlines()[0]
                    raise ConfigurationError(f"no Jacobian of {name}: {reason.removeprefix(f'{name}: ')}") from error
                embeddings.append(self.encoder.embed_jacobians(jacobians).mean(axis=0))
                step()
        return np.stack(embeddings) if embeddings else np.zeros((0, self.encoder.manifest["embedding_dim"]), np.float32)

    def _jacobians(self, model: Any, folder: pathlib.Path) -> tf.Tensor:
        """float32 `[initialisations, N, pixels]`."""
        if isinstance(model, ComputationGraph):
            model = model.name
        if isinstance(model, str | pathlib.Path):
            named = named_architecture(str(model))
            if named is not None:
                program = self._program(named[0])
                return tf.stack([program(self._tensor, named[1], number) for number in range(INITIALIZATIONS)])
            model = _built(folder / model)
        return model_jacobians(model, self.images, INITIALIZATIONS, self._rule, self.seed, compiled=False)

    def _program(self, space: Space) -> Jacobian:
        if space.name not in self._programs:
            shape = tuple(self.images.shape[1:])
            self._programs[space.name] = space_jacobians(space, self.seed, self._rule, "sum", _CLASSES, shape)
        return self._programs[space.name]


def _built(path: pathlib.Path) -> Any:
    """The model of a file, with fresh weights."""
    if path.suffix not in SUFFIXES:
        raise ConfigurationError(
            f"the model can't be built with fresh weights, expected a file {', '.join(SUFFIXES)} or an architecture "
            "such as nasbench201:13714"
        )
    return read_keras_file(path).build()
